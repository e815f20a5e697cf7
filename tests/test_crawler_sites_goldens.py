"""Saved pages with the structure and the quirks of the real ones, read field by field.

All products are invented. After a wanted change: `pytest --update-golden`, then read the diff.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace

import pytest

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.errors import PageDriftError
from promolens_crawler.pages import PROBLEMS, ParsedPage
from site_pages import GOLDENS, SAVED, Saved, read_saved

# Cards and problems as counted by eye in the saved pages.
COUNTED: dict[str, tuple[int, int, dict[str, int]]] = {
    # file: cards on the page, cards that can be believed, problems
    "cu/first.html": (
        12,
        9,
        {
            "barcode-check-digit": 1,
            "badge-disagrees": 1,
            "badge-unknown": 1,
            "price-unreadable": 1,
            "image-address-refused": 1,
        },
    ),
    "gs25/first.json": (9, 7, {"badge-disagrees": 1, "price-unreadable": 1, "name-unclean": 1}),
    "seven/first.html": (13, 13, {}),
    "seven/more.html": (7, 5, {"badge-unknown": 1, "badge-disagrees": 1}),
    "emart24/first.html": (
        14,
        11,
        {
            "badge-missing": 1,
            "badge-disagrees": 1,
            "price-unreadable": 1,
            "image-address-refused": 1,
        },
    ),
    "emart24/section.html": (3, 3, {}),
    "cspace/last.html": (5, 3, {"badge-disagrees": 1, "badge-unknown": 1}),
    "ministop/plus1.json": (4, 2, {"price-unreadable": 1, "card-unreadable": 1}),
}


def saved(name: str) -> Saved:
    return next(one for one in SAVED if str(one) == name)


def as_json(page: ParsedPage) -> str:
    return json.dumps(asdict(page), ensure_ascii=False, indent=1, default=str) + "\n"


@pytest.mark.parametrize("one", SAVED, ids=str)
def test_saved_pages_are_read_as_written_down(one: Saved, request: pytest.FixtureRequest) -> None:
    received = as_json(read_saved(one))
    if request.config.getoption("--update-golden"):
        one.expected.write_text(received, "utf-8")
    assert received == one.expected.read_text("utf-8")


def test_every_saved_page_is_in_the_table() -> None:
    pages = {f"{file.parent.name}/{file.name}" for file in GOLDENS.glob("*/*.*")}
    others = {name for name in pages if name.startswith("any/") or name.endswith(".expected.json")}
    assert pages - others - {"gs25/opening.html"} == {str(one) for one in SAVED}


@pytest.mark.parametrize("name", COUNTED)
def test_cards_and_problems_are_those_counted_by_eye(name: str) -> None:
    page = read_saved(saved(name))
    seen, believed, problems = COUNTED[name]
    assert (page.cards_seen, len(page.cards)) == (seen, believed)
    assert Counter(problem.code for problem in page.problems) == problems


@pytest.mark.parametrize("one", SAVED, ids=str)
def test_problems_are_of_the_known_codes_and_one_line(one: Saved) -> None:
    for problem in read_saved(one).problems:
        assert problem.code in PROBLEMS
        assert problem.detail.isprintable()
        assert problem.position is None or problem.position < read_saved(one).cards_seen


@pytest.mark.parametrize(
    ("name", "total", "end"),
    [
        ("cu/first.html", None, False),  # a button is there
        ("cu/last.html", None, True),  # a short page without a button
        ("cu/nothing.html", None, True),
        ("gs25/first.json", 12, False),
        ("gs25/empty.json", 0, True),
        ("seven/first.html", 23, False),
        ("seven/more.html", None, False),
        ("seven/nothing.html", None, True),
        ("emart24/first.html", 34, False),
        ("emart24/beyond.html", 34, True),
        ("emart24/section.html", 3, False),
        ("cspace/middle.html", None, False),
        ("cspace/last.html", None, True),
        ("cspace/empty.html", None, True),
        ("cspace/lost.html", None, False),  # page 2 of 3, and no rows: no end is claimed
    ],
)
def test_totals_and_ends_are_what_the_page_says(name: str, total: int | None, end: bool) -> None:
    page = read_saved(saved(name))
    assert (page.declared_total, page.end_seen) == (total, end)


def test_cards_say_the_section_that_was_asked_for_and_none_otherwise() -> None:
    asked = {card.category for card in read_saved(saved("emart24/section.html")).cards}
    assert asked == {"간편식사"}
    others = [one for one in SAVED if one.file != "section.html"]
    assert {card.category for one in others for card in read_saved(one).cards} == {None}


def test_cards_of_a_second_list_are_read_too() -> None:
    names = [card.name for card in read_saved(saved("cu/first.html")).cards]
    assert names[0] == "새벽)안개숲보리차P500"  # in the first ul
    assert "노을)바삭바삭소금칩 & 딥" in names  # in the second


def test_equal_names_with_other_barcodes_stay_two_cards() -> None:
    cards = read_saved(saved("cu/first.html")).cards
    twins = [card for card in cards if card.name == "너른들)달무리고개레몬"]
    assert [(card.site_id, card.price_krw) for card in twins] == [("690", 1500), ("17005", 1700)]
    assert len({card.barcode for card in twins}) == 2


def test_nested_and_plain_pictures_count_once() -> None:
    assert read_saved(saved("seven/first.html")).cards_seen == 13
    body = saved("seven/more.html").path.read_text("utf-8")
    assert body.count('class="pic_product"') == 14
    assert read_saved(saved("seven/more.html")).cards_seen == 7


def test_new_is_in_no_name_and_no_badge() -> None:
    page = read_saved(saved("emart24/first.html"))
    assert saved("emart24/first.html").path.read_text("utf-8").count(">NEW<") == page.cards_seen
    assert not any("NEW" in card.name for card in page.cards)


def test_a_page_states_every_kind() -> None:
    emart24 = Counter(card.kind for card in read_saved(saved("emart24/first.html")).cards)
    assert emart24[Kind.THREE_PLUS_ONE] == 1
    assert emart24[Kind.PICK_AND_MIX] == 2
    assert emart24[Kind.DISCOUNT] == 1
    assert emart24[Kind.GIFT] == 1


def test_prices_before_a_discount_only_where_the_list_shows_them() -> None:
    sale = [c for c in read_saved(saved("emart24/first.html")).cards if c.kind is Kind.DISCOUNT]
    assert [(card.price_krw, card.regular_price_krw) for card in sale] == [(1700, 2400)]
    seven = read_saved(saved("seven/discount.html")).cards
    assert [(card.price_krw, card.regular_price_krw) for card in seven] == [
        (1140, None),
        (1240, None),
    ]
    # GS25's priceOld is an earlier price of the product and no discount.
    assert all(c.regular_price_krw is None for c in read_saved(saved("gs25/first.json")).cards)


@pytest.mark.parametrize("name", ["gs25/first.json", "gs25/rendered.html", "seven/gift.html"])
def test_gifts_are_read_beside_what_is_bought(name: str) -> None:
    (card,) = (card for card in read_saved(saved(name)).cards if card.kind is Kind.GIFT)
    assert card.gift is not None
    assert (card.gift.name, card.gift.price_krw) == ("너른들)초코맛보기", 500)
    assert card.gift.barcode is not None
    assert card.gift.barcode != card.barcode


def test_a_gift_may_be_a_picture_only() -> None:
    page = read_saved(saved("emart24/first.html"))
    (card,) = (card for card in page.cards if card.kind is Kind.GIFT)
    assert card.gift is not None
    assert card.gift.name == ""
    assert card.gift.barcode == "2700000004104"


def test_identical_cards_stay_as_seen() -> None:
    first, second = read_saved(saved("emart24/first.html")).cards[:2]
    assert first == second


def test_the_recommendations_above_the_list_are_not_read() -> None:
    names = [card.name for card in read_saved(saved("gs25/saved_page.html")).cards]
    assert names == ["새벽)안개숲보리차500ML", "너른들)솔바람사과차500ML"]


def test_rendered_and_plain_cards_are_the_same() -> None:
    plain = {card.barcode: card for card in read_saved(saved("gs25/first.json")).cards}
    for card in read_saved(saved("gs25/rendered.html")).cards:
        assert plain[card.barcode] == card
    assert (
        read_saved(saved("cu/rendered.html")).cards == read_saved(saved("cu/first.html")).cards[:3]
    )
    assert (
        read_saved(saved("seven/rendered.html")).cards
        == read_saved(saved("seven/more.html")).cards[:2]
    )


def test_a_wrong_page_number_in_the_answer_is_noticed() -> None:
    second = replace(saved("gs25/first.json"), number=2)
    with pytest.raises(PageDriftError, match=r"Expected page 2\. Received page 1"):
        read_saved(second)


@pytest.mark.parametrize("chain", [chain for chain in Chain if chain is not Chain.GS25])
def test_images_and_barcodes_come_from_addresses(chain: Chain) -> None:
    pages = [read_saved(one) for one in SAVED if one.chain is chain]
    urls = [card.image_url for page in pages for card in page.cards if card.image_url]
    assert urls
    assert all(url.startswith("https://") for url in urls)
