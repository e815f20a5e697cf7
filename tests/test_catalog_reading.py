"""Answers: the best deal first, a no only from sources that speak for today, pages that fit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from catalog_support import HOUR, NOW, make_offer, make_offers, stage_crawl
from promolens_catalog.calendar import first_day
from promolens_catalog.chain_status import ChainStatus
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.history import history, last_time
from promolens_catalog.items import CLASS, ItemKey
from promolens_catalog.kinds import Kind
from promolens_catalog.links import Link
from promolens_catalog.offers import Gift, Offer
from promolens_catalog.promotion_list import Filters, Promotion, Sort, promotions
from promolens_catalog.publishing import mark_source, publish, rollback
from promolens_catalog.reading import Answer, Status, by_barcode, by_item, by_key, by_text
from promolens_runtime.errors import InputError

MARCH = datetime(2026, 2, 28, 15, 0, tzinfo=UTC)  # its first instant in Seoul
TEA = make_offer(1, name="달빛)보리차500ml", price_krw=2500, kind=Kind.TWO_PLUS_ONE)
OTHER = make_offer(2, name="구름)유자차350ml", price_krw=1900, kind=Kind.ONE_PLUS_ONE)


def put(database: Database, *offers: Offer, now: datetime = NOW, month: str = "2026-02") -> None:
    """Publish a chain's whole list."""
    crawl_id = stage_crawl(database, offers, now, chain=offers[0].chain, month=month)
    publish(database, crawl_id, now)


def at(chain: Chain, offer: Offer = TEA, **changes: object) -> Offer:
    values = {**vars(offer), "chain": chain, **changes}
    return Offer(**values)


def barcode(offer: Offer) -> str:
    assert offer.barcode is not None
    return offer.barcode


def ask(database: Database, offer: Offer = TEA, now: datetime = NOW) -> Answer:
    return by_barcode(database, barcode(offer), now)


def said(rows: tuple[Promotion, ...]) -> list[tuple[Chain, int]]:
    return [(row.offer.chain, row.deal.unit_price_krw) for row in rows]


def status_of(answer: Answer, chain: Chain) -> ChainStatus:
    return next(one for one in answer.chains if one.chain is chain)


def test_one_barcode_gives_every_chain_best_deal_first(database: Database) -> None:
    put(database, TEA, OTHER)  # 2+1 of 2,500: 1,667
    put(database, at(Chain.GS25, kind=Kind.ONE_PLUS_ONE, name="달빛)보리차펫500ML"))  # 1,250
    put(database, at(Chain.EMART24, kind=Kind.GIFT, price_krw=1600, gift=Gift("컵", 300)))
    answer = ask(database)
    assert answer.status is Status.PROMOTIONS
    assert said(answer.promotions) == [
        (Chain.GS25, 1250),
        (Chain.EMART24, 1600),
        (Chain.CU, 1667),
    ]
    assert answer.item is not None
    assert answer.item.name == "달빛)보리차펫500ML"
    assert {one.name for one in answer.item.aliases} == {"달빛)보리차500ml", "달빛)보리차펫500ML"}
    best, gift, _ = answer.promotions
    assert best.price_per_100 == Fraction(250)  # 1,250 won for 500 ml
    assert (gift.offer.gift, gift.deal.gift_value_krw) == (Gift("컵", 300), 300)
    assert answer.version == 3
    spelled = by_barcode(database, " " + "-".join(barcode(TEA)), NOW)
    assert spelled == answer
    assert by_item(database, answer.item.id, NOW) == answer


def test_a_guessed_product_comes_after_a_certain_one_of_the_same_price(database: Database) -> None:
    put(database, at(Chain.GS25))
    answer = ask(database)
    assert answer.item is not None
    guess = Link(answer.item.id, "name-price-size/1", 0.9)
    rows = [at(Chain.CU, barcode=None, site_id="7")]
    crawl_id = stage_crawl(database, rows, NOW, chain=Chain.CU)
    publish(database, crawl_id, NOW, linker=lambda _connection, offers: [guess] * len(offers))
    found = ask(database).promotions
    assert said(found) == [(Chain.GS25, 1667), (Chain.CU, 1667)]
    assert [row.guessed for row in found] == [False, True]


