"""Data sources: tables besides promotions that a scan is joined to by key.

A source is declared (`data_declarations`) and loaded from a file as a whole: its rows replace those
of the last load in one transaction. `facts` joins whatever is loaded to whatever was scanned, so
that a new source needs no code in a server or an app. Promotions are the source that is built in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, tuple_

from promolens_catalog import changes, items
from promolens_catalog.calendar import korean_day
from promolens_catalog.data_declarations import (
    BUILT_IN,
    BadValueError,
    DataSource,
    Field,
    FieldType,
    as_table,
    column_of,
    read_row,
    source_of,
)
from promolens_catalog.database import Database
from promolens_catalog.items import ItemKey
from promolens_catalog.promotion_list import Filters, Promotion, of_items
from promolens_catalog.records import RecordFile
from promolens_catalog.schema import data_row, data_source, promotion, snapshot
from promolens_catalog.snapshots import live_at
from promolens_catalog.statements import in_chunks, insert_into
from promolens_runtime.errors import InputError

ENTITY = "data_source"
MAX_SHOWN_PROBLEMS = 5

PROMOTIONS = DataSource(
    name=BUILT_IN,
    key=items.BARCODE,
    title="행사",
    fresh_for_days=31,
    fields=(
        Field("chain", FieldType.TEXT, "편의점", required=True),
        Field("name", FieldType.TEXT, "상품명", required=True),
        Field("kind", FieldType.TEXT, "행사", required=True),
        Field("price_krw", FieldType.INTEGER, "가격", "원", required=True),
        Field("unit_price_krw", FieldType.INTEGER, "개당 가격", "원", required=True),
        Field("valid_from", FieldType.DATE, "시작일", required=True),
        Field("valid_until", FieldType.DATE, "종료일", required=True),
    ),
)


@dataclass(frozen=True)
class LoadReport:
    """What a load came to.

    Attributes:
        rows: now in the source; `before`: were in it.
        problems: one line for each row that was left out.
        ignored_columns: the file's, that no field reads.
    """

    source: DataSource
    rows: int
    before: int
    problems: tuple[str, ...]
    ignored_columns: tuple[str, ...]


@dataclass(frozen=True)
class LoadedSource:
    """A source as it is in the catalog; `loaded_at` is `None` before its first load."""

    source: DataSource
    loaded_at: datetime | None
    rows: int
    sha256: str | None

    def stale(self, now: datetime) -> bool:
        """Say whether its rows are older than the declaration takes for true."""
        if self.loaded_at is None:
            return True
        return now - self.loaded_at > timedelta(days=self.source.fresh_for_days)


@dataclass(frozen=True)
class Fact:
    """What a source says about a key.

    Attributes:
        rows: values by field name, in the declaration's order; fields without a value are left out.
            A loaded source has one row for a key, promotions one for each that holds today.
        stale: show it with a mark.
    """

    source: DataSource
    key: ItemKey
    rows: tuple[Mapping[str, Any], ...]
    loaded_at: datetime | None
    stale: bool


def load(
    database: Database,
    source: DataSource,
    file: RecordFile,
    now: datetime,
    *,
    allow_bad: int = 0,
    allow_fewer: bool = False,
) -> LoadReport:
    """Replace a source's rows by those of a file.

    Args:
        allow_bad: so many rows may be unreadable; they are left out and reported.
        allow_fewer: let it have less than half of the rows that it had.

    Raises:
        InputError: columns are missing, too many rows are bad, or too few are left; the rows that
            were there stay.
    """
    ignored = _check_columns(source, file)
    rows, problems = read_rows(source, file)
    if len(problems) > allow_bad:
        raise InputError(
            f"Expected at most {allow_bad} bad rows in {file.name}. Received {len(problems)}: "
            f"{'; '.join(problems[:MAX_SHOWN_PROBLEMS])}. Correct them, or allow as many."
        )
    with database.write() as connection:
        before = _count(connection, source.name)
        if not rows or (len(rows) * 2 < before and not allow_fewer):
            raise InputError(
                f"Expected at least half of the {before} rows that {source.name} has. Received "
                f"{len(rows)} in {file.name}. Is the file whole? If so, allow fewer."
            )
        _replace(connection, source, file, rows, now)
        version = changes.next_version(connection)
        changes.record(connection, version, ENTITY, [source.name], changes.UPSERT)
    return LoadReport(source, len(rows), before, tuple(problems), ignored)


def read_rows(source: DataSource, file: RecordFile) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the fields by key, and a line for each row that is bad or repeats a key; pure."""
    rows: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for record in file.records:
        try:
            key, fields = read_row(source, record)
            if key in rows:
                raise BadValueError(f"expected each {source.key} once, received {key} again")
        except BadValueError as error:
            problems.append(f"row {record.place}: {error}")
        else:
            rows[key] = fields
    return rows, problems


def sources(database: Database) -> tuple[LoadedSource, ...]:
    """Return promotions and every source that was loaded, by name."""
    with database.read() as connection:
        return (_promotions_source(connection), *loaded_sources(connection))


