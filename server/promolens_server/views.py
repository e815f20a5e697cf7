"""What the catalog says as plain JSON values; `models` says the same shapes as schemas.

Answers are built here and never validated on their way out, which would cost more than making them;
tests hold every answer to be what its model says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import orjson

from promolens_catalog.calendar import first_day, korean_month
from promolens_catalog.chain_status import ChainStatus
from promolens_catalog.chains import CHAINS
from promolens_catalog.data_sources import Fact, LoadedSource
from promolens_catalog.deals import deal_of_terms, price_per_100, round_half_up, unit_price
from promolens_catalog.history import Past, last_time
from promolens_catalog.items import OFFER, Item
from promolens_catalog.kinds import Kind
from promolens_catalog.lookup import Known
from promolens_catalog.offers import Gift, Offer
from promolens_catalog.promotion_list import Promotion
from promolens_catalog.reading import Match

Json = dict[str, Any]


@lru_cache(maxsize=1024)
def utc_text(moment: datetime | None) -> str | None:
    """Return an instant as `2026-02-24T03:00:00Z`, whole seconds."""
    if moment is None:
        return None
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='seconds')[:19]}Z"


def promotion_json(row: Promotion) -> Json:
    """Return a promotion: `models.products.PromotionModel`."""
    return {
        "id": row.id,
        "item_id": row.item_id,
        "item_name": row.item_name,
        **_offer_json(row.offer),
        "price_per_100_krw": per_100(
            row.offer.kind, row.offer.price_krw, row.size_amount, row.size_unit
        ),
        "link_method": row.link_method,
        "link_score": row.link_score,
        "first_seen": utc_text(row.first_seen),
        "last_seen": utc_text(row.last_seen),
    }


def promotions_json(rows: Iterable[Promotion]) -> list[Json]:
    """Return several promotions, in their order."""
    return [promotion_json(row) for row in rows]


def item_json(item: Item) -> Json:
    """Return a product: `models.products.ProductModel`."""
    return {
        "id": item.id,
        "name": item.name,
        "maker": item.maker,
        "category": item.category,
        "size_amount": item.size_amount,
        "size_unit": item.size_unit,
        "barcodes": list(item.barcodes),
        "keys": [{"kind": k.kind, "value": k.value} for k in item.keys if k.kind != OFFER],
        "names": [
            {
                "chain": str(one.chain),
                "name": one.name,
                "first_seen": utc_text(one.first_seen),
                "last_seen": utc_text(one.last_seen),
            }
            for one in item.aliases
        ],
    }


def known_json(known: Known, day: date) -> Json:
    """Return what is known of a product, without `chains`: `models.products.ProductAnswer`."""
    answer = known.answer
    return {
        "status": str(answer.status),
        "version": answer.version,
        "day": day.isoformat(),
        "product": item_json(answer.item) if answer.item else None,
        "promotions": promotions_json(answer.promotions),
        "expired": promotions_json(answer.expired),
        "facts": [fact_json(fact) for fact in known.facts],
    }


def fact_json(fact: Fact) -> Json:
    """Return what a data source says: `models.products.FactModel`."""
    row = fact.rows[0]
    return {
        "source": fact.source.name,
        "title": fact.source.title,
        "attribution": fact.source.attribution,
        "key": {"kind": fact.key.kind, "value": fact.key.value},
        "fields": [
            {
                "name": field.name,
                "title": field.title,
                "unit": field.unit,
                "type": str(field.type),
                "value": row[field.name],
            }
            for field in fact.source.fields
            if field.name in row
        ],
        "loaded_at": utc_text(fact.loaded_at),
        "stale": fact.stale,
    }


def chain_json(status: ChainStatus) -> Json:
    """Return how a chain's list is doing: `models.chains.ChainModel`."""
    info = CHAINS[status.chain]
    return {
        "chain": str(status.chain),
        "name_ko": info.name_ko,
        "name_en": info.name_en,
        "state": status.state,
        "since": utc_text(status.since),
        "month": status.month,
        "snapshot_at": utc_text(status.crawled_at),
        "rows": status.rows,
        "speaks_for_today": status.speaks_for_today,
    }


