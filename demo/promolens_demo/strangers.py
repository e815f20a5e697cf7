"""Products that no catalogue holds, and photos of them: what must be answered with "not known".

Look-alikes are further flavours and sizes of the default families: the same brand, layout and base
colours, as a shelf has them. The others are products of families of their own. The demo data of the
default catalogue shows one half of them in training, as background, and the other half in the exam.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from promolens_demo.arrays import Array
from promolens_demo.barcodes import in_store_ean13
from promolens_demo.catalogue import (
    DEFAULT_FAMILIES,
    DEFAULT_PRODUCTS,
    FAMILY_SIZE,
    Family,
    Product,
    make_catalogue,
)
from promolens_demo.config import DEFAULT_PHOTOS, DEFAULT_TEST_PHOTOS, DemoConfig
from promolens_demo.names import FLAVOURS
from promolens_demo.photo import take_photo

# Barcodes of strangers start far above those of the longest catalogue.
_FIRST_NUMBER = 900_000
JPEG_QUALITIES = (58, 94)
# The mark of a class that is taught and never answered (docs/data.md).
BACKGROUND_MARK = "~"
# Photos of each stranger beside the default 40 + 13 of each product: look-alikes, and others.
PHOTOS_EACH = {"train": (14, 4), "test": (2, 1)}


@dataclass(frozen=True)
class Stranger:
    """A product outside the catalogue, and the products of the catalogue that stand beside it."""

    product: Product
    beside: tuple[Product, ...]


def _variant(family: Family, flavour: str, size: int, number: int) -> Product:
    kind = family.kind
    taste = FLAVOURS[flavour]
    amount = f"{kind.sizes[size]}"
    return Product(
        item_id=f"{family.slug}-{taste.slug}-{amount}{kind.unit.lower()}",
        barcode=in_store_ean13(_FIRST_NUMBER + number),
        name_ko=f"{family.brand_ko} {taste.name_ko} {kind.name_ko} {amount}{kind.unit}",
        name_en=f"{family.brand_en} {taste.name_en} {kind.name_en} {amount} {kind.unit}",
        family=family,
        flavour=taste,
        size=kind.sizes[size],
        unit=kind.unit,
        large=size == 1,
        price_krw=kind.prices_krw[size],
    )


def look_alikes(half: int) -> tuple[Stranger, ...]:
    """Return one half (0 or 1) of the default families' flavours and sizes outside the catalogue.

    The halves share no product, so that what is fitted on one may be judged by the other. Every
    second flavour goes to one of them, with both sizes.
    """
    taught = make_catalogue(DEFAULT_PRODUCTS)
    ids = {product.item_id for product in taught}
    found: list[Stranger] = []
    for family in DEFAULT_FAMILIES:
        beside = tuple(product for product in taught if product.family is family)
        for place, flavour in enumerate(family.kind.flavours):
            if place % 2 != half:
                continue
            for size in (0, 1):
                product = _variant(family, flavour, size, len(found))
                if product.item_id not in ids:
                    found.append(Stranger(product, beside))
    return tuple(found)


def others(half: int, families: int = 40) -> tuple[Stranger, ...]:
    """Return one half (0 or 1) of the products of the next `families` families of the shelf."""
    longer = make_catalogue(DEFAULT_PRODUCTS + families * FAMILY_SIZE)[DEFAULT_PRODUCTS:]
    found = []
    for number in range(half, families, 2):
        family = longer[number * FAMILY_SIZE : (number + 1) * FAMILY_SIZE]
        found += [Stranger(p, tuple(q for q in family if q is not p)) for p in family]
    return tuple(found)


@dataclass(frozen=True)
class Shot:
    """Photo `index` of a stranger in a split of the demo data."""

    stranger: Stranger
    split: str
    index: int


def shots(config: DemoConfig) -> tuple[Shot, ...]:
    """Return the photos of strangers that belong to the demo data, one stranger after the other.

    A catalogue of another size than the default has none: its families are among the others.
    """
    if config.n_products != DEFAULT_PRODUCTS or not config.strangers:
        return ()
    found: list[Shot] = []
    usual = {"train": DEFAULT_PHOTOS, "test": DEFAULT_TEST_PHOTOS}
    for half, (split, count) in enumerate(config.per_split().items()):
        for group, each in zip((look_alikes(half), others(half)), PHOTOS_EACH[split], strict=True):
            number = max(1, round(each * count / usual[split]))
            found += [Shot(one, split, index) for one in group for index in range(number)]
    return tuple(found)


def photograph(stranger: Stranger, seed: int, index: int) -> tuple[bytes, str]:
    """Take test photo `index` of a stranger; returns a JPEG and the name of its visit."""
    picture, visit, rng = take_photo(stranger.product, stranger.beside, seed, "test", index)
    return as_jpeg(picture, int(rng.integers(*JPEG_QUALITIES))), visit


def as_jpeg(picture: Array, quality: int) -> bytes:
    """Encode uint8 `[h, w, 3]` as phones do, with colours at half the resolution."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(
        file, "JPEG", quality=quality, subsampling=2
    )
    return file.getvalue()
