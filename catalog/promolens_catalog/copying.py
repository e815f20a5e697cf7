"""Move a catalog to another engine: from SQLite to PostgreSQL when it outgrows one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, Table, delete, func, insert, inspect, select, text

from promolens_catalog.database import Database
from promolens_catalog.schema import catalog_identity, catalog_version, metadata
from promolens_catalog.store_index import make_place_index
from promolens_runtime.errors import InputError

ROWS_AT_ONCE = 1_000
# A new catalog has a row in each.
_OF_EVERY_CATALOG = (catalog_version, catalog_identity)

Watch = Callable[[str, int, int], None]
"""Is told a table, how many rows are copied so far, and how many there are in all."""


def _nobody(_table: str, _copied: int, _all: int) -> None:
    """Watch nothing."""


def copy_catalog(source: Database, target: Database, watch: Watch = _nobody) -> dict[str, int]:
    """Copy everything, as of one moment, into a catalog that is still empty; numbers stay.

    Versions, change log and the catalog's id come along, so that copies of phones go on from where
    they were. Where both go on publishing, one needs another id: `identity.renew_id`.
    It is one transaction of the target: stopped half-way, the target is still empty.

    Returns:
        How many rows each table got.

    Raises:
        InputError: the target has something in it.
    """
    with source.read() as reading, target.write() as writing:
        _check_empty(writing, target.place)
        for table in _OF_EVERY_CATALOG:
            writing.execute(delete(table))
        tables = metadata.sorted_tables
        rows = sum(reading.scalar(select(func.count()).select_from(one)) or 0 for one in tables)
        copied: dict[str, int] = {}
        for table in tables:
            before = sum(copied.values())
            copied[table.name] = 0
            for more in _copy_table(reading, writing, table):
                copied[table.name] += more
                watch(table.name, before + copied[table.name], rows)
        _count_on(writing)
        make_place_index(writing)
    return copied


def _check_empty(connection: Connection, place: str) -> None:
    for table in metadata.sorted_tables:
        if table in _OF_EVERY_CATALOG:
            continue
        if connection.execute(select(table).limit(1)).first() is not None:
            raise InputError(
                f"Expected an empty catalog in {place}. Received one with rows in {table.name}. "
                "Name a new one."
            )


def _copy_table(reading: Connection, writing: Connection, table: Table) -> Iterator[int]:
    """Copy a table; yields how many rows each step took over."""
    # In the order of their numbers, since rows of some tables name earlier ones of the same.
    query = select(table).order_by(*table.primary_key.columns)
    rows = reading.execution_options(yield_per=ROWS_AT_ONCE).execute(query).mappings()
    for some in rows.partitions():
        writing.execute(insert(table), [dict(row) for row in some])
        yield len(some)


def _count_on(connection: Connection) -> None:
    """Let PostgreSQL number new rows after the copied ones; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    sequences = set(inspect(connection).get_sequence_names())
    for table in metadata.sorted_tables:
        sequence = f"{table.name}_id_seq"
        if sequence in sequences:
            highest = connection.execute(select(func.max(table.c.id))).scalar()
            if highest is not None:
                connection.execute(
                    text("SELECT setval(:name, :highest)"), {"name": sequence, "highest": highest}
                )
