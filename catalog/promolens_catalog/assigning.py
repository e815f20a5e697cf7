"""New rows of a publication, and which item each of them is.

Rows with a barcode stay in the database all the way; only what needs thought comes into Python:
products that nobody knows yet, and rows without a barcode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Float,
    RowMapping,
    Subquery,
    and_,
    cast,
    exists,
    func,
    insert,
    literal,
    null,
    select,
    tuple_,
    update,
)

from promolens_catalog import items, search
from promolens_catalog.chains import Chain
from promolens_catalog.column_types import StorableText
from promolens_catalog.links import Link, Linker
from promolens_catalog.offers import Offer
from promolens_catalog.rows import OFFER_COLUMNS, content_hash, offer_of
from promolens_catalog.schema import alias, item_key, link_candidate, promotion, staged_offer
from promolens_catalog.snapshots import live_at
from promolens_catalog.statements import in_chunks, insert_into

BARCODE, REVIEW, OWN = "barcode", "review", "own"


@dataclass(frozen=True)
class NewRows:
    """Where new rows belong.

    Attributes:
        snapshot_id, version: of the publication.
        seen_at: when the crawl saw them.
    """

    chain: Chain
    snapshot_id: int
    version: int
    seen_at: datetime


def put_rows(
    connection: Connection, crawl_id: int, place: NewRows, linker: Linker | None
) -> set[int]:
    """Insert the staged rows that do not live yet, each with its item.

    Equal rows of several pages are one row.

    Returns:
        The ids of the items that are new or got a further name.
    """
    new = _new_rows(crawl_id, place.chain)
    _make_unknown(connection, new, place)
    _put_coded(connection, new, place)
    _put_uncoded(connection, new, place, linker)
    return _note_names(connection, place)


def _new_rows(crawl_id: int, chain: Chain) -> Subquery:
    """Return the staged rows that do not live yet, each once: where it was read first."""
    lives = exists().where(
        promotion.c.chain == str(chain),
        promotion.c.content_hash == staged_offer.c.content_hash,
        live_at(),
    )
    read_order = (staged_offer.c.listing, staged_offer.c.number, staged_offer.c.position)
    nth = func.row_number().over(partition_by=staged_offer.c.content_hash, order_by=read_order)
    rows = (
        select(staged_offer, nth.label("nth"))
        .where(staged_offer.c.crawl_id == crawl_id, ~lives)
        .subquery()
    )
    return select(rows).where(rows.c.nth == 1).subquery("new_row")


def _in_read_order(rows: Subquery) -> tuple[Any, ...]:
    return (rows.c.listing, rows.c.number, rows.c.position)


def _make_unknown(connection: Connection, new: Subquery, place: NewRows) -> None:
    """Make an item for each barcode that nobody knows yet."""
    known = and_(item_key.c.kind == items.BARCODE, item_key.c.value == new.c.barcode)
    query = (
        select(new)
        .outerjoin(item_key, known)
        .where(new.c.barcode.is_not(None), item_key.c.item_id.is_(None))
        .order_by(*_in_read_order(new))
    )
    offers = [offer_of(place.chain, row) for row in connection.execute(query).mappings()]
    if offers:
        items.find_or_make(connection, [items.wanted_by(offer) for offer in offers], place.seen_at)


def _put_coded(connection: Connection, new: Subquery, place: NewRows) -> None:
    """Insert the rows with a barcode; every barcode has its item by now."""
    known = and_(item_key.c.kind == items.BARCODE, item_key.c.value == new.c.barcode)
    link = (item_key.c.item_id, literal(BARCODE, StorableText()), cast(null(), Float))
    rows = (
        select(*(new.c[name] for name in OFFER_COLUMNS), *link, *_literals(place).values())
        .join(item_key, known)
        .order_by(*_in_read_order(new))
    )
    names = [*OFFER_COLUMNS, "item_id", "link_method", "link_score", *_literals(place)]
    connection.execute(insert(promotion).from_select(names, rows))


def _put_uncoded(
    connection: Connection, new: Subquery, place: NewRows, linker: Linker | None
) -> None:
    query = select(new).where(new.c.barcode.is_(None)).order_by(*_in_read_order(new))
    staged = list(connection.execute(query).mappings())
    if not staged:
        return
    offers = [offer_of(place.chain, row) for row in staged]
    links = _links(connection, offers, place, linker)
    common = _common(place)
    rows = [
        _promotion_row(row, links[offer], common) for row, offer in zip(staged, offers, strict=True)
    ]
    connection.execute(insert(promotion), rows)


def _promotion_row(row: RowMapping, link: Link, common: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in OFFER_COLUMNS},
        **common,
        "item_id": link.item_id,
        "link_method": link.method,
        "link_score": link.score,
    }


def _common(place: NewRows) -> dict[str, Any]:
    return {
        "chain": str(place.chain),
        "first_seen": place.seen_at,
        "last_seen": place.seen_at,
        "from_version": place.version,
        "from_snapshot_id": place.snapshot_id,
    }


def _literals(place: NewRows) -> dict[str, Any]:
    return {name: literal(value, promotion.c[name].type) for name, value in _common(place).items()}


def _note_names(connection: Connection, place: NewRows) -> set[int]:
    """Note what the chain calls its items now; return those whose names are more than before."""
    named = (promotion.c.item_id, promotion.c.name)
    ours = (promotion.c.chain == str(place.chain), live_at())
    connection.execute(
        update(alias)
        .where(alias.c.chain == str(place.chain), alias.c.last_seen < place.seen_at)
        .where(tuple_(alias.c.item_id, alias.c.name).in_(select(*named).where(*ours)))
        .values(last_seen=place.seen_at)
    )
    noted = exists().where(
        alias.c.item_id == promotion.c.item_id,
        alias.c.chain == promotion.c.chain,
        alias.c.name == promotion.c.name,
    )
    query = select(*named).where(*ours, promotion.c.from_version == place.version, ~noted)
    sightings = [
        items.Sighting(row.item_id, place.chain, row.name)
        for row in connection.execute(query.distinct())
    ]
    changed = items.note_names(connection, sightings, place.seen_at)
    search.index_items(connection, changed)
    return changed


def _links(
    connection: Connection, offers: Sequence[Offer], place: NewRows, linker: Linker | None
) -> dict[Offer, Link]:
    """Return where each row without a barcode belongs; every link has an item."""
    links = _reviewed(connection, offers)
    open_ones = [offer for offer in offers if offer not in links]
    if linker is not None and open_ones:
        found = list(zip(open_ones, linker(connection, open_ones), strict=True))
        links |= {offer: link for offer, link in found if link.item_id is not None}
        _queue(connection, found, place.seen_at)
    own = [offer for offer in offers if offer not in links]
    ids = items.find_or_make(connection, [items.wanted_by(offer) for offer in own], place.seen_at)
    return links | {offer: Link(ids[items.key_of(offer)], OWN) for offer in own}


def _reviewed(connection: Connection, offers: Sequence[Offer]) -> dict[Offer, Link]:
    """Return the rows that a person has tied to an item, perhaps in an earlier month."""
    decided: dict[str, int] = {}
    keys = {items.key_of(offer).value for offer in offers}
    for chunk in in_chunks(sorted(keys)):
        query = select(item_key.c.value, item_key.c.item_id).where(
            item_key.c.kind == items.OFFER,
            item_key.c.method == REVIEW,
            item_key.c.value.in_(chunk),
        )
        decided |= {row.value: row.item_id for row in connection.execute(query)}
    return {
        offer: Link(decided[items.key_of(offer).value], REVIEW)
        for offer in offers
        if items.key_of(offer).value in decided
    }


def _queue(connection: Connection, found: Sequence[tuple[Offer, Link]], now: datetime) -> None:
    """Put doubtful links before a person; what was decided about a row stays decided."""
    rows: list[dict[str, Any]] = [
        {
            "chain": str(offer.chain),
            "offer_key": offer.key(),
            "name": offer.name,
            "price_krw": offer.price_krw,
            "content_hash": content_hash(offer),
            "item_id": candidate.item_id,
            "score": candidate.score,
            "method": link.method,
            "state": "open",
            "created_at": now,
        }
        for offer, link in found
        for candidate in link.candidates
    ]
    if rows:
        new = insert_into(connection, link_candidate)
        newest = ("name", "price_krw", "content_hash", "score", "method")
        statement = new.on_conflict_do_update(
            index_elements=["chain", "offer_key", "item_id"],
            set_={name: new.excluded[name] for name in newest},
            where=link_candidate.c.state == "open",
        )
        connection.execute(statement, rows)
