"""The public lists of stores, by the columns that they have.

- `semas`: 소상공인시장진흥공단 상가(상권)정보, all shops of a province, one CSV each.
- `gyeonggi`: 경기데이터드림 편의점 현황, licensed convenience stores of a city.
- `plain`: one's own list: `name`, `latitude`, `longitude`, and what else there is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.names import normalise
from promolens_catalog.store_brands import brand_of
from promolens_catalog.store_rows import (
    MAX_ID_CHARACTERS,
    LeftOut,
    StoreRow,
    cell_text,
    place_of,
)

Cells = Mapping[str, str]
# Convenience stores among all shops: today's class, and that of lists before 2023.
_SEMAS_CLASSES = ("G20405", "D03A01")
_OPEN = ("", "영업", "영업중", "영업/정상", "정상영업", "01")


@dataclass(frozen=True)
class StoreFormat:
    """One way to lay out a list.

    Attributes:
        columns: our word -> the names that lists have for it, as `normalise` spells them.
        needed: our words without which it is not this format; of a tuple, one is enough.
        attribution: what has to be shown with its stores; `""` where the user says it.
        read: turns the cells of one row into a store.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    needed: tuple[str | tuple[str, ...], ...]
    attribution: str
    read: Callable[[Cells, str], StoreRow | LeftOut]

    def places_in(self, header: Sequence[str]) -> dict[str, int] | None:
        """Return our words and their columns; `None` if the header is not of this format."""
        spelled = [normalise(name) for name in header]
        found = {
            word: spelled.index(name)
            for word, names in self.columns.items()
            if (name := next((one for one in names if one in spelled), None)) is not None
        }
        for need in self.needed:
            choices = (need,) if isinstance(need, str) else need
            if not any(word in found for word in choices):
                return None
        return found


def _semas(cells: Cells, _source: str) -> StoreRow | LeftOut:
    code, kind = cells.get("class_code", ""), cells.get("class_name", "")
    if code not in _SEMAS_CLASSES and not (code == "" and kind == "편의점"):
        return LeftOut.OTHER_KIND
    region = cells.get("region") or cells.get("district", "")[:2] or "all"
    return _store(cells, f"semas-{region[:40]}", cells.get("id", ""))


def _gyeonggi(cells: Cells, _source: str) -> StoreRow | LeftOut:
    if cells.get("kind", "편의점") not in ("편의점", ""):
        return LeftOut.OTHER_KIND
    if cells.get("closed_on") or cells.get("state", "") not in _OPEN:
        return LeftOut.CLOSED
    # The list numbers nothing: name, day of the licence and lot tell two licences apart.
    licensed = re.sub(r"\D", "", cells.get("licensed_on", ""))
    lot = cells.get("lot_address") or cells.get("address", "")
    words = "\x1f".join((normalise(cells.get("name", "")), licensed, normalise(lot)))
    number = hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:20]
    return _store(cells, f"gyeonggi-{cells.get('region', '')[:40] or 'all'}", number)


def _plain(cells: Cells, source: str) -> StoreRow | LeftOut:
    words = "\x1f".join(cells.get(word, "") for word in ("name", "branch", "address"))
    number = cells.get("id") or hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:20]
    return _store(cells, source, number)


def _store(cells: Cells, source: str, number: str) -> StoreRow | LeftOut:
    name = cells.get("name", "")
    if not number:
        return LeftOut.NO_ID
    if not name:
        return LeftOut.NO_NAME
    place = place_of(cells.get("latitude", ""), cells.get("longitude", ""))
    if isinstance(place, LeftOut):
        return place
    brand = brand_of(name)
    return StoreRow(
        source=source,
        source_id=number[:MAX_ID_CHARACTERS],
        chain=_named_chain(cells.get("chain", "")) or brand.stores_of,
        name=name,
        branch=cells.get("branch") or brand.branch or None,
        address=cells.get("address") or cells.get("lot_address") or None,
        phone=cells.get("phone") or None,
        latitude=place[0],
        longitude=place[1],
    )


def _named_chain(word: str) -> Chain | None:
    if word in list(Chain):
        return CHAINS[Chain(word)].stores_of
    return brand_of(word).stores_of if word else None


SEMAS = StoreFormat(
    "semas",
    {
        "id": ("상가업소번호", "bizesid"),
        "name": ("상호명", "bizesnm"),
        "branch": ("지점명", "brchnm"),
        "class_code": ("상권업종소분류코드", "indssclscd"),
        "class_name": ("상권업종소분류명", "indssclsnm"),
        "region": ("시도코드", "ctprvncd"),
        "district": ("시군구코드", "signgucd"),
        "address": ("도로명주소", "rdnmadr"),
        "lot_address": ("지번주소", "lnoadr"),
        "longitude": ("경도", "lon"),
        "latitude": ("위도", "lat"),
    },
    ("id", "name", ("class_code", "class_name"), "longitude", "latitude"),
    "소상공인시장진흥공단 상가(상권)정보 (data.go.kr)",
    _semas,
)
GYEONGGI = StoreFormat(
    "gyeonggi",
    {
        "name": ("사업장명", "bizplc_nm"),
        "state": ("영업상태명", "bsn_state_nm"),
        "closed_on": ("폐업일자", "clsbiz_de"),
        "licensed_on": ("인허가일자", "licensg_de"),
        "kind": ("위생업태명", "sanittn_bizcond_nm"),
        "region": ("시군명", "sigun_nm"),
        "address": ("소재지도로명주소", "refine_roadnm_addr"),
        "lot_address": ("소재지지번주소", "refine_lotno_addr"),
        "latitude": ("wgs84위도", "refine_wgs84_lat"),
        "longitude": ("wgs84경도", "refine_wgs84_logt"),
    },
    ("name", "state", "latitude", "longitude"),
    "경기데이터드림 편의점 현황 (data.gg.go.kr)",
    _gyeonggi,
)
PLAIN = StoreFormat(
    "plain",
    {
        "id": ("id", "source_id", "번호"),
        "chain": ("chain", "brand", "브랜드"),
        "name": ("name", "상호명", "이름"),
        "branch": ("branch", "지점명"),
        "address": ("address", "주소", "도로명주소"),
        "phone": ("phone", "전화번호"),
        "latitude": ("latitude", "lat", "위도"),
        "longitude": ("longitude", "lon", "lng", "경도"),
    },
    ("name", "latitude", "longitude"),
    "",
    _plain,
)

# The most particular first: `plain` asks for the least.
FORMATS: Mapping[str, StoreFormat] = {one.name: one for one in (SEMAS, GYEONGGI, PLAIN)}


def cells_of(places: Mapping[str, int], row: Sequence[str]) -> dict[str, str]:
    """Return the cleaned cells of a row by our words."""
    return {word: cell_text(row[place]) for word, place in places.items()}
