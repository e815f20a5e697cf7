"""How every chain's list is doing, read from the catalog: for people, monitors and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from promolens_catalog import snapshots, staging
from promolens_catalog.calendar import end_of_day, last_day
from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.database import Database
from promolens_catalog.snapshots import Snapshot, SourceState
from promolens_catalog.staging import CrawlRecord
from promolens_crawler.plain import plain

MAX_TEXT_CHARACTERS = 100_000


@dataclass(frozen=True)
class ChainStatus:
    """One chain.

    Attributes:
        source: state of its list, and since when.
        published: the snapshot whose rows are live; `None` before the first.
        held: the snapshot that waits for a person.
        last_crawl: the newest one, however it ended.
        running: crawls that were begun and have not ended: one runs, or one was killed.
        expired: the live rows are those of an earlier month.
    """

    chain: Chain
    source: SourceState
    published: Snapshot | None
    held: Snapshot | None
    last_crawl: CrawlRecord | None
    running: int
    expired: bool


def chain_statuses(
    db: Database, now: datetime, chains: Sequence[Chain] = tuple(Chain)
) -> list[ChainStatus]:
    """Return the state of each chain, in the order given."""
    states = {state.chain: state for state in snapshots.sources(db)}
    return [_status(db, states[chain], now) for chain in chains]


def _status(db: Database, source: SourceState, now: datetime) -> ChainStatus:
    chain = source.chain
    published = snapshots.published_snapshot(db, chain)
    recent = staging.crawls(db, chain, limit=20)
    return ChainStatus(
        chain=chain,
        source=source,
        published=published,
        held=next(iter(snapshots.held_snapshots(db, chain)), None),
        last_crawl=recent[0] if recent else None,
        running=sum(crawl.state in ("running", "staged") for crawl in recent),
        expired=published is not None and now >= end_of_day(last_day(published.month)),
    )


def as_json(status: ChainStatus) -> dict[str, Any]:
    """Return a status for machines; times are ISO 8601 in UTC."""
    return {
        "chain": str(status.chain),
        "state": status.source.state,
        "since": _iso(status.source.since),
        "reason": status.source.reason,
        "expired": status.expired,
        "published": _snapshot_json(status.published),
        "held": _snapshot_json(status.held),
        "last_crawl": _crawl_json(status.last_crawl),
        "unfinished_crawls": status.running,
    }


def as_text(statuses: Sequence[ChainStatus], now: datetime) -> str:
    """Return a table for people, then what waits for them."""
    header = ("chain", "state", "rows", "month", "version", "crawled", "last crawl")
    rows = [header, *(_cells(status, now) for status in statuses)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    waiting = [line for status in statuses for line in todo_lines(status)]
    return plain("\n".join([*lines, *waiting]), limit=MAX_TEXT_CHARACTERS)


def todo_lines(status: ChainStatus) -> list[str]:
    """Return what waits for a person, with the commands that decide it."""
    lines: list[str] = []
    if status.held is not None:
        held = status.held
        lines += ["", f"{status.chain}: snapshot {held.id} of {held.row_count} rows is held:"]
        lines += [f"  - {reason}" for reason in held.reason.splitlines()]
        lines += [
            f"  look:    promolens crawl diff {status.chain}",
            f"  publish: promolens crawl approve {held.id}",
            f"  discard: promolens crawl reject {held.id}",
        ]
    elif status.last_crawl is not None and status.last_crawl.state == "failed":
        lines += ["", f"{status.chain}: crawl {status.last_crawl.id} failed:"]
        lines += [f"  {line}" for line in status.last_crawl.reason.splitlines()]
    return lines


def age_text(then: datetime, now: datetime) -> str:
    """Return how long ago, roughly: `5 min ago`, `3 h ago`, `12 days ago`."""
    age = max(now - then, timedelta(0))
    if age < timedelta(hours=1):
        return f"{age // timedelta(minutes=1)} min ago"
    if age < timedelta(days=2):
        return f"{age // timedelta(hours=1)} h ago"
    return f"{age.days} days ago"


def _cells(status: ChainStatus, now: datetime) -> tuple[str, ...]:
    published, crawl = status.published, status.last_crawl
    state = status.source.state
    if status.source.since is not None and state != "ok":
        state += f" since {status.source.since:%Y-%m-%d}"
    month = "-" if published is None else published.month
    return (
        str(status.chain),
        state if not CHAINS[status.chain].historic else f"{state} (historic)",
        "-" if published is None else str(published.row_count),
        f"{month} expired" if status.expired else month,
        "-" if published is None or published.version is None else str(published.version),
        "-" if published is None else age_text(published.crawled_at, now),
        "-" if crawl is None else f"{crawl.state} {age_text(crawl.started_at, now)}",
    )


def _snapshot_json(snapshot: Snapshot | None) -> dict[str, Any] | None:
    if snapshot is None:
        return None
    return {
        "id": snapshot.id,
        "month": snapshot.month,
        "state": snapshot.state,
        "version": snapshot.version,
        "rows": snapshot.row_count,
        "by_kind": dict(snapshot.by_kind),
        "reasons": snapshot.reason.splitlines(),
        "crawled_at": _iso(snapshot.crawled_at),
        "crawl": snapshot.crawl_id,
    }


def _crawl_json(crawl: CrawlRecord | None) -> dict[str, Any] | None:
    if crawl is None:
        return None
    return {
        "id": crawl.id,
        "month": crawl.month,
        "transport": crawl.transport,
        "state": crawl.state,
        "reason": crawl.reason,
        "started_at": _iso(crawl.started_at),
        "finished_at": _iso(crawl.finished_at),
        "requests": crawl.requests,
        "archive": crawl.archive,
    }


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat(timespec="seconds")
