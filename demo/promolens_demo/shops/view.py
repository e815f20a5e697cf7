"""A page's share of a list, as the shop sees it and as hostile modes bend it. No HTTP, no HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

from promolens_catalog.barcodes import check_digit
from promolens_demo.shops.image_paths import image_path
from promolens_demo.shops.modes import Modes
from promolens_demo.shops.rows import Faults, Row

Bounds = Callable[[int], tuple[int, int]]
"""Page number from 1 -> first row and the row after the last."""

_SHIFTED_BY = 3
_KEPT_OF_FIVE = 2
TOTAL_GROWS_BY = 7
# A private character that becomes bytes which are no UTF-8 when the body is encoded.
BROKEN = "\ue000"
BROKEN_BYTES = b"\xed\xa0\xbd\xff"


@dataclass(frozen=True)
class View:
    """What one page shows.

    Attributes:
        total: rows of the whole list as the shop declares them, modes included.
        page: from 1.
        pages: pages of the whole list; 0 for an empty one.
        start: rows before this page's first.
    """

    rows: tuple[Row, ...]
    total: int
    page: int
    pages: int
    start: int


def fixed(size: int) -> Bounds:
    """Return the bounds of pages of `size` rows each."""
    return lambda page: ((page - 1) * size, page * size)


def pages_of(n_rows: int, bounds: Bounds) -> int:
    """Return how many pages `n_rows` rows fill."""
    if n_rows == 0:
        return 0
    first = bounds(1)[1]
    size = bounds(3)[0] - bounds(2)[0]
    return 1 + max(0, -(-(n_rows - first) // size))


def middle_page(pages: int) -> int:
    """Return the page at which a list goes wrong: the second of two, the only one of one."""
    return pages // 2 + 1


def view(rows: Sequence[Row], page: int, bounds: Bounds, modes: Modes, shifts: int = 0) -> View:
    """Cut page `page` out of a list.

    Args:
        shifts: list requests before this one, which is how often mode `shift` moved the rows.
    """
    rows = _bent_list(rows, modes, shifts)
    pages = pages_of(len(rows), bounds)
    middle = middle_page(pages)
    total = _declared_total(len(rows), page, modes)
    if "endless" in modes and rows:
        pages = max(pages_of(total, bounds), page + 1)
        shown = _endless(rows, *bounds(page))
    elif "half" in modes and page >= middle:
        shown = ()
    elif "repeated" in modes and page == middle and page > 1:
        # As many rows as this page would have, so that the sum of all is still the total.
        width = bounds(page)[1] - bounds(page)[0]
        shown = tuple(rows[slice(*bounds(page - 1))])[:width]
    else:
        shown = tuple(rows[slice(*bounds(page))])
    if page == min(middle, max(pages, 1)):
        shown = _bent_rows(shown, modes)
    return View(shown, total, page, pages, bounds(page)[0])


def _bent_list(rows: Sequence[Row], modes: Modes, shifts: int) -> Sequence[Row]:
    if "empty" in modes:
        return ()
    if "fewer" in modes:
        rows = [row for row in rows if _is_kept(row)]
    if "duplicate-ids" in modes:
        rows = _with_duplicates(rows)
    if "shift" in modes and rows:
        by = shifts * _SHIFTED_BY % len(rows)
        rows = [*rows[-by:], *rows[:-by]] if by else rows
    return rows


def _is_kept(row: Row) -> bool:
    """Choose by product, so that a row is missing from each list that it was in."""
    return crc32(f"fewer{row.goods.barcode}".encode()) % 5 < _KEPT_OF_FIVE


def _with_duplicates(rows: Sequence[Row]) -> list[Row]:
    """Give every tenth row the number and picture of the row before it."""
    changed = list(rows)
    for place in range(1, len(rows), 10):
        before = changed[place - 1]
        changed[place] = replace(
            rows[place], site_id=before.site_id, barcode=before.barcode, image=before.image
        )
    return changed


def _declared_total(n_rows: int, page: int, modes: Modes) -> int:
    if "endless" in modes:
        # Ends in 7, which no sum of full pages does: the crawl cannot happen to be complete.
        return 3 * n_rows // 10 * 10 + 7
    if "total" in modes and page > 1:
        return n_rows + TOTAL_GROWS_BY
    return n_rows


def _endless(rows: Sequence[Row], start: int, stop: int) -> tuple[Row, ...]:
    return tuple(
        _invented(rows[place % len(rows)], place // len(rows)) for place in range(start, stop)
    )


def _invented(row: Row, turn: int) -> Row:
    """Return a row that is on no list: the same thing with a name and codes of its own."""
    if turn == 0:
        return row
    body = "28" + f"{turn:03d}"[-3:] + row.goods.barcode[5:12]
    barcode = body + check_digit(body)
    image = row.image.replace(row.goods.barcode, barcode)
    site_id = str(int(row.site_id) + turn * 10_000_000) if row.site_id else None
    return replace(
        row,
        name=f"{row.name}{turn}",
        barcode=barcode if row.barcode else None,
        image=image,
        site_id=site_id,
    )


def _bent_rows(rows: tuple[Row, ...], modes: Modes) -> tuple[Row, ...]:
    """Print something wrong on the page's first card that has what goes wrong."""
    faults = _faults(rows[0], modes) if rows else Faults()
    if faults == Faults():
        return rows
    return (replace(rows[0], faults=faults, badge_shown=True), *rows[1:])


def _faults(row: Row, modes: Modes) -> Faults:
    name, half = row.name, len(row.name) // 2
    html = json = None
    if "names" in modes:
        html = f"{name[:half]}\x0b&#xD83D;\x07{name[half:]}&#x202E;"
        json = f"{name[:half]}\x0b\ud83d\x07{name[half:]}\u202e"
    elif "broken-utf8" in modes:
        html = json = f"{name[:half]}{BROKEN}{name[half:]}"
    return Faults(
        price="가격문의" if "price" in modes else None,
        badge="4+1" if "badge" in modes else None,
        name_html=html,
        name_json=json,
        image=_tricky(row) if "image-path" in modes else None,
    )


def _tricky(row: Row) -> str:
    folder, _, file = (row.image or image_path(row.chain, row.goods.barcode)).rpartition("/")
    return f"{folder}/../../../../../etc/{file}"
