"""Column types that mean the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB

ID = BigInteger().with_variant(Integer(), "sqlite")
"""A row number: 64 bits on both engines (SQLite counts up only what is declared INTEGER)."""

JSON_VALUE = JSON().with_variant(JSONB(), "postgresql")
"""Objects and lists, as text on SQLite and as JSONB on PostgreSQL."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


class UtcTime(TypeDecorator[datetime]):
    """An instant. Takes timezone-aware datetimes only, gives them back in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn into UTC; SQLite stores it without a zone, so that text order is time order."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Put the zone back, whatever zone the session has."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class StorableText(TypeDecorator[str]):
    """Text ordered by code point on both engines.

    NUL and lone surrogates, which PostgreSQL or UTF-8 refuse, become U+FFFD: what comes from
    hostile pages can look odd in a row, but cannot stop a transaction.
    """

    impl = Text().with_variant(Text(collation="C"), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored."""
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """Return `text` with U+FFFD for NUL and for lone surrogates."""
    return _NOT_STORABLE.sub(REPLACEMENT, text)
