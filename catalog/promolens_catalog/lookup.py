"""One product looked up at once: what `reading` answers, and facts, in one quick transaction.

A server answers most requests from here. `reading` says the same with a query for each part, each
made and read by SQLAlchemy; here the statements are text that the driver prepares once, on a
connection that stays open (SQLite) or comes from the pool (PostgreSQL). Tests hold both to say the
same. What all answers of a version share (the chains, the data sources) is read once a version.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

from promolens_catalog.calendar import korean_day, start_of_day
from promolens_catalog.chain_status import ChainStatus, chain_statuses
from promolens_catalog.chains import Chain
from promolens_catalog.completion import Completion, complete_in
from promolens_catalog.data_sources import Fact, LoadedSource, loaded_sources
from promolens_catalog.database import Database, now_version
from promolens_catalog.held_file import HeldFile
from promolens_catalog.items import BARCODE, Alias, Item, ItemKey
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Offer
from promolens_catalog.plain_sql import Rows, marks, rows_of
from promolens_catalog.promotion_list import Filters, Promotion
from promolens_catalog.reading import SEARCHED, Answer, TextAnswer, answer_of, text_answer_of
from promolens_catalog.rows import OFFER_COLUMNS, offer_of
from promolens_catalog.search import Candidate, best_in
from promolens_runtime.errors import InputError

_VERSION = "SELECT version FROM catalog_version"
# The content's name among its likes says nothing in an answer.
_STATED_COLUMNS = tuple(name for name in OFFER_COLUMNS if name not in ("content_hash", "offer_key"))
_PROMOTION_COLUMNS = (
    *("id", "chain"),
    *_STATED_COLUMNS,
    *("link_method", "link_score", "first_seen", "last_seen"),
)
_GIFT_COLUMNS = tuple(name for name in OFFER_COLUMNS if name.startswith("gift_"))
_PROMOTION_TEXT = ", ".join(f"p.{name}" for name in _PROMOTION_COLUMNS)
# `+` and no ORDER BY: else SQLite may walk all live rows, which are in this order.
_LIVE = "LEFT JOIN promotion p ON p.item_id = i.id AND +p.until_version IS NULL"
# Keys and names come as JSON: each further statement costs as much as its rows.
_PARTS = {
    "sqlite": (
        "json_array("
        "(SELECT json_group_array(json_array(kind, value)) FROM item_key WHERE item_id = t.id), "
        "(SELECT json_group_array(json_array(chain, name, first_seen, last_seen)) "
        "FROM alias WHERE item_id = t.id))"
    ),
    "postgresql": (
        "json_build_array("
        "(SELECT json_agg(json_build_array(kind, value)) FROM item_key WHERE item_id = t.id), "
        "(SELECT json_agg(json_build_array(chain, name, first_seen, last_seen)) "
        "FROM alias WHERE item_id = t.id))"
    ),
}
# One row for each promotion, at least one; materialised, or keys and names were read for each.
_ITEM = {
    dialect: (
        "WITH i AS MATERIALIZED (SELECT (SELECT version FROM catalog_version) AS version, "  # noqa: S608 - our own text
        "t.canonical_name, t.size_amount, t.size_unit, t.id, t.maker, t.category, "
        f"{parts} AS parts FROM (SELECT 1) one "
        "LEFT JOIN item t ON t.id = {item_id}) "
        f"SELECT i.*, {_PROMOTION_TEXT} FROM i {_LIVE}"
    )
    for dialect, parts in _PARTS.items()
}
# A key is looked up within the condition: joined, SQLite would make a filter of all keys first.
_BY_KEY = "(SELECT item_id FROM item_key WHERE kind = ? AND value = ?)"
_BY_ID = "?"
_OFFERED = (
    f"SELECT i.canonical_name, i.size_amount, i.size_unit, i.id, {_PROMOTION_TEXT} "  # noqa: S608 - the same
    f"FROM item i {_LIVE} WHERE i.id IN"
)
# Where the columns of the promotion begin in `_ITEM`.
_PROMOTION_AT = 8
_FACT = "SELECT fields FROM data_row WHERE source = ? AND key = ?"
# Products are asked for in no order, so that more would keep nothing that comes again.
CACHE_KIB = 4_096
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
        cache_kib: pages of the file that are kept. Searches read the same index and names again and
            again: of 50,000 products that is 9 MB, and a page that is not kept costs a call of the
            system.
    """

    def __init__(self, database: Database, wait_s: float = 1.0, cache_kib: int = CACHE_KIB) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._held = HeldFile(database, wait_s, cache_kib)
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
        today = korean_day(now)

        def read(rows: Rows, shared: Shared) -> TextAnswer | None:
            scores = best_in(rows, text, limit=most)
            ids = list(scores)
            # Where only what is offered is shown, the best few candidates are mostly enough.
            step = limit + limit // 2 if offered_only else len(ids)
            names: dict[int, str] = {}
            offered: dict[int, list[Promotion]] = {}
            for start in range(0, len(ids), max(step, 1)):
                _read_offered(rows, ids[start : start + step], *wanted, names, offered)
                if offered_only and _offered(offered, today) >= limit:
                    break
            if int(rows(_VERSION)[0][0]) != shared.version:
                return None
            found = [Candidate(one, name, scores[one]) for one, name in names.items()]
            return text_answer_of(
                found, offered, shared.chains, shared.version, now, limit, offered_only
            )

        return self._consistent(now, read, many=True)

    def complete(self, typed: str, now: datetime, limit: int) -> tuple[int, tuple[Completion, ...]]:
        """Return the newest version and what `completion.complete` says; raises InputError."""

        def read(rows: Rows, shared: Shared) -> tuple[int, tuple[Completion, ...]] | None:
            found = complete_in(rows, typed, limit=limit)
            if int(rows(_VERSION)[0][0]) != shared.version:
                return None
            return shared.version, found

        return self._consistent(now, read, many=True)

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
            self._held.forget()

    def _consistent(
        self, now: datetime, read: Callable[[Rows, Shared], _T | None], *, many: bool = False
    ) -> _T:
        """Read with what is shared, again if that is of another version: `read` says `None`.

        `read` asks for the version last. Versions only rise, so what lies between two equal ones
        is of that version.
        """
        day = korean_day(now)
        for _ in range(_TRIES):
            shared = self._shared
            if shared is not None and shared.day == day:
                found = self._read(read, shared, many)
                if found is not None:
                    return found
            self._shared = self.shared(now)
        raise InputError(
            "Expected the catalog to keep still for some milliseconds. Received a new version at "
            "every try. Try again."
        )

    def _read(
        self, read: Callable[[Rows, Shared], _T | None], shared: Shared, many: bool
    ) -> _T | None:
        """Read once. On a file each statement sees the newest version, and `read` asks last
        whether that is still the one it began with: no transaction is needed. For many statements
        one is cheaper than the locks of each."""
        if self._database.path is None:
            with self._database.read() as connection:
                return read(rows_of(connection), shared)
        with self._lock:
            try:
                raw = self._held.opened()
                if not many:
                    return read(_FileRows(raw), shared)
                raw.execute("BEGIN")
                try:
                    return read(_FileRows(raw), shared)
                finally:
                    raw.execute("COMMIT")
            except sqlite3.Error:
                self._held.forget()
                with self._database.clear_errors():
                    raise


class _FileRows:
    dialect = "sqlite"

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def __call__(self, sql: str, values: tuple[object, ...] = ()) -> Sequence[Any]:
        return self._raw.execute(sql, values).fetchall()


def _known(
    rows: Rows,
    item_id: str,
    values: tuple[object, ...],
    asked: ItemKey | None,
    shared: Shared,
    now: datetime,
) -> Known | None:
    """Return what is known, `None` where the catalog has another version than `shared`."""
    # Rows of one product: what is not a promotion's is the same in each.
    found = rows(_ITEM[rows.dialect].format(item_id=item_id), values)
    first: list[Any] = list(found[0][:_PROMOTION_AT])
    version, *about, parts = first
    if version != shared.version:
        return None
    # SQLite gives JSON as text, psycopg has read it; PostgreSQL's sum of no rows is null.
    loaded: list[Any] = json.loads(parts) if isinstance(parts, str) else parts
    spelled: list[Any] = loaded[0] or []
    keys = tuple(ItemKey(kind, value) for kind, value in sorted(spelled))
    facts: tuple[Fact, ...] = ()
    if shared.sources:
        facts = _facts(rows, {*keys, asked} if asked else set(keys), shared)
    item = _item(about, keys, loaded[1]) if about[3] is not None else None
    promotions = [_promotion(about, row[_PROMOTION_AT:]) for row in _live(found, _PROMOTION_AT)]
    return Known(answer_of(item, promotions, shared.chains, shared.version, now), facts)


