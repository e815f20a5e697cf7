"""A product's answer straight from the rows, for the request that comes most often.

`views.known_json` makes the same of the catalog's objects, which cost more to make than the query.
Tests hold both to be equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Any

from promolens_catalog.deals import deal_of_terms
from promolens_catalog.items import BARCODE, OFFER
from promolens_catalog.kinds import Kind
from promolens_catalog.lookup import RAW_PROMOTION, Raw, utc
from promolens_catalog.reading import status_of
from promolens_server.views import Json, fact_json, figures, per_100, utc_text

_AT = {name: place for place, name in enumerate(RAW_PROMOTION)}
_FROM, _UNTIL, _KIND, _PRICE = (
    _AT[name] for name in ("valid_from", "valid_until", "kind", "price_krw")
)
_GIFT_NAME, _GIFT_PRICE = _AT["gift_name"], _AT["gift_price_krw"]
_CHAIN, _KEY = _AT["chain"], _AT["offer_key"]


def raw_json(raw: Raw, day: date) -> Json:
    """Return what is known of a product on a Korean day, without `chains`."""
    today = day.isoformat()
    rows = [row for row in raw.promotions if str(row[_FROM]) <= today <= str(row[_UNTIL])]
    over = [row for row in raw.promotions if str(row[_UNTIL]) < today]
    shared = raw.shared
    return {
        "status": str(status_of(raw.item is not None, bool(rows), shared.chains)),
        "version": shared.version,
        "day": today,
        "product": _product(raw) if raw.item is not None else None,
        "promotions": list(_best_first(rows)),
        "expired": list(_best_first(over)),
        "facts": [fact_json(fact) for fact in raw.facts],
    }


def _product(raw: Raw) -> Json:
    assert raw.item is not None
    item_id, name, maker, category, amount, unit = raw.item
    return {
        "id": item_id,
        "name": name,
        "maker": maker,
        "category": category,
        "size_amount": amount,
        "size_unit": unit,
        "barcodes": [value for kind, value in raw.keys if kind == BARCODE],
        "keys": [{"kind": kind, "value": value} for kind, value in raw.keys if kind != OFFER],
        "names": [
            {"chain": chain, "name": spelled, "first_seen": _seen(first), "last_seen": _seen(last)}
            for chain, spelled, first, last in raw.names
        ],
    }


def _best_first(rows: list[Any]) -> Iterator[Json]:
    return map(_promotion, sorted(rows, key=_order) if len(rows) > 1 else rows)


def _order(row: Sequence[Any]) -> tuple[Fraction, int, int, str, str]:
    """As `deals.best_first`."""
    gift_krw = row[_GIFT_PRICE] if row[_GIFT_NAME] is not None else None
    unit, gift, pieces = _terms(row[_KIND], row[_PRICE], gift_krw)
    return unit, gift, pieces, row[_CHAIN], row[_KEY]


@lru_cache(maxsize=4096)
def _terms(kind: str, price_krw: int, gift_krw: int | None) -> tuple[Fraction, int, int]:
    deal = deal_of_terms(Kind(kind), price_krw, None, gift_krw)
    return deal.unit_price, -(deal.gift_value_krw or 0), deal.pieces


def _promotion(values: Sequence[Any]) -> Json:
    row: Json = dict(zip(RAW_PROMOTION, values, strict=True))
    kind = Kind(row["kind"])
    unit, pieces, regular, saving = figures(kind, row["price_krw"], row["regular_price_krw"])
    return {
        "id": row["id"],
        "item_id": row["item_id"],
        "item_name": row["item_name"],
        "chain": row["chain"],
        "name": row["name"],
        "kind": row["kind"],
        "price_krw": row["price_krw"],
        "unit_price_krw": unit,
        "pieces": pieces,
        "regular_price_krw": regular,
        "saving_percent": saving,
        "gift": _gift(row) if row["gift_name"] is not None else None,
        "barcode": row["barcode"],
        "category": row["category"],
        "image_url": row["image_url"],
        "valid_from": str(row["valid_from"]),
        "valid_until": str(row["valid_until"]),
        "valid_until_inferred": bool(row["valid_until_inferred"]),
        "price_per_100_krw": per_100(kind, row["price_krw"], row["size_amount"], row["size_unit"]),
        "link_method": row["link_method"],
        "link_score": row["link_score"],
        "first_seen": _seen(row["first_seen"]),
        "last_seen": _seen(row["last_seen"]),
    }


def _gift(row: Json) -> Json:
    return {
        "name": row["gift_name"],
        "price_krw": row["gift_price_krw"],
        "barcode": row["gift_barcode"],
        "image_url": row["gift_image_url"],
    }


# Crawls are few: the same times come again and again.
@lru_cache(maxsize=4096)
def _seen(value: Any) -> str | None:
    return utc_text(utc(value))
