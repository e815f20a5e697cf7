"""Bring lists of stores into the catalog: each list is replaced as a whole, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from promolens_catalog.column_types import storable
from promolens_catalog.database import Database
from promolens_catalog.schema import store, store_source
from promolens_catalog.statements import in_chunks, insert_into
from promolens_catalog.store_files import StoreFile
from promolens_catalog.store_index import PlaceIndex, make_place_index
from promolens_catalog.store_rows import StoreRow
from promolens_runtime.errors import InputError

_TEXTS = ("source_id", "chain", "name", "branch", "address", "phone")
_CONTENT = (*_TEXTS, "latitude", "longitude")


@dataclass(frozen=True)
class SourceReport:
    """What an import came to for one list.

    Attributes:
        rows: stores that it has now.
        added, changed, dropped: since its last import; a store that is not in it any more is
            dropped: it closed.
        no_chain: of the rows, how many are of no known chain.
    """

    source: str
    rows: int
    added: int
    changed: int
    dropped: int
    no_chain: int


@dataclass(frozen=True)
class ImportReport:
    """What an import came to; `index` is what finds stores by place now."""

    sources: tuple[SourceReport, ...]
    index: PlaceIndex


def import_stores(
    database: Database,
    files: Sequence[StoreFile],
    now: datetime,
    *,
    allow_fewer: bool = False,
    attribution: str = "",
) -> ImportReport:
    """Replace every list that the files have stores of.

    A list that is spread over several files must be given with all of them: what is not there any
    more is taken for closed.

    Args:
        allow_fewer: let a list have less than half of the stores that it had.
        attribution: what has to be shown with stores whose format has no attribution of its own.

    Raises:
        InputError: there is no store in them, or less than half; nothing is changed then.
    """
    lists = _by_source(files)
    about = {
        row.source: (file.format, file.attribution or attribution)
        for file in files
        for row in file.stores
    }
    if not lists:
        names = ", ".join(file.name for file in files)
        raise InputError(
            f"Expected stores in {names[:200] or 'the files'}. Received none that can be used. "
            "Is it the list of another thing?"
        )
    with database.write() as connection:
        index = make_place_index(connection)
        reports = [
            _replace(connection, source, rows, about[source], now, allow_fewer=allow_fewer)
            for source, rows in sorted(lists.items())
        ]
    return ImportReport(tuple(reports), index)


def drop_source(database: Database, name: str) -> int:
    """Forget a list and its stores; return how many it had.

    Raises:
        InputError: there is no such list.
    """
    with database.write() as connection:
        rows = connection.execute(
            select(store_source.c.row_count).where(store_source.c.name == name)
        ).scalar()
        if rows is None:
            raise InputError(
                f"Expected the name of an imported list. Received {name[:60]!r}. "
                "Run: promolens stores sources"
            )
        connection.execute(delete(store_source).where(store_source.c.name == name))
    return int(rows)


def _by_source(files: Sequence[StoreFile]) -> dict[str, dict[str, StoreRow]]:
    lists: dict[str, dict[str, StoreRow]] = defaultdict(dict)
    for file in files:
        for row in file.stores:
            # Text is compared with what is stored, and only storable text is.
            lists[storable(row.source)].setdefault(storable(row.source_id), row)
    return lists


def _replace(
    connection: Connection,
    source: str,
    rows: Mapping[str, StoreRow],
    about: tuple[str, str],
    now: datetime,
    *,
    allow_fewer: bool,
) -> SourceReport:
    before = _present(connection, source)
    if len(rows) * 2 < len(before) and not allow_fewer:
        raise InputError(
            f"Expected at least half of the {len(before)} stores that {source} has. Received "
            f"{len(rows)}. Is the list whole? If so: --allow-fewer"
        )
    _note_source(connection, source, about, len(rows), now)
    content = {number: _content(row) for number, row in rows.items()}
    added = [number for number in rows if number not in before]
    changed = [
        number for number in rows if number in before and before[number][1] != content[number]
    ]
    gone = [number for number in before if number not in rows]
    for chunk in in_chunks(gone):
        ids = [before[number][0] for number in chunk]
        connection.execute(delete(store).where(store.c.id.in_(ids)))
    for number in changed:
        values = dict(zip(_CONTENT, content[number], strict=True))
        connection.execute(update(store).where(store.c.id == before[number][0]).values(values))
    if added:
        new = [{"source": source, **_values(rows[number])} for number in added]
        connection.execute(insert(store), new)
    unknown = sum(row.chain is None for row in rows.values())
    return SourceReport(source, len(rows), len(added), len(changed), len(gone), unknown)


def _present(connection: Connection, source: str) -> dict[str, tuple[int, tuple[Any, ...]]]:
    columns = [store.c[name] for name in _CONTENT]
    query = select(store.c.id, *columns).where(store.c.source == source)
    return {row.source_id: (row.id, tuple(row)[1:]) for row in connection.execute(query)}


def _values(row: StoreRow) -> dict[str, Any]:
    values: dict[str, Any] = {**asdict(row), "chain": str(row.chain) if row.chain else None}
    texts = {name: storable(values[name]) if values[name] else None for name in _TEXTS}
    return {name: values[name] for name in _CONTENT} | texts


def _content(row: StoreRow) -> tuple[Any, ...]:
    values = _values(row)
    return tuple(values[name] for name in _CONTENT)


def _note_source(
    connection: Connection, name: str, about: tuple[str, str], rows: int, now: datetime
) -> None:
    values = {
        "format": about[0],
        "attribution": about[1],
        "imported_at": now,
        "row_count": rows,
    }
    new = insert_into(connection, store_source).values(name=name, **values)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["name"], set_={column: new.excluded[column] for column in values}
        )
    )
