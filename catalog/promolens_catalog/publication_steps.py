"""The statements that a publication is made of, each over all its rows at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Subquery, exists, func, insert, literal, select, update

from promolens_catalog.chains import Chain
from promolens_catalog.column_types import ID
from promolens_catalog.rows import OFFER_COLUMNS
from promolens_catalog.schema import change, crawl, item_key, promotion, snapshot, staged_offer
from promolens_catalog.snapshots import Snapshot, live_at, snapshot_in
from promolens_catalog.staging import CrawlRecord, clear_staging


def refresh_statistics(connection: Connection) -> None:
    """Let PostgreSQL see what a crawl has just staged; else it plans for empty tables."""
    if connection.dialect.name == "postgresql":
        for table in (staged_offer, promotion, item_key, change):
            connection.exec_driver_sql(f"ANALYZE {table.name}")


def staged_rows(crawl_id: int) -> Subquery:
    """Return the content of a crawl's rows."""
    query = select(staged_offer.c.content_hash).where(staged_offer.c.crawl_id == crawl_id)
    return query.subquery()


def rows_at(chain: Chain, version: int) -> Subquery:
    """Return the content of a chain's rows that lived at a version."""
    row = promotion.alias()
    query = select(row.c.content_hash).where(row.c.chain == str(chain), live_at(version, row))
    return query.subquery()


def count_live(connection: Connection, chain: Chain) -> int:
    """Return how many rows of a chain live."""
    ours = (promotion.c.chain == str(chain), live_at())
    return _count(connection, select(promotion.c.id).where(*ours))


def count_begun(connection: Connection, version: int) -> int:
    """Return how many rows began with a version."""
    return _count(connection, select(promotion.c.id).where(promotion.c.from_version == version))


def counts(connection: Connection, crawl_id: int) -> dict[str, Any]:
    """Return the columns of a snapshot that count its different rows."""
    rows = (
        select(staged_offer.c.content_hash, staged_offer.c.kind, staged_offer.c.category)
        .where(staged_offer.c.crawl_id == crawl_id)
        .distinct()
        .subquery()
    )
    by_kind: dict[str, int] = {}
    by_category: dict[str, int] = {}
    query = select(rows.c.kind, rows.c.category, func.count()).group_by(
        rows.c.kind, rows.c.category
    )
    for kind, category, count in connection.execute(query):
        by_kind[kind] = by_kind.get(kind, 0) + count
        by_category[category or ""] = by_category.get(category or "", 0) + count
    return {
        "row_count": sum(by_kind.values()),
        "by_kind": by_kind,
        "by_category": by_category,
    }


def insert_held(
    connection: Connection,
    record: CrawlRecord,
    counts: Mapping[str, Any],
    reason: str,
    now: datetime,
) -> int:
    """Make a crawl's snapshot that waits for a person and return its number."""
    return _insert(connection, _of_crawl(record, counts, "held", now) | {"reason": reason})


def put_snapshot(
    connection: Connection,
    record: CrawlRecord,
    held: Snapshot | None,
    counts: Mapping[str, Any],
    version: int,
    now: datetime,
) -> int:
    """Make the crawl's snapshot the chain's published one and return its number."""
    connection.execute(
        update(snapshot)
        .where(snapshot.c.chain == str(record.chain), snapshot.c.state == "published")
        .values(state="superseded")
    )
    decided = {"version": version, "decided_at": now}
    if held is not None:
        set_snapshot(connection, held.id, state="published", **decided)
        return held.id
    return _insert(connection, _of_crawl(record, counts, "published", now) | decided)


def insert_rollback(connection: Connection, target: Snapshot, version: int, now: datetime) -> int:
    """Make the snapshot of a rollback and return its number."""
    values = {
        "chain": str(target.chain),
        "month": target.month,
        "state": "published",
        "version": version,
        "row_count": target.row_count,
        "by_kind": dict(target.by_kind),
        "by_category": dict(target.by_category),
        "reason": f"rows of snapshot {target.id}",
        "crawled_at": target.crawled_at,
        "decided_at": now,
        "republishes": target.id,
    }
    return _insert(connection, values)