def test_a_no_an_unknown_product_and_a_silent_source_differ(database: Database) -> None:
    assert ask(database).status is Status.UNKNOWN_PRODUCT
    put(database, TEA, OTHER)
    put(database, OTHER, now=NOW + HOUR)
    answer = ask(database)
    assert (answer.status, answer.promotions) == (Status.NO_PROMOTION, ())
    assert answer.item is not None
    assert status_of(answer, Chain.CU).speaks_for_today
    assert status_of(answer, Chain.GS25).state == "never"
    assert Chain.MINISTOP not in {one.chain for one in answer.chains}  # historic

    mark_source(database, Chain.CU, "stale", NOW, "fetch-failed")
    assert ask(database).status is Status.SOURCE_UNAVAILABLE
    mark_source(database, Chain.CU, "gone", NOW, "source-gone")
    answer = ask(database)
    assert answer.status is Status.SOURCE_UNAVAILABLE
    cu = status_of(answer, Chain.CU)
    assert (cu.state, cu.reason, cu.month, cu.rows) == ("gone", "source-gone", "2026-02", 1)
    # What the last good snapshot has is still true this month.
    assert ask(database, OTHER).status is Status.PROMOTIONS
    # Nobody knows this one, whatever the sources do.
    unknown = by_barcode(database, "8801056150013", NOW)
    assert (unknown.status, unknown.item) == (Status.UNKNOWN_PRODUCT, None)


def test_one_silent_chain_makes_a_no_uncertain(database: Database) -> None:
    put(database, TEA)
    put(database, OTHER, now=NOW + HOUR)
    put(database, at(Chain.GS25, OTHER))
    assert ask(database).status is Status.NO_PROMOTION
    mark_source(database, Chain.GS25, "gone", NOW, "source-gone")
    assert ask(database).status is Status.SOURCE_UNAVAILABLE


def test_old_rows_are_expired_when_the_month_turns_in_seoul(database: Database) -> None:
    put(database, TEA)
    assert ask(database, now=MARCH - timedelta(seconds=1)).status is Status.PROMOTIONS
    answer = ask(database, now=MARCH)
    assert (answer.status, answer.promotions) == (Status.SOURCE_UNAVAILABLE, ())
    assert said(answer.expired) == [(Chain.CU, 1667)]
    assert not status_of(answer, Chain.CU).speaks_for_today


def test_windows_within_a_month_hold_on_their_days(database: Database) -> None:
    days: dict[str, Any] = {"valid_from": date(2026, 2, 1), "valid_until": date(2026, 2, 14)}
    put(database, at(Chain.EMART24, **days), at(Chain.EMART24, OTHER))
    assert said(ask(database, now=datetime(2026, 2, 14, 14, 59, tzinfo=UTC)).promotions)
    after = ask(database, now=datetime(2026, 2, 14, 15, 0, tzinfo=UTC))
    assert (after.status, len(after.expired)) == (Status.NO_PROMOTION, 1)


def test_what_is_no_barcode_is_refused(database: Database) -> None:
    for text in ("8801056150014", "", "콜라", "1" * 100):
        with pytest.raises(InputError, match="Expected a barcode"):
            by_barcode(database, text, NOW)
    assert by_key(database, ItemKey(CLASS, "none"), NOW).status is Status.UNKNOWN_PRODUCT
    assert by_item(database, 12345, NOW).status is Status.UNKNOWN_PRODUCT


def test_a_text_gives_candidates_with_their_promotions(database: Database) -> None:
    old = make_offer(3, name="달빛)보리차제로500ml")
    put(database, TEA, old)
    put(database, TEA, OTHER, now=NOW + HOUR)
    answer = by_text(database, "보리차", NOW)
    assert answer.status is Status.PROMOTIONS
    assert [match.candidate.name for match in answer.matches] == ["달빛)보리차500ml"]
    everything = by_text(database, "보리차", NOW, offered_only=False)
    assert [len(match.promotions) for match in everything.matches] == [1, 0]
    only_old = by_text(
        database, "보리차제로500", NOW, filters=Filters(kinds=frozenset([Kind.GIFT]))
    )
    assert only_old.status is Status.NO_PROMOTION
    assert only_old.matches[0].candidate.name == "달빛)보리차제로500ml"
    assert by_text(database, "없는것", NOW).status is Status.UNKNOWN_PRODUCT
    with pytest.raises(InputError, match="limit of 1 to 60"):
        by_text(database, "보리차", NOW, limit=61)


def test_filters(database: Database) -> None:
    rows = make_offers(range(60))
    put(database, *rows)
    put(database, *(at(Chain.GS25, row) for row in rows[:20]))

    def listed(**filters: object) -> set[Offer]:
        page = promotions(database, Filters(**filters), limit=500)  # type: ignore[arg-type]
        assert page.total == len(page.promotions)
        return {row.offer for row in page.promotions}

    assert len(listed()) == 80
    assert listed(chains=frozenset([Chain.GS25])) == {at(Chain.GS25, row) for row in rows[:20]}
    assert {row.kind for row in listed(kinds=frozenset([Kind.TWO_PLUS_ONE]))} == {Kind.TWO_PLUS_ONE}
    assert {row.category for row in listed(category="음료")} == {"음료"}
    assert listed(category="' OR 1=1 --") == set()
    prices = {row.price_krw for row in listed(min_price_krw=2000, max_price_krw=2500)}
    assert prices == {2000, 2100, 2200, 2300, 2400, 2500}
    assert len(listed(on=date(2026, 2, 28))) == 80
    assert listed(on=date(2026, 3, 1)) == set()


