"""When is a listing read whole? Judged page by page from facts alone: no network, no storage.

The rules are the same for every chain:

- where a total is declared, the listing is over when that many cards were received; more, fewer or
  another total on a later page means that the list moved under us;
- where none is declared, only the page's own end marker ends it;
- a page that was there before, or pages without end, break the listing at once;
- a row on two pages is either printed twice by the shop or was pushed over a page's edge while we
  read. Reading the earlier page again tells which: unchanged means printed twice;
- where no total is declared, the first page is read again at the end: a list that was exchanged, or
  got rows in front, while we read it must not pass for a whole one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from promolens_crawler.errors import ListingBrokenError


@dataclass(frozen=True)
class PagingLimits:
    """Where a listing counts as endless.

    The largest known list has about 130 pages and 5,100 rows; the limits leave room for growth and
    end in an error, never in a shorter list.
    """

    max_pages: int = 400
    max_rows: int = 20_000

    def __post_init__(self) -> None:
        if self.max_pages < 1 or self.max_rows < 1:
            raise ValueError("max_pages and max_rows must be at least 1")


@dataclass(frozen=True)
class PageFacts:
    """What the end-of-listing logic needs to know about one page.

    Attributes:
        number: from 1.
        digest: hash of the body; equal bodies are one page.
        rows: one hash for each readable row, in page order.
        cards_seen: all cards, the unreadable included.
        declared_total: rows of the whole listing, where the page states them.
        end_seen: the page says that there is no further one.
    """

    number: int
    digest: str
    rows: tuple[str, ...]
    cards_seen: int
    declared_total: int | None = None
    end_seen: bool = False


class ListingMovedError(ListingBrokenError):
    """The list changed while it was read; reading it once more from its first page may help."""


class Paging:
    """The state of one listing while its pages come in, in order."""

    def __init__(self, declares_total: bool, limits: PagingLimits | None = None) -> None:
        """Begin before page 1; `declares_total` is the chain's `Site.declares_total`."""
        self._declares_total = declares_total
        self._limits = limits or PagingLimits()
        self._pages: dict[int, PageFacts] = {}
        self._by_digest: dict[str, int] = {}
        self._by_rows: dict[tuple[tuple[str, int], ...], int] = {}
        self._first_page_of_row: dict[str, int] = {}
        self._pages_to_confirm: set[int] = set()
        self.total: int | None = None
        self.received = 0
        self.complete = False

    @property
    def next_number(self) -> int:
        """The page to read next."""
        return len(self._pages) + 1

    @property
    def pages_to_confirm(self) -> tuple[int, ...]:
        """Pages to read again before the end is trusted."""
        first = {1} if self.total is None and len(self._pages) > 1 else set()
        return tuple(sorted(self._pages_to_confirm | first))

    def accept(self, page: PageFacts) -> None:
        """Take the next page.

        Raises:
            ListingMovedError: the total changed or was missed; begin again once.
            ListingBrokenError: a repeated page, pages without end, an end that nothing marks.
        """
        if self.complete or page.number != self.next_number:
            raise ValueError(f"page {page.number} after page {self.next_number - 1}")
        self._refuse_repeated(page)
        self._refuse_changed_total(page)
        self._pages[page.number] = page
        self.received += page.cards_seen
        self._remember_rows(page)
        self._refuse_too_many(page)
        self.complete = self._is_last(page)

    def confirm(self, page: PageFacts) -> None:
        """Compare a page that was read again with what it was. Raises ListingMovedError."""
        before = self._pages[page.number]
        if (before.rows, before.cards_seen) != (page.rows, page.cards_seen):
            raise ListingMovedError(
                f"Expected page {page.number} to be as it was at first. Received other rows: the "
                "list moved while it was read. Run the crawl again at a quieter time."
            )
        self._refuse_changed_total(page)

    def _refuse_repeated(self, page: PageFacts) -> None:
        if page.cards_seen == 0:
            return
        earlier = self._by_digest.get(page.digest)
        if earlier is None and page.rows:
            earlier = self._by_rows.get(_bag(page))
        if earlier is not None:
            raise ListingBrokenError(
                f"Expected new rows on page {page.number}. Received page {earlier} again. "
                "Look at the archived pages: the way of paging may have changed."
            )

    def _refuse_changed_total(self, page: PageFacts) -> None:
        if page.declared_total is None:
            return
        if self.total is not None and page.declared_total != self.total:
            raise ListingMovedError(
                f"Expected the total of {self.total} rows to stay. Received "
                f"{page.declared_total} on page {page.number}. Run the crawl again."
            )
        self.total = page.declared_total

    def _remember_rows(self, page: PageFacts) -> None:
        self._by_digest.setdefault(page.digest, page.number)
        self._by_rows.setdefault(_bag(page), page.number)
        for row in page.rows:
            first = self._first_page_of_row.setdefault(row, page.number)
            if first != page.number:
                self._pages_to_confirm.add(first)

    def _refuse_too_many(self, page: PageFacts) -> None:
        if self.total is not None and self.received > self.total:
            raise ListingMovedError(
                f"Expected {self.total} rows as declared. Received {self.received} by page "
                f"{page.number}. Run the crawl again."
            )
        if self.received > self._limits.max_rows:
            raise ListingBrokenError(
                f"Expected at most {self._limits.max_rows} rows in a listing. Received more by "
                f"page {page.number}: it does not seem to end."
            )

    def _is_last(self, page: PageFacts) -> bool:
        over = page.end_seen or page.cards_seen == 0
        if self.total is not None:
            if self.received == self.total:
                return True
            if over:
                raise ListingMovedError(
                    f"Expected {self.total} rows as declared. Received {self.received} when page "
                    f"{page.number} ended the list. Run the crawl again."
                )
        elif over and self._declares_total:
            raise ListingBrokenError(
                "Expected a declared total, as this chain states one. Received a list that ends "
                f"on page {page.number} without any. Look at the archived pages."
            )
        elif page.end_seen:
            return True
        elif over:
            raise ListingBrokenError(
                f"Expected rows or an end marker on page {page.number}. Received neither. "
                "Look at the archived page."
            )
        if page.number >= self._limits.max_pages:
            raise ListingBrokenError(
                f"Expected the list to end within {self._limits.max_pages} pages. Received rows "
                "still. Look at the archived pages; a longer list needs a higher max_pages."
            )
        return False


def _bag(page: PageFacts) -> tuple[tuple[str, int], ...]:
    """Return the rows whatever their order: a repeated page may be sorted anew."""
    return tuple(sorted(Counter(page.rows).items()))
