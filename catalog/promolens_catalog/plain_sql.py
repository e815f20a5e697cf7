"""Statements as text, prepared by the driver: for the few that are run all the time.

SQLAlchemy makes and reads a statement in about the time that SQLite needs to answer it. A statement
is text of ours with `?` for each value, the same for both engines; values never become part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection


class Rows(Protocol):
    """Runs statements in one transaction.

    Attributes:
        dialect: `sqlite` or `postgresql`.
    """

    dialect: str

    def __call__(self, sql: str, values: tuple[object, ...] = ()) -> Sequence[Any]:
        """Return all rows of a statement, each a tuple."""
        ...


class _ConnectionRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect.name

    def __call__(self, sql: str, values: tuple[object, ...] = ()) -> Sequence[Any]:
        if self.dialect == "postgresql":
            sql = sql.replace("?", "%s")
        return self._connection.exec_driver_sql(sql, values).fetchall()


def rows_of(connection: Connection) -> Rows:
    """Return what runs statements in the transaction of a connection."""
    return _ConnectionRows(connection)


def marks(values: Sequence[object]) -> str:
    """Return what stands for some values in `IN`: `(?,?,?)`."""
    return f"({','.join('?' * len(values))})"
