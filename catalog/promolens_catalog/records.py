"""Tables from people's files: CSV, TSV or JSON, checked for size and encoding, as records.

Files come out of spreadsheets and scripts: with a byte order mark, in cp949, cut off, or of
hundreds of megabytes. What is wrong with a whole file is refused in one line; what is wrong with
one row is reported with that row.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promolens_runtime.errors import InputError

_ENCODINGS = ("utf-8-sig", "cp949")
_LISTS = ("items", "rows", "records", "data")


@dataclass(frozen=True)
class RecordLimits:
    """What is too large to be a table that a person feeds in."""

    max_bytes: int = 64 * 2**20
    max_records: int = 200_000
    max_columns: int = 200
    max_cell_characters: int = 10_000


@dataclass(frozen=True)
class Record:
    """One row.

    Attributes:
        place: line of a CSV, 1 being its header; number in a JSON list, from 1.
        fields: by column name, stripped and lower case; text from CSV, any value from JSON.
        fault: why the row cannot be read, in a few words; `""` for a good one.
    """

    place: int
    fields: Mapping[str, Any]
    fault: str = ""


@dataclass(frozen=True)
class RecordFile:
    """What a file holds.

    Attributes:
        sha256: hex, of its bytes.
        encoding: `utf-8` or `cp949`.
        columns: all that occur, in order of occurrence.
    """

    name: str
    sha256: str
    encoding: str
    columns: tuple[str, ...]
    records: tuple[Record, ...]


def read_records(path: Path, limits: RecordLimits | None = None) -> RecordFile:
    """Read a file; it may also be a pipe.

    Raises:
        InputError: as `parse_records`.
        OSError: it cannot be read.
    """
    limits = limits or RecordLimits()
    with path.open("rb") as file:
        # One byte more than allowed is enough to know; a file may also grow while it is read.
        data = file.read(limits.max_bytes + 1)
    return parse_records(data, path.name, limits)


def parse_records(data: bytes, name: str, limits: RecordLimits | None = None) -> RecordFile:
    """Read the bytes of a file.

    JSON is a list of objects, or an object with such a list as `items`, `rows`, `records` or
    `data`; everything else is CSV with a header, separated by commas or, where the header has none,
    by tabs.

    Raises:
        InputError: too large, no known encoding, no table, broken quotes, or columns that are
            nameless or named twice.
    """
    limits = limits or RecordLimits()
    if len(data) > limits.max_bytes:
        raise InputError(
            f"Expected a file of at most {limits.max_bytes // 2**20} MiB. Received {name}, which "
            "has more. Split it, or leave out columns that are not needed."
        )
    text, encoding = _decode(data, name)
    is_json = text.lstrip()[:1] in ("[", "{")
    records = tuple(_json_records(text, name, limits) if is_json else _csv(text, name, limits))
    columns = tuple(dict.fromkeys(column for record in records for column in record.fields))
    return RecordFile(name, hashlib.sha256(data).hexdigest(), encoding, columns, records)


def _decode(data: bytes, name: str) -> tuple[str, str]:
    for encoding in _ENCODINGS:
        try:
            return data.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError:
            continue
    raise InputError(
        f"Expected text in UTF-8 or cp949. Received {name}, which is in neither. "
        "Save it as CSV in UTF-8."
    )


def _csv(text: str, name: str, limits: RecordLimits) -> Iterator[Record]:
    header_line = text.partition("\n")[0]
    delimiter = "\t" if "\t" in header_line and "," not in header_line else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: tuple[str, ...] | None = None
    count = 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"Expected CSV in {name}. Received {error} at line {reader.line_num}. "
                "Is the file cut off, or a quotation mark not doubled?"
            ) from error
        if cells is None:
            break
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = _header(cells, name, limits)
            continue
        count += 1
        _check_count(count, name, limits)
        yield _csv_record(header, cells, reader.line_num, limits)
    if header is None:
        raise InputError(
            f"Expected a table with a header line. Received {name}, which is empty. "
            "Name another file."
        )


def _header(cells: Sequence[str], name: str, limits: RecordLimits) -> tuple[str, ...]:
    header = tuple(cell.strip().casefold() for cell in cells)
    if len(header) > limits.max_columns or len(set(header)) < len(header) or "" in header:
        raise InputError(
            f"Expected at most {limits.max_columns} columns, each with a name of its own, in the "
            f"first line of {name}. Received {', '.join(map(repr, header))[:200]}. "
            "Name the columns there."
        )
    return header


def _csv_record(
    header: Sequence[str], cells: Sequence[str], line: int, limits: RecordLimits
) -> Record:
    fault = _cells_fault(cells, limits)
    if len(cells) != len(header):
        fault = f"{len(cells)} cells under {len(header)} columns"
    return Record(line, dict(zip(header, cells, strict=False)), fault)


def _cells_fault(cells: Sequence[Any], limits: RecordLimits) -> str:
    longest = max((len(cell) for cell in cells if isinstance(cell, str)), default=0)
    return f"a cell of {longest} characters" if longest > limits.max_cell_characters else ""


def _json_records(text: str, name: str, limits: RecordLimits) -> Iterator[Record]:
    for place, row in enumerate(_json_rows(text, name), start=1):
        _check_count(place, name, limits)
        if not isinstance(row, dict):
            yield Record(place, {}, f"{type(row).__name__} in place of an object")
        elif len(row) > limits.max_columns:
            yield Record(place, {}, f"{len(row)} columns")
        else:
            fields = {key.strip().casefold(): value for key, value in row.items()}
            yield Record(place, fields, _cells_fault(list(row.values()), limits))


def _json_rows(text: str, name: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"Expected JSON in {name}. Received text that is none: {str(error)[:100]}. "
            "Is the file cut off?"
        ) from error
    if isinstance(found, dict):
        found = next((found[key] for key in _LISTS if isinstance(found.get(key), list)), found)
    if not isinstance(found, list):
        raise InputError(
            f"Expected a list of objects in {name}, or an object with one as {', '.join(_LISTS)}. "
            f"Received {type(found).__name__}. Put the rows into a list."
        )
    return found


def _check_count(count: int, name: str, limits: RecordLimits) -> None:
    if count > limits.max_records:
        raise InputError(
            f"Expected at most {limits.max_records} rows. Received {name}, which has more. "
            "Split it."
        )
