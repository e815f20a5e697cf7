"""The change log: what a client that holds a copy must do to hold the newest one.

Every publication has a version, one higher than the last, whatever the chain. The log keeps the
last change of each entity, so that a page of it never names a thing twice and never grows with the
number of publications. A client begins with an empty copy at position 0, applies page after page,
and keeps `next_since` together with the rows. It ends with exactly the live rows, whatever was
published while it paged: what changes behind its position moves ahead of it.

Entities: `promotion` (a row; `delete` when it ended), `item`, `source` (a chain's state),
`data_source` (what a table of facts is, not its rows). What
moves with every crawl is no change: when a row was last seen, which snapshot was a chain's last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Table,
    Text,
    and_,
    cast,
    delete,
    insert,
    literal,
    or_,
    select,
    update,
)

from promolens_catalog.column_types import ID
from promolens_catalog.database import Database
from promolens_catalog.identity import catalog_id
from promolens_catalog.schema import (
    catalog_version,
    change,
    data_source,
    item,
    item_key,
    promotion,
    source,
)
from promolens_runtime.errors import InputError

MAX_PAGE = 10_000
UPSERT, DELETE = "upsert", "delete"
# SQLite takes 32,766 values in one statement, PostgreSQL 65,535.
IDS_AT_ONCE = 5_000
_POSITION = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?(?:\.([a-z_]{1,40})\.([^\0]{1,200}))?")


class TooOldError(InputError):
    """The client's copy is older than what the log still tells: it must begin anew.

    Attributes:
        floor: the lowest version that a client may page from.
    """

    def __init__(self, since: Position, floor: int) -> None:
        self.floor = floor
        super().__init__(
            f"Expected a version of at least {floor}, or 0 to begin anew. Received {since}, whose "
            "deletions are no longer kept. Begin with an empty copy."
        )


@dataclass(frozen=True, order=True)
class Position:
    """A place in the log: everything up to and with it is known to the client.

    `str()` gives the form for addresses, `parse` reads it: `12` is all of version 12,
    `12.promotion.345` is a place within it, `12-40.promotion.345` is that place for a client that
    began with an empty copy when the newest version was 40, and has not got there yet.

    Attributes:
        entity, entity_id: the last change seen within `version`; both `""` at a version's end.
        begun: the newest version when the client began; 0 where `version` is past it. No row that
            ended before then has ever been told to this client, so it needs no older tombstones.
    """

    version: int
    entity: str = ""
    entity_id: str = ""
    begun: int = 0

    def __str__(self) -> str:
        version = f"{self.version}-{self.begun}" if self.begun else f"{self.version}"
        return f"{version}.{self.entity}.{self.entity_id}" if self.entity else version

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read what `str()` wrote.

        Raises:
            InputError: anything else.
        """
        found = _POSITION.fullmatch(text)
        if not found:
            raise InputError(
                f"Expected a version such as 12, or the next_since of a page. Received "
                f"{text[:60]!r}. Use 0 to begin anew."
            )
        return cls(int(found[1]), found[3] or "", found[4] or "", int(found[2] or 0))


@dataclass(frozen=True)
class Change:
    """What to do with one entity.

    Attributes:
        op: `upsert` (put `data` in place of what is there) or `delete`.
        data: the columns of the entity, JSON-ready but for dates and times; `None` for `delete`.
    """

    entity: str
    entity_id: str
    version: int
    op: str
    data: Mapping[str, Any] | None


@dataclass(frozen=True)
class ChangePage:
    """Changes in the order of version, entity and id.

    Attributes:
        next_since: the position to page on from; to be kept in one transaction with the changes.
        more: there are further changes by now.
        version: the newest when it was made.
        catalog_id: whose changes these are.
    """

    changes: tuple[Change, ...]
    next_since: Position
    more: bool
    version: int = 0
    catalog_id: str = ""