def chains_json(statuses: Sequence[ChainStatus]) -> list[Json]:
    """Return several chains, in their order."""
    return [chain_json(status) for status in statuses]


@lru_cache(maxsize=8)
def chains_text(statuses: tuple[ChainStatus, ...]) -> orjson.Fragment:
    """Return `chains_json` as JSON: all answers of a version say the same."""
    return orjson.Fragment(orjson.dumps(chains_json(statuses)))


def match_json(match: Match) -> Json:
    """Return a candidate for a text: `models.search.MatchModel`."""
    return {
        "item_id": match.candidate.item_id,
        "name": match.candidate.name,
        "score": round(match.candidate.score, 4),
        "promotions": promotions_json(match.promotions),
    }


def history_json(entries: Sequence[Past], now: datetime) -> Json:
    """Return a history: `entries` and `last_times` of `models.products.HistoryAnswer`."""
    month_began = first_day(korean_month(now))
    before = ((kind, last_time(entries, kind, month_began)) for kind in Kind)
    return {
        "entries": [_past_json(one) for one in entries],
        "last_times": [
            {
                "kind": str(kind),
                "chain": str(one.offer.chain),
                "months": list(one.months),
                "valid_until": one.offer.valid_until.isoformat(),
            }
            for kind, one in before
            if one is not None
        ],
    }


def source_json(loaded: LoadedSource, morning: datetime) -> Json:
    """Return a data source: `models.meta.DataSourceModel`."""
    return {
        "name": loaded.source.name,
        "title": loaded.source.title,
        "key": loaded.source.key,
        "attribution": loaded.source.attribution,
        "rows": loaded.rows,
        "loaded_at": utc_text(loaded.loaded_at),
        "stale": loaded.stale(morning),
    }


def _past_json(one: Past) -> Json:
    return {
        **_offer_json(one.offer),
        "months": list(one.months),
        "first_seen": utc_text(one.first_seen),
        "last_seen": utc_text(one.last_seen),
        "live": one.live,
    }


def _offer_json(offer: Offer) -> Json:
    unit, pieces, regular, saving = figures(offer.kind, offer.price_krw, offer.regular_price_krw)
    return {
        "chain": offer.chain.value,
        "name": offer.name,
        "kind": offer.kind.value,
        "price_krw": offer.price_krw,
        "unit_price_krw": unit,
        "pieces": pieces,
        "regular_price_krw": regular,
        "saving_percent": saving,
        "gift": _gift_json(offer.gift) if offer.gift else None,
        "barcode": offer.barcode,
        "category": offer.category,
        "image_url": offer.image_url,
        "valid_from": offer.valid_from.isoformat(),
        "valid_until": offer.valid_until.isoformat(),
        "valid_until_inferred": offer.valid_until_inferred,
    }


# Exact fractions are slow, and prices few and round: most have been reckoned before.
@lru_cache(maxsize=4096)
def figures(kind: Kind, price_krw: int, regular: int | None) -> tuple[int, int, int | None, int]:
    """Return won of one piece, pieces, the regular price where it is higher, percent saved."""
    deal = deal_of_terms(kind, price_krw, regular)
    saving = round_half_up(100 * deal.saving)
    return deal.unit_price_krw, deal.pieces, deal.regular_price_krw, saving


@lru_cache(maxsize=4096)
def per_100(kind: Kind, price_krw: int, amount: float | None, unit: str | None) -> int | None:
    """Return won of 100 ml or g; `None` where the size is counted or not known."""
    exact = price_per_100(unit_price(kind, price_krw), amount, unit)
    return round_half_up(exact) if exact is not None else None


def _gift_json(gift: Gift) -> Json:
    return {
        "name": gift.name,
        "price_krw": gift.price_krw,
        "barcode": gift.barcode,
        "image_url": gift.image_url,
    }
