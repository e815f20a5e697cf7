"""What is always true of a catalog, whatever was published, rolled back, killed or pruned."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, Text, cast, func, not_, or_, select

from promolens_catalog.schema import (
    catalog_version,
    change,
    crawl,
    promotion,
    snapshot,
    staged_page,
)
from promolens_catalog.snapshots import live_at

_NEWEST = select(catalog_version.c.version).scalar_subquery()


def broken_rules(connection: Connection) -> list[str]:
    """Return a line for each rule that is broken, with how often; an empty list if none is."""
    found = []
    for rule, query in _rules().items():
        count = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        if count:
            found.append(f"{rule}: {count} rows break this")
    return found


def _rules() -> dict[str, Select[Any]]:
    """Return each rule with a query for the rows that break it."""
    return {
        "a row begins at a known version and ends after it began": _odd_lives(),
        "a live row is in the change log at the version at which it began": _unlogged(),
        "an ended row is in the change log only as deleted, at the version of its end": _undead(),
        "the change log names no version that is not there yet": _early_changes(),
        "a chain has at most one published snapshot": _rival_snapshots(),
        "a published snapshot has as many live rows as it counted": _miscounted(),
        "rows wait in staging only for crawls that nobody has decided about": _leftovers(),
    }


def _odd_lives() -> Select[Any]:
    return select(promotion.c.id).where(
        or_(
            promotion.c.from_version > _NEWEST,
            promotion.c.until_version > _NEWEST,
            promotion.c.until_version <= promotion.c.from_version,
        )
    )


def _unlogged() -> Select[Any]:
    at_start = change.c.version == promotion.c.from_version
    return select(promotion.c.id).where(
        live_at(), not_(_log_entry().where(change.c.op == "upsert", at_start).exists())
    )


def _undead() -> Select[Any]:
    wrong = or_(change.c.op != "delete", change.c.version != promotion.c.until_version)
    return select(promotion.c.id).where(
        promotion.c.until_version.is_not(None), _log_entry().where(wrong).exists()
    )


def _log_entry() -> Select[Any]:
    """Return the change log's entry for the promotion of the query around it."""
    return (
        select(change.c.entity_id)
        .where(change.c.entity == "promotion")
        .where(change.c.entity_id == cast(promotion.c.id, Text))
        .correlate(promotion)
    )


def _early_changes() -> Select[Any]:
    return select(change.c.entity_id).where(change.c.version > _NEWEST)


def _rival_snapshots() -> Select[Any]:
    return (
        select(snapshot.c.chain)
        .where(snapshot.c.state == "published")
        .group_by(snapshot.c.chain)
        .having(func.count() > 1)
    )


def _miscounted() -> Select[Any]:
    live = (
        select(func.count())
        .select_from(promotion)
        .where(promotion.c.chain == snapshot.c.chain, live_at())
        .correlate(snapshot)
        .scalar_subquery()
    )
    return select(snapshot.c.id).where(
        snapshot.c.state == "published", snapshot.c.row_count != live
    )


def _leftovers() -> Select[Any]:
    return (
        select(staged_page.c.crawl_id)
        .join(crawl, crawl.c.id == staged_page.c.crawl_id)
        .where(crawl.c.state.in_(("published", "failed")))
    )
