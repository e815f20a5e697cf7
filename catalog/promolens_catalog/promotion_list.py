"""Published promotions with their items: filtered, ordered, and paged by version.

A page names its version. Asked for with it, the other pages are of the very same list, so that they
fit together whatever is published between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from math import lcm
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Row,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    select,
    tuple_,
)

from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, now_version
from promolens_catalog.deals import Deal, Order, best_first, deal_of, price_per_100
from promolens_catalog.kinds import KINDS, Kind
from promolens_catalog.links import CERTAIN_METHODS
from promolens_catalog.offers import Offer
from promolens_catalog.rows import offer_of
from promolens_catalog.schema import item, promotion
from promolens_catalog.snapshots import live_at
from promolens_catalog.statements import in_chunks
from promolens_runtime.errors import InputError

MAX_LIMIT = 500

Place = tuple[int | float | datetime, ...]
"""What a row is ordered by: a page that begins after it needs no count of the rows before."""


class Sort(StrEnum):
    """In which order a list comes."""

    UNIT_PRICE = "unit-price"
    PER_100 = "per-100"
    NEWEST = "newest"


@dataclass(frozen=True)
class Filters:
    """Which promotions are asked for; empty and `None` mean all.

    Attributes:
        category: the chain's own section, exactly.
        min_price_krw, max_price_krw: of one piece at the till, ends included.
        on: only those valid on this Korean calendar day.
        item_id: only those of this item.
        words: only those whose name has each of these, blanks left out, case as it is for letters
            beyond a to z.
    """

    chains: frozenset[Chain] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    category: str | None = None
    min_price_krw: int | None = None
    max_price_krw: int | None = None
    on: date | None = None
    item_id: int | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Promotion:
    """A published promotion and the item that it is of.

    Attributes:
        item_name: what the item is called; `offer.name` is what the chain calls it.
        size_amount, size_unit: of one piece: `ml`, `g` or `count`.
        link_method, link_score: how the row came to its item.
        first_seen, last_seen: when crawls saw the row, UTC.
    """

    id: int
    offer: Offer
    item_id: int
    item_name: str
    size_amount: float | None
    size_unit: str | None
    link_method: str
    link_score: float | None
    first_seen: datetime
    last_seen: datetime

    @property
    def guessed(self) -> bool:
        """A matching method took the row for one of its item: no barcode and no person did."""
        return self.link_method not in CERTAIN_METHODS

    @property
    def order(self) -> Order:
        """`deals.best_first` of it."""
        return best_first(self.offer, guessed=self.guessed)

    @property
    def deal(self) -> Deal:
        """What one piece costs with it."""
        return deal_of(self.offer)

    @property
    def price_per_100(self) -> Fraction | None:
        """Exact won for 100 ml or 100 g; `None` where the size is counted or not known."""
        return price_per_100(self.deal.unit_price, self.size_amount, self.size_unit)

    def valid_on(self, day: date) -> bool:
        """Say whether it holds on a Korean calendar day."""
        return self.offer.valid_from <= day <= self.offer.valid_until


@dataclass(frozen=True)
class PromotionPage:
    """A part of a list.

    Attributes:
        version: give it back to get the rest of the very same list.
        total: rows of the whole list.
        next_offset: where the rest begins; `None` at the end.
        next_place: the same as a place in the order, for `after`.
    """

    version: int
    total: int
    promotions: tuple[Promotion, ...]
    next_offset: int | None
    next_place: Place | None = None


def promotions(
    database: Database,
    filters: Filters | None = None,
    *,
    sort: Sort = Sort.UNIT_PRICE,
    limit: int = 50,
    offset: int = 0,
    after: Place | None = None,
    version: int | None = None,
) -> PromotionPage:
    """Return a page of all promotions that are live, or were at a version.

    By unit price, what is cheapest for one piece comes first; by price for 100 ml or g, rows of no
    measured size come last; newest are those that crawls saw first at the latest time. Ask for the
    first page without a version and for the others with that of the first: then every row comes
    exactly once, whatever is published meanwhile. (Order by size is the items' of now: an item
    whose size is learnt between two pages may come twice or not. By `after` it is only that item,
    by `offset` others may move with it.)

    Args:
        limit: 1 to `MAX_LIMIT`.
        after: `next_place` of the page before, in place of an offset.

    Raises:
        InputError: limit, offset, place or version is out of range.
    """
    with database.read() as connection:
        return page_in(
            connection, filters, sort=sort, limit=limit, offset=offset, after=after, version=version
        )


def page_in(
    connection: Connection,
    filters: Filters | None = None,
    *,
    sort: Sort = Sort.UNIT_PRICE,
    limit: int = 50,
    offset: int = 0,
    after: Place | None = None,
    version: int | None = None,
) -> PromotionPage:
    """Do the same as `promotions` within a transaction that is already open."""
    newest = now_version(connection)
    at = newest if version is None else version
    if not (1 <= limit <= MAX_LIMIT and 0 <= offset < 2**31 and 0 <= at <= newest):
        raise InputError(
            f"Expected a limit of 1 to {MAX_LIMIT}, an offset of 0 or more and a version of at "
            f"most {newest}. Received {limit}, {offset} and {at}. Change them."
        )
    chosen = and_(live_at(at), *_conditions(filters or Filters()))
    count = select(func.count()).select_from(promotion).where(chosen)
    total = int(connection.execute(count).scalar_one())
    query = _page_query(sort, after).where(chosen).limit(limit + 1).offset(offset)
    ahead = connection.execute(query).all()
    found = ahead[:limit]
    rows = tuple(_promotion_of(row) for row in found)
    place = tuple(found[-1][-len(_order(sort)) :]) if len(ahead) > limit else None
    end = offset + len(rows)
    more = after is None and len(ahead) > limit
    return PromotionPage(at, total, rows, end if more else None, place)


def _page_query(sort: Sort, after: Place | None) -> Select[Any]:
    order = _order(sort)
    query = _rows().add_columns(*order)
    if after is not None:
        if len(after) != len(order):
            raise InputError(
                f"Expected a place of {len(order)} values for this order. Received {len(after)}. "
                "Take next_place of a page in the same order."
            )
        ours, theirs = tuple_(*order), tuple_(*after)
        query = query.where(ours < theirs if sort is Sort.NEWEST else ours > theirs)
    return query.order_by(*(one.desc() if sort is Sort.NEWEST else one for one in order))


def of_items(
    connection: Connection, ids: Iterable[int], filters: Filters
) -> dict[int, list[Promotion]]:
    """Return the live promotions of items, by item, oldest first."""
    found: dict[int, list[Promotion]] = {}
    for chunk in in_chunks(sorted(set(ids))):
        query = _rows().where(live_at(), promotion.c.item_id.in_(chunk), *_conditions(filters))
        # Ordered here: SQLite would rather walk all live rows, which are in this order.
        for row in sorted(connection.execute(query), key=lambda row: row.id):
            found.setdefault(row.item_id, []).append(_promotion_of(row))
    return found


def _rows() -> Select[Any]:
    return select(promotion, item.c.canonical_name, item.c.size_amount, item.c.size_unit).join(
        item, item.c.id == promotion.c.item_id
    )


def _promotion_of(row: Row[Any]) -> Promotion:
    return Promotion(
        id=row.id,
        offer=offer_of(row.chain, row._mapping),
        item_id=row.item_id,
        item_name=row.canonical_name,
        size_amount=row.size_amount,
        size_unit=row.size_unit,
        link_method=row.link_method,
        link_score=row.link_score,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
    )


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    table = promotion.c
    found: list[ColumnElement[bool]] = []
    if filters.chains:
        found.append(table.chain.in_(sorted(map(str, filters.chains))))
    if filters.kinds:
        found.append(table.kind.in_(sorted(map(str, filters.kinds))))
    if filters.category is not None:
        found.append(table.category == filters.category)
    if filters.min_price_krw is not None:
        found.append(table.price_krw >= filters.min_price_krw)
    if filters.max_price_krw is not None:
        found.append(table.price_krw <= filters.max_price_krw)
    if filters.on is not None:
        found.append(and_(table.valid_from <= filters.on, table.valid_until >= filters.on))
    if filters.item_id is not None:
        found.append(table.item_id == filters.item_id)
    packed = func.lower(func.replace(table.name, " ", ""))
    found += [packed.contains(word.lower(), autoescape=True) for word in filters.words]
    return found


def _unit_price_parts() -> tuple[ColumnElement[int], int]:
    """Return the unit price as an exact whole number of parts of a won, and the parts."""
    parts = lcm(*(info.buy_n + info.get_m for info in KINDS.values() if info.buy_n))
    weights = {
        str(info.kind): parts * info.buy_n // (info.buy_n + info.get_m)
        for info in KINDS.values()
        if info.buy_n
    }
    weight = case(weights, value=promotion.c.kind, else_=parts)
    return promotion.c.price_krw * weight, parts


def _order(sort: Sort) -> tuple[ColumnElement[Any], ...]:
    """Return what rows are ordered by; no value is NULL, so that places can be compared."""
    if sort is Sort.NEWEST:
        return promotion.c.first_seen, promotion.c.id
    price, parts = _unit_price_parts()
    if sort is Sort.UNIT_PRICE:
        return price, promotion.c.id
    measured = and_(item.c.size_unit.in_(("ml", "g")), item.c.size_amount > 0)
    per_100 = cast(price, Float) * 100 / (item.c.size_amount * literal(parts, Float))
    # `CASE` first: an engine may not divide where there is nothing to divide by.
    value = case((measured, per_100), else_=literal(0.0, Float))
    return case((measured, 0), else_=1), value, price, promotion.c.id
