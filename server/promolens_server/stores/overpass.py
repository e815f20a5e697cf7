"""OpenStreetMap through Overpass: https://wiki.openstreetmap.org/wiki/Overpass_API.

All convenience stores of an area in one answer. In Korea many are missing or without a brand: that
it has none does not mean that there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from promolens_catalog.chains import Chain
from promolens_server.stores.failures import Outcome, ProviderError
from promolens_server.stores.fetching import Fetcher
from promolens_server.stores.questions import Area, Found, FoundStore
from promolens_server.stores.reading import (
    chain_of,
    check_readable,
    list_of,
    place_of,
    text_of,
)

NAME = "overpass"
ATTRIBUTION = "© OpenStreetMap contributors (ODbL)"
MAX_ANSWER_BYTES = 8_000_000
MAX_STORES = 5_000
_WIKIDATA = {
    "Q12580836": Chain.CU,
    "Q624041": Chain.GS25,
    "Q259340": Chain.SEVEN,
    "Q16219674": Chain.EMART24,
    # Ministop's stores in Korea are 7-Eleven's.
    "Q1038929": Chain.SEVEN,
}
_TYPES = ("node", "way", "relation")


class Overpass:
    """Asks an Overpass server."""

    name = NAME
    attribution = ATTRIBUTION
    by_chain = False
    certain = False

    def __init__(
        self, fetcher: Fetcher, url: str, timeout_s: float, clock: Callable[[], datetime]
    ) -> None:
        self._fetcher, self._url, self._clock = fetcher, url, clock
        self._timeout_s = timeout_s

    async def find(self, area: Area) -> Found:
        """Return the stores of an area; raises ProviderError."""
        form = {"data": query_for(area, self._timeout_s)}
        return found_in(await self._fetcher.json("POST", self._url, form=form), area, self._clock())


def query_for(area: Area, timeout_s: float) -> str:
    """Return the question in Overpass' own language; the server gives up when we do."""
    around = f"(around:{area.radius_m},{area.latitude},{area.longitude})"
    limits = f"[out:json][timeout:{max(1, round(timeout_s))}]"
    return f'{limits};nwr["shop"="convenience"]{around};out center tags {MAX_STORES};'


def found_in(answer: dict[str, Any], area: Area, now: datetime) -> Found:
    """Read an answer; raises ProviderError for what is none, or only a part of one."""
    if answer.get("remark"):
        # With status 200: the server ran out of time or memory in the middle.
        raise ProviderError(Outcome.DOWN, "a remark in place of the whole answer")
    elements = list_of(answer, "elements", MAX_STORES)
    stores = tuple(one for one in map(_store, elements) if one is not None)
    check_readable(len(stores), len(elements))
    whole = len(elements) < MAX_STORES
    return Found(stores, float(area.radius_m) if whole else 0.0, _as_of(answer, now))


def _as_of(answer: dict[str, Any], now: datetime) -> datetime:
    """Return when the server's copy of the map was true; never later than now."""
    about = answer.get("osm3s")
    stated = about.get("timestamp_osm_base") if isinstance(about, dict) else None
    try:
        moment = datetime.fromisoformat(str(stated))
    except ValueError:
        return now
    # A year without a zone, or one that no zone can shift, is none of theirs.
    if moment.tzinfo is None or not 2004 < moment.year < 9999:
        return now
    return min(moment.astimezone(UTC), now)


def _store(element: object) -> FoundStore | None:
    if not isinstance(element, dict) or element.get("type") not in _TYPES:
        return None
    number, tags = element.get("id"), element.get("tags")
    centre = element.get("center", element)
    if type(number) is not int or not isinstance(tags, dict) or not isinstance(centre, dict):
        return None
    place = place_of(centre.get("lat"), centre.get("lon"))
    name = text_of(tags.get("name")) or text_of(tags.get("brand"))
    if place is None:
        return None
    chain, branch = chain_of(text_of(tags.get("brand")), name)
    return FoundStore(
        id=f"{element['type']}/{number}",
        chain=_WIKIDATA.get(str(tags.get("brand:wikidata"))) or chain,
        # Many have neither name nor brand; they are stores all the same.
        name=name or "편의점",
        branch=text_of(tags.get("branch")) or branch,
        address=text_of(tags.get("addr:full")) or text_of(tags.get("addr:street")),
        phone=text_of(tags.get("phone")),
        latitude=place[0],
        longitude=place[1],
        url=f"https://www.openstreetmap.org/{element['type']}/{number}",
    )
