"""The stand-in shops' pages over real HTTP: structure and paging quirks of the real ones."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Offer
from promolens_demo.shops.assortment import SHOPS
from promolens_demo.shops.running import Shops
from shops_readers import (
    CSPACE_CATEGORIES,
    EMART24_CATEGORIES,
    READERS,
    TIMEOUT_S,
    Seen,
    cspace_cards,
    cspace_page,
    cspace_pages,
    cu_cards,
    cu_page,
    emart24_cards,
    emart24_page,
    emart24_total,
    gs25_answer,
    gs25_page,
    gs25_session,
    html,
    post,
    read_cu,
    seven_cards,
    seven_more,
    seven_opening,
    seven_total,
)
from shops_support import open_shops


@pytest.fixture(scope="module")
def shops() -> Iterator[Shops]:
    with open_shops(n_rows=330) as opened:
        yield opened


def facts(offer: Offer) -> tuple[str, str, str | None]:
    return offer.name, f"{offer.price_krw:,}", offer.site_id


@pytest.mark.parametrize("chain", SHOPS)
def test_reading_all_pages_gives_exactly_the_truth(shops: Shops, chain: Chain) -> None:
    seen = Counter(
        (card.name, card.price, card.site_id) for card in READERS[chain](shops.home(chain))
    )
    truth = Counter(facts(offer) for offer in shops.truth(chain))
    assert set(seen) == set(truth)
    doubled = seen - truth
    assert (sum(doubled.values()) > 0) == (chain is Chain.EMART24)


@pytest.mark.parametrize("chain", [Chain.CU, Chain.GS25, Chain.SEVEN, Chain.EMART24])
def test_barcodes_hide_in_the_addresses_of_pictures(shops: Shops, chain: Chain) -> None:
    patterns = {
        Chain.CU: r"/product/(\d{13})(?:_1)?\.(?:jpg|png)$",
        Chain.GS25: r"/GD_(\d{13})_00[123]\.jpg$",
        Chain.SEVEN: r"/upload/product/(\d{7}/\d{6})\.1\.jpg$",
        Chain.EMART24: r"/500x500/(\d{13})\.JPG$",
    }
    found = set()
    for card in READERS[chain](shops.home(chain)):
        match = re.search(patterns[chain], card.image)
        if match:
            found.add(match[1].replace("/", ""))
    assert found >= {offer.barcode for offer in shops.truth(chain) if offer.barcode}


def test_pictures_of_the_truth_can_be_had(shops: Shops) -> None:
    for chain in SHOPS:
        addresses = {offer.image_url for offer in shops.truth(chain)} - {None}
        for address in sorted(str(address) for address in addresses)[:2]:
            answer = requests.get(address, timeout=TIMEOUT_S)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("image/")
            assert len(answer.content) > 1000


# CU


def test_cu_starts_with_an_empty_list_and_an_overlay(shops: Shops) -> None:
    page = html(requests.get(shops.start_page(Chain.CU), timeout=TIMEOUT_S).content)
    wrap = page.css_first(".prodListWrap")
    assert wrap is not None
    assert wrap.text(strip=True) == ""
    overlay = page.css_first(".AjaxLoading")
    assert overlay is not None
    assert int(overlay.attributes["data-least-ms"] or 0) >= 300


def test_cu_answers_with_blank_lines_a_head_and_forty_cards(shops: Shops) -> None:
    text = cu_page(shops.home(Chain.CU), 1).text
    assert text.startswith("\n" * 24 + "<head>")
    page = html(text)
    assert len(page.css(".prodListWrap > ul > li.prod_list")) == 40
    more = page.css_first(".prodListWrap .prodListBtn .prodListBtn-w > a")
    assert more is not None
    assert more.attributes["href"] == "javascript:nextPage(1);"


def test_cu_pages_end_with_a_short_one_and_then_nothing(shops: Shops) -> None:
    home = shops.home(Chain.CU)
    last = cu_page(home, 9).text
    assert len(cu_cards(last)) == 330 - 8 * 40
    assert "prodListBtn" not in last
    beyond = cu_page(home, 10).text
    assert cu_cards(beyond) == []
    nothing = html(beyond).css_first("#nothing")
    assert nothing is not None
    assert nothing.text(strip=True) == "조회된 상품이 없습니다."


def test_cu_conditions_choose_the_kind_and_get_answers_too(shops: Shops) -> None:
    home = shops.home(Chain.CU)
    truth = Counter(offer.kind for offer in shops.truth(Chain.CU))
    for condition, kind in (("23", Kind.ONE_PLUS_ONE), ("24", Kind.TWO_PLUS_ONE)):
        rows = list(read_cu(home, condition))
        assert len(rows) == truth[kind]
        assert {row.badge for row in rows} <= {kind.value, ""}
    by_get = requests.get(
        f"{home}/event/plusAjax.do?pageIndex=2&listType=0&searchCondition=24", timeout=TIMEOUT_S
    )
    assert by_get.text == cu_page(home, 2, "24").text


def test_cu_ignores_a_json_body_and_shows_page_one(shops: Shops) -> None:
    home = shops.home(Chain.CU)
    answer = requests.post(
        f"{home}/event/plusAjax.do", json={"pageIndex": 3}, timeout=TIMEOUT_S
    ).text
    assert answer == cu_page(home, 1).text != cu_page(home, 3).text


def test_cu_has_an_empty_badge_and_a_card_that_is_a_link(shops: Shops) -> None:
    home = shops.home(Chain.CU)
    pages = [html(cu_page(home, page).text) for page in range(1, 10)]
    badges = [card.text(strip=True) for page in pages for card in page.css(".badge")]
    assert 1 <= badges.count("") <= 5
    links = [link for page in pages for link in page.css("a.prod_item")]
    assert links
    assert all(re.fullmatch(r"javascript:view\(\d+\);", x.attributes["href"] or "") for x in links)


def test_cus_catalogue_has_the_same_cards_without_badges(shops: Shops) -> None:
    text = post(shops.home(Chain.CU), "/product/productAjax.do", {"pageIndex": "1"}).text
    cards = cu_cards(text)
    assert len(cards) == 40
    assert {card.badge for card in cards} == {""}


# GS25


def test_gs25_hands_out_a_session_and_its_token(shops: Shops) -> None:
    answer = requests.get(shops.start_page(Chain.GS25), timeout=TIMEOUT_S)
    assert "JSESSIONID" in answer.cookies
    hidden = html(answer.content).css_first("input[type=hidden][name=CSRFToken]")
    assert hidden is not None
    assert f'CSRFToken="{hidden.attributes["value"]}"' in answer.text
    for tab in ("ONE_TO_ONE", "TWO_TO_ONE", "GIFT", "TOTAL"):
        assert html(answer.content).css_first(f".eventtab #{tab}") is not None


@pytest.mark.parametrize("wrong", ["token", "cookie", "method"])
def test_gs25_refuses_who_has_no_token_or_session(shops: Shops, wrong: str) -> None:
    home = shops.home(Chain.GS25)
    session, token = gs25_session(home)
    address = f"{home}/gscvs/ko/products/event-goods-search?CSRFToken={token}"
    form = {"pageNum": "1", "pageSize": "8", "parameterList": "TOTAL"}
    if wrong == "token":
        answer = session.post(address[:-1] + "x", data=form, timeout=TIMEOUT_S)
    elif wrong == "cookie":
        answer = requests.post(address, data=form, timeout=TIMEOUT_S)
    else:
        answer = session.get(address, params=form, timeout=TIMEOUT_S)
    assert answer.status_code == 403
    assert session.post(address, data=form, timeout=TIMEOUT_S).status_code == 200


def test_gs25s_answer_is_json_inside_a_json_string(shops: Shops) -> None:
    home = shops.home(Chain.GS25)
    response = gs25_page(home, *gs25_session(home), "TOTAL", 2, size=50)
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    outer = response.json()
    assert isinstance(outer, str)
    answer = json.loads(outer)
    assert len(answer["results"]) == 50
    # The number of pages counts from 1, the current page from 0.
    assert answer["pagination"] == {
        "totalNumberOfResults": 330,
        "numberOfPages": 7,
        "pageSize": 50,
        "currentPage": 1,
    }


def test_gs25_pages_end_with_no_results(shops: Shops) -> None:
    home = shops.home(Chain.GS25)
    beyond = gs25_answer(gs25_page(home, *gs25_session(home), "TOTAL", 8, size=50))
    assert beyond["results"] == []
    assert beyond["pagination"]["totalNumberOfResults"] == 330


def gs25_rows(shops: Shops) -> list[dict[str, Any]]:
    home = shops.home(Chain.GS25)
    answer = gs25_answer(gs25_page(home, *gs25_session(home), "TOTAL", 1, size=500))
    rows: list[dict[str, Any]] = answer["results"]
    return rows


def test_gs25_rows_have_the_odd_fields(shops: Shops) -> None:
    rows = gs25_rows(shops)
    assert len(rows) == 330
    assert all(isinstance(row["price"], float) for row in rows)
    assert any(row["attFileNm"].endswith("/null") for row in rows)
    assert any("attFileId" not in row for row in rows)
    assert any(row["goodsNm"].endswith(("1편", "2편")) for row in rows)
    gifts = [row for row in rows if "giftGoodsNm" in row]
    assert {row["eventTypeSp"]["code"] for row in gifts} == {"GIFT"}
    truth = {offer.name: offer.gift for offer in shops.truth(Chain.GS25) if offer.gift}
    assert {row["goodsNm"] for row in gifts} == set(truth)
    for row in gifts:
        gift = truth[row["goodsNm"]]
        assert gift is not None
        assert (row["giftGoodsNm"], row["giftPrice"]) == (gift.name, gift.price_krw)
        assert row["giftAttFileNm"] == gift.image_url
        assert gift.barcode in row["giftAttFileNm"]


# 7-Eleven


def test_seven_starts_with_a_heading_and_thirteen_plain_cards(shops: Shops) -> None:
    page = html(requests.get(shops.start_page(Chain.SEVEN), timeout=TIMEOUT_S).content)
    items = page.css("#listUl > li")
    assert len(items) == 15
    assert items[0].css_first("span.img_list_tit_02") is not None
    assert items[14].attributes["id"] == "moreImg"
    assert len(page.css("#listUl .pic_product")) == 13
    assert page.css_first("#actFrm > div.cont_body > div.wrap_tab > ul > li.on > a") is not None


@pytest.mark.parametrize("size", [5, 10, 100, 500])
def test_sevens_first_page_ignores_the_size(shops: Shops, size: int) -> None:
    home = shops.home(Chain.SEVEN)
    first = seven_cards(seven_more(home, "2", 1, size).text)
    assert len(first) == 13
    assert first == seven_cards(seven_opening(home, "2").text)


@pytest.mark.parametrize("size", [10, 50, 100])
def test_sevens_further_pages_start_after_thirteen(shops: Shops, size: int) -> None:
    home = shops.home(Chain.SEVEN)
    everything = [
        card for page in (1, 2) for card in seven_cards(seven_more(home, "2", page, 1000).text)
    ]
    assert len(everything) == seven_total(seven_opening(home, "2").text)
    for page in (2, 3):
        start = 13 + (page - 2) * size
        shown = seven_cards(seven_more(home, "2", page, size).text)
        assert shown == everything[start : start + size]


def test_sevens_fragment_nests_pictures_and_counts_all_shown_so_far(shops: Shops) -> None:
    text = seven_more(shops.home(Chain.SEVEN), "2", 2, 10).text
    page = html(text)
    assert len(page.css("a.btn_product_01")) == 10
    assert len(page.css(".pic_product")) == 20
    counts = [page.css_first(f"input#{name}") for name in ("listCnt", "listPage")]
    assert [count.attributes["value"] for count in counts if count] == ["23", "3"]
    more = page.css_first("li.btn_more#moreImg > a")
    assert more is not None
    assert more.attributes["href"] == "javascript: fncMore('2');"


def test_sevens_list_ends_with_a_message_and_a_count_of_zero(shops: Shops) -> None:
    text = seven_more(shops.home(Chain.SEVEN), "2", 99, 100).text
    assert "데이터가 없습니다" in text
    count = html(text).css_first("input#listCnt")
    assert count is not None
    assert count.attributes["value"] == "0"
    assert "moreImg" not in text


def test_sevens_gift_card_has_two_blocks(shops: Shops) -> None:
    home = shops.home(Chain.SEVEN)
    card = html(seven_opening(home, "3").content).css_first("#listUl > li:has(.btn_product_02)")
    assert card is not None
    truth = next(offer for offer in shops.truth(Chain.SEVEN) if offer.gift)
    assert truth.gift is not None
    names = [name.text(strip=True) for name in card.css(".infowrap .name")]
    assert names == [truth.name, truth.gift.name]
    assert len(card.css("a.btn_product_01")) == len(card.css("a.btn_product_02")) == 1


def test_sevens_discount_shows_the_regular_price_on_its_own_page_only(shops: Shops) -> None:
    home = shops.home(Chain.SEVEN)
    row = next(row for row in shops.shops[Chain.SEVEN].rows() if row.kind is Kind.DISCOUNT)
    regular = f"{row.regular_price_krw:,}"
    listed = seven_opening(home, "4").text
    assert f"<span>{row.price_text}</span>" in listed
    assert f"<span>{regular}</span>" not in listed
    detail = requests.get(f"{home}/product/presentView.asp?pCd={row.site_id}", timeout=TIMEOUT_S)
    page = html(detail.content)
    before, now = page.css_first(".product_price > del"), page.css_first(".product_price > strong")
    assert before is not None
    assert now is not None
    assert regular in before.text()
    assert row.price_text in now.text()


def test_sevens_placeholder_stands_for_missing_pictures(shops: Shops) -> None:
    cards = seven_cards(seven_more(shops.home(Chain.SEVEN), "2", 2, 1000).text)
    without = [card for card in cards if card.image == "/front/img/product/product_list_01.jpg"]
    assert 0.3 < len(without) / len(cards) < 0.7


def test_an_unknown_product_page_is_not_found(shops: Shops) -> None:
    home = shops.home(Chain.SEVEN)
    answer = requests.get(f"{home}/product/presentView.asp?pCd=<b>", timeout=TIMEOUT_S)
    assert answer.status_code == 404
    assert "<b>" not in answer.text


# emart24


def test_emart24_declares_its_total_in_a_script(shops: Shops) -> None:
    home = shops.home(Chain.EMART24)
    text = emart24_page(home, 2)
    assert 'const page = "2";' in text
    assert 'const pageLength = "20";' in text
    assert len(emart24_cards(text)) == 20
    doubled = sum(row.printed_twice for row in shops.shops[Chain.EMART24].rows())
    assert emart24_total(text) == 330 + doubled
    by_category = [emart24_total(emart24_page(home, 1, seq)) for seq in EMART24_CATEGORIES]
    assert sum(by_category) == 330 + doubled


def test_emart24_pages_end_without_cards(shops: Shops) -> None:
    text = emart24_page(shops.home(Chain.EMART24), 99)
    assert emart24_cards(text) == []
    assert emart24_total(text) > 330


def test_emart24_writes_new_on_every_card_and_hides_it_on_most(shops: Shops) -> None:
    labels = [
        label
        for page in range(1, 6)
        for label in html(emart24_page(shops.home(Chain.EMART24), page)).css(".floatL")
    ]
    assert {label.text() for label in labels} == {"NEW"}
    hidden = [label for label in labels if label.attributes.get("style") == "opacity: 0;"]
    assert 0 < len(labels) - len(hidden) < len(labels) / 4


def test_emart24_spells_its_badges_and_both_prices(shops: Shops) -> None:
    home = shops.home(Chain.EMART24)
    first = {seq: emart24_cards(emart24_page(home, 1, seq))[0] for seq in EMART24_CATEGORIES}
    badges = {seq: card.badge for seq, card in first.items()}
    assert badges == {"1": "1 + 1", "2": "2 + 1", "3": "3 + 1", "4": "세일", "12": "골라담기"}
    page = html(emart24_page(home, 1, "4"))
    before, now = page.css_first("a.priceOff"), page.css_first("a.price")
    assert before is not None
    assert now is not None
    offers = {offer.name: offer for offer in shops.truth(Chain.EMART24)}
    offer = offers[first["4"].name]
    assert before.text() == f"{offer.regular_price_krw:,} 원"
    assert now.text() == f"{offer.price_krw:,} 원"


@pytest.mark.parametrize("falling", [False, True])
def test_emart24_sorts_by_price_over_all_pages(shops: Shops, falling: bool) -> None:
    home, align = shops.home(Chain.EMART24), "PRICE_DESC" if falling else "PRICE_ASC"
    pages = -(-emart24_total(emart24_page(home, 1)) // 20)
    prices = [
        int(card.price.replace(",", ""))
        for page in range(1, pages + 1)
        for card in emart24_cards(emart24_page(home, page, align=align))
    ]
    assert len(prices) > 330
    assert prices == sorted(prices, reverse=falling)


# C-Space


def test_cspace_tells_kind_and_last_page(shops: Shops) -> None:
    home = shops.home(Chain.CSPACE)
    styles = []
    for category in CSPACE_CATEGORIES:
        text = cspace_page(home, category, 1)
        pages = cspace_pages(text)
        styles.append({card.badge for card in cspace_cards(text)})
        assert cspace_cards(cspace_page(home, category, pages + 1)) == []
        active = html(text).css_first("ul.pagination.pc a.active")
        assert active is not None
        assert active.text() == "1"
    assert styles == [{"onePlus"}, {"twoPlus"}, set(), {"sale"}]


def test_cspace_shows_no_number_and_no_barcode(shops: Shops) -> None:
    cards: list[Seen] = list(READERS[Chain.CSPACE](shops.home(Chain.CSPACE)))
    assert any(card.image == "/images/no_img.gif" for card in cards)
    assert not any(re.search(r"\d{8}", card.image) for card in cards)
