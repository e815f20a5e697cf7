"""Move a catalog to another engine: from SQLite to PostgreSQL when it outgrows one machine."""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, func, insert, inspect, select, text

from promolens_catalog.database import Database
from promolens_catalog.schema import catalog_version, metadata
from promolens_runtime.errors import InputError

ROWS_AT_ONCE = 1_000


def copy_catalog(source: Database, target: Database) -> dict[str, int]:
    """Copy everything, as of one moment, into a catalog that is still empty; numbers stay.

    Versions and the change log come along, so that copies of phones go on from where they were.

    Returns:
        How many rows each table got.

    Raises:
        InputError: the target has something in it.
    """
    with source.read() as reading, target.write() as writing:
        _check_empty(writing, target.place)
        writing.execute(delete(catalog_version))
        copied = {
            table.name: _copy_table(reading, writing, table) for table in metadata.sorted_tables
        }
        _count_on(writing)
    return copied


def _check_empty(connection: Connection, place: str) -> None:
    for table in metadata.sorted_tables:
        if table is catalog_version:
            continue
        if connection.execute(select(table).limit(1)).first() is not None:
            raise InputError(
                f"Expected an empty catalog in {place}. Received one with rows in {table.name}. "
                "Name a new one."
            )


def _copy_table(reading: Connection, writing: Connection, table: Table) -> int:
    # In the order of their numbers, since rows of some tables name earlier ones of the same.
    query = select(table).order_by(*table.primary_key.columns)
    rows = reading.execution_options(yield_per=ROWS_AT_ONCE).execute(query).mappings()
    count = 0
    for some in rows.partitions():
        writing.execute(insert(table), [dict(row) for row in some])
        count += len(some)
    return count


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
