"""What Kakao Local answers: category and keyword search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promolens_catalog.store_distance import Box
from promolens_demo.maps.asking import Circle, RefusedError, inside, number, whole
from promolens_demo.maps.stores import DemoStore

CATEGORY = "/v2/local/search/category.json"
KEYWORD = "/v2/local/search/keyword.json"
REACHABLE = 45
MAX_RADIUS_M = 20_000
# How the real service writes the brand, whatever the shop calls itself.
_SCHEME = "KakaoAK "


def check_key(authorization: str) -> None:
    """Refuse a request without a key, or with the key `wrong`."""
    key = authorization.removeprefix(_SCHEME)
    if not authorization.startswith(_SCHEME) or not key.strip() or key == "wrong":
        raise RefusedError("AccessDeniedError", f"wrong appKey({key[:4]}) format")


def category_answer(stores: Sequence[DemoStore], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to a category search; raises RefusedError."""
    if "category_group_code" not in query:
        raise RefusedError("MissingParameter", "category_group_code parameter required")
    if query["category_group_code"] != "CS2":
        return _answer([], query, None, None)
    area = _area(query)
    if area is None:
        raise RefusedError("MissingParameter", "x, y and radius, or rect, required")
    return _answer(inside(stores, area), query, area, None)


def keyword_answer(stores: Sequence[DemoStore], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to a keyword search; raises RefusedError."""
    word = query.get("query", "")
    if not word:
        raise RefusedError("MissingParameter", "query parameter required")
    area = _area(query)
    folded = _folded(word)
    found = [
        one
        for one in inside(stores, area)
        if folded in _folded(one.name) or folded in _folded(one.brand)
    ]
    return _answer(found, query, area, {"region": [], "keyword": word, "selected_region": ""})


def _folded(text: str) -> str:
    return "".join(text.casefold().split())


def _area(query: Mapping[str, str]) -> Circle | Box | None:
    if "rect" in query:
        return _rect(query["rect"])
    x, y = number(query, "x", -180, 180), number(query, "y", -90, 90)
    radius_m = number(query, "radius", 0, MAX_RADIUS_M)
    if x is None or y is None:
        return None
    return Circle(y, x, MAX_RADIUS_M if radius_m is None else radius_m)


def _rect(text: str) -> Box:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise RefusedError("InvalidArgument", "rect must be x1,y1,x2,y2") from None
    return Box(min(south, north), max(south, north), min(west, east), max(west, east))


def _answer(
    found: Sequence[DemoStore],
    query: Mapping[str, str],
    area: Circle | Box | None,
    same_name: Mapping[str, Any] | None,
) -> dict[str, Any]:
    page, size = whole(query, "page", 1, 45, 1), whole(query, "size", 1, 15, 15)
    sort = query.get("sort", "accuracy")
    centre = area if isinstance(area, Circle) else None
    if sort not in ("accuracy", "distance"):
        raise RefusedError("InvalidArgument", "sort must be accuracy or distance")
    if sort == "distance" and centre is None:
        raise RefusedError("InvalidArgument", "sort distance needs x and y")
    if sort == "accuracy":
        found = sorted(found, key=lambda one: one.number)
    reachable = found[:REACHABLE]
    shown = reachable[(page - 1) * size : page * size]
    return {
        "meta": {
            "same_name": same_name,
            "pageable_count": len(reachable),
            "total_count": len(found),
            "is_end": page * size >= len(reachable),
        },
        "documents": [_document(one, centre) for one in shown],
    }


def _document(one: DemoStore, centre: Circle | None) -> dict[str, str]:
    return {
        "id": str(10_000_000 + one.number),
        "place_name": f"{one.brand} {one.branch}",
        "category_name": f"가정,생활 > 편의점 > {one.brand}",
        "category_group_code": "CS2",
        "category_group_name": "편의점",
        "phone": one.phone,
        "address_name": one.address,
        "road_address_name": one.address,
        "x": f"{one.longitude:.7f}",
        "y": f"{one.latitude:.7f}",
        "place_url": f"http://place.map.kakao.example/{10_000_000 + one.number}",
        "distance": "" if centre is None else str(round(centre.away_m(one))),
    }
