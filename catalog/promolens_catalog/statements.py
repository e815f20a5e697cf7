"""Statements that both engines have under different names, and lists too long for one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

CHUNK = 500
"""How many values one `IN (...)` gets."""

_T = TypeVar("_T")


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an INSERT with `on_conflict_do_update` and `on_conflict_do_nothing`.

    `Any`, because the two engines' classes share these methods but no base that has them.
    """
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def in_chunks(values: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """Yield `values` in lists of at most `size`."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk
