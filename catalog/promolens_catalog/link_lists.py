"""Lists to measure the matcher on: CSV files of one chain each, rows with and without barcodes."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from promolens_catalog import barcodes
from promolens_catalog.link_features import Listed
from promolens_catalog.offers import MAX_NAME_CHARACTERS, MAX_PRICE_KRW
from promolens_runtime.errors import InputError

MAX_FILE_BYTES = 50 * 2**20
MAX_ROWS = 20_000
MAX_HEADER_BYTES = 10_000
COLUMNS = ("name", "price_krw", "promotion", "barcode")
_COMPANY_DIGITS = 7


@dataclass(frozen=True)
class TruthRow:
    """A row with the barcode that the matcher must not see."""

    listed: Listed
    barcode: str

    @property
    def maker_code(self) -> str:
        """The first digits of the barcode: rows of one maker share them."""
        return self.barcode.zfill(13)[:_COMPANY_DIGITS]


@dataclass(frozen=True)
class TruthLists:
    """Lists of several chains.

    Attributes:
        rows: by the file's stem; rows without a barcode are left out, they have no truth.
        left_out: how many those are.
        sha256: of each file's bytes.
        passed_over: names of CSV files in the folder that are no lists at all.
    """

    rows: Mapping[str, tuple[TruthRow, ...]]
    left_out: int
    sha256: Mapping[str, str]
    passed_over: tuple[str, ...] = ()


def read_truth_lists(folder: Path) -> TruthLists:
    """Read the `*.csv` of a folder: columns `name,price_krw,promotion,barcode`, others ignored.

    A file whose header has none of the last three is something else and is passed over.

    Raises:
        InputError: fewer than two files, a column missing, a row that cannot be read, no barcodes,
            or too much of anything.
    """
    files = sorted(folder.glob("*.csv")) if folder.is_dir() else []
    contents = {path: _read_bytes(path) for path in files}
    paths = [path for path in files if not _is_something_else(contents[path])]
    other = tuple(path.name for path in files if path not in paths)
    if len(paths) < 2:
        passed = f" and {', '.join(other)}, which has no such columns" if other else ""
        raise InputError(
            f"Expected a folder with one CSV file for each of at least two chains, with the "
            f"columns {', '.join(COLUMNS)}. Received {len(paths)} such files{passed} in {folder}. "
            "Give such a folder."
        )
    rows: dict[str, tuple[TruthRow, ...]] = {}
    digests: dict[str, str] = {}
    left_out = 0
    for path in paths:
        data = contents[path]
        digests[path.stem] = hashlib.sha256(data).hexdigest()
        rows[path.stem], without = _read_rows(path, data)
        left_out += without
    if sum(1 for some in rows.values() if some) < 2:
        raise InputError(
            f"Expected rows with barcodes in at least two files: they are the truth. Received "
            f"{sum(map(len, rows.values()))} such rows in {folder}. Give lists that show barcodes."
        )
    return TruthLists(rows, left_out, digests, other)


def _is_something_else(data: bytes) -> bool:
    """Say whether a header names nothing that a list has besides names, as far as it can be read.

    One that lacks a single column is a list with a mistake, and must not be passed over.
    """
    header = data[:MAX_HEADER_BYTES].decode("utf-8-sig", "replace").splitlines()[:1]
    names = next(csv.reader(header), [])
    return not set(names) & {"price_krw", "promotion", "barcode"}


def _read_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"Expected at most {MAX_FILE_BYTES} bytes. Received more in {path}. Split the list."
        )
    return data


def _read_rows(path: Path, data: bytes) -> tuple[tuple[TruthRow, ...], int]:
    try:
        text = data.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(
                f"Expected the columns {', '.join(COLUMNS)}. Received no {', '.join(missing)} in "
                f"{path}. Correct its first line, or move the file elsewhere if it is no list."
            )
        rows: list[TruthRow] = []
        left_out = 0
        for number, fields in enumerate(reader, start=2):
            if number > MAX_ROWS + 1:
                raise InputError(
                    f"Expected at most {MAX_ROWS} rows. Received more in {path}. Split the list."
                )
            row = _read_row(path, number, fields)
            if row is None:
                left_out += 1
            else:
                rows.append(row)
    except UnicodeDecodeError as error:
        raise InputError(
            f"Expected UTF-8. Received byte {data[error.start]:#04x} at {error.start} of {path}. "
            "Save it as UTF-8."
        ) from None
    except csv.Error as error:
        raise InputError(
            f"Expected CSV. Received {error} in {path}. Save it as CSV again."
        ) from None
    return tuple(rows), left_out


def _read_row(path: Path, number: int, fields: Mapping[str, str | None]) -> TruthRow | None:
    name, price, code = (str(fields[c] or "").strip() for c in ("name", "price_krw", "barcode"))
    if not code:
        return None
    won = int(price) if price.isascii() and price.isdigit() and len(price) < 9 else 0
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not 1 <= won <= MAX_PRICE_KRW:
        raise InputError(
            f"Expected a name and a price of 1 to {MAX_PRICE_KRW} won. Received {name[:40]!r} and "
            f"{price[:20]!r} in line {number} of {path}. Correct the row or take it out."
        )
    kind = str(fields["promotion"] or "").strip()
    # A code that is no barcode by its check digit still says which rows are one product.
    return TruthRow(Listed(name, won, kind), barcodes.normalise(code) or code[:64])
