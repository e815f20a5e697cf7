"""A shop in memory for tests of the pipeline itself: a real catalog, a real archive folder on disk,
and a list that a test may change, break or slow down between two pages.

Whether real pages are read right is tested with the stand-in shops, over HTTP and in a browser.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.kinds import Kind
from promolens_crawler.errors import PageDriftError
from promolens_crawler.pages import Answer, Card, ParsedPage, Problem, Request
from promolens_crawler.paging import PagingLimits
from promolens_crawler.pipeline import Desk, Job
from promolens_crawler.progress import NoProgress
from promolens_crawler.sites.base import BrowserPlan, Listing, Site, Tokens

NOW = datetime(2026, 2, 24, 3, 0, tzinfo=UTC)
ONE = Listing("one", Kind.ONE_PLUS_ONE)
TWO = Listing("two", Kind.TWO_PLUS_ONE)
PAGE_SIZE = 10


def barcode(number: int) -> str:
    """A valid in-store EAN-13; odd places count once, even places thrice."""
    body = f"29{number:010d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return body + str(-total % 10)


@dataclass
class Clock:
    """Stands still unless a test moves it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class MemoryShop:
    """Lists by key; `before` is called with (listing, page number) before each answer."""

    clock: Clock
    lists: dict[str, list[int]]
    before: Callable[[str, int], None] = lambda _listing, _number: None
    fetched: list[tuple[str, int]] = field(default_factory=list)
    price_krw: int = 1000
    total_of: Callable[[str, int], int | None] | None = None
    problems: dict[str, str] = field(default_factory=dict)

    def answer(self, listing: str, number: int) -> Answer:
        self.before(listing, number)
        self.fetched.append((listing, number))
        rows = self.lists[listing]
        start = (number - 1) * PAGE_SIZE
        total = self.total_of(listing, number) if self.total_of else len(rows)
        page = {
            "rows": rows[start : start + PAGE_SIZE],
            "total": total,
            "end": start + PAGE_SIZE >= len(rows),
            "price": self.price_krw,
            "problem": self.problems.get(listing, "") if number == 1 else "",
        }
        body = json.dumps(page).encode()
        return Answer(listing, number, "memory:", 200, body, "application/json", self.clock())


class MemorySession:
    def __init__(self, shop: MemoryShop, listing: str) -> None:
        self._shop, self._listing = shop, listing

    def fetch(self, number: int) -> Answer:
        return self._shop.answer(self._listing, number)

    def close(self) -> None:
        pass


class MemoryTransport:
    """Counts how often it was closed, for tests of cleaning up."""

    name = "memory"

    @property
    def requests(self) -> int:
        return len(self._shop.fetched)

    def __init__(self, shop: MemoryShop, *, resumes_anywhere: bool = True) -> None:
        self._shop = shop
        self.resumes_anywhere = resumes_anywhere
        self.closed = 0

    def open(self, site: Site, home: str, listing: Listing) -> MemorySession:
        return MemorySession(self._shop, listing.key)

    def close(self) -> None:
        self.closed += 1


def _read(answer: Answer, listing: Listing) -> ParsedPage:
    page = json.loads(answer.body)
    if page["problem"] == "drift":
        raise PageDriftError("Expected rows. Received another page.")
    if page["problem"] == "crash":
        raise RecursionError("too deep")
    assert listing.kind is not None
    cards = tuple(
        Card(
            name=f"별빛)물결칩{number}g",
            price_krw=page["price"] + number,
            kind=listing.kind,
            barcode=barcode(number),
            image_url=f"https://shop.example/{number}.jpg",
            category=listing.section,
        )
        for number in page["rows"]
    )
    problems = (Problem(page["problem"], "as the test wants it", 0),) if page["problem"] else ()
    return ParsedPage(cards, len(cards), page["total"], page["end"], problems)


def _no_request(_home: str, _listing: Listing, _number: int, _tokens: Tokens) -> Request:
    raise AssertionError("a shop in memory is asked for nothing")


SITE = Site(
    chain=Chain.EMART24,
    home="https://shop.example",
    listings=(ONE, TWO),
    page_request=_no_request,
    read=_read,
    browser=BrowserPlan(lambda _listing: "/", "li", "", ""),
    declares_total=True,
    page_size=PAGE_SIZE,
)


class FolderArchive:
    """Keeps raw answers as plain files."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def new_run(self, chain: Chain, month: str, now: datetime) -> str:
        name = f"{chain}-{month}-{len(list(self._root.iterdir()))}"
        (self._root / name).mkdir()
        return name

    def open_run(self, name: str) -> FolderKeeper:
        return FolderKeeper(self._root / name)


@dataclass
class FolderKeeper:
    folder: Path

    def keep(self, answer: Answer) -> None:
        (self.folder / f"{answer.listing}-{answer.number}").write_bytes(answer.body)


@dataclass
class Bench:
    """A shop, a catalog and an archive, ready to crawl."""

    db: Database
    shop: MemoryShop
    clock: Clock
    folder: Path
    resumes_anywhere: bool = True
    transports: list[MemoryTransport] = field(default_factory=list)

    def job(self, **changes: object) -> Job:
        limits = PagingLimits(max_pages=30)
        return Job(SITE, SITE.home, self._transport, limits=limits, **changes)  # type: ignore[arg-type]

    def desk(self, stop: Callable[[], bool] = lambda: False) -> Desk:
        return Desk(self.db, FolderArchive(self.folder), self.clock, NoProgress(), stop=stop)

    def _transport(self) -> MemoryTransport:
        made = MemoryTransport(self.shop, resumes_anywhere=self.resumes_anywhere)
        self.transports.append(made)
        return made


def make_bench(
    db: Database, folder: Path, one: Sequence[int] = range(35), two: Sequence[int] = range(100, 125)
) -> Bench:
    """Return a shop of 35 rows of 1+1 on four pages and 25 of 2+1 on three."""
    clock = Clock()
    (folder / "archive").mkdir()
    shop = MemoryShop(clock, {"one": list(one), "two": list(two)})
    return Bench(db, shop, clock, folder / "archive")
