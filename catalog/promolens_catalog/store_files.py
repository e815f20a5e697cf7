"""Read a public list of stores from a file: its format, its delimiter, its stores."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from promolens_catalog.store_formats import FORMATS, StoreFormat, cells_of
from promolens_catalog.store_lines import StoreLines
from promolens_catalog.store_rows import LeftOut, StoreRow
from promolens_runtime.errors import InputError

AUTO = "auto"
MAX_STORES = 300_000
DELIMITERS = (",", "|", "\t", ";")
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class StoreFile:
    """What a file holds.

    Attributes:
        format: `semas`, `gyeonggi` or `plain`.
        encoding: `utf-8`, `cp949`, `utf-16` or `mixed`.
        rows: below the header.
        stores: each of another number, in order.
        left_out: how many rows gave none, by reason.
        problems: the first few of them, one line each, those of another kind left out.
    """

    name: str
    sha256: str
    format: str
    encoding: str
    delimiter: str
    rows: int
    stores: tuple[StoreRow, ...]
    left_out: Mapping[LeftOut, int]
    problems: tuple[str, ...]
    attribution: str


def read_store_file(path: Path, format_name: str = AUTO, source: str = "") -> StoreFile:
    """Read a file; as `read_stores`.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return read_stores(stream, path.name, format_name, source)


def read_stores(
    stream: BinaryIO, name: str, format_name: str = AUTO, source: str = ""
) -> StoreFile:
    """Read a list of stores.

    Args:
        format_name: one of `FORMATS`, or `auto` for the first that has the columns it needs.
        source: the list's name where the format has none of its own (`plain`); made of `name` by
            default.

    Raises:
        InputError: no known columns, no rows, more than `MAX_STORES` stores, or quotes that never
            end.
    """
    lines = StoreLines(stream, name)
    header = next(lines, "")
    kind, delimiter, places, width = _recognised(header, format_name, name)
    reading = _Reading(kind, places, width, source or source_name(name))
    for line, cells in _rows(lines, delimiter, name):
        reading.take(line, cells)
        if len(reading.stores) > MAX_STORES:
            raise InputError(
                f"Expected at most {MAX_STORES} stores. Received {name}, which has more. Split it."
            )
    if not reading.rows:
        raise InputError(
            f"Expected rows below the header of {name}. Received none. Is the file whole?"
        )
    return StoreFile(
        name=name,
        sha256=lines.sha256,
        format=kind.name,
        encoding=lines.encoding,
        delimiter=delimiter,
        rows=reading.rows,
        stores=tuple(reading.stores.values()),
        left_out=dict(reading.left_out),
        problems=tuple(reading.problems),
        attribution=kind.attribution,
    )


def source_name(file_name: str) -> str:
    """Return the name of a list that is called after its file: `my stores.csv` -> `my-stores`."""
    stem = re.sub(r"[^0-9a-z가-힣]+", "-", Path(file_name).stem.casefold()).strip("-")
    return stem[:40] or "stores"


class _Reading:
    """What was read of one file so far."""

    def __init__(
        self, kind: StoreFormat, places: Mapping[str, int], width: int, source: str
    ) -> None:
        self._kind, self._places, self._width, self._source = kind, places, width, source
        self.rows = 0
        self.stores: dict[tuple[str, str], StoreRow] = {}
        self.left_out: Counter[LeftOut] = Counter()
        self.problems: list[str] = []

    def take(self, line: int, row: Sequence[str]) -> None:
        self.rows += 1
        found = self._read(row)
        if isinstance(found, StoreRow):
            key = (found.source, found.source_id)
            if self.stores.setdefault(key, found) is found:
                return
            found = LeftOut.REPEATED
        self.left_out[found] += 1
        common = found in (LeftOut.OTHER_KIND, LeftOut.CLOSED)
        if not common and len(self.problems) < _SHOWN_PROBLEMS:
            self.problems.append(f"line {line}: {found}")

    def _read(self, row: Sequence[str]) -> StoreRow | LeftOut:
        # Some lists end each row, but not the header, with a delimiter.
        if len(row) < self._width or any(cell.strip() for cell in row[self._width :]):
            return LeftOut.BROKEN
        if "\N{REPLACEMENT CHARACTER}" in row[self._places["name"]]:
            return LeftOut.UNREADABLE
        return self._kind.read(cells_of(self._places, row), self._source)


def _recognised(
    header: str, format_name: str, name: str
) -> tuple[StoreFormat, str, dict[str, int], int]:
    if format_name != AUTO and format_name not in FORMATS:
        raise InputError(
            f"Expected one of {AUTO}, {', '.join(FORMATS)} as format. Received "
            f"{format_name[:40]!r}. Check the spelling."
        )
    kinds = FORMATS.values() if format_name == AUTO else (FORMATS[format_name],)
    for kind in kinds:
        for delimiter in DELIMITERS:
            cells = next(csv.reader(io.StringIO(header), delimiter=delimiter), [])
            places = kind.places_in(cells)
            if places is not None:
                return kind, delimiter, places, len(cells)
    columns = "; ".join(f"{kind.name}: {', '.join(_needed(kind))}" for kind in kinds)
    raise InputError(
        f"Expected the columns of a list of stores ({columns}) in the first line of {name}. "
        f"Received {_shown(header)}. Name the columns there."
    )


def _needed(kind: StoreFormat) -> list[str]:
    words = (need if isinstance(need, str) else need[0] for need in kind.needed)
    return [kind.columns[word][0] for word in words]


def _shown(header: str) -> str:
    return "".join(letter for letter in header.strip() if letter.isprintable())[:120] or "nothing"


def _rows(lines: StoreLines, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"Expected CSV in {name}. Received {error} near line {reader.line_num + 1}. "
                "Is a quotation mark not closed?"
            ) from error
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield reader.line_num + 1, row
