"""One picture's address a product: what a gallery of the chains' present offers is made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.items import BARCODE
from promolens_catalog.schema import item, item_key, promotion
from promolens_catalog.snapshots import live_at


@dataclass(frozen=True)
class OfferedPicture:
    """A product that is on offer now, and where a chain shows it.

    Attributes:
        item_id: the catalog's number of the product.
        name: as the catalog calls it.
        barcodes: sorted; empty where no chain tells one.
        urls: addresses of its pictures by chain, the first of each.
    """

    item_id: int
    name: str
    barcodes: tuple[str, ...]
    urls: tuple[tuple[Chain, str], ...]


def offered_pictures(db: Database, chains: Collection[Chain]) -> tuple[OfferedPicture, ...]:
    """Return the products that these chains offer now with a picture, by item number."""
    offers = (
        select(item.c.id, item.c.canonical_name, promotion.c.chain, promotion.c.image_url)
        .join(promotion, promotion.c.item_id == item.c.id)
        .where(live_at(), promotion.c.image_url.is_not(None), promotion.c.chain.in_(list(chains)))
        .order_by(item.c.id, promotion.c.chain, promotion.c.id)
    )
    keys = select(item_key.c.item_id, item_key.c.value).where(item_key.c.kind == BARCODE)
    names: dict[int, str] = {}
    urls: dict[int, dict[Chain, str]] = defaultdict(dict)
    codes: dict[int, set[str]] = defaultdict(set)
    with db.read() as connection:
        for row in connection.execute(offers):
            names[row.id] = row.canonical_name
            urls[row.id].setdefault(Chain(row.chain), row.image_url)
        for item_id, code in connection.execute(keys):
            codes[item_id].add(code)
    return tuple(
        OfferedPicture(number, name, tuple(sorted(codes[number])), tuple(urls[number].items()))
        for number, name in names.items()
    )
