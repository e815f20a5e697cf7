"""One chain from its pages to a published or held snapshot; nothing half-read is ever published.

`crawl_chain` holds the chain's lock, goes on with a crawl that a killed process left, reads every
listing into staging, judges the whole and then publishes it in one transaction, holds it for a
person, or records why it failed. Until that transaction the published rows are untouched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from promolens_catalog import publishing, snapshots, staging
from promolens_catalog.calendar import korean_month
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.links import Linker
from promolens_catalog.staging import AnomalyRow, CrawlRecord, StagedPage
from promolens_crawler.errors import BrowserError, CrawlError, SourceGoneError
from promolens_crawler.judging import baseline_of, crawl_facts
from promolens_crawler.locks import ChainBusyError, LockLostError, chain_lock
from promolens_crawler.paging import PagingLimits
from promolens_crawler.plain import plain
from promolens_crawler.reading import (
    Keeper,
    MonthTurnedError,
    Reading,
    ReadingError,
    StoppedError,
    Watcher,
    read_listing,
)
from promolens_crawler.results import EXIT_STATUS, ChainResult, Outcome, log_line
from promolens_crawler.sections import is_settled, listings_of, settle
from promolens_crawler.sites.base import Site
from promolens_crawler.transports.base import Transport
from promolens_crawler.validation import CrawlFacts, Finding, Thresholds, holds, validate
from promolens_runtime.errors import InputError, PromolensError

log = logging.getLogger(__name__)

RECENT_CRAWLS = 20
# A crawl that is read whole (`staged`) has only its publication left to do.
GOING = ("running", "staged")
_TICK = timedelta(microseconds=1)


class Archive(Protocol):
    """Where the raw answers of crawls are kept."""

    def new_run(self, chain: Chain, month: str, now: datetime) -> str:
        """Make a folder for a crawl and return its name, to be kept with the crawl."""
        ...

    def open_run(self, name: str) -> Keeper:
        """Return what keeps the answers of a crawl."""
        ...


class Progress(Protocol):
    """Who shows how crawls get on."""

    def chain(self, chain: Chain, listings: Sequence[str]) -> Watcher:
        """Begin to show a chain."""
        ...


@dataclass(frozen=True)
class Job:
    """One chain to crawl.

    Attributes:
        home: `https://host`, or where a stand-in listens.
        transport: makes the way to get pages; it is closed when the crawl ends.
        transport_name: how the crawl's record names one that cannot be made.
        month: `YYYY-MM`; `None` takes the Korean month of now and notices when it turns.
        thresholds: the chain's own, if not given.
        fresh: begin anew even where a killed crawl could go on.
        resume_max_age: an older unfinished crawl is given up: its list may have moved since.
        trust_for: of a crawl begun longer ago, one page of each listing is read again before it
            goes on, to see whether the list is still the same.
    """

    site: Site
    home: str
    transport: Callable[[], Transport]
    transport_name: str = "http"
    month: str | None = None
    thresholds: Thresholds | None = None
    limits: PagingLimits = field(default_factory=PagingLimits)
    fresh: bool = False
    resume_max_age: timedelta = timedelta(hours=6)
    trust_for: timedelta = timedelta(minutes=15)


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Desk:
    """What all crawls of a run share.

    Attributes:
        clock: gives now, with a zone.
        linker: finds the items of rows without a barcode when a crawl is published.
        stop: says whether to stop between two pages.
    """

    db: Database
    archive: Archive
    clock: Callable[[], datetime]
    progress: Progress
    linker: Linker | None = None
    stop: Callable[[], bool] = _never


def crawl_chain(job: Job, desk: Desk) -> ChainResult:
    """Crawl one chain and publish, hold or fail it; what goes wrong is in the result.

    `KeyboardInterrupt` passes through and leaves a crawl that can go on, like a kill.
    """
    started = time.monotonic()
    result = _guarded(job, desk)
    result = replace(result, seconds=time.monotonic() - started)
    log.log(logging.WARNING if EXIT_STATUS[result.outcome] else logging.INFO, log_line(result))
    return result


def _guarded(job: Job, desk: Desk) -> ChainResult:
    chain = job.site.chain
    month = job.month or korean_month(desk.clock())
    try:
        with chain_lock(desk.db, chain) as check_lock:
            result = _Crawl(job, desk, check_lock).run()
            if result.reason == MonthTurnedError.reason and job.month is None:
                result = _Crawl(job, desk, check_lock).run()
            return result
    except ChainBusyError as error:
        return ChainResult(chain, Outcome.BUSY, month, error.reason, str(error))
    except StoppedError:
        line = "Stopped on request. The next crawl goes on where this one was."
        return ChainResult(chain, Outcome.STOPPED, month, "stopped", line)
    except PromolensError as error:
        # A full or locked catalog: the crawl stays as it is and goes on when there is room.
        return ChainResult(chain, Outcome.FAILED, month, "storage", str(error))
    except OSError as error:
        place = f" at {error.filename}" if error.filename else ""
        line = (
            f"Expected to write what was read. Received {error.strerror or error}{place}. Make "
            "room and check permissions; the next crawl goes on."
        )
        return ChainResult(chain, Outcome.FAILED, month, "disk", line)
    except Exception as error:
        log.exception("crawl of %s failed", chain)
        line = f"Expected no defect in promolens. Received {type(error).__name__}. See the log."
        return ChainResult(chain, Outcome.FAILED, month, "internal-error", line)


class _Crawl:
    """One crawl while it runs, under the chain's lock."""

    def __init__(self, job: Job, desk: Desk, check_lock: Callable[[], None]) -> None:
        self._job, self._desk, self._check_lock = job, desk, check_lock
        self._chain = job.site.chain
        self._month = job.month or korean_month(desk.clock())
        self._pages = 0
        self._kept = 0
        self._requests = 0

    def run(self) -> ChainResult:
        try:
            transport = self._job.transport()
        except PromolensError as error:
            failed = error if isinstance(error, CrawlError) else BrowserError(str(error))
            return self._fail(self._begin(self._job.transport_name), failed)
        try:
            record = self._begin(transport.name)
            try:
                self._read(record, transport)
            except ReadingError as failed:
                self._requests = transport.requests
                return self._fail(record, failed.error, failed.listing, failed.number)
            self._requests = transport.requests
        finally:
            transport.close()
        if record.state == "running":
            self._finish(record, "staged", "")
        return self._decide(record)

    # ---- beginning

    def _begin(self, transport_name: str) -> CrawlRecord:
        """Go on with the crawl that a killed process left, or start one."""
        db, now = self._desk.db, self._desk.clock()
        recent = staging.crawls(db, self._chain, limit=RECENT_CRAWLS)
        mine = next((one for one in recent if self._can_go_on(one, transport_name, now)), None)
        for other in recent:
            if other.state in GOING and (mine is None or other.id != mine.id):
                staging.finish_crawl(db, other.id, "failed", "abandoned", now)
        if mine is not None:
            return mine
        # A clock that was put back must not make the new crawl look older than the last one.
        start = max([now, *(one.started_at + _TICK for one in recent[:1])])
        folder = self._desk.archive.new_run(self._chain, self._month, now)
        number = staging.start_crawl(
            db, self._chain, self._month, transport_name, start, archive=folder
        )
        return staging.crawl_record(db, number)

    def _can_go_on(self, one: CrawlRecord, transport_name: str, now: datetime) -> bool:
        same = (one.month, one.transport) == (self._month, transport_name)
        young = abs(now - one.started_at) <= self._job.resume_max_age
        wanted = one.state in GOING and same and young and not self._job.fresh
        return wanted and self._has_archive(one)

    def _has_archive(self, one: CrawlRecord) -> bool:
        try:
            return one.archive is not None and bool(self._desk.archive.open_run(one.archive))
        except InputError:
            return False  # deleted meanwhile

    # ---- reading

    def _read(self, record: CrawlRecord, transport: Transport) -> None:
        staged = self._staged(record)
        self._kept = sum(len(pages) for pages in staged.values())
        if record.state != "running":
            return
        reading = self._reading(record, transport)
        if not is_settled(self._job.site, staged):
            settle(reading, staged)
            staged = self._staged(record)
            count = sum(len(pages) for pages in staged.values())
            self._kept = min(self._kept, count)
            self._pages = count - self._kept
        listings = listings_of(self._job.site, staged)
        shown = self._desk.progress.chain(self._chain, [one.key for one in listings])
        reading = replace(reading, watcher=_Counting(shown, self._count_page))
        for listing in listings:
            pages = staged.get(listing.key, [])
            if pages:
                rows = sum(page.cards_seen for page in pages)
                shown.page(listing.key, pages[-1].number, rows, pages[-1].declared_total)
            read_listing(reading, listing, pages)

    def _reading(self, record: CrawlRecord, transport: Transport) -> Reading:
        assert record.archive is not None
        return Reading(
            db=self._desk.db,
            crawl_id=record.id,
            site=self._job.site,
            home=self._job.home,
            transport=transport,
            keeper=self._desk.archive.open_run(record.archive),
            watcher=_Unseen(),
            month=self._month,
            limits=self._job.limits,
            check=self._check,
            watch_month=self._job.month is None,
            recheck=abs(self._desk.clock() - record.started_at) > self._job.trust_for,
        )

    def _count_page(self) -> None:
        self._pages += 1

    def _check(self) -> None:
        if self._desk.stop():
            raise StoppedError
        self._check_lock()

    def _staged(self, record: CrawlRecord) -> dict[str, list[StagedPage]]:
        found: dict[str, list[StagedPage]] = {}
        for page in staging.staged_pages(self._desk.db, record.id):
            found.setdefault(page.listing, []).append(page)
        return found

    # ---- ending

    def _fail(
        self,
        record: CrawlRecord,
        error: CrawlError,
        listing: str | None = None,
        number: int | None = None,
    ) -> ChainResult:
        message = plain(str(error))
        gone = isinstance(error, SourceGoneError)
        result = self._result(
            record,
            Outcome.GONE if gone else Outcome.FAILED,
            reason=error.reason,
            message=message,
        )
        if isinstance(error, LockLostError):
            return result  # another process may be going on with this very crawl
        db, now = self._desk.db, self._now(record)
        anomaly = AnomalyRow(error.reason, message, listing=listing, number=number)
        staging.add_anomalies(db, record.id, [anomaly])
        self._finish(record, "failed", f"{error.reason}: {message}")
        self._mark("gone" if gone else "stale", error.reason, now)
        return result

    def _decide(self, record: CrawlRecord) -> ChainResult:
        db, now = self._desk.db, self._now(record)
        facts = crawl_facts(self._job.site, self._month, self._staged(record), now)
        findings = validate(facts, baseline_of(db, self._chain), self._job.thresholds)
        self._note(record, findings)
        self._check_lock()
        if holds(findings):
            return self._hold(record, facts, findings, now)
        try:
            done = publishing.publish(db, record.id, now, self._desk.linker)
        except InputError as error:
            if error.__cause__ is not None:
                raise  # the storage failed, and not this crawl
            self._finish(record, "failed", f"refused: {error}")
            return self._result(record, Outcome.FAILED, reason="refused", message=str(error))
        return self._result(
            record,
            Outcome.PUBLISHED if done.added or done.ended else Outcome.UNCHANGED,
            snapshot_id=done.snapshot_id,
            version=done.version,
            rows=len(facts.offers),
            added=done.added,
            ended=done.ended,
            findings=findings,
        )

    def _hold(
        self, record: CrawlRecord, facts: CrawlFacts, findings: Sequence[Finding], now: datetime
    ) -> ChainResult:
        db = self._desk.db
        older = snapshots.held_snapshots(db, self._chain)
        lines = [finding.line() for finding in holds(findings)]
        snapshot_id = publishing.hold(db, record.id, lines, now)
        for one in older:
            publishing.reject(db, one.id, now, f"replaced by held snapshot {snapshot_id}")
        self._mark("stale", "held", now)
        return self._result(
            record,
            Outcome.HELD,
            reason=holds(findings)[0].code,
            message="\n".join(lines),
            snapshot_id=snapshot_id,
            rows=len(facts.offers),
            findings=tuple(findings),
        )

    def _note(self, record: CrawlRecord, findings: Sequence[Finding]) -> None:
        """Keep the findings with the crawl, once, however often it is judged."""
        kept = {(one.code, one.detail) for one in staging.anomalies(self._desk.db, record.id)}
        rows = [AnomalyRow(one.code, one.line()) for one in findings]
        new = [row for row in rows if (row.code, row.detail) not in kept]
        staging.add_anomalies(self._desk.db, record.id, new)

    def _finish(self, record: CrawlRecord, state: str, reason: str) -> None:
        requests = record.requests + self._requests
        now = self._now(record)
        staging.finish_crawl(self._desk.db, record.id, state, reason, now, requests=requests)

    def _mark(self, state: str, reason: str, now: datetime) -> None:
        """Say that the published rows grow old; a chain that never published stays `never`."""
        if state == "gone" or snapshots.published_snapshot(self._desk.db, self._chain):
            publishing.mark_source(self._desk.db, self._chain, state, now, reason)

    def _now(self, record: CrawlRecord) -> datetime:
        return max(self._desk.clock(), record.started_at)

    def _result(self, record: CrawlRecord, outcome: Outcome, **more: object) -> ChainResult:
        plain = ChainResult(self._chain, outcome, self._month, crawl_id=record.id)
        counts = {"pages": self._pages, "pages_kept": self._kept, "requests": self._requests}
        return replace(plain, **counts, **more)  # type: ignore[arg-type]


class _Unseen:
    """Before it is known which listings there are, nobody watches."""

    def page(self, listing: str, number: int, rows: int, total: int | None) -> None:
        """Say nothing."""


class _Counting:
    """Counts pages on their way to whoever shows them."""

    def __init__(self, shown: Watcher, count: Callable[[], None]) -> None:
        self._shown, self._count = shown, count

    def page(self, listing: str, number: int, rows: int, total: int | None) -> None:
        self._count()
        self._shown.page(listing, number, rows, total)
