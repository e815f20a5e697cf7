"""Invented products as four chains would spell them, and lists of them to link."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from catalog_support import ean13

MAKERS = {
    # as 7-Eleven, CU, GS25 and emart24 write the maker
    "달빛": ("달빛", "달빛", "달빛", "달빛"),
    "구름": ("구름", "하늘", "구름", "하늘"),
    "새벽": ("새벽식품", "새벽", "새벽", "새벽"),
    "한들": ("한들", "한들", "한들", "한들제과"),
    "누리": ("누리", "누리", "누리", "누리"),
}
BRANDS = (
    "보들보들", "반짝", "솔바람", "물방울", "두근두근", "가온", "라온", "마루", "바다숲", "토닥",
    "나른한오후", "아침뜰", "들꽃", "은하수", "콩콩", "별똥별", "오솔길", "잔물결", "해돋이",
    "늘봄",
)  # fmt: skip
KINDS = (("소다", 350, "ml"), ("우유", 300, "ml"), ("비스킷", 90, "g"), ("젤리", 80, "g"))
FLAVOURS = ("딸기", "포도", "레몬", "")
CHAINS = ("7Eleven", "CU", "GS25", "emart24")


@dataclass(frozen=True)
class Row:
    """A row of a list file."""

    name: str
    price_krw: int
    promotion: str
    barcode: str


def spellings(maker: str, core: str, amount: int, unit: str) -> tuple[str, str, str, str]:
    """Return one product's name in the style of each chain."""
    seven, cu, gs25, emart24 = MAKERS[maker]
    bottle = unit == "ml"
    return (
        f"{seven}){core}{amount}{unit}",
        f"{cu}){core}{'P' if bottle else ''}{amount}{unit}"[:15],
        f"{gs25}){core}{amount}{unit.upper()}",
        f"{emart24}){core}{'펫' if bottle else ''}{amount}{unit}",
    )


def invented_lists(seed: int = 5) -> dict[str, list[Row]]:
    """Return a list for each chain; about half of the products are in any one chain."""
    rng = random.Random(seed)
    lists: dict[str, list[Row]] = {chain: [] for chain in CHAINS}
    number = 0
    for brand in BRANDS:
        maker = rng.choice(list(MAKERS))
        kind, amount, unit = rng.choice(KINDS)
        price = rng.randrange(10, 40) * 100
        for flavour in FLAVOURS:
            number += 1
            barcode = ean13(f"2{rng.randrange(900):03d}{number:08d}")
            names = spellings(maker, brand + flavour + kind, amount, unit)
            for chain, name in zip(CHAINS, names, strict=True):
                if rng.random() < 0.55:
                    lists[chain].append(Row(name, price, rng.choice(("1+1", "2+1")), barcode))
    return lists


def write_lists(folder: Path, lists: dict[str, list[Row]]) -> Path:
    """Write the lists as `match evaluate` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for chain, rows in lists.items():
        lines = ["chain,name,price_krw,promotion,barcode,image_url"]
        lines += [
            f"{chain},{row.name},{row.price_krw},{row.promotion},{row.barcode}," for row in rows
        ]
        (folder / f"{chain}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder
