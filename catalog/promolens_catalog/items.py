"""Items: the things that are sold, found by any of their keys and called many names.

A key is a kind and a value: `barcode` (normalised), `class` (a recogniser's item id), `offer` (a
chain's own row where it shows no barcode). A key belongs to one item and never moves by itself.
Functions that take a connection belong into a transaction of `Database.write`, which has one
writer at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, insert, select, update

from promolens_catalog import barcodes
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.names import split_prefix
from promolens_catalog.offers import Offer
from promolens_catalog.schema import alias, item, item_key
from promolens_catalog.sizes import Size, parse_size
from promolens_catalog.statements import in_chunks, insert_into
from promolens_runtime.errors import InputError

BARCODE = "barcode"
CLASS = "class"
OFFER = "offer"
MAX_KEY_CHARACTERS = 300


@dataclass(frozen=True, order=True)
class ItemKey:
    """What names an item from outside; `value` is at most `MAX_KEY_CHARACTERS` long."""

    kind: str
    value: str


@dataclass(frozen=True)
class Wanted:
    """An item that must be there.

    Attributes:
        key: what it is found by, and gets if it has to be made.
        name: what a new one is called; its size and maker are read out of it.
        method: who ties the key to a new item: `exact`, `own`, `review`, `import`.
    """

    key: ItemKey
    name: str
    category: str | None = None
    method: str = "exact"


@dataclass(frozen=True)
class Sighting:
    """A chain called an item by this name."""

    item_id: int
    chain: Chain
    name: str


@dataclass(frozen=True)
class Alias:
    """A name that a chain uses or used for an item."""

    chain: Chain
    name: str
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True)
class Item:
    """A thing that is sold.

    Attributes:
        keys: sorted.
        aliases: by chain, then name.
        size_amount, size_unit: of one piece, `ml`, `g` or `count`; both or neither.
    """

    id: int
    name: str
    maker: str | None
    category: str | None
    size_amount: float | None
    size_unit: str | None
    keys: tuple[ItemKey, ...]
    aliases: tuple[Alias, ...]

    @property
    def barcodes(self) -> tuple[str, ...]:
        """Its barcodes, sorted."""
        return tuple(key.value for key in self.keys if key.kind == BARCODE)


def key_of(offer: Offer) -> ItemKey:
    """Return what names the thing that an offer sells: its barcode, else the chain's own row.

    `barcode:8809422041125`, `offer:seven:site:062386`, `offer:ministop:name:데자와밀크티250캔`.
    """
    if offer.barcode:
        return ItemKey(BARCODE, offer.barcode)
    return ItemKey(OFFER, f"{offer.chain}:{offer.key()}")


def wanted_by(offer: Offer) -> Wanted:
    """Return the item that an offer needs."""
    method = "exact" if offer.barcode else "own"
    return Wanted(key_of(offer), offer.name, offer.category, method)


def find(connection: Connection, keys: Iterable[ItemKey]) -> dict[ItemKey, int]:
    """Return the item id of each key that is known."""
    found: dict[ItemKey, int] = {}
    values: dict[str, list[str]] = {}
    for key in sorted(set(keys)):
        values.setdefault(key.kind, []).append(key.value)
    for kind, ours in values.items():
        # One kind at a time: PostgreSQL looks lists of pairs up one by one.
        for chunk in in_chunks(ours):
            wanted = (item_key.c.kind == kind, item_key.c.value.in_(chunk))
            for row in connection.execute(select(item_key).where(*wanted)):
                found[ItemKey(kind, row.value)] = row.item_id
    return found


def find_or_make(
    connection: Connection, wanted: Sequence[Wanted], now: datetime
) -> dict[ItemKey, int]:
    """Return the item id of every key; items that are not known are made.

    Several wishes for one new key make one item, by the first of them.
    """
    found = find(connection, (wish.key for wish in wanted))
    new: dict[ItemKey, Wanted] = {}
    for wish in wanted:
        if wish.key not in found:
            new.setdefault(wish.key, wish)
    if new:
        ids = _make(connection, list(new.values()), now)
        rows = [
            {"kind": key.kind, "value": key.value, "item_id": item_id, "method": new[key].method}
            for key, item_id in zip(new, ids, strict=True)
        ]
        connection.execute(insert(item_key), rows)
        found.update(zip(new, ids, strict=True))
    return found


def add_key(connection: Connection, item_id: int, key: ItemKey, method: str) -> None:
    """Tie a further key to an item; nothing happens if it is already its key.

    Raises:
        InputError: the key belongs to another item, or is too long or empty.
    """
    if not 0 < len(key.value) <= MAX_KEY_CHARACTERS:
        raise InputError(
            f"Expected a key of 1 to {MAX_KEY_CHARACTERS} characters. Received {len(key.value)}. "
            "Shorten it."
        )
    owner = find(connection, [key]).get(key)
    if owner not in (None, item_id):
        raise InputError(
            f"Expected a key that no other item has. Received {key.kind} {key.value!r} of item "
            f"{owner}. Take it from there first, or link the rows in the review queue."
        )
    if owner is None:
        row = {"kind": key.kind, "value": key.value, "item_id": item_id, "method": method}
        connection.execute(insert(item_key), row)


def note_names(connection: Connection, sightings: Iterable[Sighting], now: datetime) -> set[int]:
    """Record what chains call items, and let each item be called by its best name.

    Returns:
        Ids of the items that got a further name: those whose search row is out of date.
    """
    names = {(one.item_id, one.chain.value, one.name) for one in sightings}
    ids = sorted({item_id for item_id, _, _ in names})
    before = _names_of(connection, ids)
    rows = [
        {"item_id": i, "chain": chain, "name": name, "first_seen": now, "last_seen": now}
        for i, chain, name in sorted(names)
    ]
    if rows:
        connection.execute(_noting(connection), rows)
    changed = {i for i, _, name in names if name not in before.get(i, ())}
    _rename(connection, changed)
    return changed


def best_name(names: Iterable[str]) -> str:
    """Return the name that tells most: one with a readable size, then the longest.

    Chains cut names off, at 12 to 25 characters; a longer one has lost less.

    Raises:
        ValueError: there is none.
    """
    return min(names, key=lambda name: (parse_size(name) is None, -len(name), name))


def get(connection: Connection, ids: Iterable[int]) -> dict[int, Item]:
    """Return items by id; ids that are not known are left out."""
    items: dict[int, Item] = {}
    for chunk in in_chunks(sorted(set(ids))):
        keys: dict[int, list[ItemKey]] = {}
        for row in connection.execute(select(item_key).where(item_key.c.item_id.in_(chunk))):
            keys.setdefault(row.item_id, []).append(ItemKey(row.kind, row.value))
        aliases: dict[int, list[Alias]] = {}
        order = (alias.c.chain, alias.c.name)
        query = select(alias).where(alias.c.item_id.in_(chunk)).order_by(*order)
        for row in connection.execute(query):
            called = Alias(Chain(row.chain), row.name, row.first_seen, row.last_seen)
            aliases.setdefault(row.item_id, []).append(called)
        for row in connection.execute(select(item).where(item.c.id.in_(chunk)).order_by(item.c.id)):
            items[row.id] = Item(
                row.id,
                row.canonical_name,
                row.maker,
                row.category,
                row.size_amount,
                row.size_unit,
                tuple(sorted(keys.get(row.id, ()))),
                tuple(aliases.get(row.id, ())),
            )
    return items


def by_key(database: Database, kind: str, value: str) -> Item | None:
    """Return the item with this key, `None` where there is none; barcodes in any spelling."""
    spelled = barcodes.normalise(value) if kind == BARCODE else value
    if not spelled or len(spelled) > MAX_KEY_CHARACTERS:
        return None
    with database.read() as connection:
        found = find(connection, [ItemKey(kind, spelled)])
        return next(iter(get(connection, found.values()).values()), None)


def _make(connection: Connection, wanted: Sequence[Wanted], now: datetime) -> list[int]:
    rows = [
        {**_read_name(wish.name), "category": wish.category, "created_at": now} for wish in wanted
    ]
    statement = insert(item).returning(item.c.id, sort_by_parameter_order=True)
    return [int(row_id) for row_id in connection.execute(statement, rows).scalars()]


def _read_name(name: str) -> dict[str, Any]:
    """Return the columns of `item` that a name tells."""
    size = parse_size(name)
    return {
        "canonical_name": name,
        "maker": split_prefix(name)[0] or None,
        "size_amount": _amount(size),
        "size_unit": size.unit if size else None,
    }


def _amount(size: Size | None) -> float | None:
    return float(size.amount) if size else None


def _names_of(connection: Connection, ids: Iterable[int]) -> Mapping[int, set[str]]:
    names: dict[int, set[str]] = {}
    for chunk in in_chunks(ids):
        query = select(alias.c.item_id, alias.c.name).where(alias.c.item_id.in_(chunk))
        for row in connection.execute(query):
            names.setdefault(row.item_id, set()).add(row.name)
    return names


def _noting(connection: Connection) -> Any:
    """Return the statement that widens an alias's time; imports may come after newer crawls."""
    new = insert_into(connection, alias)
    first, last = new.excluded.first_seen, new.excluded.last_seen
    return new.on_conflict_do_update(
        index_elements=[alias.c.item_id, alias.c.chain, alias.c.name],
        set_={
            "first_seen": case((first < alias.c.first_seen, first), else_=alias.c.first_seen),
            "last_seen": case((last > alias.c.last_seen, last), else_=alias.c.last_seen),
        },
    )


def _rename(connection: Connection, ids: Iterable[int]) -> None:
    """Give items their best name, where another one is the best now."""
    names = _names_of(connection, sorted(ids))
    rows: list[dict[str, Any]] = []
    for chunk in in_chunks(sorted(names)):
        query = select(item.c.id, item.c.canonical_name).where(item.c.id.in_(chunk))
        for row in connection.execute(query):
            called = {*names[row.id], row.canonical_name}
            best = best_name(called) if len(called) > 1 else row.canonical_name
            if best != row.canonical_name:
                rows.append({"row_id": row.id, **_read_name(best)})
    if rows:
        connection.execute(update(item).where(item.c.id == bindparam("row_id")), rows)


def count(connection: Connection) -> int:
    """Return how many items there are."""
    return int(connection.execute(select(func.count()).select_from(item)).scalar_one())
