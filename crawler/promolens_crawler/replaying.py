"""An archived crawl read again: with a mended reader, or to see what a page would give today."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from promolens_catalog import snapshots, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.links import Linker
from promolens_crawler.archive import Archive, ArchiveRun
from promolens_crawler.errors import CrawlError
from promolens_crawler.judging import baseline_of, crawl_facts
from promolens_crawler.offers import staged_page_of
from promolens_crawler.pages import Answer
from promolens_crawler.paging import PagingLimits
from promolens_crawler.pipeline import Desk, Job, crawl_chain
from promolens_crawler.progress import NoProgress
from promolens_crawler.reading import parse
from promolens_crawler.results import ChainResult
from promolens_crawler.sections import settled
from promolens_crawler.sites.base import Site
from promolens_crawler.transports.replay import ReplayTransport
from promolens_crawler.validation import CrawlFacts, Finding, Thresholds, validate
from promolens_runtime.errors import InputError


@dataclass(frozen=True)
class Replay:
    """What an archived crawl gives when it is read today.

    Attributes:
        crawled_at: when its last page was fetched.
        unread: listing, page and error of the pages that the reader refuses.
    """

    name: str
    month: str
    crawled_at: datetime
    facts: CrawlFacts
    findings: tuple[Finding, ...]
    unread: tuple[tuple[str, int, str], ...]


def chain_of_run(name: str) -> Chain:
    """Return the chain of an archived crawl's name; raises InputError."""
    chain = name.partition("/")[0]
    if chain not in set(Chain):
        raise InputError(
            "Expected an archived crawl such as cu/2026-11-20261121T064512Z-1f0c9a. Received "
            f"{name[:80]!r}. Run: promolens crawl status --json"
        )
    return Chain(chain)


def read_again(
    archive: Archive, name: str, site: Site, db: Database, thresholds: Thresholds | None = None
) -> Replay:
    """Read an archived crawl and judge it; nothing is written.

    Raises:
        InputError: no such crawl, or one without an answer.
        ArchiveError: an answer is damaged.
    """
    run, month = archive.open_run(name), _month_of(name)
    site = _as_archived(site, run)
    staged: dict[str, list[staging.StagedPage]] = {}
    unread: list[tuple[str, int, str]] = []
    for (key, number), entry in sorted(run.entries().items()):
        known = (*site.listings, *site.sections)
        listing = next((one for one in known if one.key == key), None)
        if listing is None or number == 0:
            continue
        try:
            parsed = parse(site, run.read(entry), listing)
        except CrawlError as error:
            unread.append((key, number, f"{error.reason}: {error}"))
            continue
        page = staged_page_of(parsed, site.chain, month, key, number, entry.sha256)
        staged.setdefault(key, []).append(page)
    crawled_at = _last_fetch(run)
    facts = crawl_facts(site, month, settled(site, staged), crawled_at)
    findings = validate(facts, baseline_of(db, site.chain), thresholds)
    return Replay(name, month, crawled_at, facts, findings, tuple(unread))


def publish_again(
    archive: Archive,
    name: str,
    site: Site,
    db: Database,
    *,
    linker: Linker | None = None,
    thresholds: Thresholds | None = None,
    limits: PagingLimits | None = None,
) -> ChainResult:
    """Send an archived crawl through the pipeline: judged, then published or held.

    Raises:
        InputError: no such crawl, or one that is older than what is published.
    """
    run, month = archive.open_run(name), _month_of(name)
    at = _last_fetch(run)
    _refuse_older(db, site.chain, name, at)
    job = Job(
        site=_as_archived(site, run),
        home=site.home,
        transport=lambda: ReplayTransport(run),
        month=month,
        thresholds=thresholds,
        limits=limits or PagingLimits(),
        fresh=True,
    )
    return crawl_chain(job, Desk(db, _SameRun(name), lambda: at, NoProgress(), linker))


def _as_archived(site: Site, run: ArchiveRun) -> Site:
    """Leave the sections out that were not asked for, which older archives do not have."""
    have = {key for key, _ in run.entries()}
    return site if have & {one.key for one in site.sections} else replace(site, sections=())


class _SameRun:
    """The archive that is replayed: its answers are there already."""

    def __init__(self, name: str) -> None:
        self._name = name

    def new_run(self, chain: Chain, month: str, now: datetime) -> str:
        """Name the crawl that is replayed."""
        return self._name

    def open_run(self, name: str) -> _KeepsNothing:
        """Keep nothing a second time."""
        return _KeepsNothing()


class _KeepsNothing:
    def keep(self, answer: Answer) -> None:
        """Leave it where it is."""


def _month_of(name: str) -> str:
    return name.partition("/")[2][:7]


def _last_fetch(run: ArchiveRun) -> datetime:
    fetched = [datetime.fromisoformat(entry.fetched_at) for entry in run.lines()]
    if not fetched:
        raise InputError(
            f"Expected answers in the archived crawl {run.name}. Received none. Choose another."
        )
    return max(fetched)


def _refuse_older(db: Database, chain: Chain, name: str, at: datetime) -> None:
    """An old crawl must not end what a newer one published; its own may be read anew."""
    published = snapshots.published_snapshot(db, chain)
    if published is None or at >= published.crawled_at:
        return
    own = published.crawl_id is not None and (
        staging.crawl_record(db, published.crawl_id).archive == name
    )
    if not own:
        raise InputError(
            f"Expected a crawl that is newer than the published one of {chain}, of "
            f"{published.crawled_at:%Y-%m-%d %H:%M} UTC. Received {name}, read at "
            f"{at:%Y-%m-%d %H:%M} UTC. Roll back first if you mean it."
        )


def summary_lines(replay: Replay) -> list[str]:
    """Return what a person reads about a replay."""
    facts = replay.facts
    lines = [f"{replay.name}: {len(facts.offers)} rows on {facts.cards} cards"]
    for one in facts.listings:
        total = "no total" if one.declared_total is None else f"{one.declared_total} declared"
        lines.append(f"  {one.key}: {one.pages} pages, {one.received} cards, {total}")
    lines += [f"  unread: {key} page {number}: {why}" for key, number, why in replay.unread]
    lines += [f"  {one.severity}: {one.line()}" for one in replay.findings]
    return lines
