"""The review queue: rows whose item a person has to say, and what people said.

A decision is about a row by what names it across months (`Offer.key()`), so that it outlives a
changed price. Accepting moves the row to the item at once and for all months to come; a rejected
pair is never proposed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, select, update

from promolens_catalog import changes, items, search
from promolens_catalog.chains import Chain
from promolens_catalog.conflicts import retried
from promolens_catalog.database import Database
from promolens_catalog.schema import item_key, link_candidate, promotion
from promolens_catalog.snapshots import live_at
from promolens_runtime.errors import InputError

REVIEW = "review"
MAX_ROWS = 1_000
MAX_DECIDER_CHARACTERS = 100


@dataclass(frozen=True)
class Proposal:
    """An item that a row may be.

    Attributes:
        id: what `accept` and `reject` take.
        names: what the item is called, its canonical name first; each once.
        prices_krw: what chains ask for it today, ascending, each once.
        score: 0..1.
        method: what proposed it, and what a machine could not get over, such as `variant`.
    """

    id: int
    item_id: int
    names: tuple[str, ...]
    prices_krw: tuple[int, ...]
    score: float
    method: str


@dataclass(frozen=True)
class OpenRow:
    """A row of a chain that nobody has decided about.

    Attributes:
        live: it is in the chain's list of today.
        proposals: best first.
    """

    chain: Chain
    offer_key: str
    name: str
    price_krw: int
    live: bool
    proposals: tuple[Proposal, ...]


@dataclass(frozen=True)
class Decision:
    """What a decision did.

    Attributes:
        moved: live rows that went to the item.
        version: of the catalog, where something moved; else `None`.
    """

    candidate_id: int
    state: str
    moved: int = 0
    version: int | None = None


def open_rows(
    db: Database, chain: Chain | None = None, *, live_only: bool = True, limit: int = 50
) -> list[OpenRow]:
    """Return rows that wait for a person, those with the surest proposal first.

    Raises:
        InputError: `limit` is outside 1..MAX_ROWS.
    """
    if not 1 <= limit <= MAX_ROWS:
        raise InputError(
            f"Expected a limit of 1 to {MAX_ROWS}. Received {limit}. Ask for fewer rows."
        )
    with db.read() as connection:
        rows = _open_keys(connection, chain, live_only, limit)
        return [_open_row(connection, row) for row in rows]


def count_open(db: Database, chain: Chain | None = None, *, live_only: bool = True) -> int:
    """Return how many rows wait for a person."""
    with db.read() as connection:
        query = _open_query(chain, live_only).subquery()
        return int(connection.execute(select(func.count()).select_from(query)).scalar_one())


@retried
def accept(db: Database, candidate_id: int, now: datetime, decided_by: str) -> Decision:
    """Say that a row is the proposed item: it moves there, and its other proposals are rejected.

    Live rows end and begin anew under a new version, so that every copy of the catalog learns it.

    Raises:
        InputError: there is no such proposal, or it is decided already.
    """
    with db.write() as connection:
        chosen = _undecided(connection, candidate_id)
        _decide(connection, [candidate_id], "accepted", now, decided_by)
        others = select(link_candidate.c.id).where(*_of_row(chosen), _is_open())
        rest = list(connection.execute(others).scalars())
        _decide(connection, rest, "rejected", now, decided_by)
        before = _tie(connection, chosen)
        moved, version = _move(connection, chosen, before, now)
    return Decision(candidate_id, "accepted", moved, version)


@retried
def reject(db: Database, candidate_id: int, now: datetime, decided_by: str) -> Decision:
    """Say that a row is not the proposed item.

    Raises:
        InputError: there is no such proposal, or it is decided already.
    """
    with db.write() as connection:
        _undecided(connection, candidate_id)
        _decide(connection, [candidate_id], "rejected", now, decided_by)
    return Decision(candidate_id, "rejected")


# ---- listing


def _is_open() -> Any:
    return link_candidate.c.state == "open"


def _of_row(row: Row[Any]) -> tuple[Any, Any]:
    return link_candidate.c.chain == row.chain, link_candidate.c.offer_key == row.offer_key


def _live_row() -> Any:
    """Return the condition that the candidate's row is in its chain's list of today."""
    return exists().where(
        promotion.c.chain == link_candidate.c.chain,
        promotion.c.offer_key == link_candidate.c.offer_key,
        live_at(),
    )


def _open_query(chain: Chain | None, live_only: bool) -> Any:
    columns = (link_candidate.c.chain, link_candidate.c.offer_key)
    best = func.max(link_candidate.c.score)
    query = select(*columns, best.label("best")).where(_is_open()).group_by(*columns)
    if chain is not None:
        query = query.where(link_candidate.c.chain == str(chain))
    return query.where(_live_row()) if live_only else query


def _open_keys(
    connection: Connection, chain: Chain | None, live_only: bool, limit: int
) -> Sequence[Row[Any]]:
    query = _open_query(chain, live_only)
    best = func.max(link_candidate.c.score)
    order = (best.desc(), link_candidate.c.chain, link_candidate.c.offer_key)
    return connection.execute(query.order_by(*order).limit(limit)).all()


def _open_row(connection: Connection, row: Row[Any]) -> OpenRow:
    query = (
        select(link_candidate, _live_row().label("live"))
        .where(*_of_row(row), _is_open())
        .order_by(link_candidate.c.score.desc(), link_candidate.c.id)
    )
    found = connection.execute(query).all()
    known = items.get(connection, [one.item_id for one in found])
    proposals = tuple(
        Proposal(
            id=one.id,
            item_id=one.item_id,
            names=_names(known[one.item_id]),
            prices_krw=_prices(connection, one.item_id),
            score=one.score,
            method=one.method,
        )
        for one in found
    )
    newest = max(found, key=lambda one: (one.created_at, one.id))
    return OpenRow(
        Chain(row.chain),
        row.offer_key,
        newest.name,
        newest.price_krw,
        bool(newest.live),
        proposals,
    )


def _names(known: items.Item) -> tuple[str, ...]:
    return tuple(dict.fromkeys([known.name, *(alias.name for alias in known.aliases)]))


def _prices(connection: Connection, item_id: int) -> tuple[int, ...]:
    query = select(promotion.c.price_krw).where(promotion.c.item_id == item_id, live_at())
    return tuple(sorted(set(connection.execute(query).scalars())))


# ---- deciding


def _undecided(connection: Connection, candidate_id: int) -> Row[Any]:
    query = select(link_candidate).where(link_candidate.c.id == candidate_id)
    row = connection.execute(query).first()
    if row is None or row.state != "open":
        received = "none with this number" if row is None else f"one that is {row.state}"
        raise InputError(
            f"Expected the number of an open proposal. Received {candidate_id}: {received}. "
            "Run: promolens match review list"
        )
    return row


def _decide(
    connection: Connection, ids: Sequence[int], state: str, now: datetime, decided_by: str
) -> None:
    if not 1 <= len(decided_by) <= MAX_DECIDER_CHARACTERS:
        raise InputError(
            f"Expected who decides, in 1 to {MAX_DECIDER_CHARACTERS} characters. Received "
            f"{len(decided_by)}. Give a name."
        )
    connection.execute(
        update(link_candidate)
        .where(link_candidate.c.id.in_(ids))
        .values(state=state, decided_at=now, decided_by=decided_by)
    )


def _tie(connection: Connection, chosen: Row[Any]) -> int | None:
    """Give the row's key to the chosen item; return the item that had it, if another one."""
    key = items.ItemKey(items.OFFER, f"{chosen.chain}:{chosen.offer_key}")
    owner = items.find(connection, [key]).get(key)
    if owner is not None:
        connection.execute(
            delete(item_key).where(item_key.c.kind == key.kind, item_key.c.value == key.value)
        )
    items.add_key(connection, chosen.item_id, key, REVIEW)
    return None if owner == chosen.item_id else owner