def _live(rows: Sequence[Any], at: int) -> Sequence[Any]:
    """Return the rows that have a promotion, oldest first; it begins in column `at`."""
    live = [row for row in rows if row[at] is not None]
    return sorted(live, key=itemgetter(at)) if len(live) > 1 else live


def _item(about: Sequence[Any], keys: tuple[ItemKey, ...], names: list[Any] | None) -> Item:
    aliases = tuple(
        Alias(Chain(chain), name, utc(first), utc(last))
        for chain, name, first, last in sorted(names or ())
    )
    name, amount, unit, item_id, maker, category = about
    return Item(item_id, name, maker, category, amount, unit, keys, aliases)


def _read_offered(
    rows: Rows,
    ids: Sequence[int],
    chains: frozenset[str],
    kinds: frozenset[str],
    names: dict[int, str],
    offered: dict[int, list[Promotion]],
) -> None:
    """Add the names of items, in their order, and their live promotions, oldest first.

    Args:
        chains, kinds: of promotions that count; all where empty.
    """
    found = rows(f"{_OFFERED} {marks(ids)}", tuple(ids))
    called: dict[int, str] = {row[3]: row[0] for row in found}
    names.update((one, called[one]) for one in ids)
    for row in _live(found, 4):
        promotion = _promotion(row, row[4:])
        offer = promotion.offer
        if (not chains or offer.chain in chains) and (not kinds or offer.kind in kinds):
            offered.setdefault(promotion.item_id, []).append(promotion)


def _offered(found: dict[int, list[Promotion]], today: date) -> int:
    return sum(any(one.valid_on(today) for one in some) for some in found.values())


def _promotion(about: Sequence[Any], values: Sequence[Any]) -> Promotion:
    """Return a promotion; `about` begins with its item's name, size amount, size unit and id."""
    number, chain, *stated, method, score, first_seen, last_seen = values
    row: dict[str, Any] = dict(zip(_STATED_COLUMNS, stated, strict=True))
    row["valid_from"] = _day(row["valid_from"])
    row["valid_until"] = _day(row["valid_until"])
    row["valid_until_inferred"] = bool(row["valid_until_inferred"])
    return _filled(
        Promotion,
        id=number,
        offer=_offer(chain, row),
        item_id=about[3],
        item_name=about[0],
        size_amount=about[1],
        size_unit=about[2],
        link_method=method,
        link_score=score,
        first_seen=utc(first_seen),
        last_seen=utc(last_seen),
    )


def _offer(chain: str, row: dict[str, Any]) -> Offer:
    if row["gift_name"] is not None:
        return offer_of(chain, row)
    for name in _GIFT_COLUMNS:
        del row[name]
    row["chain"], row["kind"], row["gift"] = Chain(chain), Kind(row["kind"]), None
    return _filled(Offer, **row)


def _filled(made_as: type[_T], /, **fields: Any) -> _T:
    """Return a dataclass with all its fields given; frozen ones take four times as long to set
    them one by one, and a search makes dozens."""
    made = object.__new__(made_as)
    made.__dict__.update(fields)
    return made


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
def utc(value: str | datetime) -> datetime:
    """Return a time: SQLite keeps text in UTC, PostgreSQL gives the session's zone."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
