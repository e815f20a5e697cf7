"""Reads the lists of the Grocery Store Dataset.

`classes.csv` names the classes; `train.txt`, `val.txt` and `test.txt` (each optional, one at least)
hold `path, fine id, coarse id` a line. Source: M. Klasson, C. Zhang, H. Kjellström, "A Hierarchical
Grocery Store Image Dataset with Visual and Semantic Labels", WACV 2019, and its public repository.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from promolens_runtime.errors import InputError
from promolens_training.data.photos import SPLITS, Photo, ProductClass
from promolens_training.data.reading import (
    Entry,
    Limits,
    Problem,
    Reading,
    name_collisions,
    normal_name,
    path_fault,
    read_text,
)

_NAME, _ID, _COARSE, _COARSE_ID = (
    "Class Name (str)",
    "Class ID (int)",
    "Coarse Class Name (str)",
    "Coarse Class ID (int)",
)


def find_grocery_lists(root: Path) -> Path | None:
    """Return the folder with the lists: `root`, or its `dataset/` as in a clone; None without."""
    for folder in (root, root / "dataset"):
        has_list = any((folder / f"{split}.txt").is_file() for split in SPLITS)
        if has_list and (folder / "classes.csv").is_file():
            return folder
    return None


def slug(name: str) -> str:
    """Return a name as an id: lower case, words joined by "-" ("God Morgon" -> "god-morgon")."""
    return re.sub(r"[\W_]+", "-", normal_name(name).lower()).strip("-")


@dataclass(frozen=True)
class _Row:
    product: ProductClass
    coarse_id: str


def _read_classes(path: Path, limits: Limits) -> dict[str, _Row]:
    reader = csv.DictReader(io.StringIO(read_text(path, limits), newline=""))
    columns = [name.strip() for name in reader.fieldnames or ()]
    missing = [name for name in (_NAME, _ID, _COARSE, _COARSE_ID) if name not in columns]
    if missing:
        raise InputError(
            f"Expected the columns of the Grocery Store Dataset in {path}. Received a file without "
            f"{', '.join(missing)}. Take classes.csv from the dataset."
        )
    reader.fieldnames = columns
    rows: dict[str, _Row] = {}
    for row in reader:
        name, fine_id = normal_name(row[_NAME] or ""), (row[_ID] or "").strip()
        if not name or not fine_id or fine_id in rows:
            raise InputError(
                f"Expected one name and one new id a line in {path}. Received {name!r}, "
                f"{fine_id!r} in line {reader.line_num}. Repair the line."
            )
        words = name.replace("-", " ")
        parent = normal_name(row[_COARSE] or "") or None
        product = ProductClass(name, slug(name), (), words, words, parent, aliases=(fine_id,))
        rows[fine_id] = _Row(product, (row[_COARSE_ID] or "").strip())
    return rows


def _entry(root: Path, line: str, split: str, rows: dict[str, _Row]) -> Entry | str:
    """Return the photo of one line, or what is wrong with the line."""
    fields = [field.strip() for field in line.rsplit(",", 2)]
    if len(fields) != 3:
        return f"{line[:80]!r}, which is not `path, fine id, coarse id`"
    text, fine_id, coarse_id = fields
    fault = path_fault(text)
    if fault:
        return fault
    row = rows.get(fine_id)
    if row is None or row.coarse_id != coarse_id:
        return f"the ids {fine_id}, {coarse_id}, which classes.csv does not hold"
    path = root / text
    if not path.is_file():
        return f"{text}, which is absent"
    folders = PurePosixPath(text).parent.parts
    below_split = folders[1:] if folders[:1] == (split,) else folders
    return Entry(Photo(path, row.product.name, split), normal_name("/".join(below_split)))


def read_grocery_lists(root: Path, limits: Limits) -> Reading:
    """Read `classes.csv` and every list beside it.

    A class is named as in `classes.csv`, its parent is the coarse name, its alias the fine id.

    Raises:
        InputError: `classes.csv` cannot be used, or the limits are passed.
    """
    rows = _read_classes(root / "classes.csv", limits)
    entries: dict[Path, Entry] = {}
    problems: list[Problem] = []
    for split in SPLITS:
        list_path = root / f"{split}.txt"
        lines = read_text(list_path, limits).splitlines() if list_path.is_file() else []
        if len(lines) + len(entries) > limits.max_rows:
            raise InputError(
                f"Expected at most {limits.max_rows:,} lines in the lists of {root}. Received "
                "more. Split the dataset."
            )
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            entry = _entry(root, line, split, rows)
            if isinstance(entry, Entry) and entry.photo.path not in entries:
                entries[entry.photo.path] = entry
                continue
            received = entry if isinstance(entry, str) else f"{line[:80]!r} a second time"
            message = (
                f"Expected a new picture of a known class. Received {received} in line {number} of "
                f"{list_path}. Repair the list or fetch the dataset again."
            )
            if len(problems) < limits.max_problems:
                problems.append(Problem("grocery-list-line", message, (list_path,)))
    used = {entry.photo.label for entry in entries.values()}
    unused = len(rows) - len(used)
    products = sorted((row.product for row in rows.values()), key=lambda item: item.name)
    problems.extend(name_collisions((product.name for product in products), {}))
    notes = (f"{unused} classes of classes.csv have no picture",) if unused else ()
    return Reading(
        root=root,
        layout="grocery-lists",
        entries=tuple(entries[path] for path in sorted(entries)),
        classes=tuple(product for product in products if product.name in used),
        problems=tuple(problems),
        notes=notes,
    )