def _insert(connection: Connection, values: Mapping[str, Any]) -> int:
    key = connection.execute(insert(snapshot).values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def set_snapshot(connection: Connection, snapshot_id: int, **values: object) -> None:
    """Change columns of a snapshot."""
    connection.execute(update(snapshot).where(snapshot.c.id == snapshot_id).values(values))


def end_missing(connection: Connection, chain: Chain, version: int, wanted: Subquery) -> int:
    """End the chain's live rows whose content is not wanted any more; return how many."""
    still = exists().where(wanted.c.content_hash == promotion.c.content_hash)
    ended = connection.execute(
        update(promotion)
        .where(promotion.c.chain == str(chain), live_at(), ~still)
        .values(until_version=version)
    )
    return ended.rowcount


def see_again(connection: Connection, chain: Chain, seen_at: datetime) -> int:
    """Note on the rows that go on living when they were last seen; return how many."""
    seen = connection.execute(
        update(promotion)
        .where(promotion.c.chain == str(chain), live_at())
        .values(last_seen=seen_at)
    )
    return seen.rowcount


def copy_rows(connection: Connection, target: Snapshot, snapshot_id: int, version: int) -> None:
    """Let rows that lived at the target's version begin again, where they do not live."""
    assert target.version is not None, "only published snapshots are rolled back to"
    link = ("item_id", "link_method", "link_score")
    kept = ("chain", *OFFER_COLUMNS, *link, "first_seen", "last_seen")
    row, live = promotion.alias(), promotion.alias()
    lives = exists().where(
        live.c.chain == row.c.chain,
        live.c.content_hash == row.c.content_hash,
        live_at(None, live),
    )
    begun = (literal(version, ID), literal(snapshot_id, ID))
    rows: Select[Any] = (
        select(*(row.c[name] for name in kept), *begun)
        .where(row.c.chain == str(target.chain), live_at(target.version, row), ~lives)
        .order_by(row.c.id)
    )
    names = [*kept, "from_version", "from_snapshot_id"]
    connection.execute(insert(promotion).from_select(names, rows))


def end_crawl(
    connection: Connection, record: CrawlRecord, state: str, reason: str, now: datetime
) -> None:
    """Record what became of a crawl; when it ended stays, where that is known."""
    connection.execute(
        update(crawl)
        .where(crawl.c.id == record.id)
        .values(state=state, reason=reason, finished_at=record.finished_at or now)
    )


def close_older(connection: Connection, record: CrawlRecord, now: datetime) -> None:
    """Give up what was staged or held before a crawl that is published now.

    Crawls that still run are left alone: they find out when they want to publish.
    """
    older = (
        select(crawl.c.id)
        .where(crawl.c.chain == str(record.chain), crawl.c.id < record.id)
        .where(crawl.c.state.in_(("staged", "held")))
    )
    numbers = list(connection.execute(older).scalars())
    if not numbers:
        return
    reason = f"superseded by crawl {record.id}"
    connection.execute(
        update(snapshot)
        .where(snapshot.c.crawl_id.in_(numbers), snapshot.c.state == "held")
        .values(state="superseded", decided_at=now)
    )
    connection.execute(
        update(crawl).where(crawl.c.id.in_(numbers)).values(state="failed", reason=reason)
    )
    for number in numbers:
        clear_staging(connection, number)


def before(connection: Connection, found: Snapshot) -> Snapshot | None:
    """Return the snapshot that was live before this one and was not rolled back."""
    query = (
        select(snapshot.c.id)
        .where(snapshot.c.chain == str(found.chain), snapshot.c.state == "superseded")
        .where(snapshot.c.version < found.version)
        .order_by(snapshot.c.version.desc())
        .limit(1)
    )
    number = connection.execute(query).scalar()
    return None if number is None else snapshot_in(connection, number)


def _of_crawl(
    record: CrawlRecord, counts: Mapping[str, Any], state: str, now: datetime
) -> dict[str, Any]:
    return dict(counts) | {
        "chain": str(record.chain),
        "month": record.month,
        "crawl_id": record.id,
        "state": state,
        "crawled_at": record.finished_at or now,
    }


def _count(connection: Connection, query: Select[Any]) -> int:
    counting = select(func.count()).select_from(query.subquery())
    return int(connection.execute(counting).scalar_one())