def changes_since(db: Database, since: Position | int | str, limit: int = 500) -> ChangePage:
    """Return at most `limit` changes after a position; the same page again while none is published.

    Raises:
        InputError: `limit` is outside 1..MAX_PAGE, or `since` cannot be read or lies in the future.
        TooOldError: the tombstones after `since` are gone.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InputError(
            f"Expected 1 to {MAX_PAGE} changes a page. Received {limit}. Ask for fewer."
        )
    position = since if isinstance(since, Position) else Position.parse(str(since))
    with db.read() as connection:
        version, floor = versions_in(connection)
        told_by = catalog_id(connection)
        _check_position(position, version, floor)
        rows = connection.execute(_after(position).limit(limit + 1)).all()
        changes = tuple(_with_data(connection, [tuple(row) for row in rows[:limit]]))
    if len(rows) <= limit:
        return ChangePage(changes, Position(version), False, version, told_by)
    last = changes[-1]
    begun = version if position == Position(0) else position.begun
    # Past the version at which it began, a client is like any other.
    place = Position(
        last.version, last.entity, last.entity_id, begun if begun > last.version else 0
    )
    return ChangePage(changes, place, True, version, told_by)


def catalog_versions(db: Database) -> tuple[int, int]:
    """Return the newest version and the floor, both 0 before the first publication."""
    with db.read() as connection:
        return versions_in(connection)


def whole(connection: Connection) -> Iterator[Change]:
    """Yield what a copy holds that knows everything: the upserts of the log, by entity and id."""
    entity, entity_id = "", ""
    while True:
        later = or_(
            change.c.entity > entity,
            and_(change.c.entity == entity, change.c.entity_id > entity_id),
        )
        query = (
            select(change.c.entity, change.c.entity_id, change.c.version, change.c.op)
            .where(later, change.c.op == UPSERT)
            .order_by(change.c.entity, change.c.entity_id)
            .limit(IDS_AT_ONCE)
        )
        rows = [tuple(row) for row in connection.execute(query)]
        yield from _with_data(connection, rows)
        if len(rows) < IDS_AT_ONCE:
            return
        entity, entity_id = rows[-1][0], rows[-1][1]


def prune(db: Database, keep_from: int) -> int:
    """Forget the tombstones of versions before `keep_from`; return how many went.

    Clients below that version begin anew (`TooOldError`); the floor never sinks.

    Raises:
        InputError: `keep_from` is higher than the newest version.
    """
    with db.write() as connection:
        version, floor = versions_in(connection)
        if not 0 <= keep_from <= version:
            raise InputError(
                f"Expected a version of 0 to {version}, the newest. Received {keep_from}. "
                "Keep from an existing version on."
            )
        if keep_from <= floor:
            return 0
        gone = connection.execute(
            delete(change).where(change.c.op == DELETE, change.c.version < keep_from)
        )
        connection.execute(update(catalog_version).values(floor=keep_from))
        return gone.rowcount


def next_version(connection: Connection) -> int:
    """Begin a publication within a write transaction and return its version."""
    connection.execute(update(catalog_version).values(version=catalog_version.c.version + 1))
    return versions_in(connection)[0]


def record(
    connection: Connection, version: int, entity: str, entity_ids: Iterable[object], op: str
) -> None:
    """Put the last change of some entities into the log, in place of earlier ones.

    Args:
        version: what `next_version` gave in this transaction.
    """
    ids = sorted({str(entity_id) for entity_id in entity_ids})
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        connection.execute(
            delete(change).where(change.c.entity == entity, change.c.entity_id.in_(some))
        )
        connection.execute(
            insert(change),
            [{"entity": entity, "entity_id": i, "version": version, "op": op} for i in some],
        )


def record_promotions(connection: Connection, version: int) -> None:
    """Put into the log what a publication began and ended: the rows that name `version`."""
    ended = select(cast(promotion.c.id, Text)).where(promotion.c.until_version == version)
    connection.execute(
        update(change)
        .where(change.c.entity == "promotion", change.c.entity_id.in_(ended))
        .values(version=version, op=DELETE)
    )
    begun = select(
        literal("promotion"), cast(promotion.c.id, Text), literal(version, ID), literal(UPSERT)
    ).where(promotion.c.from_version == version)
    connection.execute(insert(change).from_select(["entity", "entity_id", "version", "op"], begun))


def versions_in(connection: Connection) -> tuple[int, int]:
    """Return the newest version and the floor, as a transaction sees them."""
    row = connection.execute(select(catalog_version.c.version, catalog_version.c.floor)).one()
    return int(row.version), int(row.floor)


def _check_position(position: Position, version: int, floor: int) -> None:
    known = max(position.version, position.begun)
    if known > version:
        raise InputError(
            f"Expected a version of at most {version}, the newest. Received {position}. "
            "It belongs to another catalog; begin anew with 0."
        )
    if position != Position(0) and known < floor:
        raise TooOldError(position, floor)


def _after(position: Position) -> Select[str, str, int, str]:
    """Return changes after a position. A bare version stands for its end."""
    columns = (change.c.entity, change.c.entity_id, change.c.version, change.c.op)
    later = change.c.version > position.version
    if position.entity:
        same_entity = and_(
            change.c.entity == position.entity, change.c.entity_id > position.entity_id
        )
        within = and_(
            change.c.version == position.version,
            or_(change.c.entity > position.entity, same_entity),
        )
        later = or_(later, within)
    return (
        select(*columns)
        .where(later)
        .order_by(change.c.version, change.c.entity, change.c.entity_id)
    )


def _with_data(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[Change]:
    wanted: dict[str, list[str]] = {}
    for entity, entity_id, _, op in rows:
        if op == UPSERT:
            wanted.setdefault(entity, []).append(entity_id)
    data: dict[tuple[str, str], Mapping[str, Any]] = {}
    for entity, ids in wanted.items():
        load = _LOADERS.get(entity)
        if load is not None:
            data |= {(entity, key): fields for key, fields in load(connection, ids).items()}
    return [
        Change(entity, entity_id, version, op, data.get((entity, entity_id)))
        for entity, entity_id, version, op in rows
    ]


def _rows_of(
    connection: Connection, table: Table, column: Any, values: Sequence[Any]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for start in range(0, len(values), IDS_AT_ONCE):
        query = select(table).where(column.in_(values[start : start + IDS_AT_ONCE]))
        rows += [dict(row._mapping) for row in connection.execute(query)]
    return rows


def _load_promotions(connection: Connection, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    rows = _rows_of(connection, promotion, promotion.c.id, [int(i) for i in ids])
    return {str(row["id"]): _without(row, "last_seen") for row in rows}


def _load_items(connection: Connection, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    numbers = [int(i) for i in ids]
    items = {
        row["id"]: row | {"keys": []} for row in _rows_of(connection, item, item.c.id, numbers)
    }
    keys = _rows_of(connection, item_key, item_key.c.item_id, numbers)
    for row in sorted(keys, key=lambda row: (row["kind"], row["value"])):
        items[row["item_id"]]["keys"].append({"kind": row["kind"], "value": row["value"]})
    return {str(number): row for number, row in items.items()}


def _load_sources(connection: Connection, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    rows = _rows_of(connection, source, source.c.chain, ids)
    return {row["chain"]: _without(row, "last_snapshot_id") for row in rows}


def _load_data_sources(connection: Connection, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    rows = _rows_of(connection, data_source, data_source.c.name, ids)
    return {row["name"]: row for row in rows}


def _without(row: Mapping[str, Any], column: str) -> dict[str, Any]:
    """Leave out what moves with every crawl: it is no change, so a copy would fall behind."""
    return {name: value for name, value in row.items() if name != column}


_LOADERS: dict[str, Callable[[Connection, Sequence[str]], dict[str, Mapping[str, Any]]]] = {
    "promotion": _load_promotions,
    "item": _load_items,
    "source": _load_sources,
    "data_source": _load_data_sources,
}
