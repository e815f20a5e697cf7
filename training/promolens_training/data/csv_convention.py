"""Reads the CSV convention: `photos.csv` (one row a picture) and an optional `products.csv`.

    photos.csv    path,label,split,is_query,is_gallery,category,source_id,x1,y1,x2,y2
    products.csv  label,item_id,barcodes,name_ko,name_en,parent

Only `path` and `label` are required. Paths are relative to the CSV's folder and stay inside it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from promolens_runtime.errors import InputError
from promolens_training.data.photos import Photo, ProductClass
from promolens_training.data.reading import (
    SPLIT_NAMES,
    Entry,
    Limits,
    Problem,
    Reading,
    name_collisions,
    name_fault,
    normal_name,
    path_fault,
    path_order,
    read_text,
)

PHOTO_COLUMNS = (
    "path",
    "label",
    "split",
    "is_query",
    "is_gallery",
    "category",
    "source_id",
    "x1",
    "y1",
    "x2",
    "y2",
)
PRODUCT_COLUMNS = ("label", "item_id", "barcodes", "name_ko", "name_en", "parent")
_TRUTH = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


class _RowFaultError(Exception):
    """What was received in a row; turned into a Problem at once, never seen outside."""


def _rows(
    path: Path, known: tuple[str, ...], required: tuple[str, ...], limits: Limits
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and cells (every known column, "" where absent)."""
    reader = csv.reader(io.StringIO(read_text(path, limits), newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in required if name not in header]
        if missing or len(set(header)) != len(header):
            raise InputError(
                f"Expected the columns {', '.join(required)} once each in {path} (others: "
                f"{', '.join(name for name in known if name not in required)}). Received "
                f"{', '.join(header)[:200] or 'nothing'}. Add a header line."
            )
        for count, cells in enumerate(reader, start=1):
            if count > limits.max_rows:
                raise InputError(
                    f"Expected at most {limits.max_rows:,} rows in {path}. Received more. "
                    "Split the dataset."
                )
            if not any(cells):
                continue
            if len(cells) > len(header):
                raise InputError(
                    f"Expected {len(header)} cells a row in {path}. Received {len(cells)} in line "
                    f"{reader.line_num}. Quote cells that hold a comma."
                )
            named = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            yield reader.line_num, {name: named.get(name, "") for name in known}
    except csv.Error as error:
        raise InputError(
            f"Expected comma-separated values in {path}. Received {error} in line "
            f"{reader.line_num}. Repair the line."
        ) from None


def _truth(row: dict[str, str], column: str) -> bool:
    value = _TRUTH.get(row[column].lower())
    if value is None:
        raise _RowFaultError(f"{column} {row[column]!r} (known: 1, 0, true, false, yes, no)")
    return value


def _box(row: dict[str, str]) -> tuple[int, int, int, int] | None:
    cells = [row[name] for name in ("x1", "y1", "x2", "y2")]
    if not any(cells):
        return None
    if not all(cell.isascii() and cell.isdigit() and len(cell) <= 6 for cell in cells):
        raise _RowFaultError(f"the box {','.join(cells)} (four whole pixel counts from 0)")
    x1, y1, x2, y2 = (int(cell) for cell in cells)
    if x1 >= x2 or y1 >= y2:
        raise _RowFaultError(f"the box {x1},{y1},{x2},{y2}, which is empty")
    return x1, y1, x2, y2


def _split(row: dict[str, str]) -> str:
    name = row["split"].lower()
    if name and name not in SPLIT_NAMES:
        raise _RowFaultError(f"the split {row['split']!r} (known: train, val, test or empty)")
    return SPLIT_NAMES.get(name, "")


def _photo(root: Path, row: dict[str, str], limits: Limits) -> Photo:
    fault = path_fault(row["path"]) or name_fault(row["label"], limits)
    if fault:
        raise _RowFaultError(fault)
    path = root / row["path"]
    if not path.is_file():
        raise _RowFaultError(f"{row['path']!r}, which is absent")
    return Photo(
        path=path,
        label=normal_name(row["label"]),
        split=_split(row),
        source_id=row["source_id"],
        is_query=_truth(row, "is_query"),
        is_gallery=_truth(row, "is_gallery"),
        box=_box(row),
    )


@dataclass
class _Rows:
    photos: dict[tuple[Path, tuple[int, int, int, int] | None], Photo] = field(default_factory=dict)
    categories: dict[str, str] = field(default_factory=dict)
    spellings: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def add(self, root: Path, row: dict[str, str], limits: Limits) -> None:
        photo = _photo(root, row, limits)
        if (photo.path, photo.box) in self.photos:
            raise _RowFaultError(f"{row['path']!r} a second time")
        category = normal_name(row["category"])
        known = self.categories.setdefault(photo.label, category)
        if known != category:
            raise _RowFaultError(
                f"the category {category!r} for {photo.label!r}, which had {known!r}"
            )
        self.spellings.add(row["label"])
        self.photos[photo.path, photo.box] = photo


def _read_photos(csv_path: Path, limits: Limits) -> _Rows:
    rows = _Rows()
    for line, row in _rows(csv_path, PHOTO_COLUMNS, ("path", "label"), limits):
        try:
            rows.add(csv_path.parent, row, limits)
        except _RowFaultError as fault:
            message = (
                f"Expected a usable row in line {line} of {csv_path}. Received {fault}. "
                "Repair the row or leave it out."
            )
            if len(rows.problems) < limits.max_problems:
                rows.problems.append(Problem("csv-row", message, (csv_path,)))
    return rows


def _barcodes(text: str) -> tuple[str, ...]:
    codes = tuple(code.strip() for code in text.split(";") if code.strip())
    for code in codes:
        if not (code.isascii() and code.isdigit() and 4 <= len(code) <= 14):
            raise _RowFaultError(f"the barcode {code!r} (4 to 14 digits; several joined by ;)")
    return codes


def _read_products(path: Path, limits: Limits) -> tuple[dict[str, ProductClass], list[Problem]]:
    products: dict[str, ProductClass] = {}
    owners: dict[str, str] = {}
    problems: list[Problem] = []
    for line, row in _rows(path, PRODUCT_COLUMNS, ("label",), limits):
        label = normal_name(row["label"])
        try:
            fault = name_fault(row["label"], limits)
            if fault or label in products:
                raise _RowFaultError(fault or f"{label!r} a second time")
            barcodes = _barcodes(row["barcodes"])
            item_id = row["item_id"] or label
            for key in (f"item_id {item_id}", *(f"barcode {code}" for code in barcodes)):
                if owners.setdefault(key, label) != label:
                    raise _RowFaultError(f"{key}, which {owners[key]!r} has already")
            products[label] = ProductClass(
                name=label,
                item_id=item_id,
                barcodes=barcodes,
                name_ko=row["name_ko"] or row["name_en"] or label,
                name_en=row["name_en"] or row["name_ko"] or label,
                parent=normal_name(row["parent"]) or None,
            )
        except _RowFaultError as error:
            message = (
                f"Expected a usable row in line {line} of {path}. Received {error}. Repair the row."
            )
            if len(problems) < limits.max_problems:
                problems.append(Problem("products-row", message, (path,)))
    return products, problems


def _product(label: str, category: str, products: dict[str, ProductClass]) -> ProductClass:
    parent = category or None
    known = products.get(label)
    if known is None:
        return ProductClass(label, label, (), label, label, parent)
    if known.parent is not None or parent is None:
        return known
    return ProductClass(
        known.name, known.item_id, known.barcodes, known.name_ko, known.name_en, parent
    )


def read_csv_convention(csv_path: Path, limits: Limits) -> Reading:
    """Read a photo list and the `products.csv` beside it, if there is one.

    A class's parent is `products.csv`'s, else the rows' category.

    Raises:
        InputError: a file is no CSV of the convention, or the limits are passed.
    """
    rows = _read_photos(csv_path, limits)
    products_path = csv_path.parent / "products.csv"
    products: dict[str, ProductClass] = {}
    if products_path.is_file() and products_path != csv_path:
        products, faults = _read_products(products_path, limits)
        rows.problems.extend(faults)
    rows.problems.extend(name_collisions(rows.spellings, {}))
    labels = sorted({photo.label for photo in rows.photos.values()})
    classes = {label: _product(label, rows.categories[label], products) for label in labels}
    photos = sorted(rows.photos.values(), key=path_order)
    entries = []
    for photo in photos:
        parent = classes[photo.label].parent
        entries.append(Entry(photo, f"{parent}/{photo.label}" if parent else photo.label))
    return Reading(
        root=csv_path.parent,
        layout="csv",
        entries=tuple(entries),
        classes=tuple(classes.values()),
        problems=tuple(rows.problems),
    )