def _move(
    connection: Connection, chosen: Row[Any], before: int | None, now: datetime
) -> tuple[int, int | None]:
    """Let the row's live promotions end, and begin anew at the chosen item."""
    ours = (
        promotion.c.chain == chosen.chain,
        promotion.c.offer_key == chosen.offer_key,
        promotion.c.barcode.is_(None),
        promotion.c.item_id != chosen.item_id,
        live_at(),
    )
    rows = [dict(row._mapping) for row in connection.execute(select(promotion).where(*ours))]
    if not rows:
        return 0, None
    version = changes.next_version(connection)
    ids = [row.pop("id") for row in rows]
    connection.execute(
        update(promotion).where(promotion.c.id.in_(ids)).values(until_version=version)
    )
    linked = {
        "item_id": chosen.item_id,
        "link_method": REVIEW,
        "link_score": chosen.score,
        "from_version": version,
    }
    connection.execute(insert(promotion), [row | linked for row in rows])
    changes.record_promotions(connection, version)
    touched = {chosen.item_id, *(row["item_id"] for row in rows)}
    touched |= {before} if before is not None else set()
    chain = Chain(chosen.chain)
    sightings = [items.Sighting(chosen.item_id, chain, row["name"]) for row in rows]
    renamed = items.note_names(connection, sightings, now)
    search.index_items(connection, renamed)
    changes.record(connection, version, "item", touched, changes.UPSERT)
    return len(rows), version
