"""Between an `Offer` and the columns that hold it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import RowMapping

from promolens_catalog.chains import Chain
from promolens_catalog.column_types import storable
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import MAX_NAME_CHARACTERS, MAX_PRICE_KRW, Gift, Offer
from promolens_runtime.errors import InputError

# Longer than any real address or number; keeps a hostile page from filling the disk.
MAX_TEXT_CHARACTERS = 2_000
# Keys are indexed, and PostgreSQL indexes at most 2,704 bytes.
MAX_KEY_CHARACTERS = 200

OFFER_COLUMNS = (
    "content_hash",
    "offer_key",
    "name",
    "price_krw",
    "kind",
    "valid_from",
    "valid_until",
    "valid_until_inferred",
    "barcode",
    "site_id",
    "regular_price_krw",
    "gift_name",
    "gift_price_krw",
    "gift_barcode",
    "gift_image_url",
    "image_url",
    "category",
)


def content_hash(offer: Offer) -> str:
    """Return the SHA-256 (hex) of the whole offer: equal for equal content, on every machine."""
    return _hash(offer.chain, _values(offer))


def offer_row(offer: Offer) -> dict[str, Any]:
    """Return the values of `OFFER_COLUMNS`; the chain is not among them."""
    values = _values(offer)
    values["content_hash"] = _hash(offer.chain, values)
    values["offer_key"] = offer.key()
    return values


def _values(offer: Offer) -> dict[str, Any]:
    gift = offer.gift
    return {
        "name": offer.name,
        "price_krw": offer.price_krw,
        "kind": str(offer.kind),
        "valid_from": offer.valid_from,
        "valid_until": offer.valid_until,
        "valid_until_inferred": offer.valid_until_inferred,
        "barcode": offer.barcode,
        "site_id": offer.site_id,
        "regular_price_krw": offer.regular_price_krw,
        "gift_name": gift.name if gift else None,
        "gift_price_krw": gift.price_krw if gift else None,
        "gift_barcode": gift.barcode if gift else None,
        "gift_image_url": gift.image_url if gift else None,
        "image_url": offer.image_url,
        "category": offer.category,
    }


def _hash(chain: str, values: Mapping[str, Any]) -> str:
    # What is not stated has no part in it: a column that comes later leaves old hashes as they are.
    stated = {name: value for name, value in values.items() if value is not None}
    stated["chain"] = str(chain)
    text = json.dumps(stated, default=str, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def offer_of(chain: str, row: Mapping[str, Any] | RowMapping) -> Offer:
    """Return the offer that `offer_row` made the values of."""
    gift = None
    if row["gift_name"] is not None:
        gift = Gift(
            name=row["gift_name"],
            price_krw=row["gift_price_krw"],
            barcode=row["gift_barcode"],
            image_url=row["gift_image_url"],
        )
    return Offer(
        chain=Chain(chain),
        name=row["name"],
        price_krw=row["price_krw"],
        kind=Kind(row["kind"]),
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        valid_until_inferred=row["valid_until_inferred"],
        barcode=row["barcode"],
        site_id=row["site_id"],
        regular_price_krw=row["regular_price_krw"],
        gift=gift,
        image_url=row["image_url"],
        category=row["category"],
    )


def clean_offer(offer: Offer) -> Offer:
    """Return the offer with U+FFFD for what no database stores (NUL, lone surrogates)."""
    gift = offer.gift
    if gift is not None:
        gift = replace(
            gift,
            name=storable(gift.name),
            barcode=_storable(gift.barcode),
            image_url=_storable(gift.image_url),
        )
    return replace(
        offer,
        name=storable(offer.name),
        barcode=_storable(offer.barcode),
        site_id=_storable(offer.site_id),
        image_url=_storable(offer.image_url),
        category=_storable(offer.category),
        gift=gift,
    )


def check_offer(offer: Offer) -> None:
    """Refuse what an `Offer` promises not to be.

    Raises:
        InputError: an empty or endless name, a price outside 1..MAX_PRICE_KRW, an end before the
            beginning, or other text that is endless.
    """
    gift = offer.gift or Gift("")
    prices = (offer.regular_price_krw, gift.price_krw)
    keys = (offer.barcode, offer.site_id)
    texts = (offer.image_url, offer.category, gift.name, gift.barcode, gift.image_url)
    if not 1 <= len(offer.name) <= MAX_NAME_CHARACTERS:
        _refuse(f"a name of 1 to {MAX_NAME_CHARACTERS} characters", f"{len(offer.name)}")
    if not 1 <= offer.price_krw <= MAX_PRICE_KRW:
        _refuse(f"a price of 1 to {MAX_PRICE_KRW} won", f"{offer.price_krw} for {offer.name!r}")
    if any(price is not None and not 0 <= price <= MAX_PRICE_KRW for price in prices):
        _refuse(f"prices of at most {MAX_PRICE_KRW} won", f"{prices} for {offer.name!r}")
    if offer.valid_until < offer.valid_from:
        _refuse("a first day before the last", f"{offer.valid_from} to {offer.valid_until}")
    if any(key is not None and len(key) > MAX_KEY_CHARACTERS for key in keys):
        _refuse(f"keys of at most {MAX_KEY_CHARACTERS} characters", f"more for {offer.name!r}")
    if any(text is not None and len(text) > MAX_TEXT_CHARACTERS for text in texts):
        _refuse(f"texts of at most {MAX_TEXT_CHARACTERS} characters", f"more for {offer.name!r}")


def _storable(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _refuse(expected: str, received: str) -> None:
    raise InputError(
        f"Expected {expected} in an offer. Received {received}. Leave the row out, or count it as "
        "an anomaly."
    )
