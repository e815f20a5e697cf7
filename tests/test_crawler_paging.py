"""A listing counts as read only when every row was received once: the common end-of-list rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_crawler.errors import ListingBrokenError
from promolens_crawler.paging import ListingMovedError, PageFacts, Paging, PagingLimits


def page(number: int, rows: str, total: int | None = None, end: bool = False) -> PageFacts:
    """A page whose rows are single letters."""
    return PageFacts(number, f"digest of {rows}", tuple(rows), len(rows), total, end)


def read(
    pages: list[PageFacts], declares_total: bool, limits: PagingLimits | None = None
) -> Paging:
    paging = Paging(declares_total, limits)
    for one in pages:
        paging.accept(one)
    return paging


def test_a_declared_total_ends_the_listing_when_it_is_reached() -> None:
    paging = read([page(1, "abc", 7), page(2, "def"), page(3, "g", 7)], declares_total=True)
    assert (paging.complete, paging.received, paging.total) == (True, 7, 7)
    assert paging.pages_to_confirm == ()


def test_before_the_total_is_reached_the_next_page_is_due() -> None:
    paging = read([page(1, "abc", 7), page(2, "def", 7)], declares_total=True)
    assert (paging.complete, paging.next_number) == (False, 3)


def test_without_a_total_only_the_marker_ends_the_listing() -> None:
    paging = read([page(1, "abc"), page(2, "de")], declares_total=False)
    assert not paging.complete
    paging.accept(page(3, "", end=True))
    assert (paging.complete, paging.received) == (True, 5)


def test_a_short_last_page_with_the_marker_needs_no_further_request() -> None:
    assert read([page(1, "abc"), page(2, "d", end=True)], declares_total=False).complete


def test_an_empty_list_is_complete_when_the_page_says_so() -> None:
    assert read([page(1, "", 0)], declares_total=True).complete
    assert read([page(1, "", end=True)], declares_total=False).complete


def test_unreadable_cards_count_towards_the_total() -> None:
    first = replace(page(1, "ab", 3), cards_seen=3)
    assert read([first], declares_total=True).complete


def test_an_empty_page_without_a_marker_is_no_end() -> None:
    with pytest.raises(ListingBrokenError, match="Expected rows or an end marker on page 2"):
        read([page(1, "abc"), page(2, "")], declares_total=False)


@pytest.mark.parametrize("second", [page(2, "abc", 9), page(2, "bca", 9)], ids=["same", "sorted"])
def test_a_repeated_page_breaks_the_listing(second: PageFacts) -> None:
    with pytest.raises(ListingBrokenError, match="Received page 1 again") as raised:
        read([page(1, "abc", 9), second], declares_total=True)
    assert not isinstance(raised.value, ListingMovedError)  # no second try


def test_equal_bytes_are_a_repeated_page_even_when_no_row_is_readable() -> None:
    unreadable = PageFacts(1, "d", (), 3)
    with pytest.raises(ListingBrokenError, match="Received page 1 again"):
        read([unreadable, replace(unreadable, number=2)], declares_total=False)


def test_the_last_page_may_hold_one_row_that_an_earlier_page_had_too() -> None:
    paging = read([page(1, "abc", 4), page(2, "a", 4)], declares_total=True)
    assert (paging.complete, paging.pages_to_confirm) == (True, (1,))


def test_a_total_that_changes_means_begin_again() -> None:
    with pytest.raises(ListingMovedError, match=r"total of 9 rows to stay.* 8 on page 2"):
        read([page(1, "abc", 9), page(2, "def", 8)], declares_total=True)


def test_a_total_that_is_missed_means_begin_again() -> None:
    with pytest.raises(ListingMovedError, match=r"Expected 7 rows as declared.* Received 5"):
        read([page(1, "abc", 7), page(2, "de", 7, end=True)], declares_total=True)
    with pytest.raises(ListingMovedError, match="Received 3 when page 2 ended"):
        read([page(1, "abc", 7), page(2, "", 7)], declares_total=True)


def test_more_rows_than_the_total_means_begin_again() -> None:
    with pytest.raises(ListingMovedError, match=r"Expected 4 rows as declared.* Received 6"):
        read([page(1, "abc", 4), page(2, "def", 4)], declares_total=True)


def test_a_chain_that_declares_totals_is_not_believed_without_one() -> None:
    with pytest.raises(ListingBrokenError, match="Expected a declared total"):
        read([page(1, "abc"), page(2, "d", end=True)], declares_total=True)


def test_pages_without_end_end_in_an_error_and_not_in_a_shorter_list() -> None:
    limits = PagingLimits(max_pages=3)
    pages = [page(1, "ab"), page(2, "cd"), page(3, "ef")]
    with pytest.raises(ListingBrokenError, match="end within 3 pages"):
        read(pages, declares_total=False, limits=limits)
    with pytest.raises(ListingBrokenError, match="at most 5 rows"):
        read(pages, declares_total=False, limits=PagingLimits(max_rows=5))


def test_a_row_on_two_pages_asks_for_the_earlier_page_again() -> None:
    paging = read([page(1, "abc", 6), page(2, "cde", 6)], declares_total=True)
    assert paging.pages_to_confirm == (1,)
    paging.confirm(page(1, "abc", 6))  # printed twice by the shop itself
    with pytest.raises(ListingMovedError, match="Expected page 1 to be as it was"):
        paging.confirm(page(1, "xab", 6))


def test_without_a_total_the_first_page_is_read_again_at_the_end() -> None:
    paging = read([page(1, "abc"), page(2, "d", end=True)], declares_total=False)
    assert paging.pages_to_confirm == (1,)
    with pytest.raises(ListingMovedError, match="Expected page 1 to be as it was"):
        paging.confirm(page(1, "xab"))
    assert read([page(1, "abc", end=True)], declares_total=False).pages_to_confirm == ()


def test_reading_again_also_compares_the_total() -> None:
    paging = read([page(1, "abc", 6), page(2, "cde", 6)], declares_total=True)
    with pytest.raises(ListingMovedError, match="total of 6 rows"):
        paging.confirm(page(1, "abc", 7))


@pytest.mark.parametrize("limits", [{"max_pages": 0}, {"max_rows": 0}])
def test_limits_are_checked(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        PagingLimits(**limits)


@dataclass
class Shop:
    """A list that grows or shrinks while somebody pages through it."""

    rows: list[str]
    size: int
    declares: bool
    changes: dict[int, tuple[str, int]] = field(default_factory=dict)
    requests: int = 0

    def page(self, number: int) -> PageFacts:
        self.requests += 1
        kind, place = self.changes.get(self.requests, ("", 0))
        if kind == "add":
            self.rows.insert(place % (len(self.rows) + 1), f"new{self.requests}")
        elif kind == "drop" and self.rows:
            del self.rows[place % len(self.rows)]
        rows = tuple(self.rows[(number - 1) * self.size : number * self.size])
        end = number * self.size >= len(self.rows)
        total = len(self.rows) if self.declares else None
        return PageFacts(number, "|".join(rows), rows, len(rows), total, end)


class Exchanged(Shop):
    """All rows are other ones from the `moment`-th request on."""

    def __init__(self, rows: list[str], size: int, declares: bool, moment: int) -> None:
        super().__init__(rows, size, declares)
        self.moment = moment

    def page(self, number: int) -> PageFacts:
        if self.requests + 1 == self.moment:
            self.rows = [row.replace("r", "s") for row in self.rows]
        return super().page(number)


def crawl(shop: Shop) -> list[str]:
    paging = Paging(shop.declares)
    received: list[str] = []
    while not paging.complete:
        got = shop.page(paging.next_number)
        paging.accept(got)
        received += got.rows
    for number in paging.pages_to_confirm:
        paging.confirm(shop.page(number))
    return received


@given(st.integers(0, 60), st.integers(1, 9), st.booleans())
def test_a_quiet_shop_is_read_exactly_once(count: int, size: int, declares: bool) -> None:
    rows = [f"r{index}" for index in range(count)]
    assert crawl(Shop(list(rows), size, declares)) == rows


change = st.tuples(st.just("add"), st.integers(0, 99)) | st.tuples(
    st.just("drop"), st.integers(0, 99)
)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(2, 9), change)
def test_one_change_while_reading_never_passes_unseen(
    count: int, size: int, moment: int, what: tuple[str, int]
) -> None:
    """With a total, one row that comes or goes mid-crawl is either harmless or noticed."""
    shop = Shop([f"r{index}" for index in range(count)], size, True, {moment: what})
    try:
        received = crawl(shop)
    except ListingBrokenError:
        return
    assert received == shop.rows or shop.requests < moment


@given(st.integers(2, 40), st.integers(1, 6), st.integers(2, 9))
def test_a_list_exchanged_for_another_one_is_noticed_without_a_total(
    count: int, size: int, moment: int
) -> None:
    """Both lists are equally long and have no row in common."""
    shop = Exchanged([f"r{index}" for index in range(count)], size, False, moment)
    try:
        received = crawl(shop)
    except ListingBrokenError:
        return
    assert received in ([f"r{n}" for n in range(count)], [f"s{n}" for n in range(count)])


@given(st.integers(1, 40), st.integers(1, 6), st.integers(2, 9), st.integers(0, 99))
def test_without_a_total_a_row_pushed_over_an_edge_is_noticed(
    count: int, size: int, moment: int, place: int
) -> None:
    """A row added before what is still to come repeats a row; nothing is ever lost by it."""
    shop = Shop([f"r{index}" for index in range(count)], size, False, {moment: ("add", place)})
    try:
        received = crawl(shop)
    except ListingBrokenError:
        return
    assert set(received) >= {f"r{index}" for index in range(count)}
    assert len(received) == len(set(received))
