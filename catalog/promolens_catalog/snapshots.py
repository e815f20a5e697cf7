"""Snapshots: what was published or held, what is live, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Row, and_, or_, select

from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Offer
from promolens_catalog.rows import offer_of
from promolens_catalog.schema import promotion, snapshot, source, staged_offer
from promolens_runtime.errors import InputError


@dataclass(frozen=True)
class Snapshot:
    """One crawl's rows as a whole: published, or held back for a person.

    Attributes:
        month: `YYYY-MM`, in Korea.
        crawl_id: `None` for a rollback, which no crawl made.
        state: `published` (the chain's live one), `held`, `superseded` or `rejected`.
        version: `None` where it was never published.
        row_count: different rows.
        by_kind, by_category: rows of each; a row without a category counts under `""`.
        reason: why it was held or rejected, or what it rolled back; lines.
        crawled_at: when its crawl ended; of a rollback, of the rows that it brought back.
        decided_at: when it was published, approved or rejected.
        republishes: the snapshot whose rows a rollback brought back.
    """

    id: int
    chain: Chain
    month: str
    crawl_id: int | None
    state: str
    version: int | None
    row_count: int
    by_kind: Mapping[str, int]
    by_category: Mapping[str, int]
    reason: str
    crawled_at: datetime
    decided_at: datetime | None
    republishes: int | None


@dataclass(frozen=True)
class SourceState:
    """How a chain's list is doing.

    Attributes:
        state: `never` (nothing published), `ok`, `stale` or `gone`.
        since: when that state began; `None` for `never`.
        last_snapshot_id: the last good one; stays when the source goes.
    """

    chain: Chain
    state: str
    since: datetime | None
    reason: str
    last_snapshot_id: int | None


@dataclass(frozen=True)
class Diff:
    """From one snapshot to another, rows paired by `Offer.key()`.

    Attributes:
        added, ended: rows without a partner in the other snapshot.
        changed: pairs (old, new) of one key with different content.
    """

    added: tuple[Offer, ...]
    ended: tuple[Offer, ...]
    changed: tuple[tuple[Offer, Offer], ...]


def snapshots(db: Database, chain: Chain | None = None, limit: int = 50) -> list[Snapshot]:
    """Return snapshots, newest first; of one chain where one is given."""
    query = select(snapshot).order_by(snapshot.c.id.desc()).limit(limit)
    if chain is not None:
        query = query.where(snapshot.c.chain == str(chain))
    with db.read() as connection:
        return [_snapshot_of(row) for row in connection.execute(query)]


def published_snapshot(db: Database, chain: Chain) -> Snapshot | None:
    """Return the snapshot whose rows are live; `None` before the first."""
    with db.read() as connection:
        return published_in(connection, chain)


def held_snapshots(db: Database, chain: Chain | None = None) -> list[Snapshot]:
    """Return the snapshots that wait for a person, newest first."""
    query = select(snapshot).where(snapshot.c.state == "held").order_by(snapshot.c.id.desc())
    if chain is not None:
        query = query.where(snapshot.c.chain == str(chain))
    with db.read() as connection:
        return [_snapshot_of(row) for row in connection.execute(query)]


def sources(db: Database) -> list[SourceState]:
    """Return the state of every chain, also of those that never published."""
    with db.read() as connection:
        rows = {row.chain: row for row in connection.execute(select(source))}
    return [source_of(chain, rows.get(str(chain))) for chain in Chain]


def offers_of(db: Database, snapshot_id: int) -> list[Offer]:
    """Return the rows of a snapshot by key: published ones as they were, held ones from staging.

    Raises:
        InputError: there is no such snapshot, or its rows are gone (it was rejected).
    """
    with db.read() as connection:
        return _offers_in(connection, snapshot_in(connection, snapshot_id))


def diff(db: Database, chain: Chain, old_id: int, new_id: int) -> Diff:
    """Compare two snapshots of a chain; the newer one may be a held one.

    Raises:
        InputError: there is no such snapshot, it is another chain's, or its rows are gone.
    """
    with db.read() as connection:
        sides = [snapshot_in(connection, number) for number in (old_id, new_id)]
        for side in sides:
            if side.chain != chain:
                raise InputError(
                    f"Expected snapshots of {chain}. Received {side.id} of {side.chain}. "
                    f"Run: promolens crawl status"
                )
        old, new = (_offers_in(connection, side) for side in sides)
    return diff_offers(old, new)


def diff_offers(old: Sequence[Offer], new: Sequence[Offer]) -> Diff:
    """Compare two lists of offers. Pure; the results are sorted by key.

    One key can have several rows (one barcode under two site ids). Equal ones are left out, then
    those of the same kind are paired, then the rest in order of price.
    """
    before, after = _by_key(set(old) - set(new)), _by_key(set(new) - set(old))
    added: list[Offer] = []
    ended: list[Offer] = []
    changed: list[tuple[Offer, Offer]] = []
    for key in sorted(before.keys() | after.keys()):
        pairs, rest_old, rest_new = _pair(before.get(key, []), after.get(key, []))
        changed += pairs
        ended += rest_old
        added += rest_new
    return Diff(tuple(added), tuple(ended), tuple(changed))


def live_at(version: int | None = None, rows: FromClause = promotion) -> ColumnElement[bool]:
    """Return the condition for promotions that live at a version; now, where none is given.

    Args:
        rows: `promotion` or an alias of it.
    """
    if version is None:
        return rows.c.until_version.is_(None)
    return and_(
        rows.c.from_version <= version,
        or_(rows.c.until_version.is_(None), rows.c.until_version > version),
    )


def snapshot_in(connection: Connection, snapshot_id: int) -> Snapshot:
    """Return a snapshot as this transaction sees it.

    Raises:
        InputError: there is no such snapshot.
    """
    row = connection.execute(select(snapshot).where(snapshot.c.id == snapshot_id)).first()
    if row is None:
        raise InputError(
            f"Expected the number of a snapshot. Received {snapshot_id}, which is none. "
            "Run: promolens crawl status"
        )
    return _snapshot_of(row)


def published_in(connection: Connection, chain: Chain) -> Snapshot | None:
    """Return the chain's live snapshot as this transaction sees it."""
    query = select(snapshot).where(snapshot.c.chain == str(chain), snapshot.c.state == "published")
    row = connection.execute(query).first()
    return None if row is None else _snapshot_of(row)


def source_of(chain: Chain, row: Row[Any] | None) -> SourceState:
    """Return the state in a row of `source`; `never` where there is none."""
    if row is None:
        return SourceState(chain, "never", None, "", None)
    return SourceState(chain, row.state, row.since, row.reason, row.last_snapshot_id)


def _offers_in(connection: Connection, wanted: Snapshot) -> list[Offer]:
    if wanted.version is not None:
        query = select(promotion).where(
            promotion.c.chain == str(wanted.chain), live_at(wanted.version)
        )
    elif wanted.state == "held":
        query = select(staged_offer).where(staged_offer.c.crawl_id == wanted.crawl_id)
    else:
        raise InputError(
            f"Expected a snapshot with rows. Received {wanted.id}, which was {wanted.state} and "
            "whose rows are gone. Import its archive again."
        )
    offers = {offer_of(wanted.chain, row._mapping) for row in connection.execute(query)}
    return sorted(offers, key=_order)


def _snapshot_of(row: Row[Any]) -> Snapshot:
    values: dict[str, Any] = {**row._mapping, "chain": Chain(row.chain)}
    return Snapshot(**values)


def _order(offer: Offer) -> tuple[object, ...]:
    return (offer.key(), offer.kind, offer.price_krw, repr(offer))


def _by_key(offers: set[Offer]) -> dict[str, list[Offer]]:
    groups: dict[str, list[Offer]] = {}
    for offer in sorted(offers, key=_order):
        groups.setdefault(offer.key(), []).append(offer)
    return groups


def _pair(
    old: Sequence[Offer], new: Sequence[Offer]
) -> tuple[list[tuple[Offer, Offer]], list[Offer], list[Offer]]:
    """Return pairs of the rows of one key, and those that are left on either side."""
    pairs: list[tuple[Offer, Offer]] = []
    left_old: list[Offer] = []
    left_new: list[Offer] = []
    for kind in Kind:
        before = [offer for offer in old if offer.kind == kind]
        after = [offer for offer in new if offer.kind == kind]
        both = min(len(before), len(after))
        pairs += zip(before[:both], after[:both], strict=True)
        left_old += before[both:]
        left_new += after[both:]
    both = min(len(left_old), len(left_new))
    pairs += zip(left_old[:both], left_new[:both], strict=True)
    return pairs, left_old[both:], left_new[both:]
