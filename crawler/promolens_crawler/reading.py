"""Reads one listing of a shop into staging, page by page, to an end that is proved."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from promolens_catalog.calendar import korean_month
from promolens_catalog.database import Database
from promolens_catalog.rows import clean_offer, content_hash
from promolens_catalog.staging import StagedPage, drop_listing, stage_page
from promolens_crawler.errors import CrawlError, PageDriftError
from promolens_crawler.offers import staged_page_of
from promolens_crawler.pages import Answer, ParsedPage
from promolens_crawler.paging import ListingMovedError, PageFacts, Paging, PagingLimits
from promolens_crawler.plain import plain
from promolens_crawler.sites.base import Listing, Site
from promolens_crawler.transports.base import ListSession, Transport

log = logging.getLogger(__name__)


class MonthTurnedError(CrawlError):
    """The Korean month ended while the crawl ran: its pages may belong to two lists."""

    reason = "month-turned"


class StoppedError(Exception):
    """Somebody asked the crawl to stop between two pages; it can go on later."""


class ReadingError(Exception):
    """A crawl error with the page on which it occurred; its cause is the crawl error."""

    def __init__(self, error: CrawlError, listing: str, number: int | None) -> None:
        """Keep the error and the place."""
        super().__init__(str(error))
        self.error, self.listing, self.number = error, listing, number


class Keeper(Protocol):
    """Where raw answers go before anybody reads them."""

    def keep(self, answer: Answer) -> object:
        """Keep one answer; a later one of the same listing and number takes its place."""
        ...


class Watcher(Protocol):
    """Who is told how a crawl gets on."""

    def page(self, listing: str, number: int, rows: int, total: int | None) -> None:
        """Say that a page is staged: rows of the listing so far, and how many it should have."""
        ...


@dataclass(frozen=True)
class Reading:
    """What reading a chain's listings needs.

    Attributes:
        month: the Korean month of the crawl, `YYYY-MM`.
        watch_month: fail when the month turns; off where pages are read again from an archive.
        check: raises when the crawl must not go on (lock lost, stop asked for).
        recheck: the staged pages are not quite fresh: read one of each listing again first.
    """

    db: Database
    crawl_id: int
    site: Site
    home: str
    transport: Transport
    keeper: Keeper
    watcher: Watcher
    month: str
    limits: PagingLimits
    check: Callable[[], None]
    watch_month: bool = True
    recheck: bool = False


def read_listing(reading: Reading, listing: Listing, staged: Sequence[StagedPage]) -> None:
    """Read a listing to its end; `staged` are its pages that an earlier process left.

    A list that moved under us is read a second time from its first page, and then given up.

    Raises:
        ReadingError: it could not be read whole.
        StoppedError: asked to stop; what is staged stays.
    """
    try:
        _read_once(reading, listing, staged)
    except ReadingError as failed:
        if not isinstance(failed.error, ListingMovedError):
            raise
        why = plain(str(failed.error))
        log.warning("%s %s: reading it again: %s", reading.site.chain, listing.key, why)
        drop_listing(reading.db, reading.crawl_id, listing.key)
        _read_once(reading, listing, ())


def first_page(reading: Reading, listing: Listing) -> tuple[StagedPage, Answer]:
    """Fetch and archive a listing's first page alone; nothing is staged.

    Raises:
        ReadingError: it cannot be had or read.
        StoppedError: asked to stop.
    """
    try:
        with _session(reading, listing) as session:
            return _fetch(reading, session, listing, 1)
    except CrawlError as error:
        raise ReadingError(error, listing.key, 1) from error


def page_facts(page: StagedPage) -> PageFacts:
    """Return what the end-of-listing logic needs; equal for a page just read and when staged."""
    return PageFacts(
        number=page.number,
        digest=page.sha256,
        rows=tuple(content_hash(clean_offer(offer)) for offer in page.offers),
        cards_seen=page.cards_seen,
        declared_total=page.declared_total,
        end_seen=page.end_seen,
    )


def parse(site: Site, answer: Answer, listing: Listing) -> ParsedPage:
    """Read an answer; whatever the reader stumbles over is a page that drifted.

    Raises:
        CrawlError: the page is not what it should be.
    """
    try:
        return site.read(answer, listing)
    except CrawlError:
        raise
    except Exception as error:
        log.exception("%s %s: reader failed on page %d", site.chain, listing.key, answer.number)
        raise PageDriftError(
            f"Expected a page that the reader of {site.chain} knows. Received one on which it "
            f"stops with {type(error).__name__}. Look at the archived page."
        ) from error


def _read_once(reading: Reading, listing: Listing, staged: Sequence[StagedPage]) -> None:
    paging = Paging(reading.site.declares_total, reading.limits)
    try:
        _replay(paging, staged)
        if not paging.complete and staged and not reading.transport.resumes_anywhere:
            drop_listing(reading.db, reading.crawl_id, listing.key)
            paging = Paging(reading.site.declares_total, reading.limits)
        if reading.recheck and paging.next_number > 1:
            last = paging.next_number - 1 if reading.transport.resumes_anywhere else 1
            _confirm(reading, listing, paging, (last,))
        if not paging.complete:
            _read_on(reading, listing, paging)
        if paging.pages_to_confirm:
            _confirm(reading, listing, paging, paging.pages_to_confirm)
    except CrawlError as error:
        place = None if paging.complete else paging.next_number
        raise ReadingError(error, listing.key, place) from error


def _replay(paging: Paging, staged: Sequence[StagedPage]) -> None:
    for page in sorted(staged, key=lambda one: one.number):
        if page.number != paging.next_number:
            return  # a gap cannot come from our own order; what follows is read again
        paging.accept(page_facts(page))


def _read_on(reading: Reading, listing: Listing, paging: Paging) -> None:
    with _session(reading, listing) as session:
        while not paging.complete:
            reading.check()
            page, answer = _fetch(reading, session, listing, paging.next_number)
            paging.accept(page_facts(page))
            stage_page(reading.db, reading.crawl_id, page, answer.fetched_at)
            reading.watcher.page(listing.key, page.number, paging.received, paging.total)


@contextlib.contextmanager
def _session(reading: Reading, listing: Listing) -> Iterator[ListSession]:
    """Open a listing; its opening page is archived."""
    reading.check()
    session = reading.transport.open(reading.site, reading.home, listing)
    try:
        opening: Answer | None = getattr(session, "opening", None)
        if opening is not None:
            reading.keeper.keep(opening)
        yield session
    finally:
        session.close()


def _fetch(
    reading: Reading, session: ListSession, listing: Listing, number: int, *, keep: bool = True
) -> tuple[StagedPage, Answer]:
    answer = session.fetch(number)
    if keep:
        reading.keeper.keep(answer)
    month = korean_month(answer.fetched_at)
    if reading.watch_month and month != reading.month:
        raise MonthTurnedError(
            f"Expected all pages within {reading.month}, as Korea counts. Received page {number} "
            f"of {listing.key} in {month}. Run the crawl again."
        )
    parsed = parse(reading.site, answer, listing)
    digest = hashlib.sha256(answer.body).hexdigest()
    chain = reading.site.chain
    return staged_page_of(parsed, chain, reading.month, listing.key, number, digest), answer


def _confirm(reading: Reading, listing: Listing, paging: Paging, numbers: tuple[int, ...]) -> None:
    """Read pages again and compare: a list that moved is not the one that was begun.

    The archive keeps the first reading, which is the one that is staged.
    """
    anywhere = reading.transport.resumes_anywhere
    session = reading.transport.open(reading.site, reading.home, listing)
    try:
        for number in numbers if anywhere else range(1, numbers[-1] + 1):
            reading.check()
            page, _ = _fetch(reading, session, listing, number, keep=False)
            if number in numbers:
                paging.confirm(page_facts(page))
    finally:
        session.close()
