"""What keeps a crawl from being published, with the numbers at which it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Offer
from promolens_crawler.validation import (
    THRESHOLD_NAMES,
    Baseline,
    CrawlFacts,
    Finding,
    ListingFacts,
    Severity,
    Thresholds,
    holds,
    validate,
)

NOW = datetime(2026, 2, 24, 3, 0, tzinfo=UTC)
MONTH = date(2026, 2, 1)


def ean(number: int) -> str:
    """An in-store EAN-13; the check digit by the textbook: odd places once, even places thrice."""
    body = f"29{number:010d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return body + str(-total % 10)


def offer(number: int, kind: Kind = Kind.ONE_PLUS_ONE, **changes: object) -> Offer:
    plain = Offer(
        chain=Chain.EMART24,
        name=f"별빛)물결칩{number}g",
        price_krw=1000 + number,
        kind=kind,
        valid_from=MONTH,
        valid_until=date(2026, 2, 28),
        barcode=ean(number),
        image_url=f"https://shop.example/{ean(number)}.JPG",
        category="snack" if number % 2 else "drink",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def offers(one: int, two: int, **changes: object) -> tuple[Offer, ...]:
    rows = [offer(number, **changes) for number in range(one)]
    return (*rows, *(offer(1000 + n, Kind.TWO_PLUS_ONE, **changes) for n in range(two)))


def facts(
    rows: tuple[Offer, ...], problems: Mapping[str, int] | None = None, unread: int = 0
) -> CrawlFacts:
    """A crawl of one listing per kind, all ends proved; `unread` cards became no row."""
    listings = []
    for key, kind in (("one", Kind.ONE_PLUS_ONE), ("two", Kind.TWO_PLUS_ONE)):
        count = sum(row.kind is kind for row in rows)
        received = count + (unread if key == "one" else 0)
        listings.append(ListingFacts(key, kind, 3, received, count, received, True))
    return CrawlFacts(
        chain=Chain.EMART24,
        month="2026-02",
        declares_total=True,
        expected_listings=("one", "two"),
        listings=tuple(listings),
        offers=rows,
        problems=problems or {},
        crawled_at=NOW,
    )


def baseline(rows: tuple[Offer, ...], days_ago: float = 1) -> Baseline:
    return Baseline(rows, NOW - timedelta(days=days_ago), "2026-02")


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in findings]


LAST = baseline(offers(100, 100))


def test_a_crawl_like_the_last_one_has_nothing_to_report() -> None:
    assert validate(facts(offers(100, 100)), LAST) == ()


def test_a_finding_reads_as_one_line() -> None:
    finding = Finding("total", "37 rows in listing one", "31")
    assert finding.line() == "total: expected 37 rows in listing one, received 31"


@pytest.mark.parametrize(("two", "held"), [(41, False), (40, False), (39, True)])
def test_rows_may_fall_by_thirty_percent(two: int, held: bool) -> None:
    """Of 200 rows 140 may stay; 139 hold."""
    limits = Thresholds(min_group_rows=1000)  # only the count overall
    found = validate(facts(offers(100, two)), LAST, limits)
    assert codes(holds(found)) == (["count"] if held else [])
    if held:
        assert found[0].line() == "count: expected 140 to 800 rows (last: 200), received 139"


@pytest.mark.parametrize(("two", "held"), [(160, False), (161, True)])
def test_rows_may_grow_to_four_times(two: int, held: bool) -> None:
    before = baseline(offers(20, 20))
    found = validate(facts(offers(0, two)), before, Thresholds(max_kind_shift=1.0))
    assert ("count" in codes(holds(found))) is held


def test_a_kind_that_falls_is_held_though_the_whole_does_not() -> None:
    found = validate(facts(offers(100, 60)), LAST)
    assert codes(found) == ["count-kind"]
    assert found[0].expected == "70 to 400 rows of kind 2+1 (last: 100)"


def test_a_category_that_falls_is_held_though_the_whole_does_not() -> None:
    rows = tuple(
        row for n, row in enumerate(offers(100, 100)) if row.category == "snack" or n % 4 == 0
    )
    assert len(rows) == 150
    assert codes(validate(facts(rows), LAST)) == ["count-category"]


def test_small_groups_come_and_go() -> None:
    """A gift list of 99 rows may shrink to one, one of 19 may vanish."""
    many = (*offers(100, 100), *(offer(5000 + n, Kind.GIFT) for n in range(99)))
    fewer = (*offers(100, 100), offer(5000, Kind.GIFT))
    wide = Thresholds(max_kind_shift=1.0, max_drop=0.5)
    assert validate(facts(fewer), baseline(many), wide) == ()
    few = (*offers(100, 100), *(offer(5000 + n, Kind.GIFT) for n in range(19)))
    assert validate(facts(offers(100, 100)), baseline(few)) == ()


def test_a_group_of_twenty_rows_must_not_vanish() -> None:
    gifts = (*offers(100, 100), *(offer(5000 + n, Kind.GIFT) for n in range(20)))
    found = validate(facts(offers(100, 100)), baseline(gifts))
    assert [one.line() for one in found] == [
        "count-kind: expected rows of kind gift (last: 20), received none"
    ]


def test_an_empty_list_is_noted_when_there_is_nothing_to_compare() -> None:
    found = validate(facts(offers(100, 0)), None)
    assert [(one.code, one.severity) for one in found] == [
        ("listing-empty", Severity.NOTE),
        ("first", Severity.NOTE),
    ]


def test_an_old_snapshot_is_not_compared_with() -> None:
    limits = Thresholds()
    assert (
        codes(validate(facts(offers(9, 9)), baseline(offers(100, 100), 62), limits))[0] == "count"
    )
    found = validate(facts(offers(9, 9)), baseline(offers(100, 100), 62.1), limits)
    assert codes(found) == ["first", "baseline-old"]
    assert holds(found) == ()


def test_last_months_list_under_a_new_month_is_noted() -> None:
    """From the 1st on, 95 % of equal rows mean that the shop has not turned its list yet."""
    last = replace(LAST, month="2026-01")
    rows = offers(100, 100)
    found = validate(facts(rows), last)
    assert [(f.code, f.severity) for f in found] == [("month-not-turned", Severity.NOTE)]
    turned = tuple(replace(row, price_krw=row.price_krw + 10) for row in rows[:11])
    assert validate(facts((*turned, *rows[11:])), last) == ()


@pytest.mark.parametrize(("rows", "held"), [(9, True), (10, False)])
def test_the_first_snapshot_needs_a_handful_of_rows(rows: int, held: bool) -> None:
    found = validate(facts(offers(rows, 0)), None)
    assert codes(holds(found)) == (["first-count"] if held else [])
    assert "first" in codes(found)


def test_zero_rows_are_never_a_first_snapshot() -> None:
    assert codes(holds(validate(facts(()), None))) == ["first-count"]


def test_a_total_that_is_not_reached_holds() -> None:
    crawl = facts(offers(100, 100))
    short = replace(crawl.listings[0], declared_total=101)
    found = validate(replace(crawl, listings=(short, crawl.listings[1])), LAST)
    assert [finding.line() for finding in found] == [
        "total: expected 101 rows in listing one, received 100"
    ]


def test_a_total_is_required_where_the_chain_declares_one() -> None:
    crawl = facts(offers(100, 100))
    bare = replace(crawl.listings[0], declared_total=None)
    assert codes(validate(replace(crawl, listings=(bare, crawl.listings[1])), LAST)) == ["total"]


def test_an_end_marker_is_required_where_no_total_is_declared() -> None:
    crawl = replace(facts(offers(100, 100)), declares_total=False)
    open_end = replace(crawl.listings[0], declared_total=None, end_seen=False)
    closed = replace(crawl.listings[1], declared_total=None)
    assert codes(validate(replace(crawl, listings=(open_end, closed)), LAST)) == ["end"]


def test_a_listing_that_was_not_read_holds() -> None:
    crawl = facts(offers(100, 100))
    found = validate(replace(crawl, expected_listings=("one", "two", "gift")), LAST)
    assert codes(found) == ["listing-missing"]


def test_a_single_unreadable_card_holds() -> None:
    """Publishing without it would end a row that is perhaps still on sale."""
    found = validate(facts(offers(1000, 1000), {"price-unreadable": 1}, 1), None)
    assert codes(holds(found)) == ["unreadable"]
    assert holds(found)[0].received == "1 cards without (1 x price-unreadable)"


@pytest.mark.parametrize(("unread", "severity"), [(2, Severity.NOTE), (3, Severity.HOLD)])
def test_a_person_may_allow_some_but_not_more_than_one_in_a_hundred(
    unread: int, severity: Severity
) -> None:
    """2 of 202 are 0.99 %, 3 of 203 are 1.48 %."""
    limits = Thresholds(max_unread_cards=10)
    found = validate(facts(offers(100, 100), {"price-unreadable": unread}, unread), LAST, limits)
    assert [(f.code, f.severity) for f in found] == [("unreadable", severity)]


@pytest.mark.parametrize(("without", "held"), [(10, False), (11, True)])
def test_one_row_in_twenty_may_lack_its_picture(without: int, held: bool) -> None:
    rows = offers(100, 100)
    bare = tuple(replace(row, image_url=None) for row in rows[:without])
    assert (codes(validate(facts((*bare, *rows[without:])), LAST)) == ["image-coverage"]) is held


def test_seven_eleven_may_show_placeholders_for_half_of_its_rows() -> None:
    rows = tuple(
        replace(row, chain=Chain.SEVEN, image_url=row.image_url if n % 2 else None)
        for n, row in enumerate(offers(100, 100))
    )
    crawl = replace(facts(rows), chain=Chain.SEVEN)
    assert validate(crawl, baseline(rows)) == ()


@pytest.mark.parametrize(("without", "held"), [(20, False), (21, True)])
def test_the_share_of_barcodes_may_fall_by_ten_points(without: int, held: bool) -> None:
    rows = offers(100, 100)
    bare = tuple(replace(row, barcode=None) for row in rows[:without])
    found = validate(facts((*bare, *rows[without:])), LAST)
    assert codes(found) == (["barcode-share"] if held else [])


def test_wrong_check_digits_hold_above_two_percent() -> None:
    assert validate(facts(offers(100, 100), {"barcode-check-digit": 4}), LAST) == ()
    found = validate(facts(offers(100, 100), {"barcode-check-digit": 5}), LAST)
    assert codes(found) == ["check-digit"]


def test_a_single_unknown_badge_holds() -> None:
    found = validate(facts(offers(1000, 1000), {"badge-unknown": 1}), None)
    assert codes(holds(found)) == ["badge-unknown"]


def test_badges_that_disagree_hold_above_half_a_percent() -> None:
    crawl = facts(offers(100, 100), {"badge-disagrees": 1})
    assert [f.severity for f in validate(crawl, LAST)] == [Severity.NOTE]
    crawl = facts(offers(100, 100), {"badge-disagrees": 2})
    assert [f.severity for f in validate(crawl, LAST)] == [Severity.HOLD]


def test_a_shifted_mix_of_kinds_holds() -> None:
    """From 50/50 to 80/20 moves 30 % of the rows; 81/19 moves 31 %."""
    limits = Thresholds(max_drop=1.0)
    assert validate(facts(offers(160, 40)), LAST, limits) == ()
    assert codes(validate(facts(offers(162, 38)), LAST, limits)) == ["kind-mix"]


def test_a_listing_of_a_kind_that_gave_no_row_of_it_holds() -> None:
    crawl = facts(offers(100, 100))
    wrong = replace(crawl.listings[0], kind=Kind.THREE_PLUS_ONE)
    found = validate(replace(crawl, listings=(wrong, crawl.listings[1])), LAST)
    assert codes(found) == ["kind-missing"]


def test_odd_prices_are_noted_and_many_of_them_hold() -> None:
    rows = offers(100, 100)
    odd = tuple(replace(row, price_krw=99) for row in rows[:3])
    crawl = facts((*odd[:2], *rows[2:]))
    assert [(f.code, f.severity) for f in validate(crawl, LAST)] == [("price-range", Severity.NOTE)]
    assert codes(holds(validate(facts((*odd, *rows[3:])), LAST))) == ["price-range"]


def test_a_median_price_that_doubles_holds() -> None:
    """Prices in jeon, or a column taken for another."""
    dear = tuple(replace(row, price_krw=row.price_krw * 10) for row in offers(100, 100))
    assert codes(validate(facts(dear), LAST)) == ["price-median"]


@pytest.mark.parametrize(("outside", "severity"), [(4, Severity.NOTE), (5, Severity.HOLD)])
def test_dates_of_another_month_hold_above_two_percent(outside: int, severity: Severity) -> None:
    """4 of 200 rows are 2 %. A window that begins in the month before and reaches into it is one
    of the month."""
    rows = offers(100, 100)
    over = {"valid_from": date(2026, 1, 1), "valid_until": date(2026, 1, 31)}
    into = {"valid_from": date(2026, 1, 16), "valid_until": date(2026, 2, 1)}
    odd = tuple(replace(row, valid_until_inferred=False, **over) for row in rows[:outside])
    fine = tuple(replace(row, valid_until_inferred=False, **into) for row in rows[100:150])
    crawl = facts((*odd, *rows[outside:100], *fine, *rows[150:]))
    assert [(f.code, f.severity) for f in validate(crawl, LAST)] == [("window", severity)]


def test_one_code_for_two_products_is_noted_and_many_hold() -> None:
    rows = offers(100, 100)
    one = (replace(rows[0], barcode=rows[7].barcode), *rows[1:])
    assert [(f.code, f.severity) for f in validate(facts(one), LAST)] == [
        ("id-repeated", Severity.NOTE)
    ]
    many = (*(replace(row, barcode=rows[7].barcode) for row in rows[:5]), *rows[5:])
    assert codes(holds(validate(facts(many), LAST))) == ["id-repeated"]


def test_one_product_in_two_promotions_is_no_repeated_code() -> None:
    rows = offers(100, 0)
    both = (*rows, *(replace(row, kind=Kind.TWO_PLUS_ONE) for row in rows))
    assert validate(facts(both), baseline(both)) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chain": Chain.CU}, "another chain"),
        ({"name": " "}, "no name"),
        ({"name": "칩\x07"}, "control characters"),
        ({"name": "칩\ud800"}, "control characters"),
        ({"price_krw": 0}, "a price outside"),
        ({"price_krw": 1_000_001}, "a price outside"),
        ({"regular_price_krw": 0}, "a regular price outside"),
        ({"valid_from": date(2026, 3, 1)}, "an end before"),
        ({"barcode": "8801056150014"}, "a wrong check digit"),
        ({"image_url": "javascript:alert(1)"}, "not http"),
    ],
)
def test_a_row_that_breaks_the_schema_holds(changes: dict[str, object], words: str) -> None:
    rows = offers(100, 100)
    found = validate(facts((replace(rows[0], **changes), *rows[1:])), None)  # type: ignore[arg-type]
    assert codes(holds(found)) == ["schema"]
    assert words in holds(found)[0].received


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_drop": 30},
        {"min_image_share": -0.1},
        {"odd_price_krw": (500, 100)},
        {"max_surge": 0},
        {"max_median_factor": 0.5},
        {"min_group_rows": 0},
        {"min_lasting_rows": 0},
        {"max_unread_cards": -1},
    ],
)
def test_thresholds_are_checked_when_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Thresholds(**wrong)  # type: ignore[arg-type]


def test_every_threshold_is_known_by_name() -> None:
    assert {"max_drop", "max_surge", "min_image_share"} <= set(THRESHOLD_NAMES)
