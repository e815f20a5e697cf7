"""Kakao Local: https://developers.kakao.com/docs/latest/en/local/dev-guide.

A search gives at most 45 places, by distance. Where more are wanted, the square around the circle
is cut in four, and the parts nearest to the centre are asked first, until enough is known or the
question has cost as much as it may.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from promolens_catalog.chains import Chain
from promolens_catalog.store_distance import Box, boxes_around, distance_m
from promolens_server.stores.failures import Outcome, ProviderError
from promolens_server.stores.fetching import Fetcher
from promolens_server.stores.questions import CELL_M, Area, Found, FoundStore
from promolens_server.stores.reading import (
    chain_of,
    check_readable,
    list_of,
    place_of,
    text_of,
    url_of,
)

NAME = "kakao"
ATTRIBUTION = "Kakao Map (카카오맵)"
MAX_ANSWER_BYTES = 1_000_000
PAGE = 15
REACHABLE = 45
_CONVENIENCE = "CS2"
_WORDS = {
    Chain.CU: "CU",
    Chain.GS25: "GS25",
    Chain.SEVEN: "세븐일레븐",
    Chain.EMART24: "이마트24",
    Chain.CSPACE: "씨스페이스",
}


@dataclass(frozen=True)
class Page:
    """One page of a search.

    Attributes:
        total: places that there are; `reachable`: how many of them pages can show.
    """

    stores: tuple[FoundStore, ...]
    total: int
    reachable: int
    last: bool


class Kakao:
    """Asks Kakao Local."""

    name = NAME
    attribution = ATTRIBUTION
    by_chain = True
    certain = True

    def __init__(
        self,
        fetcher: Fetcher,
        url: str,
        key: str,
        per_question: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._fetcher, self._url, self._per_question = fetcher, url.rstrip("/"), per_question
        self._headers = {"Authorization": f"KakaoAK {key}"}
        self._clock = clock

    async def find(self, area: Area) -> Found:
        """Return the stores of an area; raises ProviderError."""
        as_of = self._clock()
        words = [_WORDS[chain] for chain in area.chains] if area.chains else [""]
        left = _Allowance(self._per_question)
        searches = [_Search(self._page, area, word, left) for word in words]
        try:
            # Side by side; where one fails the others are ended.
            async with asyncio.TaskGroup() as group:
                for search in searches:
                    group.create_task(search.run())
        except ExceptionGroup as failed:
            raise _first(failed) from None
        stores = {one.id: one for search in searches for one in search.stores.values()}
        return Found(tuple(stores.values()), min(one.complete_m for one in searches), as_of)

    async def _page(self, where: Mapping[str, str], word: str, number: int) -> Page:
        query = {
            **where,
            **({"query": word} if word else {}),
            "category_group_code": _CONVENIENCE,
            "page": str(number),
            "size": str(PAGE),
        }
        kind = "keyword" if word else "category"
        url = f"{self._url}/v2/local/search/{kind}.json"
        return page_of(await self._fetcher.json("GET", url, query=query, headers=self._headers))


def page_of(found: Mapping[str, Any]) -> Page:
    """Read one answer; raises ProviderError for what is none."""
    meta = found.get("meta")
    if not isinstance(meta, dict):
        raise ProviderError(Outcome.GARBAGE, "no meta")
    documents = list_of(dict(found), "documents", REACHABLE)
    stores = tuple(one for one in map(_store, documents) if one is not None)
    check_readable(len(stores), len(documents))
    total, reachable = meta.get("total_count"), meta.get("pageable_count")
    if type(total) is not int or type(reachable) is not int or min(total, reachable) < 0:
        raise ProviderError(Outcome.GARBAGE, "no counts in meta")
    return Page(stores, total, min(reachable, REACHABLE), meta.get("is_end") is not False)


def _store(document: object) -> FoundStore | None:
    if not isinstance(document, dict):
        return None
    number, name = text_of(document.get("id")), text_of(document.get("place_name"))
    place = place_of(document.get("y"), document.get("x"))
    if number is None or name is None or place is None:
        return None
    category = text_of(document.get("category_name")) or ""
    chain, branch = chain_of(category.rpartition(">")[2].strip(), name)
    return FoundStore(
        id=number,
        chain=chain,
        name=name,
        branch=branch,
        address=text_of(document.get("road_address_name")) or text_of(document.get("address_name")),
        phone=text_of(document.get("phone")),
        latitude=place[0],
        longitude=place[1],
        url=url_of(document.get("place_url")),
    )


@dataclass
class _Allowance:
    """How many requests a question may still cost."""

    left: int

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


AskPage = Callable[[Mapping[str, str], str, int], Any]


@dataclass
class _Search:
    """One word looked for in an area, and what is known so far."""

    ask: AskPage
    area: Area
    word: str
    allowance: _Allowance
    stores: dict[str, FoundStore] = field(default_factory=dict)
    complete_m: float = 0.0

    async def run(self) -> None:
        """Ask until enough is known or nothing more may be asked."""
        if not await self._circle():
            await self._squares()

    async def _circle(self) -> bool:
        """Ask by distance; return whether that was enough."""
        area = self.area
        where = {
            "x": _degrees(area.longitude),
            "y": _degrees(area.latitude),
            "radius": str(area.radius_m),
            "sort": "distance",
        }
        number = 0
        while self.allowance.take():
            number += 1
            page: Page = await self.ask(where, self.word, number)
            self._keep(page)
            if page.last or number * PAGE >= page.reachable:
                if page.total <= page.reachable:
                    self.complete_m = float(area.radius_m)
                    return True
                self.complete_m = max(map(self._away_m, page.stores), default=0.0)
                return self._enough()
            self.complete_m = max(map(self._away_m, page.stores), default=0.0)
            if self._enough():
                return True
        return True

    async def _squares(self) -> None:
        """Ask for parts of the square around the circle, nearest first."""
        area = self.area
        around = boxes_around(area.latitude, area.longitude, area.radius_m)
        numbers = itertools.count()
        heap = [(0.0, next(numbers), part) for box in around for part in _quarters(box)]
        heapq.heapify(heap)
        while heap:
            away_m, _, box = heap[0]
            self.complete_m = max(self.complete_m, min(away_m, area.radius_m))
            if away_m >= area.radius_m or self._enough():
                return
            heapq.heappop(heap)
            whole = await self._square(box)
            if whole is None:
                return
            if not whole:
                for part in _quarters(box):
                    item = (self._box_away_m(part), next(numbers), part)
                    heapq.heappush(heap, item)
        self.complete_m = float(area.radius_m)

    async def _square(self, box: Box) -> bool | None:
        """Ask for a part; say whether it could be read whole, `None` if nothing may be asked."""
        corners = (box.west, box.south, box.east, box.north)
        where = {"rect": ",".join(map(_degrees, corners)), "sort": "accuracy"}
        number = 0
        while self.allowance.take():
            number += 1
            page: Page = await self.ask(where, self.word, number)
            self._keep(page)
            if page.total > page.reachable:
                return False
            if page.last or number * PAGE >= page.reachable:
                return True
        return None

    def _keep(self, page: Page) -> None:
        self.stores.update((one.id, one) for one in page.stores)

    def _enough(self) -> bool:
        # Who asks may stand at the edge of the cell.
        near_m = self.complete_m - 2 * CELL_M
        near = sum(
            self._away_m(one) <= near_m
            for one in self.stores.values()
            if not self.area.chains or one.chain in self.area.chains
        )
        return near >= self.area.wanted

    def _away_m(self, one: FoundStore) -> float:
        return distance_m(self.area.latitude, self.area.longitude, one.latitude, one.longitude)

    def _box_away_m(self, box: Box) -> float:
        latitude = min(max(self.area.latitude, box.south), box.north)
        longitude = min(max(self.area.longitude, box.west), box.east)
        return distance_m(self.area.latitude, self.area.longitude, latitude, longitude)


def _first(failed: ExceptionGroup[Exception]) -> Exception:
    """Return the first failure of the provider; a defect counts more than that."""
    defects = [one for one in failed.exceptions if not isinstance(one, ProviderError)]
    return (defects or list(failed.exceptions))[0]


def _quarters(box: Box) -> tuple[Box, ...]:
    middle, centre = (box.south + box.north) / 2, (box.west + box.east) / 2
    return (
        Box(box.south, middle, box.west, centre),
        Box(box.south, middle, centre, box.east),
        Box(middle, box.north, box.west, centre),
        Box(middle, box.north, centre, box.east),
    )


def _degrees(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")
