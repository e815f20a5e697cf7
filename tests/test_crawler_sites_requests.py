"""What each chain asks for, page by page, and how its pages are driven in a browser."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.errors import BotPageError, PageDriftError, SourceGoneError
from promolens_crawler.pages import Request
from promolens_crawler.sites import SITES, gs25, site_of
from promolens_crawler.sites.base import Listing, Site
from promolens_runtime.errors import InputError
from site_pages import GOLDENS, answer, listing_of

HOME = "http://127.0.0.1:8001"
TOKEN = "0c1d2e3f-4a5b-6c7d-8e9f-001122334455"


def request(chain: Chain, key: str, number: int) -> Request:
    return SITES[chain].page_request(HOME, listing_of(chain, key), number, {"CSRFToken": TOKEN})


def query(url: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query, True).items()}


def test_every_chain_that_is_crawled_has_a_site() -> None:
    assert set(SITES) == {chain for chain, info in CHAINS.items() if not info.historic}
    for chain, site in SITES.items():
        assert site_of(chain) is site
        assert site.chain is chain


def test_a_historic_chain_is_refused_with_a_way_out() -> None:
    with pytest.raises(InputError, match="import its rows"):
        site_of(Chain.MINISTOP)


@pytest.mark.parametrize("site", SITES.values(), ids=lambda site: str(site.chain))
def test_listings_have_plain_keys_and_homes_are_https(site: Site) -> None:
    lists = (*site.listings, *site.sections)
    keys = [listing.key for listing in lists]
    assert len(set(keys)) == len(keys) > 0
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in keys)
    assert re.fullmatch(r"https://[a-z0-9.-]+", site.home)
    for listing in lists:
        assert site.browser.address(listing).startswith("/")


def test_all_kinds_are_asked_for() -> None:
    # emart24 and GS25 have one list of all kinds.
    listed = {listing.kind for site in SITES.values() for listing in site.listings}
    assert {Kind.ONE_PLUS_ONE, Kind.TWO_PLUS_ONE, Kind.GIFT, Kind.DISCOUNT, None} == listed
    assert SITES[Chain.EMART24].listings == (Listing("all"),)


def test_cu_posts_a_form() -> None:
    asked = request(Chain.CU, "two-plus-one", 3)
    assert asked.url == f"{HOME}/event/plusAjax.do"
    assert asked.form == {"pageIndex": "3", "listType": "0", "searchCondition": "24"}
    assert asked.headers["X-Requested-With"] == "XMLHttpRequest"
    assert asked.headers["Referer"].startswith(f"{HOME}/event/plus.do?")


def test_gs25_posts_its_token_and_a_page_counted_from_one() -> None:
    asked = request(Chain.GS25, "total", 2)
    assert urlsplit(asked.url).path == "/gscvs/ko/products/event-goods-search"
    assert query(asked.url) == {"CSRFToken": TOKEN}
    assert asked.form is not None
    assert (asked.form["pageNum"], asked.form["pageSize"]) == ("2", "100")
    assert asked.form["parameterList"] == "TOTAL"


def test_seven_takes_its_first_page_from_the_page_itself() -> None:
    first = request(Chain.SEVEN, "discount", 1)
    assert (first.url, first.form) == (f"{HOME}/product/presentList.asp?pTab=4", None)
    second = request(Chain.SEVEN, "discount", 2)
    assert second.url == f"{HOME}/product/listMoreAjax.asp"
    assert second.form is not None
    assert second.form["intCurrPage"] == "2"
    assert (second.form["pTab"], second.form["intPageSize"]) == ("4", "100")


def test_emart24_sorts_by_price_so_that_new_products_do_not_shift_rows() -> None:
    asked = request(Chain.EMART24, "all", 7)
    assert asked.form is None
    assert query(asked.url) == {
        "search": "",
        "page": "7",
        "category_seq": "",
        "base_category_seq": "",
        "align": "PRICE_ASC",
    }


def test_emart24_can_be_asked_for_one_section() -> None:
    names = {"meals": "간편식사", "snacks": "과자", "household": "생활용품", "drinks": "음료"}
    numbers = {"meals": "1", "snacks": "2", "household": "3", "drinks": "5"}
    site = SITES[Chain.EMART24]
    assert {one.key: one.section for one in site.sections} == names
    for one in site.sections:
        asked = query(site.page_request(HOME, one, 2, {}).url)
        assert (asked["base_category_seq"], asked["page"]) == (numbers[one.key], "2")
        assert f"base_category_seq={numbers[one.key]}&" in site.browser.address(one)


def test_sections_take_the_place_of_one_list_of_everything() -> None:
    divided = [site for site in SITES.values() if site.sections]
    assert [site.chain for site in divided] == [Chain.EMART24]
    assert all(len(site.listings) == 1 and site.declares_total for site in divided)


def test_cspace_names_category_and_page() -> None:
    asked = query(request(Chain.CSPACE, "gift", 4).url)
    assert (asked["category"], asked["cpage"]) == ("00050000000000000000", "4")


@pytest.mark.parametrize("site", SITES.values(), ids=lambda site: str(site.chain))
def test_no_request_goes_where_the_real_robots_txt_forbids(site: Site) -> None:
    forbidden = ("/upload/", "/front/", "/util/", "/cart", "/checkout", "/my-account", "/api/")
    for listing in (*site.listings, *site.sections):
        for number in (1, 2, 99):
            asked = site.page_request(site.home, listing, number, {"CSRFToken": TOKEN})
            assert asked.url.startswith(site.home + "/")
            assert not urlsplit(asked.url).path.startswith(forbidden)


def test_a_page_size_is_asked_for_where_it_is_honoured() -> None:
    for chain, key in ((Chain.GS25, "total"), (Chain.SEVEN, "gift")):
        site = site_of(chain, page_size=250)
        listing = next(one for one in site.listings if one.key == key)
        form = site.page_request(HOME, listing, 2, {"CSRFToken": TOKEN}).form
        assert form is not None
        assert form[site.page_size_parameter] == "250"
        assert site.page_size == 250
        assert SITES[chain].page_size == 100
    assert site_of(Chain.CU, page_size=250) is SITES[Chain.CU]
    with pytest.raises(InputError, match="at least 1"):
        site_of(Chain.GS25, page_size=0)


def test_gs25_hands_out_its_token() -> None:
    page = (GOLDENS / "gs25" / "opening.html").read_text("utf-8")
    assert gs25.tokens(answer(Chain.GS25, page, number=0)) == {"CSRFToken": TOKEN}
    inline_only = page.replace('name="CSRFToken"', 'name="other"')
    assert gs25.tokens(answer(Chain.GS25, inline_only, number=0)) == {"CSRFToken": TOKEN}
    assert SITES[Chain.GS25].opening is not None
    asked = SITES[Chain.GS25].opening(HOME, listing_of(Chain.GS25, "total"))
    assert asked == Request(f"{HOME}/gscvs/ko/products/event-goods")


@pytest.mark.parametrize("value", ["", "short", "a b c d e f g h i", "x" * 500, "<script>alert"])
def test_an_odd_token_is_drift(value: str) -> None:
    page = f'<html><body><p>행사</p><input name="CSRFToken" value="{value}"></body></html>'
    with pytest.raises(PageDriftError, match="CSRFToken"):
        gs25.tokens(answer(Chain.GS25, page, number=0))


def test_opening_pages_that_are_something_else_say_what() -> None:
    shell = (GOLDENS / "any" / "shell.html").read_bytes()
    with pytest.raises(SourceGoneError):
        gs25.tokens(answer(Chain.GS25, shell, number=0))
    bot = (GOLDENS / "any" / "bot.html").read_bytes()
    with pytest.raises(BotPageError):
        gs25.tokens(answer(Chain.GS25, bot, number=0))
    moved = answer(Chain.GS25, shell, number=0, url="https://www.gsretail.com/brand/gs25")
    with pytest.raises(SourceGoneError, match="gsretail"):
        gs25.tokens(moved)
