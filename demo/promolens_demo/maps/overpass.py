"""What an Overpass server answers to a question for convenience stores around a place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from promolens_catalog.chains import Chain
from promolens_demo.maps.asking import Circle, RefusedError, inside
from promolens_demo.maps.stores import DemoStore

PATH = "/api/interpreter"
_AROUND = re.compile(r"\(around:([\d.]+),(-?[\d.]+),(-?[\d.]+)\)")
_WIKIDATA = {
    Chain.CU: "Q12580836",
    Chain.GS25: "Q624041",
    Chain.SEVEN: "Q259340",
    Chain.EMART24: "Q16219674",
}
REMARK = 'runtime error: Query timed out in "query" at line 1 after 25 seconds.'


def answer(
    stores: Sequence[DemoStore], data: str, as_of: str, *, remark: bool = False
) -> dict[str, Any]:
    """Return the answer to a query.

    Args:
        as_of: of the map's data, ISO 8601 with `Z`.
        remark: break off in the middle, with status 200 as the real one does.

    Raises:
        RefusedError: there is no `around` in it.
    """
    match = _AROUND.search(data)
    if match is None or '"shop"="convenience"' not in data:
        raise RefusedError("parse error", "line 1: parse error: Unknown query clause")
    try:
        radius_m, latitude, longitude = (float(part) for part in match.groups())
    except ValueError:
        raise RefusedError("parse error", "line 1: parse error: no number") from None
    found = inside(stores, Circle(latitude, longitude, radius_m))
    found.sort(key=lambda one: one.number)
    elements = [_element(one) for one in found]
    whole: dict[str, Any] = {
        "version": 0.6,
        "generator": "Overpass API (stand-in)",
        "osm3s": {"timestamp_osm_base": as_of, "copyright": "ODbL"},
        "elements": elements[: len(elements) // 2] if remark else elements,
    }
    return whole | ({"remark": REMARK} if remark else {})


def _element(one: DemoStore) -> dict[str, Any]:
    tags = {"shop": "convenience"}
    # As in the real map: some have a brand and its number, some a name only.
    if one.number % 3 and one.chain in _WIKIDATA:
        tags |= {"brand": one.brand, "brand:wikidata": _WIKIDATA[one.chain]}
    tags |= {"name": one.name if one.number % 2 else one.brand, "opening_hours": "24/7"}
    place = {"lat": one.latitude, "lon": one.longitude}
    if one.number % 10 == 0:
        return {"type": "way", "id": one.number, "center": place, "tags": tags}
    return {"type": "node", "id": one.number, **place, "tags": tags}