def drop(database: Database, name: str) -> None:
    """Forget a source and its rows.

    Raises:
        InputError: there is no such loaded source.
    """
    with database.write() as connection:
        gone = connection.execute(delete(data_source).where(data_source.c.name == name))
        if not gone.rowcount:
            raise InputError(
                f"Expected the name of a loaded data source. Received {name[:60]!r}. "
                "Run: promolens catalog sources"
            )
        version = changes.next_version(connection)
        changes.record(connection, version, ENTITY, [name], changes.DELETE)


def facts(database: Database, keys: Iterable[ItemKey], now: datetime) -> tuple[Fact, ...]:
    """Return what every source says about a thing.

    Args:
        keys: all that are known of it: those of its item, or only what was scanned. Keys of kinds
            that no source has are passed over.

    Returns:
        Promotions first, then by source and key; sources that know nothing about it are left out.
    """
    wanted = sorted(set(keys))
    with database.read() as connection:
        found = [*_promotion_facts(connection, wanted, now)]
        for loaded in loaded_sources(connection):
            values = [key for key in wanted if key.kind == loaded.source.key]
            for key, fields in _rows(connection, loaded.source, values).items():
                stale = loaded.stale(now)
                found.append(Fact(loaded.source, key, (fields,), loaded.loaded_at, stale))
    return tuple(found)


def _check_columns(source: DataSource, file: RecordFile) -> tuple[str, ...]:
    needed = [source.column_of_key, *(column_of(one) for one in source.fields if one.required)]
    missing = [column for column in needed if column not in file.columns]
    if missing:
        raise InputError(
            f"Expected the columns {', '.join(needed)} in {file.name}. Received "
            f"{', '.join(file.columns)[:200] or 'no rows'}. Add {', '.join(missing)}, or name them "
            "as `column` in the declaration."
        )
    known = {source.column_of_key, *map(column_of, source.fields)}
    return tuple(column for column in file.columns if column not in known)


def _replace(
    connection: Connection,
    source: DataSource,
    file: RecordFile,
    rows: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> None:
    new = insert_into(connection, data_source).values(
        name=source.name,
        declaration=as_table(source),
        loaded_at=now,
        row_count=len(rows),
        sha256=file.sha256,
    )
    names = ("declaration", "loaded_at", "row_count", "sha256")
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["name"], set_={name: new.excluded[name] for name in names}
        )
    )
    connection.execute(delete(data_row).where(data_row.c.source == source.name))
    values = [{"source": source.name, "key": key, "fields": one} for key, one in rows.items()]
    if connection.dialect.name == "sqlite":
        _load_sqlite(connection, values)
    else:
        connection.execute(insert(data_row), values)


def _load_sqlite(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Insert rows in batches, each a savepoint within the open transaction."""
    import sqlite_utils

    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    target = sqlite_utils.Database(raw, recursive_triggers=False, execute_plugins=False)
    target.table(data_row.name).insert_all(rows)


def _count(connection: Connection, name: str) -> int:
    query = select(func.count()).select_from(data_row).where(data_row.c.source == name)
    return int(connection.execute(query).scalar_one())


def loaded_sources(connection: Connection) -> list[LoadedSource]:
    """Return every source that was loaded, by name, as a transaction sees them."""
    return [
        LoadedSource(source_of(row.declaration), row.loaded_at, row.row_count, row.sha256)
        for row in connection.execute(select(data_source).order_by(data_source.c.name))
    ]


def _rows(
    connection: Connection, source: DataSource, keys: Iterable[ItemKey]
) -> dict[ItemKey, Mapping[str, Any]]:
    found: dict[ItemKey, Mapping[str, Any]] = {}
    pair = tuple_(data_row.c.source, data_row.c.key)
    for chunk in in_chunks(keys):
        query = select(data_row).where(pair.in_([(source.name, key.value) for key in chunk]))
        for row in connection.execute(query.order_by(data_row.c.key)):
            fields = {
                one.name: row.fields[one.name] for one in source.fields if one.name in row.fields
            }
            found[ItemKey(source.key, row.key)] = fields
    return found


def _promotions_source(connection: Connection) -> LoadedSource:
    newest = select(func.max(snapshot.c.crawled_at)).where(snapshot.c.state == "published")
    rows = select(func.count()).select_from(promotion).where(live_at())
    return LoadedSource(
        PROMOTIONS,
        connection.execute(newest).scalar_one(),
        int(connection.execute(rows).scalar_one()),
        None,
    )


def _promotion_facts(
    connection: Connection, keys: Iterable[ItemKey], now: datetime
) -> Iterable[Fact]:
    today = korean_day(now)
    owners = items.find(connection, keys)
    live = of_items(connection, owners.values(), Filters(on=today))
    shown: set[int] = set()
    for key, item_id in sorted(owners.items()):
        rows = sorted(live.get(item_id, ()), key=lambda row: row.order)
        if rows and item_id not in shown:
            shown.add(item_id)
            seen = max(row.last_seen for row in rows)
            yield Fact(PROMOTIONS, key, tuple(map(_promotion_fields, rows)), seen, stale=False)


def _promotion_fields(row: Promotion) -> dict[str, Any]:
    offer = row.offer
    return {
        "chain": str(offer.chain),
        "name": offer.name,
        "kind": str(offer.kind),
        "price_krw": offer.price_krw,
        "unit_price_krw": row.deal.unit_price_krw,
        "valid_from": offer.valid_from.isoformat(),
        "valid_until": offer.valid_until.isoformat(),
    }
