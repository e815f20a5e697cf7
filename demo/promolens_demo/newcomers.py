"""Products for a gallery: the shops sell them, and no photo of the demo data shows them."""

from __future__ import annotations

from collections.abc import Collection

from promolens_demo.catalogue import DEFAULT_PRODUCTS, Product, make_catalogue
from promolens_demo.strangers import others

COUNT = 24


def newcomers(n_sold: int, known: Collection[str] = (), *, skip: int = 0) -> tuple[Product, ...]:
    """Return up to `COUNT` products that photos of the demo data never show.

    Training shows strangers of the shelf as background and the exam shows others, so what is left
    stands behind them.

    Args:
        n_sold: how many products of the shelf the shops choose from.
        known: barcodes that a recogniser was taught.
        skip: how many to leave out at the beginning.
    """
    shown = {one.product.item_id for half in (0, 1) for one in others(half)}
    rest = make_catalogue(n_sold)[DEFAULT_PRODUCTS:]
    new = [one for one in rest if one.item_id not in shown and one.barcode not in known]
    return tuple(new[skip : skip + COUNT])
