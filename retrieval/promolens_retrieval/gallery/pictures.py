"""Catalogue pictures in a folder: which product each shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from promolens_retrieval.gallery.products import Product
from promolens_runtime.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
MAX_PICTURES = 200_000
PRODUCTS_FILE = "products.csv"


@dataclass(frozen=True)
class CataloguePicture:
    """A file and the product on it."""

    path: Path
    product: Product


def find_pictures(folder: Path, products: Mapping[str, Product]) -> tuple[CataloguePicture, ...]:
    """Return the pictures below a folder, sorted by path.

    A picture shows the product whose label, item id or barcode is its name without the ending, or
    the name of its folder. Where `products` is empty, each name is a product of its own.

    Args:
        products: by label.

    Raises:
        InputError: no folder, no picture, too many, or a picture of no product.
    """
    if not folder.is_dir():
        raise InputError(
            f"Expected a folder with catalogue pictures. Received {folder}, which is none. "
            "Give the folder."
        )
    known = _names(products)
    pictures = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        pictures.append(CataloguePicture(path, _product_of(path, folder, known)))
        if len(pictures) > MAX_PICTURES:
            raise InputError(
                f"Expected at most {MAX_PICTURES:,} pictures. Received more in {folder}. "
                "Build several galleries."
            )
    if not pictures:
        raise InputError(
            f"Expected a folder with catalogue pictures. Received {folder}, which holds none "
            f"({', '.join(sorted(SUFFIXES))}). Choose another."
        )
    return tuple(pictures)


def _names(products: Mapping[str, Product]) -> dict[str, Product]:
    found: dict[str, Product] = {}
    for product in products.values():
        for name in (product.label, product.item_id, *product.barcodes):
            found.setdefault(name, product)
    return found


def _product_of(path: Path, folder: Path, known: Mapping[str, Product]) -> Product:
    inside = path.parent.name if path.parent != folder else ""
    if not known:
        name = inside or path.stem
        return Product(label=name, item_id=name, name_ko=name, name_en=name)
    for name in (path.stem, inside):
        if name in known:
            return known[name]
    raise InputError(
        f"Expected pictures named after a label, item id or barcode of {PRODUCTS_FILE}, or in a "
        f"folder of that name. Received {path}. Rename it, or add its product."
    )
