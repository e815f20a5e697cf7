"""Invented stores of the real chains, at places where nobody has looked for real ones.

The same seed gives the same stores everywhere: the stand-in map service, the demo server and tests
know the same table.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from io import BytesIO, StringIO
from pathlib import Path

from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.store_files import StoreFile, read_stores
from promolens_demo.shops.chance import draws, pick
from promolens_runtime.errors import InputError

DEFAULT_SEED = 2026
DEFAULT_STORES = 900
MAX_STORES = 100_000
SOURCE = "demo"
ATTRIBUTION = "invented stores of the promolens demo"
COLUMNS = ("id", "chain", "name", "branch", "address", "phone", "latitude", "longitude")

# Latitude, longitude, reach in degrees, share of all stores.
_TOWNS = (
    ((37.5665, 126.9780, 0.035), 0.50),
    ((37.2636, 127.0286, 0.030), 0.20),
    ((35.1796, 129.0756, 0.030), 0.15),
    ((36.3504, 127.3845, 0.030), 0.15),
)
_SHARES = (
    (0.32, Chain.CU),
    (0.32, Chain.GS25),
    (0.22, Chain.SEVEN),
    (0.12, Chain.EMART24),
)
_SPELLINGS = {
    Chain.CU: ("CU", "씨유", "씨유(CU)"),
    Chain.GS25: ("GS25", "지에스25", "지에스(GS)25"),
    Chain.SEVEN: ("세븐일레븐", "7-ELEVEN"),
    Chain.EMART24: ("이마트24", "이마트24R"),
    Chain.CSPACE: ("씨스페이스", "C-SPACE"),
}
_FIRST = (
    "달빛",
    "별솔",
    "바람",
    "은하",
    "새벽",
    "구름",
    "노을",
    "푸른",
    "하늘",
    "꽃",
    "숲",
    "물결",
)
_SECOND = ("마루", "언덕", "나루", "들", "샘", "터", "고개", "정원", "광장", "마을")


@dataclass(frozen=True)
class DemoStore:
    """One invented store; `name` is how a public list spells it, branch included."""

    number: int
    chain: Chain
    name: str
    branch: str
    address: str
    phone: str
    latitude: float
    longitude: float

    @property
    def brand(self) -> str:
        """The chain's Korean name."""
        return CHAINS[self.chain].name_ko


def demo_stores(seed: int = DEFAULT_SEED, count: int = DEFAULT_STORES) -> tuple[DemoStore, ...]:
    """Return invented stores in four towns.

    Raises:
        InputError: `count` is not 1 to `MAX_STORES`.
    """
    if not 1 <= count <= MAX_STORES:
        raise InputError(f"Expected 1 to {MAX_STORES} stores. Received {count}. Change the number.")
    return tuple(_store(seed, number) for number in range(1, count + 1))


def write_stores(path: Path, stores: Iterable[DemoStore]) -> None:
    """Write a CSV that `promolens stores import` reads."""
    path.write_bytes(_csv(stores))


def demo_store_file(seed: int = DEFAULT_SEED, count: int = DEFAULT_STORES) -> StoreFile:
    """Return the stores as a list that `store_imports.import_stores` takes.

    They are read from a CSV, as a public list is.
    """
    stores = demo_stores(seed, count)
    return replace(
        read_stores(BytesIO(_csv(stores)), f"{SOURCE}.csv", "plain", SOURCE),
        attribution=ATTRIBUTION,
    )


def _csv(stores: Iterable[DemoStore]) -> bytes:
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in stores:
        place = (f"{one.latitude:.7f}", f"{one.longitude:.7f}")
        about = (str(one.chain), one.name, one.branch, one.address, one.phone)
        writer.writerow((f"{SOURCE}-{one.number}", *about, *place))
    return text.getvalue().encode("utf-8")


def _store(seed: int, number: int) -> DemoStore:
    town, near, turn, brand, spelled, first, second, street = draws(seed, "store", number)
    latitude, longitude, reach = pick(town, ((share, at) for at, share in _TOWNS), _TOWNS[0][0])
    # More stores in the middle of a town, as in real ones.
    away, bearing = reach * near**1.5, turn * math.tau
    chain = pick(brand, _SHARES, Chain.CSPACE)
    spelling = _SPELLINGS[chain][int(spelled * len(_SPELLINGS[chain]))]
    words = _FIRST[int(first * len(_FIRST))], _SECOND[int(second * len(_SECOND))]
    branch = f"{''.join(words)}{number}호점"
    return DemoStore(
        number=number,
        chain=chain,
        name=f"{spelling} {branch}",
        branch=branch,
        address=f"가상시 {words[0]}구 {words[1]}로 {1 + int(street * 400)}",
        phone=f"070-0000-{number % 10_000:04d}",
        latitude=round(latitude + away * math.sin(bearing), 7),
        longitude=round(longitude + away * math.cos(bearing), 7),
    )
