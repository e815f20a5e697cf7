"""A chain's list from a file, as another feeder where its public list is gone.

Columns: `name`, `price_krw`, `promotion` must be there; `chain`, `barcode`, `image_url`, `site_id`,
`category`, `regular_price_krw`, `gift_name`, `gift_price_krw`, `gift_barcode`, `gift_image_url`,
`valid_from` and `valid_until` (`YYYY-MM-DD`) may be. Rows go through staging, validation and
publication like those of a crawl: a row that cannot be read is an anomaly and is counted, never
guessed at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from promolens_catalog.calendar import first_day, last_day
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.list_rows import ImportedRow, RowReader, columns_of, known_column, where
from promolens_catalog.offers import Offer
from promolens_catalog.records import RecordFile, RecordLimits, read_records
from promolens_catalog.staging import (
    AnomalyRow,
    StagedPage,
    add_anomalies,
    finish_crawl,
    stage_page,
    start_crawl,
)
from promolens_runtime.errors import InputError

TRANSPORT = "import"
LISTING = "import"
PAGE_ROWS = 1000
# Ten times the longest list of any chain.
LIST_LIMITS = RecordLimits(max_bytes=16 * 2**20, max_records=50_000)


@dataclass(frozen=True)
class ImportedList:
    """A chain's list for a month as a file states it.

    Attributes:
        month: `YYYY-MM`; rows without dates of their own are valid for the whole of it.
        rows: all rows of the file in order, the unreadable ones included.
        ignored_columns: columns that mean nothing here.
    """

    chain: Chain
    month: str
    file: RecordFile
    rows: tuple[ImportedRow, ...]
    ignored_columns: tuple[str, ...]

    @property
    def offers(self) -> list[Offer]:
        """The readable rows, repeated ones as often as they occur."""
        return [row.offer for row in self.rows if row.offer is not None]

    @property
    def unreadable(self) -> int:
        """How many rows gave no offer."""
        return len(self.rows) - len(self.offers)


def read_list(
    path: Path, chain: Chain, month: str, limits: RecordLimits | None = None
) -> ImportedList:
    """Read a chain's list from a file.

    Raises:
        InputError: the file is no table (`records.read_records`) or has no rows, columns are
            missing, or the month is none.
        OSError: it cannot be read.
    """
    return list_of(read_records(path, limits or LIST_LIMITS), chain, month)


def list_of(file: RecordFile, chain: Chain, month: str) -> ImportedList:
    """Read a chain's list from records; pure. `InputError` as `read_list`."""
    window = (first_day(month), last_day(month))
    if not file.records:
        raise InputError(
            f"Expected rows in {file.name}. Received none. An empty list ends no promotions; if "
            "there is no list any more, let the source be gone."
        )
    words = columns_of(file)
    seen: set[Offer] = set()
    rows: list[ImportedRow] = []
    for record in file.records:
        row = RowReader(record, words, chain).row(window)
        if row.offer in seen:
            again = AnomalyRow("row-repeated", f"{where(record)}: the same as an earlier row")
            row = ImportedRow(row.offer, (*row.problems, again))
        if row.offer is not None:
            seen.add(row.offer)
        rows.append(row)
    ignored = tuple(column for column in file.columns if known_column(column) is None)
    return ImportedList(chain, month, file, tuple(rows), ignored)


def stage_list(db: Database, read: ImportedList, now: datetime) -> int:
    """Put a list into staging as a crawl of its own and return the crawl's id.

    The crawl is left `staged`: judge it, then `publishing.publish` or `publishing.hold` it. A list
    that cannot be staged whole leaves a failed crawl.
    """
    crawl_id = start_crawl(db, read.chain, read.month, TRANSPORT, now)
    try:
        for page in pages_of(read):
            stage_page(db, crawl_id, page, now)
        about = f"{read.file.name}, {read.file.encoding}, sha256 {read.file.sha256}"
        add_anomalies(db, crawl_id, [AnomalyRow("import-file", about)])
    except BaseException:
        finish_crawl(db, crawl_id, "failed", "import-broken", now)
        raise
    finish_crawl(db, crawl_id, "staged", "", now)
    return crawl_id


def pages_of(read: ImportedList) -> list[StagedPage]:
    """Return a list as pages of `PAGE_ROWS` rows."""
    starts = range(0, len(read.rows), PAGE_ROWS)
    pages = []
    for start in starts:
        part = read.rows[start : start + PAGE_ROWS]
        pages.append(
            StagedPage(
                listing=LISTING,
                number=start // PAGE_ROWS + 1,
                sha256=read.file.sha256,
                cards_seen=len(part),
                declared_total=len(read.rows),
                end_seen=start == starts[-1],
                offers=tuple(row.offer for row in part if row.offer is not None),
                problems=tuple(problem for row in part for problem in row.problems),
            )
        )
    return pages
