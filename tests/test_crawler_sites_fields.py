"""Single fields of a card: what is believed, and what becomes a problem."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.kinds import Kind
from promolens_crawler.errors import PageDriftError
from promolens_crawler.pages import Card
from promolens_crawler.sites import cspace, cu, emart24, gs25, seven
from promolens_crawler.sites.base import Listing
from promolens_crawler.sites.cards import Badge, CardRules, RawCard, ReadCards, read_cards
from promolens_crawler.sites.fields import clean_name, image_address, price_krw

PAGE = "https://shop.invalid/event/list.do?page=1"
ANY = Listing("any")
RULES = CardRules(
    badges={("1+1", "one"): Kind.ONE_PLUS_ONE, ("2+1", "two"): Kind.TWO_PLUS_ONE},
    barcode=re.compile(r"/(\d+)\.jpg$"),
)


def read_one(raw: RawCard, listing: Listing = ANY, rules: CardRules = RULES) -> ReadCards:
    return read_cards([raw], rules, listing, PAGE)


def codes(read: ReadCards) -> list[str]:
    return [problem.code for problem in read.problems]


def only_card(read: ReadCards) -> Card:
    (card,) = read.cards
    return card


@pytest.mark.parametrize(
    ("text", "won"),
    [
        ("4,800", 4800),
        ("4,800 원", 4800),
        ("4,800원", 4800),
        ("  1,700 원\n", 1700),
        ("\u00a0900\u00a0원", 900),
        ("4900.0", 4900),
        ("4,900.00", 4900),
        ("4900", 4900),
        ("1", 1),
        ("1,000,000", 1_000_000),
    ],
)
def test_prices_are_plain_won(text: str, won: int) -> None:
    assert price_krw(text) == won


@pytest.mark.parametrize(
    "text",
    [
        "",
        "원",
        "가격문의",
        "0",
        "0원",
        "0,900",
        "-1,000",
        "1,000,001",
        "10,00",
        "1,0000",
        "1,00",
        ",100",
        "1 700",  # two numbers that stand beside each other are no price
        "2,600 1,900",
        "2,6001,900",
        "4900.5",
        "4,900.",
        "1e3",
        "４９００",  # wide digits
        "١٢٠٠",  # digits of another script
        "₩1,000",
        "1,000원 2,000원",
        "nan",
        "99999999999999999999",
    ],
)
def test_what_is_no_plain_price_is_none(text: str) -> None:
    assert price_krw(text) is None


@given(st.integers(1, 1_000_000))
def test_every_price_is_read_in_every_spelling(won: int) -> None:
    for text in (f"{won:,}", f"{won:,} 원", str(won), f"{float(won)}"):
        assert price_krw(text) == won


@given(st.text(max_size=30))
def test_prices_are_never_impossible(text: str) -> None:
    price = price_krw(text)
    assert price is None or 1 <= price <= 1_000_000


@pytest.mark.parametrize(
    ("text", "name", "unclean"),
    [
        ("칠성)펩시", "칠성)펩시", False),
        ("\n\t 여러\n   줄 이름 \r\n", "여러 줄 이름", False),
        ("뒤\u00a0빈칸\u3000둘", "뒤 빈칸 둘", False),
        ("빈\u2003칸", "빈 칸", False),
        ("콜\x00라", "콜라", True),
        ("콜\x0b라", "콜라", True),
        ("콜\ud83d라", "콜라", True),
        ("\ufffd\ufffd콜라", "콜라", True),
        ("\u202e라콜", "라콜", True),
        ("콜\u200b라", "콜라", True),
        ("콜\ue000라", "콜라", True),
        ("\x07\ud800", "", True),
        ("", "", False),
    ],
)
def test_names_lose_what_cannot_be_printed(text: str, name: str, unclean: bool) -> None:
    assert clean_name(text) == (name, unclean)


@given(st.text(st.characters(), max_size=40))
def test_clean_names_are_printable_and_stay_clean(text: str) -> None:
    name, _ = clean_name(text)
    assert name.isprintable()
    assert clean_name(name) == (name, False)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://images.invalid/a.jpg", "https://images.invalid/a.jpg"),
        ("//images.invalid/a.jpg", "https://images.invalid/a.jpg"),
        ("/upload/a.jpg", "https://shop.invalid/upload/a.jpg"),
        ("a.jpg", "https://shop.invalid/event/a.jpg"),
        ("http://images.invalid:8080/a.jpg?x=1", "http://images.invalid:8080/a.jpg?x=1"),
        ("/upload/a b.jpg", "https://shop.invalid/upload/a%20b.jpg"),
        ("/upload/a..b.jpg", "https://shop.invalid/upload/a..b.jpg"),
        ("/이미지/가.jpg", "https://shop.invalid/이미지/가.jpg"),
    ],
)
def test_image_addresses_become_absolute(text: str, address: str) -> None:
    assert image_address(text, PAGE) == address


@pytest.mark.parametrize(
    "text",
    [
        "/upload/../etc/passwd.jpg",
        "../a.jpg",
        "/a/..",
        "/a/%2e%2e/b.jpg",
        "/a/%252e%252e/b.jpg",
        "/a/..%2fb.jpg",
        "/a/..\\b.jpg",
        "/a?file=../b.jpg",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "ftp://images.invalid/a.jpg",
        "https://user:secret@images.invalid/a.jpg",
        "http://",
        "http://[::1/a.jpg",
        "http://images.invalid:99999/a.jpg",
        "http://images.invalid:0/a.jpg",
        "/a\x00.jpg",
        "/a\n.jpg",
        "/" + "a" * 2_000,
    ],
)
def test_image_addresses_with_tricks_are_refused(text: str) -> None:
    assert image_address(text, PAGE) is None


@given(st.text(max_size=60))
def test_image_addresses_are_http_or_none(text: str) -> None:
    address = image_address(text, PAGE)
    assert address is None or address.startswith(("http://", "https://"))


def test_a_refused_image_leaves_the_card_without_image_and_barcode() -> None:
    raw = RawCard("물", "900", (Badge("1+1", "one"),), image="/../2700000000014.jpg")
    read = read_one(raw)
    assert codes(read) == ["image-address-refused"]
    assert (only_card(read).image_url, only_card(read).barcode) == (None, None)


@pytest.mark.parametrize(
    ("file", "barcode", "problems"),
    [
        ("2700000000014", "2700000000014", []),
        ("2700000000015", None, ["barcode-check-digit"]),
        ("27000007", "27000007", []),  # EAN-8
        ("034000239344", "0034000239344", []),  # UPC-A
        ("12345", None, []),  # too short to be a barcode at all
    ],
)
def test_barcodes_need_their_check_digit(
    file: str, barcode: str | None, problems: list[str]
) -> None:
    read = read_one(RawCard("물", "900", (Badge("1+1", "one"),), image=f"/p/{file}.jpg"))
    assert only_card(read).barcode == barcode
    assert only_card(read).image_url == f"https://shop.invalid/p/{file}.jpg"
    assert codes(read) == problems


@pytest.mark.parametrize(
    ("badges", "listed", "outcome"),
    [
        ([("1+1", "one")], None, Kind.ONE_PLUS_ONE),
        ([(" 1 + 1 ", "one")], None, Kind.ONE_PLUS_ONE),
        ([("1+1", "one")], Kind.ONE_PLUS_ONE, Kind.ONE_PLUS_ONE),
        ([], Kind.TWO_PLUS_ONE, Kind.TWO_PLUS_ONE),  # the list is of one kind
        ([], None, "badge-missing"),
        ([("1+1", "one")], Kind.TWO_PLUS_ONE, "badge-disagrees"),
        ([("1+1", "two")], None, "badge-disagrees"),
        ([("1+1", "one"), ("2+1", "two")], None, "badge-disagrees"),
        ([("4+1", "four")], None, "badge-unknown"),
        ([("4+1", "four")], Kind.ONE_PLUS_ONE, "badge-unknown"),
        ([("4+1", "one")], Kind.ONE_PLUS_ONE, "badge-unknown"),
        ([("1+1", "four")], Kind.ONE_PLUS_ONE, "badge-unknown"),
        ([("1+1", "")], Kind.ONE_PLUS_ONE, "badge-unknown"),
        ([("", "")], Kind.ONE_PLUS_ONE, "badge-unknown"),
        ([("1+1", "one"), ("4+1", "four")], Kind.ONE_PLUS_ONE, "badge-unknown"),
    ],
)
def test_text_class_and_list_must_agree(
    badges: list[tuple[str, str]], listed: Kind | None, outcome: Kind | str
) -> None:
    raw = RawCard("물", "900", tuple(Badge(text, css) for text, css in badges))
    read = read_one(raw, Listing("any", listed))
    if isinstance(outcome, Kind):
        assert only_card(read).kind is outcome
        assert codes(read) == []
    else:
        assert read.cards == ()
        assert codes(read) == [outcome]


def test_badges_that_tell_no_kind_are_passed_over() -> None:
    raw = RawCard("물", "900", (Badge("PB", "ico_tag_04"), Badge("1+1", "ico_tag_06")))
    assert only_card(read_one(raw, rules=seven.RULES)).kind is Kind.ONE_PLUS_ONE
    lying = RawCard("물", "900", (Badge("PB", "ico_tag_06"),))
    assert codes(read_one(lying, rules=seven.RULES)) == ["badge-unknown"]


def test_a_text_may_be_known_whatever_its_class() -> None:
    for css in ("ico_tag_02", "whatever", ""):
        raw = RawCard("물", "900", (Badge("할인", css),))
        assert only_card(read_one(raw, rules=seven.RULES)).kind is Kind.DISCOUNT
    raw = RawCard("물", "900", (Badge("할인", "ico_tag_07"),))
    assert codes(read_one(raw, rules=seven.RULES)) == ["badge-disagrees"]


@pytest.mark.parametrize("rules", [cu.RULES, gs25.RULES, seven.RULES, emart24.RULES, cspace.RULES])
def test_no_chain_takes_an_unknown_badge_for_a_promotion(rules: CardRules) -> None:
    known = {css for _, css in rules.badges}
    for text in ("4+1", "1+2", "", "NEW", "1+1+1", "11"):
        for css in ("plus4", "", *known):
            if (text, css) not in rules.badges:
                read = read_one(RawCard("물", "900", (Badge(text, css),)), rules=rules)
                assert read.cards == ()


def test_all_that_is_wrong_with_a_card_is_said_and_it_still_counts() -> None:
    bad = RawCard(" \x07 ", "무료", (Badge("4+1", "four"),))
    good = RawCard("물", "900", (Badge("1+1", "one"),))
    read = read_cards([good, bad, None], RULES, ANY, PAGE)
    assert read.seen == 3
    assert only_card(read).name == "물"
    assert [(problem.code, problem.position) for problem in read.problems] == [
        ("name-unclean", 1),
        ("name-missing", 1),
        ("price-unreadable", 1),
        ("badge-unknown", 1),
        ("card-unreadable", 2),
    ]


def test_names_without_end_are_no_names() -> None:
    read = read_one(RawCard("물" * 201, "900", (Badge("1+1", "one"),)))
    assert (read.cards, codes(read)) == ((), ["card-unreadable"])


def test_cards_that_all_lack_their_parts_mean_that_the_page_changed() -> None:
    with pytest.raises(PageDriftError, match="2 cards"):
        read_cards([None, None], RULES, ANY, PAGE)
    assert read_cards([], RULES, ANY, PAGE) == ReadCards((), 0, ())


def test_an_unreadable_regular_price_leaves_the_card() -> None:
    read = read_one(RawCard("물", "900", (Badge("1+1", "one"),), regular_price="1 200 원"))
    assert (only_card(read).regular_price_krw, codes(read)) == (None, ["price-unreadable"])
