"""Publishing: from staged rows to live ones, all in one transaction or not at all.

A publication gives all rows of one chain: what is new begins, what is missing ends (a tombstone in
the change log), what is the same stays the row that it is. Versions only rise, through rollbacks
too. What a person has to look at first is held: its rows wait in staging, the live ones stay.

`crawl -> publish`, or `crawl -> hold -> approve | reject`; `rollback` at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from promolens_catalog import changes
from promolens_catalog import publication_steps as steps
from promolens_catalog.assigning import NewRows, put_rows
from promolens_catalog.chains import Chain
from promolens_catalog.conflicts import retried
from promolens_catalog.database import Database
from promolens_catalog.links import Linker
from promolens_catalog.snapshots import Snapshot, published_in, snapshot_in
from promolens_catalog.source_states import same_state, set_last_snapshot, set_state
from promolens_catalog.staging import CrawlRecord, clear_staging, crawl_in
from promolens_runtime.errors import InputError

Checkpoint = Callable[[str], None]
"""Called with the name of each step that is behind us: what a test kills the process at."""

STEPS = ("begun", "snapshot", "ended", "rows", "changes", "source", "cleared", "committed")
"""The names, in order; a rollback clears nothing."""


@dataclass(frozen=True)
class Publication:
    """What a publication did: rows that began, ended, and stayed."""

    snapshot_id: int
    version: int
    added: int
    ended: int
    unchanged: int


def _nothing(_step: str) -> None:
    """Go on."""


@retried
def publish(
    db: Database,
    crawl_id: int,
    now: datetime,
    linker: Linker | None = None,
    *,
    checkpoint: Checkpoint = _nothing,
) -> Publication:
    """Make a crawl's rows the live ones of its chain.

    Args:
        linker: finds the items of rows without a barcode; without one they are items of their own.

    Raises:
        InputError: the crawl has ended already, has no rows, or is older than what is published.
    """
    with db.write() as connection:
        record = _undecided(connection, crawl_id)
        _refuse_older(connection, record)
        done = _publish(connection, record, None, now, linker, checkpoint)
    checkpoint("committed")
    return done


@retried
def hold(db: Database, crawl_id: int, reasons: Sequence[str], now: datetime) -> int:
    """Keep a crawl's rows back for a person and return the number of its held snapshot.

    Raises:
        InputError: the crawl has ended already.
    """
    with db.write() as connection:
        record = _undecided(connection, crawl_id)
        reason = "\n".join(reasons)
        counts = steps.counts(connection, crawl_id)
        snapshot_id = steps.insert_held(connection, record, counts, reason, now)
        steps.end_crawl(connection, record, "held", reason, now)
    return snapshot_id


@retried
def approve(
    db: Database,
    snapshot_id: int,
    now: datetime,
    linker: Linker | None = None,
    *,
    checkpoint: Checkpoint = _nothing,
) -> Publication:
    """Publish a held snapshot.

    Raises:
        InputError: it is not held, or a newer crawl has been published since.
    """
    with db.write() as connection:
        held = _held(connection, snapshot_id)
        record = crawl_in(connection, _crawl_id_of(held))
        _refuse_older(connection, record)
        done = _publish(connection, record, held, now, linker, checkpoint)
    checkpoint("committed")
    return done


@retried
def reject(db: Database, snapshot_id: int, now: datetime, reason: str = "") -> None:
    """Throw a held snapshot's rows away; its reasons and anomalies stay.

    Raises:
        InputError: it is not held.
    """
    with db.write() as connection:
        held = _held(connection, snapshot_id)
        lines = "\n".join(line for line in (held.reason, reason) if line)
        steps.set_snapshot(connection, snapshot_id, state="rejected", reason=lines, decided_at=now)
        record = crawl_in(connection, _crawl_id_of(held))
        steps.end_crawl(connection, record, "failed", lines, now)
        clear_staging(connection, record.id)


@retried
def rollback(
    db: Database,
    chain: Chain,
    now: datetime,
    to_snapshot_id: int | None = None,
    *,
    checkpoint: Checkpoint = _nothing,
) -> Publication:
    """Make the rows of an older snapshot live again, under a new version.

    Args:
        to_snapshot_id: which; the one before the live one where none is given. Rolling back once
            more goes one further back.

    Raises:
        InputError: there is nothing to go back to, or the snapshot is another chain's.
    """
    with db.write() as connection:
        current, target = _rollback_target(connection, chain, to_snapshot_id)
        done = _republish(connection, current, target, now, checkpoint)
    checkpoint("committed")
    return done


@retried
def mark_source(db: Database, chain: Chain, state: str, since: datetime, reason: str) -> None:
    """Record how a chain's list is doing. Its rows and its last good snapshot stay.

    Args:
        state: `ok`, `stale` (not read for too long) or `gone` (no longer where it was).
        since: when that began; kept from the first time while the state stays the same.

    Raises:
        InputError: another state.
    """
    if state not in ("ok", "stale", "gone"):
        raise InputError(
            f"Expected ok, stale or gone as the state of {chain}. Received {state!r}. "
            "Give one of these."
        )
    with db.write() as connection:
        if not same_state(connection, chain, state, reason):
            version = changes.next_version(connection)
            set_state(connection, chain, version, state, since, reason)


def _undecided(connection: Connection, crawl_id: int) -> CrawlRecord:
    record = crawl_in(connection, crawl_id)
    if record.state not in ("running", "staged"):
        raise InputError(
            f"Expected a crawl that nobody has decided about. Received crawl {crawl_id} of "
            f"{record.chain}, which is {record.state}. Run a new one, or approve its snapshot."
        )
    return record


def _held(connection: Connection, snapshot_id: int) -> Snapshot:
    found = snapshot_in(connection, snapshot_id)
    if found.state != "held":
        raise InputError(
            f"Expected a held snapshot. Received {snapshot_id} of {found.chain}, which is "
            f"{found.state}. Run: promolens crawl status"
        )
    return found


def _crawl_id_of(held: Snapshot) -> int:
    assert held.crawl_id is not None, "only rollbacks have no crawl, and they are never held"
    return held.crawl_id


def _refuse_older(connection: Connection, record: CrawlRecord) -> None:
    """Two crawls of a chain may overlap: the one that began later is the truth."""
    live = _origin(connection, published_in(connection, record.chain))
    if live is None or live.crawl_id is None:
        return
    published = crawl_in(connection, live.crawl_id)
    if (record.month, record.started_at) < (published.month, published.started_at):
        raise InputError(
            f"Expected a crawl of {record.chain} that began after the published one, of "
            f"{published.month}, {published.started_at:%Y-%m-%d %H:%M} UTC. Received crawl "
            f"{record.id}, of {record.month}, {record.started_at:%Y-%m-%d %H:%M} UTC. "
            "Run a new crawl, or roll back first."
        )


def _origin(connection: Connection, found: Snapshot | None) -> Snapshot | None:
    """Return the snapshot whose crawl first gave these rows."""
    while found is not None and found.republishes is not None:
        found = snapshot_in(connection, found.republishes)
    return found


def _publish(
    connection: Connection,
    record: CrawlRecord,
    held: Snapshot | None,
    now: datetime,
    linker: Linker | None,
    checkpoint: Checkpoint,
) -> Publication:
    counts = steps.counts(connection, record.id)
    if not counts["row_count"]:
        raise InputError(
            f"Expected rows to publish. Received none in crawl {record.id} of {record.chain}. "
            "Hold an empty list, or mark its source as gone; it never ends what is live."
        )
    seen_at = record.finished_at or now
    steps.refresh_statistics(connection)
    version = changes.next_version(connection)
    checkpoint("begun")
    snapshot_id = steps.put_snapshot(connection, record, held, counts, version, now)
    checkpoint("snapshot")
    ended = steps.end_missing(connection, record.chain, version, steps.staged_rows(record.id))
    unchanged = steps.see_again(connection, record.chain, seen_at)
    checkpoint("ended")
    place = NewRows(record.chain, snapshot_id, version, seen_at)
    changed_items = put_rows(connection, record.id, place, linker)
    added = steps.count_begun(connection, version)
    checkpoint("rows")
    changes.record_promotions(connection, version)
    changes.record(connection, version, "item", changed_items, changes.UPSERT)
    checkpoint("changes")
    set_state(connection, record.chain, version, "ok", now, snapshot_id=snapshot_id)
    steps.end_crawl(connection, record, "published", "", now)
    checkpoint("source")
    clear_staging(connection, record.id)
    steps.close_older(connection, record, now)
    checkpoint("cleared")
    return Publication(snapshot_id, version, added, ended, unchanged)


def _rollback_target(
    connection: Connection, chain: Chain, to_snapshot_id: int | None
) -> tuple[Snapshot, Snapshot]:
    """Return the chain's live snapshot and the one to go back to."""
    current = published_in(connection, chain)
    if current is None:
        raise InputError(
            f"Expected a published snapshot of {chain} to roll back. Received none. "
            "Run: promolens crawl status"
        )
    if to_snapshot_id is None:
        target = steps.before(connection, _origin(connection, current) or current)
    else:
        target = snapshot_in(connection, to_snapshot_id)
    if target is None or target.version is None or target.chain != chain:
        received = "none" if target is None else f"{target.id} of {target.chain}, {target.state}"
        raise InputError(
            f"Expected an earlier published snapshot of {chain} to go back to. Received "
            f"{received}. Run: promolens crawl status"
        )
    return current, target


def _republish(
    connection: Connection,
    current: Snapshot,
    target: Snapshot,
    now: datetime,
    checkpoint: Checkpoint,
) -> Publication:
    assert target.version is not None, "the target was checked to have been published"
    chain = current.chain
    version = changes.next_version(connection)
    checkpoint("begun")
    steps.set_snapshot(
        connection,
        current.id,
        state="rejected",
        reason=f"rolled back to snapshot {target.id}",
        decided_at=now,
    )
    snapshot_id = steps.insert_rollback(connection, target, version, now)
    checkpoint("snapshot")
    ended = steps.end_missing(connection, chain, version, steps.rows_at(chain, target.version))
    unchanged = steps.count_live(connection, chain)
    checkpoint("ended")
    steps.copy_rows(connection, target, snapshot_id, version)
    added = steps.count_begun(connection, version)
    checkpoint("rows")
    changes.record_promotions(connection, version)
    checkpoint("changes")
    set_last_snapshot(connection, chain, snapshot_id)
    checkpoint("source")
    return Publication(snapshot_id, version, added, ended, unchanged)
