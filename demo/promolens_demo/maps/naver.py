"""What Naver's local search answers: at most five places for a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promolens_demo.maps.asking import RefusedError, whole
from promolens_demo.maps.stores import DemoStore

PATH = "/v1/search/local.json"
ID_HEADER, SECRET_HEADER = "x-naver-client-id", "x-naver-client-secret"
_SCALE = 10_000_000


def check_key(headers: Mapping[str, str]) -> None:
    """Refuse a request without both headers."""
    if not headers.get(ID_HEADER) or not headers.get(SECRET_HEADER):
        raise RefusedError("024", "Authentication failed")


def answer(stores: Sequence[DemoStore], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to a search; raises RefusedError."""
    word = query.get("query", "")
    if not word:
        raise RefusedError("SE01", "Incorrect query request")
    display, start = whole(query, "display", 1, 5, 1), whole(query, "start", 1, 1, 1)
    if query.get("sort", "random") not in ("random", "comment"):
        raise RefusedError("SE04", "Invalid sort value")
    found = [one for one in stores if word.casefold() in f"{one.brand} {one.name}".casefold()]
    items = [
        {
            "title": f"<b>{one.brand}</b> {one.branch}",
            "link": "",
            "category": "생활,편의>편의점",
            "description": "",
            "telephone": "",
            "address": one.address,
            "roadAddress": one.address,
            "mapx": str(round(one.longitude * _SCALE)),
            "mapy": str(round(one.latitude * _SCALE)),
        }
        for one in found[:display]
    ]
    return {
        "lastBuildDate": "Sun, 01 Feb 2026 12:00:00 +0900",
        "total": min(len(found), 5),
        "start": start,
        "display": len(items),
        "items": items,
    }
