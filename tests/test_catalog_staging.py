"""Staging: a crawl's pages, kept until they are published, thrown away, or read again."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog_support import HOUR, MONTH, NOW, make_offer, make_offers
from promolens_catalog import staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import MAX_PRICE_KRW, Gift, Offer
from promolens_catalog.rows import content_hash, offer_of, offer_row
from promolens_catalog.staging import AnomalyRow, StagedPage
from promolens_runtime.errors import InputError

_numbers = itertools.count(1)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
NAME = TEXT.filter(bool)
PRICE = st.integers(1, MAX_PRICE_KRW)
DAY = st.dates(date(2020, 1, 1), date(2030, 12, 31))
GIFT = st.builds(Gift, NAME, st.none() | PRICE, st.none() | TEXT, st.none() | TEXT)


@st.composite
def any_offer(draw: st.DrawFn) -> Offer:
    days = sorted((draw(DAY), draw(DAY)))
    return Offer(
        chain=Chain.SEVEN,
        name=draw(NAME),
        price_krw=draw(PRICE),
        kind=draw(st.sampled_from(Kind)),
        valid_from=days[0],
        valid_until=days[1],
        valid_until_inferred=draw(st.booleans()),
        barcode=draw(st.none() | TEXT),
        site_id=draw(st.none() | TEXT),
        regular_price_krw=draw(st.none() | PRICE),
        gift=draw(st.none() | GIFT),
        image_url=draw(st.none() | TEXT),
        category=draw(st.none() | TEXT),
    )


def page_of(number: int, *offers: Offer, **changes: Any) -> StagedPage:
    values: dict[str, Any] = {
        "listing": "1-plus-1",
        "number": number,
        "sha256": f"{number:064x}",
        "cards_seen": len(offers),
        "declared_total": 83,
        "end_seen": False,
        "offers": offers,
    }
    return StagedPage(**(values | changes))


def begin(db: Database, chain: Chain = Chain.CU) -> int:
    return staging.start_crawl(db, chain, MONTH, "http", NOW, archive="runs/1")


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offers=st.lists(any_offer(), max_size=8))
def test_every_offer_comes_back_as_it_was(database: Database, offers: list[Offer]) -> None:
    crawl_id = begin(database, Chain.SEVEN)
    staging.stage_page(database, crawl_id, page_of(1, *offers))
    assert staging.staged_offers(database, crawl_id) == offers


@given(offer=any_offer())
def test_a_row_holds_the_whole_offer(offer: Offer) -> None:
    again = offer_of(offer.chain, offer_row(offer))
    assert again == offer
    assert content_hash(again) == content_hash(offer)


@given(one=any_offer(), other=any_offer())
def test_only_equal_offers_have_equal_hashes(one: Offer, other: Offer) -> None:
    assert (content_hash(one) == content_hash(other)) == (one == other)


def test_the_hash_is_the_same_on_every_machine() -> None:
    """Stored hashes are compared with new ones for years: this one must never change."""
    offer = make_offer(1, gift=Gift("컵", 500, None, None))
    assert content_hash(offer) == "21fe614bb7570909a267eb6b916c7b2e74f5e32658479b09f2c8e0de58ac9877"


def test_pages_come_back_in_order_with_rows_and_anomalies(database: Database) -> None:
    crawl_id = begin(database)
    first, second, third = make_offers(range(3))
    seen = AnomalyRow("price-unreadable", "Expected a price. Received '가격문의'.", 1)
    staging.stage_page(database, crawl_id, page_of(2, third, end_seen=True), NOW)
    staging.stage_page(database, crawl_id, page_of(1, first, second, problems=(seen,)), NOW)
    staging.stage_page(database, crawl_id, page_of(1, listing="gift", declared_total=None), NOW)

    pages = staging.staged_pages(database, crawl_id)
    assert [(page.listing, page.number) for page in pages] == [
        ("1-plus-1", 1),
        ("1-plus-1", 2),
        ("gift", 1),
    ]
    placed = AnomalyRow("price-unreadable", seen.detail, 1, "1-plus-1", 1)
    assert pages[0] == page_of(1, first, second, problems=(placed,))
    assert pages[1] == page_of(2, third, end_seen=True)
    assert pages[2] == page_of(1, listing="gift", declared_total=None)
    assert staging.staged_offers(database, crawl_id) == [first, second, third]
    assert staging.anomalies(database, crawl_id) == [placed]


def test_a_page_read_again_replaces_what_was_there(database: Database) -> None:
    crawl_id = begin(database)
    old = page_of(1, *make_offers(range(5)), problems=(AnomalyRow("badge-unknown", "4+1"),))
    new = page_of(1, *make_offers(range(2, 4)), sha256="f" * 64)
    staging.stage_page(database, crawl_id, old)
    staging.stage_page(database, crawl_id, old)
    assert len(staging.staged_offers(database, crawl_id)) == 5
    assert len(staging.anomalies(database, crawl_id)) == 1
    staging.stage_page(database, crawl_id, new)
    assert staging.staged_pages(database, crawl_id) == [new]
    assert staging.anomalies(database, crawl_id) == []


def test_a_listing_can_be_read_from_the_beginning(database: Database) -> None:
    crawl_id = begin(database)
    noted = (AnomalyRow("row-repeated", "twice"),)
    staging.stage_page(database, crawl_id, page_of(1, make_offer(1), problems=noted))
    kept = page_of(1, make_offer(2), listing="gift")
    staging.stage_page(database, crawl_id, kept)
    staging.drop_listing(database, crawl_id, "1-plus-1")
    assert staging.staged_pages(database, crawl_id) == [kept]
    assert staging.anomalies(database, crawl_id) == []


def test_a_killed_crawl_is_found_again(database: Database) -> None:
    assert staging.open_crawl(database, Chain.CU, MONTH, "http") is None
    begin(database)
    newest = begin(database)
    begin(database, Chain.GS25)
    assert staging.open_crawl(database, Chain.CU, MONTH, "http") == newest
    assert staging.open_crawl(database, Chain.CU, "2026-03", "http") is None
    assert staging.open_crawl(database, Chain.CU, MONTH, "browser") is None
    staging.finish_crawl(database, newest, "failed", "source-gone", NOW)
    assert staging.open_crawl(database, Chain.CU, MONTH, "http") == newest - 1


def test_two_crawls_at_once_do_not_mix(database: Database) -> None:
    one, other = begin(database), begin(database)
    for number in (1, 2):
        staging.stage_page(database, one, page_of(number, make_offer(number)))
        staging.stage_page(database, other, page_of(number, make_offer(10 + number)))
    staging.drop_listing(database, one, "none such")
    assert staging.staged_offers(database, one) == make_offers((1, 2))
    assert staging.staged_offers(database, other) == make_offers((11, 12))
    staging.drop_listing(database, one, "1-plus-1")
    assert staging.staged_offers(database, one) == []
    assert staging.staged_offers(database, other) == make_offers((11, 12))


def test_a_failed_crawl_keeps_its_reason_and_its_anomalies_only(database: Database) -> None:
    crawl_id = begin(database)
    noted = (AnomalyRow("card-unreadable", "no name"),)
    staging.stage_page(database, crawl_id, page_of(1, make_offer(1), problems=noted))
    missed = [AnomalyRow("total-missed", "Expected 83 rows. Received 1.")]
    staging.add_anomalies(database, crawl_id, missed)
    staging.finish_crawl(database, crawl_id, "failed", "listing-broken", NOW + HOUR, requests=7)

    assert staging.staged_pages(database, crawl_id) == []
    codes = [row.code for row in staging.anomalies(database, crawl_id)]
    assert codes == ["card-unreadable", "total-missed"]
    record = staging.crawl_record(database, crawl_id)
    assert (record.state, record.reason, record.requests) == ("failed", "listing-broken", 7)
    assert (record.started_at, record.finished_at) == (NOW, NOW + HOUR)
    assert (record.chain, record.month, record.transport) == (Chain.CU, MONTH, "http")
    assert record.archive == "runs/1"
    assert staging.crawls(database)[0] == record
    assert staging.crawls(database, Chain.GS25) == []


def test_an_ended_crawl_takes_nothing_more(database: Database) -> None:
    crawl_id = begin(database)
    staging.finish_crawl(database, crawl_id, "failed", "bot-page", NOW)
    with pytest.raises(InputError, match="which is failed"):
        staging.stage_page(database, crawl_id, page_of(1, make_offer(1)))
    with pytest.raises(InputError, match="which is failed"):
        staging.finish_crawl(database, crawl_id, "staged", "", NOW)
    with pytest.raises(InputError, match="which is none"):
        staging.stage_page(database, 4711, page_of(1, make_offer(1)))
    with pytest.raises(InputError, match="staged or failed"):
        staging.finish_crawl(database, crawl_id, "published", "", NOW)


def test_chains_do_not_mix_in_one_crawl(database: Database) -> None:
    crawl_id = begin(database)
    stranger = make_offer(1, chain=Chain.GS25)
    with pytest.raises(InputError, match="Received offers of gs25"):
        staging.stage_page(database, crawl_id, page_of(1, make_offer(2), stranger))
    assert staging.staged_pages(database, crawl_id) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "a name of 1 to 200"),
        ({"name": "가" * 201}, "a name of 1 to 200"),
        ({"price_krw": 0}, "a price of 1 to 1000000"),
        ({"price_krw": 2**70}, "a price of 1 to 1000000"),
        ({"regular_price_krw": -1}, "prices of at most"),
        ({"gift": Gift("컵", 10**12)}, "prices of at most"),
        ({"valid_until": date(2026, 1, 31)}, "a first day before the last"),
        ({"site_id": "9" * 3000}, "keys of at most 200"),
        ({"image_url": "https://images.example/" + "a" * 100_000}, "texts of at most"),
        ({"gift": Gift("컵" * 100_000)}, "texts of at most"),
    ],
)
def test_what_is_no_offer_is_refused_in_one_line(
    database: Database, changes: dict[str, Any], said: str
) -> None:
    crawl_id = begin(database)
    with pytest.raises(InputError, match=said) as caught:
        staging.stage_page(database, crawl_id, page_of(1, make_offer(1, **changes)))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert staging.staged_pages(database, crawl_id) == []


def test_the_longest_texts_fit(database: Database) -> None:
    longest = make_offer(1, name="가" * 200, barcode="나" * 200, site_id="다" * 200)
    crawl_id = begin(database)
    staging.stage_page(database, crawl_id, page_of(1, longest, listing="라" * 60))
    assert staging.staged_offers(database, crawl_id) == [longest]


def test_unstorable_text_is_cleaned_and_noted(database: Database) -> None:
    dirty = make_offer(
        1, name="달\0빛\ud800", category="과\udfff자", gift=Gift("컵\0"), site_id="1\0"
    )
    clean = make_offer(
        1, name="달\ufffd빛\ufffd", category="과\ufffd자", gift=Gift("컵\ufffd"), site_id="1\ufffd"
    )
    crawl_id = begin(database)
    problem = AnomalyRow("badge-unknown", "Received '\ud83c4+1\0'.", 0)
    staging.stage_page(database, crawl_id, page_of(1, make_offer(2), dirty, problems=(problem,)))
    assert staging.staged_offers(database, crawl_id) == [make_offer(2), clean]
    known, cleaned = staging.anomalies(database, crawl_id)
    assert known.detail == "Received '\ufffd4+1\ufffd'."
    assert (cleaned.code, cleaned.position) == (staging.TEXT_UNCLEAN, 1)


def test_endless_anomalies_are_cut_short(database: Database) -> None:
    crawl_id = begin(database)
    staging.add_anomalies(database, crawl_id, [AnomalyRow("c" * 10_000, "d" * 10**6)])
    (row,) = staging.anomalies(database, crawl_id)
    assert (len(row.code), len(row.detail)) == (500, 500)