def test_sorting_is_by_exact_prices(database: Database) -> None:
    """2+1 of 2,000 is 1333 1/3, dearer than 1,333; 1+1 of 2,667 is 1333 1/2, dearer still."""
    rows = [
        at(Chain.CU, make_offer(number), name=name, price_krw=price, kind=kind)
        for number, (name, price, kind) in enumerate(
            [
                ("셋째 100g", 2667, Kind.ONE_PLUS_ONE),
                ("둘째 1000g", 2000, Kind.TWO_PLUS_ONE),
                ("첫째", 1333, Kind.DISCOUNT),
                ("넷째 50입", 1400, Kind.PICK_AND_MIX),
                ("다섯째 2L", 1868, Kind.THREE_PLUS_ONE),  # 1,401
            ]
        )
    ]
    put(database, *rows)

    def order(sort: Sort) -> list[str]:
        return [row.offer.name[:2] for row in promotions(database, sort=sort).promotions]

    assert order(Sort.UNIT_PRICE) == ["첫째", "둘째", "셋째", "넷째", "다섯"]
    # 70.05, 133 1/3 and 1333.5 won for 100; the others have no measure and come by price.
    assert order(Sort.PER_100) == ["다섯", "둘째", "셋째", "첫째", "넷째"]
    shown = [row.price_per_100 for row in promotions(database, sort=Sort.PER_100).promotions]
    assert shown == [Fraction(1401, 20), Fraction(400, 3), Fraction(2667, 2), None, None]


@pytest.mark.parametrize("sort", Sort)
def test_pages_of_a_version_fit_whatever_is_published_between_them(
    database: Database, sort: Sort
) -> None:
    put(database, *make_offers(range(25)))
    first = promotions(database, sort=sort, limit=7)
    whole = promotions(database, sort=sort, limit=500)
    seen = list(first.promotions)
    page = first
    month_later = 0
    while page.next_offset is not None:
        month_later += 1
        put(database, *make_offers(range(month_later, 40)), now=NOW + month_later * HOUR)
        page = promotions(
            database, sort=sort, limit=7, offset=page.next_offset, version=first.version
        )
        assert (page.version, page.total) == (first.version, 25)
        seen += page.promotions
    ids = [row.id for row in seen]
    assert ids == [row.id for row in whole.promotions]
    assert len(set(ids)) == 25
    now = promotions(database, sort=sort, limit=500)
    assert {row.offer for row in now.promotions} == set(make_offers(range(3, 40)))


def test_a_page_out_of_range_is_refused(database: Database) -> None:
    for wrong in ({"limit": 0}, {"limit": 501}, {"offset": -1}, {"version": 1}, {"version": -1}):
        with pytest.raises(InputError, match="Expected a limit of 1 to 500"):
            promotions(database, **wrong)  # type: ignore[arg-type]
    empty = promotions(database, offset=1000)
    assert (empty.total, empty.promotions, empty.next_offset) == (0, (), None)


def test_history_tells_whether_it_was_1_plus_1_before(database: Database) -> None:
    january: dict[str, Any] = {"valid_from": date(2026, 1, 1), "valid_until": date(2026, 1, 31)}
    then = NOW - timedelta(days=31)
    put(database, at(Chain.CU, kind=Kind.ONE_PLUS_ONE, **january), now=then, month="2026-01")
    put(database, TEA)
    put(database, at(Chain.GS25, kind=Kind.ONE_PLUS_ONE), now=NOW + HOUR)
    answer = ask(database)
    assert answer.item is not None
    entries = history(database, answer.item.id)
    assert [(one.offer.chain, one.offer.kind, one.live, one.months) for one in entries] == [
        (Chain.CU, Kind.TWO_PLUS_ONE, True, ("2026-02",)),
        (Chain.GS25, Kind.ONE_PLUS_ONE, True, ("2026-02",)),
        (Chain.CU, Kind.ONE_PLUS_ONE, False, ("2026-01",)),
    ]
    past = last_time(entries, Kind.ONE_PLUS_ONE, first_day("2026-02"))
    assert past is not None
    assert (past.offer.valid_from, past.first_seen) == (date(2026, 1, 1), then)
    assert last_time(entries, Kind.TWO_PLUS_ONE, first_day("2026-02")) is None
    assert last_time(entries, Kind.ONE_PLUS_ONE, first_day("2026-02"), Chain.GS25) is None
    assert history(database, 98765) == ()


def test_history_is_silent_about_what_was_taken_back(database: Database) -> None:
    put(database, TEA)
    wrong = at(Chain.CU, price_krw=25)
    put(database, wrong, now=NOW + HOUR)
    rollback(database, Chain.CU, NOW + 2 * HOUR)
    answer = ask(database)
    assert answer.item is not None
    (only,) = history(database, answer.item.id)
    assert (only.offer, only.live, only.first_seen) == (TEA, True, NOW)
