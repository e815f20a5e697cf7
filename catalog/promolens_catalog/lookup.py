"""One product looked up at once: what `reading` answers, and facts, in one quick transaction.

A server answers most requests from here. `reading` says the same with a query for each part, each
made and read by SQLAlchemy; here the statements are text that the driver prepares once, on a
connection that stays open (SQLite) or comes from the pool (PostgreSQL). Tests hold both to say the
same. What all answers of a version share (the chains, the data sources) is read once a version.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

from promolens_catalog.calendar import korean_day, start_of_day
from promolens_catalog.chain_status import ChainStatus, chain_statuses
from promolens_catalog.chains import Chain
from promolens_catalog.data_sources import Fact, LoadedSource, loaded_sources
from promolens_catalog.database import Database, now_version
from promolens_catalog.items import BARCODE, Alias, Item, ItemKey
from promolens_catalog.plain_sql import Rows, marks, rows_of
from promolens_catalog.promotion_list import Filters, Promotion
from promolens_catalog.reading import SEARCHED, Answer, TextAnswer, answer_of, text_answer_of
from promolens_catalog.rows import OFFER_COLUMNS, offer_of
from promolens_catalog.search import candidates_in
from promolens_runtime.errors import InputError

_VERSION = "SELECT version FROM catalog_version"
_ITEM_COLUMNS = "i.id, i.canonical_name, i.maker, i.category, i.size_amount, i.size_unit"
# A key is looked up within the condition: joined, SQLite would make a filter of all keys first.
_ITEM_WHERE = (
    f"SELECT (SELECT version FROM catalog_version), {_ITEM_COLUMNS} "  # noqa: S608 - our own columns
    "FROM (SELECT 1) one LEFT JOIN item i ON i.id = "
)
_BY_KEY = (
    f"{_ITEM_WHERE}"  # noqa: S608 - our own columns
    "(SELECT item_id FROM item_key WHERE kind = ? AND value = ?)"
)
_BY_ID = _ITEM_WHERE + "?"
_KEYS = "SELECT kind, value FROM item_key WHERE item_id = ? ORDER BY kind, value"
_ALIASES = (
    "SELECT chain, name, first_seen, last_seen FROM alias WHERE item_id = ? ORDER BY chain, name"
)
_PROMOTION_COLUMNS = ("id", "chain", *OFFER_COLUMNS, "link_method", "link_score", "first_seen",
                      "last_seen", "item_id")  # fmt: skip
_PROMOTIONS = (
    f"SELECT {', '.join(f'p.{name}' for name in _PROMOTION_COLUMNS)}, "  # noqa: S608 - the same
    "i.canonical_name, i.size_amount, i.size_unit "
    # `+` and no ORDER BY: else SQLite may walk all live rows, which are in this order.
    "FROM promotion p JOIN item i ON i.id = p.item_id WHERE +p.until_version IS NULL AND p.item_id"
)
_FACT = "SELECT fields FROM data_row WHERE source = ? AND key = ?"
# A publication between two reads is told by their versions; so many in a row are no publications.
_TRIES = 5

_T = TypeVar("_T")


@dataclass(frozen=True)
class Known:
    """What is known about one thing.

    Attributes:
        facts: of loaded data sources, by source and key. Staleness is that at the beginning of the
            Korean day, so that an answer is the same all day.
    """

    answer: Answer
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Shared:
    """What all answers of one version on one Korean day share."""

    version: int
    day: date
    chains: tuple[ChainStatus, ...]
    sources: tuple[LoadedSource, ...]


class Lookup:
    """Looks products up. Safe to share between threads, which wait for one another on SQLite.

    On SQLite a lookup takes some tens of microseconds and never waits for a writer, so that it may
    be called where nothing else must wait long, such as an event loop.

    Args:
        wait_s: how long to wait for a file that somebody has locked whole, seconds.
    """

    def __init__(self, database: Database, wait_s: float = 1.0) -> None:
        self._database = database
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._raw: sqlite3.Connection | None = None
        self._shared: Shared | None = None

    def by_barcode(self, code: str, now: datetime) -> Known:
        """Return what is known about a barcode as `barcodes.normalise` spells it."""
        return self.by_key(ItemKey(BARCODE, code), now)

    def by_key(self, key: ItemKey, now: datetime) -> Known:
        """Return what is known about the thing with a key; facts about the key itself too.

        Raises:
            InputError: the database is locked, damaged or gone.
        """
        values = (key.kind, key.value)
        return self._consistent(
            now, lambda rows, shared: _known(rows, _BY_KEY, values, key, shared, now)
        )

    def by_item(self, item_id: int, now: datetime) -> Known:
        """Return what is known about an item; raises InputError as `by_key`."""
        return self._consistent(
            now, lambda rows, shared: _known(rows, _BY_ID, (item_id,), None, shared, now)
        )

    def by_text(
        self, text: str, now: datetime, *, filters: Filters, limit: int, offered_only: bool
    ) -> TextAnswer:
        """Return the same as `reading.by_text`.

        Args:
            filters: chains and kinds; the other filters are not for this.

        Raises:
            InputError: the text is too long, the limit out of range, or as `by_key`.
        """
        most = SEARCHED if offered_only else limit
        wanted = (frozenset(map(str, filters.chains)), frozenset(map(str, filters.kinds)))

        def read(rows: Rows, shared: Shared) -> TextAnswer | None:
            found = candidates_in(rows, text, limit=most)
            offered = _promotions(rows, [one.item_id for one in found], *wanted)
            if int(rows(_VERSION)[0][0]) != shared.version:
                return None
            return text_answer_of(
                found, offered, shared.chains, shared.version, now, limit, offered_only
            )

        return self._consistent(now, read)

    def shared(self, now: datetime) -> Shared:
        """Return what all answers of the newest version share today."""
        with self._database.read() as connection:
            return Shared(
                now_version(connection),
                korean_day(now),
                chain_statuses(connection, now),
                tuple(loaded_sources(connection)),
            )

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._forget()

    def _consistent(self, now: datetime, read: Callable[[Rows, Shared], _T | None]) -> _T:
        """Read with what is shared, again if that is of another version: `read` says `None`."""
        day = korean_day(now)
        for _ in range(_TRIES):
            shared = self._shared
            if shared is not None and shared.day == day:
                with self._transaction() as rows:
                    found = read(rows, shared)
                if found is not None:
                    return found
            self._shared = self.shared(now)
        raise InputError(
            "Expected the catalog to keep still for some milliseconds. Received a new version at "
            "every try. Try again."
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Rows]:
        if self._database.path is None:
            with self._database.read() as connection:
                yield rows_of(connection)
            return
        with self._lock, self._database.clear_errors():
            raw = self._raw = self._raw or self._open()
            try:
                raw.execute("BEGIN")
                try:
                    yield _FileRows(raw)
                finally:
                    raw.execute("ROLLBACK")
            except sqlite3.Error:
                self._forget()
                raise

    def _open(self) -> sqlite3.Connection:
        raw = sqlite3.connect(
            f"{self._database.path.absolute().as_uri()}?mode=rw",  # type: ignore[union-attr]
            uri=True,
            timeout=self._wait_s,
            isolation_level=None,
            check_same_thread=False,
        )
        raw.execute("PRAGMA query_only = ON")
        raw.execute("PRAGMA cache_size = -16384")
        return raw

    def _forget(self) -> None:
        if self._raw is not None:
            with contextlib.suppress(sqlite3.Error):
                self._raw.close()
            self._raw = None


class _FileRows:
    dialect = "sqlite"

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def __call__(self, sql: str, values: tuple[object, ...] = ()) -> Sequence[Any]:
        return self._raw.execute(sql, values).fetchall()


def _known(
    rows: Rows,
    statement: str,
    values: tuple[object, ...],
    asked: ItemKey | None,
    shared: Shared,
    now: datetime,
) -> Known | None:
    """Return what is known, `None` where the catalog has another version than `shared`."""
    version, *fields = rows(statement, values)[0]
    if version != shared.version:
        return None
    item = _item(rows, fields) if fields[0] is not None else None
    promotions = _promotions(rows, [item.id]).get(item.id, []) if item is not None else []
    answer = answer_of(item, promotions, shared.chains, shared.version, now)
    if not shared.sources:
        return Known(answer, ())
    keys = {*(item.keys if item else ()), *([asked] if asked else [])}
    return Known(answer, _facts(rows, keys, shared))


def _item(rows: Rows, fields: Sequence[Any]) -> Item:
    keys = tuple(ItemKey(kind, value) for kind, value in rows(_KEYS, (fields[0],)))
    aliases = tuple(
        Alias(Chain(chain), name, _time(first), _time(last))
        for chain, name, first, last in rows(_ALIASES, (fields[0],))
    )
    item_id, name, maker, category, amount, unit = fields
    return Item(item_id, name, maker, category, amount, unit, keys, aliases)


def _promotions(
    rows: Rows,
    ids: Sequence[int],
    chains: frozenset[str] = frozenset(),
    kinds: frozenset[str] = frozenset(),
) -> dict[int, list[Promotion]]:
    """Return the live promotions of items by item, oldest first; of some chains and kinds only."""
    found: dict[int, list[Promotion]] = {}
    if not ids:
        return found
    for values in sorted(rows(f"{_PROMOTIONS} IN {marks(ids)}", tuple(ids)), key=itemgetter(0)):
        *columns, name, size_amount, size_unit = values
        row: dict[str, Any] = dict(zip(_PROMOTION_COLUMNS, columns, strict=True))
        if (chains and row["chain"] not in chains) or (kinds and row["kind"] not in kinds):
            continue
        row["valid_from"] = _day(row["valid_from"])
        row["valid_until"] = _day(row["valid_until"])
        row["valid_until_inferred"] = bool(row["valid_until_inferred"])
        promotion = Promotion(
            row["id"],
            offer_of(row["chain"], row),
            row["item_id"],
            name,
            size_amount,
            size_unit,
            row["link_method"],
            row["link_score"],
            _time(row["first_seen"]),
            _time(row["last_seen"]),
        )
        found.setdefault(promotion.item_id, []).append(promotion)
    return found


def _facts(rows: Rows, keys: set[ItemKey], shared: Shared) -> tuple[Fact, ...]:
    found: list[Fact] = []
    morning = start_of_day(shared.day)
    for loaded in shared.sources:
        source = loaded.source
        for key in sorted(key for key in keys if key.kind == source.key):
            for (fields,) in rows(_FACT, (source.name, key.value)):
                values = json.loads(fields) if isinstance(fields, str) else fields
                row = {one.name: values[one.name] for one in source.fields if one.name in values}
                stale = loaded.stale(morning)
                found.append(Fact(source, key, (row,), loaded.loaded_at, stale))
    return tuple(found)


@lru_cache(maxsize=256)
def _day(value: str | date) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


# Crawls are few: the same times come again and again.
@lru_cache(maxsize=1024)
def _time(value: str | datetime) -> datetime:
    """SQLite keeps times as text in UTC, PostgreSQL gives them in the session's zone."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value.astimezone(UTC)
