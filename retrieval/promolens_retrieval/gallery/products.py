"""The products of a gallery: what people read, and the codes that lookups need."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from promolens_retrieval.entries import Attributes
from promolens_runtime.errors import InputError
from promolens_runtime.labels import Label

COLUMNS = ("label", "item_id", "barcodes", "name_ko", "name_en", "parent")
MAX_PRODUCTS = 200_000


@dataclass(frozen=True)
class Product:
    """One product of a gallery; the fields are those of a bundle's labels."""

    label: str
    item_id: str
    barcodes: tuple[str, ...] = ()
    name_ko: str = ""
    name_en: str = ""
    parent: str | None = None

    def attributes(self) -> Attributes:
        """Return what is stored beside each of its vectors."""
        return {
            name: values
            for name, values in (
                ("label", (self.label,)),
                ("barcode", self.barcodes),
                ("name_ko", (self.name_ko,)),
                ("name_en", (self.name_en,)),
                ("parent", (self.parent or "",)),
            )
            if any(values)
        }

    @classmethod
    def of(cls, item_id: str, attributes: Mapping[str, Sequence[str]]) -> Product:
        """Return the product that `attributes` say."""

        def first(name: str) -> str:
            return next(iter(attributes.get(name, ())), "")

        return cls(
            label=first("label") or item_id,
            item_id=item_id,
            barcodes=tuple(attributes.get("barcode", ())),
            name_ko=first("name_ko"),
            name_en=first("name_en"),
            parent=first("parent") or None,
        )

    def as_label(self, index: int) -> Label:
        """Return the product as an entry of products.json."""
        return Label(
            index=index,
            label=self.label,
            item_id=self.item_id,
            barcodes=self.barcodes,
            name_ko=self.name_ko,
            name_en=self.name_en,
            parent=self.parent,
        )


def read_products(path: Path) -> dict[str, Product]:
    """Read products.csv (`label,item_id,barcodes,name_ko,name_en,parent`; see docs/data.md).

    Only `label` is required; barcodes are joined by `;`. Returns products by label.

    Raises:
        InputError: no such file, no label column, a label or item id twice, a wrong barcode.
    """
    products: dict[str, Product] = {}
    items: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if "label" not in (reader.fieldnames or ()):
                raise InputError(
                    f"Expected a column label in {path}. Received "
                    f"{', '.join(reader.fieldnames or ())[:200] or 'nothing'}. Add a header line."
                )
            for row in reader:
                product = _product(row, f"line {reader.line_num} of {path}")
                if product.label in products or product.item_id in items:
                    raise _refused(
                        f"line {reader.line_num} of {path}", "each label and item id once",
                        repr(product.label)[:80],
                    )  # fmt: skip
                products[product.label] = product
                items[product.item_id] = product.label
                if len(products) > MAX_PRODUCTS:
                    raise _refused(str(path), f"at most {MAX_PRODUCTS:,} products", "more")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"Expected comma-separated values in UTF-8 in {path}. Received {error}. Repair it."
        ) from None
    return products


def _product(row: Mapping[str, str | None], place: str) -> Product:
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    if not cells["label"]:
        raise _refused(place, "a label", "an empty one")
    codes = tuple(code.strip() for code in cells["barcodes"].split(";") if code.strip())
    wrong = [code for code in codes if not _is_code(code)]
    if wrong:
        raise _refused(place, "barcodes of 4 to 14 digits joined by ;", repr(wrong[0])[:80])
    return Product(
        label=cells["label"],
        item_id=cells["item_id"] or cells["label"],
        barcodes=codes,
        name_ko=cells["name_ko"] or cells["name_en"] or cells["label"],
        name_en=cells["name_en"] or cells["name_ko"] or cells["label"],
        parent=cells["parent"] or None,
    )


def _is_code(text: str) -> bool:
    return text.isascii() and text.isdigit() and 4 <= len(text) <= 14


def _refused(place: str, expected: str, received: str) -> InputError:
    return InputError(f"Expected {expected} in {place}. Received {received}. Repair it.")


def unique(products: Iterable[Product]) -> tuple[Product, ...]:
    """Return products sorted by item id, each once: the order in a gallery."""
    return tuple(found for _, found in sorted({one.item_id: one for one in products}.items()))
