"""Readers under random cards, random damage and random bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promolens_catalog.barcodes import check_digit, normalise
from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import MAX_NAME_CHARACTERS, MAX_PRICE_KRW, Gift
from promolens_crawler.errors import CrawlError
from promolens_crawler.pages import PROBLEMS, Card, ParsedPage
from promolens_crawler.sites.base import Listing
from promolens_crawler.sites.fields import clean_name
from site_pages import SAVED, Saved, answer, listing_of, read, read_saved
from site_templates import KINDS, TEMPLATES, image_of

ANY = Listing("any", parameters={"folder": "event1plus1"})
HAS_REGULAR = Chain.EMART24
HAS_SITE_ID = (Chain.CU, Chain.SEVEN)
HAS_GIFT = (Chain.GS25, Chain.SEVEN)

names = (
    st.text(
        st.one_of(
            st.characters(exclude_categories=("C", "Z")),
            st.sampled_from(" 가나)(&<>\"'0123456789+mlPB"),
        ),
        min_size=1,
        max_size=30,
    )
    .map(lambda text: clean_name(text)[0])
    .filter(bool)
)
prices = st.integers(1, MAX_PRICE_KRW)
barcodes = st.integers(0, 10**11 - 1).map(lambda n: _with_check_digit(f"2{n:011d}"))


def _with_check_digit(body: str) -> str:
    return body + check_digit(body)


@st.composite
def cards_of(draw: st.DrawFn, chain: Chain) -> Card:
    """A card that the chain can print."""
    barcode = draw(st.none() | barcodes)
    kind = draw(st.sampled_from(KINDS[chain]))
    gift = None
    if kind is Kind.GIFT and chain in HAS_GIFT:
        given_code = draw(st.none() | barcodes)
        image = image_of(chain, given_code)
        gift = Gift(draw(names), draw(prices), given_code, image)
    regular = draw(st.none() | prices) if chain is HAS_REGULAR else None
    number = draw(st.integers(1, 999_999))
    return Card(
        name=draw(names),
        price_krw=draw(prices),
        kind=kind,
        barcode=None if chain is Chain.CSPACE else barcode,
        site_id=f"{number:06d}" if chain in HAS_SITE_ID else None,
        regular_price_krw=regular,
        gift=gift,
        image_url=image_of(chain, barcode),
    )


def check_page(page: ParsedPage, listing: Listing) -> None:
    """What holds for every page, however it came about."""
    assert len(page.cards) <= page.cards_seen
    assert page.declared_total is None or page.declared_total >= 0
    assert all(problem.code in PROBLEMS for problem in page.problems)
    assert all(problem.detail.isprintable() for problem in page.problems)
    for card in page.cards:
        assert 1 <= card.price_krw <= MAX_PRICE_KRW
        assert isinstance(card.kind, Kind)
        assert listing.kind in (None, card.kind)
        assert 1 <= len(card.name) <= MAX_NAME_CHARACTERS
        assert card.name.isprintable()
        assert card.image_url is None or card.image_url.startswith(("http://", "https://"))
        assert card.barcode is None or normalise(card.barcode) == card.barcode


def check_message(error: CrawlError) -> None:
    """What holds for every refusal: one line that says what was expected."""
    assert str(error).startswith("Expected")
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_a_shop_prints_is_what_is_read(name: str, data: st.DataObject) -> None:
    chain, template, number, rendered = TEMPLATES[name]
    cards = tuple(data.draw(st.lists(cards_of(chain), min_size=1, max_size=3)))
    given_page = answer(chain, template(cards), number=number, rendered=rendered)
    page = read(chain, given_page, ANY)
    assert page.cards == cards
    assert page.cards_seen == len(cards)
    assert page.problems == ()


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_list_of_one_kind_takes_no_card_of_another(name: str, data: st.DataObject) -> None:
    chain, template, number, rendered = TEMPLATES[name]
    cards = tuple(data.draw(st.lists(cards_of(chain), min_size=1, max_size=4)))
    wanted = data.draw(st.sampled_from(KINDS[chain]))
    listing = Listing("any", wanted, ANY.parameters)
    given_page = answer(chain, template(cards), number=number, rendered=rendered)
    page = read(chain, given_page, listing)
    assert page.cards == tuple(card for card in cards if card.kind is wanted)
    others = [place for place, card in enumerate(cards) if card.kind is not wanted]
    assert [(one.code, one.position) for one in page.problems] == [
        ("badge-disagrees", place) for place in others
    ]


@pytest.mark.parametrize("one", SAVED, ids=str)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_pages_end_in_a_known_error_or_in_possible_cards(
    one: Saved, data: st.DataObject
) -> None:
    body = one.path.read_bytes()
    for _ in range(data.draw(st.integers(1, 4))):
        body = _damaged(body, data)
    try:
        page = read_saved(one, body)
    except CrawlError as error:
        check_message(error)
        return
    check_page(page, listing_of(one.chain, one.listing))


def _damaged(body: bytes, data: st.DataObject) -> bytes:
    start = data.draw(st.integers(0, len(body)))
    stop = data.draw(st.integers(start, min(len(body), start + 2_000)))
    inserted = data.draw(
        st.sampled_from(
            [
                b"",
                body[start:stop] * 2,
                b"<!--",
                b"-->",
                b"</li></ul></div>",
                b"<ul><li>",
                b"<table><tr>",
                b"<svg><math><template>",
                b"<script>",
                b"\x00",
                b"&#xD83D;",
                b"\"'>",
                b"9,999,999",
                b"4+1",
                b"</b></p>",
                "가격문의".encode(),
            ]
        )
        | st.binary(max_size=12)
    )
    return body[:start] + inserted + body[stop:]


@pytest.mark.parametrize("chain", list(Chain))
@pytest.mark.parametrize("rendered", [False, True])
@settings(max_examples=20)
@given(
    body=st.binary(max_size=400)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
    | st.text("<>/!-=\"' ulidvspan{}[]:,1+", max_size=200).map(str.encode),
    content_type=st.sampled_from(["text/html", "text/html;charset=euc-kr", "application/json", ""]),
)
def test_random_bytes_end_in_a_known_error(
    chain: Chain, rendered: bool, body: bytes, content_type: str
) -> None:
    given_page = answer(chain, body, content_type=content_type, rendered=rendered)
    try:
        page = read(chain, given_page, ANY)
    except CrawlError as error:
        check_message(error)
        return
    check_page(page, ANY)


@settings(max_examples=50)
@given(
    values=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=12,
    ),
    key=st.sampled_from(
        ["goodsNm", "price", "attFileNm", "eventTypeNm", "eventTypeSp", "giftGoodsNm", "giftPrice"]
    ),
)
def test_any_value_in_any_field_of_json_is_survived(values: object, key: str) -> None:
    saved = next(one for one in SAVED if str(one) == "gs25/first.json")
    data = json.loads(json.loads(saved.path.read_text("utf-8")))
    for row in data["results"]:
        row[key] = values
    try:
        page = read_saved(saved, json.dumps(json.dumps(data)).encode())
    except CrawlError:
        return
    check_page(page, listing_of(Chain.GS25, "total"))
