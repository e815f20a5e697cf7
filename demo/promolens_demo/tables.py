"""The tables of the demo data: which file is where, and what is known of each product."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from promolens_demo.catalogue import Product, make_catalogue
from promolens_demo.config import DemoConfig
from promolens_demo.photo import visit_of
from promolens_demo.strangers import BACKGROUND_MARK, Shot, shots

TABLES = ("photos.csv", "products.csv", "products.json")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def photo_path(product: Product, split: str, index: int) -> str:
    """Return a photo's path below the output folder, with forward slashes."""
    return f"photos/{split}/{product.item_id}/{split}-{index:04d}.jpg"


def picture_path(product: Product) -> str:
    """Return the catalogue picture's path below the output folder, with forward slashes."""
    return f"catalogue/{product.item_id}.png"


def stranger_path(shot: Shot) -> str:
    """Return the path of a stranger's photo below the output folder, with forward slashes."""
    return f"strangers/{shot.split}/{shot.stranger.product.item_id}/{shot.index:04d}.jpg"


def product_row(product: Product) -> dict[str, str | int]:
    """Return a product as a row of products.csv; the columns after `parent` are extras."""
    return {
        "label": product.item_id,
        "item_id": product.item_id,
        "barcodes": product.barcode,
        "name_ko": product.name_ko,
        "name_en": product.name_en,
        "parent": product.family.slug,
        "category": product.family.kind.category,
        "maker": product.family.maker,
        "size": product.size,
        "unit": product.unit,
        "price_krw": product.price_krw,
        "picture": picture_path(product),
    }


def _photo_row(
    path: str, label: str, product: Product, split: str, visit: str
) -> dict[str, str | int]:
    return {
        "path": path,
        "label": label,
        "split": split,
        "is_query": 0,
        "is_gallery": 0,
        "category": product.family.kind.category,
        "source_id": visit,
        **dict.fromkeys(("x1", "y1", "x2", "y2"), ""),
    }


def _table(rows: list[dict[str, str | int]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def write_tables(folder: Path, config: DemoConfig) -> None:
    """Write the tables of `TABLES` into `folder`; all text is UTF-8."""
    products = make_catalogue(config.n_products)
    photos: list[dict[str, str | int]] = []
    for split, count in config.per_split().items():
        visits = [visit_of(config.seed, split, index).name for index in range(count)]
        for product in products:
            for index in range(count):
                path = photo_path(product, split, index)
                photos.append(_photo_row(path, product.item_id, product, split, visits[index]))
    for shot in shots(config):
        product = shot.stranger.product
        label = BACKGROUND_MARK + product.item_id
        visit = visit_of(config.seed, shot.split, shot.index).name
        photos.append(_photo_row(stranger_path(shot), label, product, shot.split, visit))
    rows = [product_row(product) for product in products]
    write_bytes(folder / "photos.csv", _table(photos))
    write_bytes(folder / "products.csv", _table(rows))
    text = json.dumps({"products": rows}, ensure_ascii=False, indent=1) + "\n"
    write_bytes(folder / "products.json", text.encode())
