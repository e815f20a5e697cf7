"""What the report says, read from the catalog; no HTML here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from promolens_catalog import snapshots, staging
from promolens_catalog.chains import CHAINS, Chain, ChainInfo
from promolens_catalog.database import Database
from promolens_catalog.snapshots import Diff, Snapshot
from promolens_catalog.staging import AnomalyRow, CrawlRecord
from promolens_crawler.status import ChainStatus, chain_statuses
from promolens_runtime.errors import InputError

HISTORY = 40
RECENT_CRAWLS = 8
ANOMALIES_SHOWN = 60

PageLink = Callable[[CrawlRecord, str, int], str | None]
"""Crawl, listing, page number -> address of the archived page; `None` where it is not kept."""


@dataclass(frozen=True)
class Change:
    """What differs between two snapshots.

    Attributes:
        old, new: the snapshots.
        diff: `None` where the rows of one of them are gone.
    """

    old: Snapshot
    new: Snapshot
    diff: Diff | None


@dataclass(frozen=True)
class Anomaly:
    """Something odd that a crawl found.

    Attributes:
        link: address of the archived page, relative to the report or absolute.
    """

    row: AnomalyRow
    link: str | None


@dataclass(frozen=True)
class ChainSection:
    """All about one chain.

    Attributes:
        history: snapshots that were published or are held, oldest first.
        change: from the snapshot before to the published one; `None` without two.
        held_change: from the published one to the one that is held.
        anomalies: odd things on pages of the newest crawl, the first `ANOMALIES_SHOWN`.
        anomaly_counts: code and how often, of all of them, most frequent first.
        findings: what was noted about the newest crawl as a whole, its reasons for being held
            left out.
    """

    info: ChainInfo
    status: ChainStatus
    history: tuple[Snapshot, ...]
    change: Change | None
    held_change: Change | None
    anomalies: tuple[Anomaly, ...]
    anomaly_counts: tuple[tuple[str, int], ...]
    findings: tuple[AnomalyRow, ...]
    crawls: tuple[CrawlRecord, ...]

    @property
    def is_empty(self) -> bool:
        """Nothing was ever crawled or imported."""
        return not self.history and not self.crawls


@dataclass(frozen=True)
class ReportContent:
    """The whole page.

    Attributes:
        generated_at: UTC.
        place: the catalog, without password.
        version: the newest of all chains; 0 before the first publication.
    """

    generated_at: datetime
    place: str
    version: int
    chains: tuple[ChainSection, ...]


def no_links(_crawl: CrawlRecord, _listing: str, _number: int) -> None:
    """Know of no archived page."""


def report_content(
    db: Database,
    now: datetime,
    page_link: PageLink = no_links,
    chains: Sequence[Chain] = tuple(Chain),
) -> ReportContent:
    """Gather what the report shows of the chains given."""
    sections = tuple(_section(db, status, page_link) for status in chain_statuses(db, now, chains))
    versions = [
        section.status.published.version or 0 for section in sections if section.status.published
    ]
    return ReportContent(now, db.place, max(versions, default=0), sections)


def _section(db: Database, status: ChainStatus, page_link: PageLink) -> ChainSection:
    chain = status.chain
    known = snapshots.snapshots(db, chain, limit=4 * HISTORY)
    shown = [one for one in known if one.version is not None or one.state == "held"][:HISTORY]
    crawls = staging.crawls(db, chain, limit=RECENT_CRAWLS)
    kept = staging.anomalies(db, crawls[0].id) if crawls else []
    odd = [row for row in kept if row.listing is not None]
    return ChainSection(
        info=CHAINS[chain],
        status=status,
        history=tuple(reversed(shown)),
        change=_change(db, _before(known, status.published), status.published),
        held_change=_change(db, status.published, status.held),
        anomalies=tuple(
            Anomaly(row, _link(crawls[0], row, page_link)) for row in odd[:ANOMALIES_SHOWN]
        ),
        anomaly_counts=tuple(Counter(row.code for row in odd).most_common()),
        findings=tuple(row for row in kept if row.listing is None and not _said(status, row)),
        crawls=tuple(crawls),
    )


def _said(status: ChainStatus, row: AnomalyRow) -> bool:
    """Say whether a finding stands among the reasons of the held snapshot."""
    return status.held is not None and row.detail in status.held.reason.splitlines()


def _before(known: Sequence[Snapshot], published: Snapshot | None) -> Snapshot | None:
    """Return the snapshot that was live before the published one."""
    if published is None or published.version is None:
        return None
    earlier = [one for one in known if one.version and one.version < published.version]
    return max(earlier, key=lambda one: one.version or 0, default=None)


def _change(db: Database, old: Snapshot | None, new: Snapshot | None) -> Change | None:
    if old is None or new is None:
        return None
    try:
        return Change(old, new, snapshots.diff(db, new.chain, old.id, new.id))
    except InputError:
        return Change(old, new, None)


def _link(crawl: CrawlRecord, row: AnomalyRow, page_link: PageLink) -> str | None:
    if row.listing is None or row.number is None:
        return None
    return page_link(crawl, row.listing, row.number)
