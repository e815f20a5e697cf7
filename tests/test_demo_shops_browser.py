"""A real Chromium in the stand-in shops: rows grow, layers cover, boxes pop up, lists go stale."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    StaleElementReferenceException,
    UnexpectedAlertPresentException,
    WebDriverException,
)
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_demo.shops.assortment import SHOPS
from promolens_demo.shops.running import Shops
from shops_support import open_shops

DRIVER = "/usr/bin/chromedriver"
N_ROWS = 100
CARDS = {
    Chain.CU: ".prodListWrap > ul > li.prod_list",
    Chain.GS25: ".tblwrap ul.prod_list > li .prod_box",
    Chain.SEVEN: "#listUl > li a.btn_product_01",
    Chain.EMART24: "section.itemList .itemWrap",
    Chain.CSPACE: ".product-list > ul.box > li",
}
NAMES = {
    Chain.CU: f"{CARDS[Chain.CU]} .name p",
    Chain.GS25: f"{CARDS[Chain.GS25]} > .tit",
    Chain.SEVEN: "#listUl > li .infowrap .name",
    Chain.EMART24: f"{CARDS[Chain.EMART24]} .itemtitle a",
    Chain.CSPACE: f"{CARDS[Chain.CSPACE]} dt",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(DRIVER).is_file() or shutil.which("chromium") is None,
        reason="Chromium and its driver are not installed (Debian: chromium, chromium-driver)",
    ),
]


@pytest.fixture(scope="module")
def opened() -> Iterator[Shops]:
    with open_shops(n_rows=N_ROWS) as shops:
        yield shops


@pytest.fixture
def shops(opened: Shops) -> Iterator[Shops]:
    opened.log.clear()
    yield opened
    for chain in SHOPS:
        opened.set_modes(chain, "")


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    options = Options()
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1240,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.unhandled_prompt_behavior = "dismiss and notify"
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> webdriver.Chrome:
    """A tab of its own: one that alert boxes interrupted may never open a page again."""
    new_tab(chromium)
    return chromium


def new_tab(browser: webdriver.Chrome) -> None:
    """Open an empty tab and close all others."""
    old = browser.window_handles
    until(lambda: _without_alert(lambda: browser.switch_to.new_window("tab")))
    new = browser.current_window_handle
    for handle in old:
        with suppress(WebDriverException):
            browser.switch_to.window(handle)
            browser.close()
    browser.switch_to.window(new)


def until(holds: Callable[[], object], within_s: float = 20) -> None:
    deadline_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, "the page did not get there in time"
        time.sleep(0.05)


def count(browser: webdriver.Chrome, selector: str) -> int:
    return len(browser.find_elements(By.CSS_SELECTOR, selector))


def names(browser: webdriver.Chrome, chain: Chain) -> list[str]:
    """Return the names shown, read in one go."""
    found = browser.execute_script(
        "return Array.from(document.querySelectorAll(arguments[0]), e => e.textContent.trim())",
        NAMES[chain],
    )
    return [str(name) for name in found]


def open_list(browser: webdriver.Chrome, shops: Shops, chain: Chain) -> None:
    browser.get(shops.start_page(chain))
    until(lambda: count(browser, CARDS[chain]))
    if chain is Chain.CU:
        until(lambda: not overlay(browser).is_displayed())


def overlay(browser: webdriver.Chrome) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, ".AjaxLoading")


def click(browser: webdriver.Chrome, selector: str) -> None:
    element = browser.find_element(By.CSS_SELECTOR, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


@pytest.mark.parametrize("chain", SHOPS)
def test_pages_load_without_errors(browser: webdriver.Chrome, shops: Shops, chain: Chain) -> None:
    browser.get_log("browser")
    open_list(browser, shops, chain)
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    assert {entry.status for entry in shops.log.entries(chain)} == {200}
    kinds = [entry.kind for entry in shops.log.entries(chain) if entry.kind != "asset"]
    assert kinds.count("document") == 1
    assert set(kinds) <= {"document", "list", "image"}


def test_cus_rows_grow_by_a_further_list_with_each_click(
    browser: webdriver.Chrome, shops: Shops
) -> None:
    open_list(browser, shops, Chain.CU)
    counted = []
    while count(browser, ".prodListBtn a"):
        counted.append((count(browser, ".prodListWrap > ul"), count(browser, CARDS[Chain.CU])))
        click(browser, ".prodListBtn a")
        until(lambda: count(browser, CARDS[Chain.CU]) > counted[-1][1])
        until(lambda: not overlay(browser).is_displayed())
    assert counted == [(1, 40), (2, 80)]
    assert count(browser, CARDS[Chain.CU]) == N_ROWS
    assert sorted(names(browser, Chain.CU)) == sorted(o.name for o in shops.truth(Chain.CU))


def test_cus_overlay_covers_the_button_for_a_while(browser: webdriver.Chrome, shops: Shops) -> None:
    open_list(browser, shops, Chain.CU)
    least_ms = int(overlay(browser).get_attribute("data-least-ms") or 0)
    assert least_ms >= 300
    # Longer than a busy machine needs between loading and clicking.
    browser.execute_script("document.querySelector('.AjaxLoading').dataset.leastMs = '6000'")
    start = time.monotonic()
    browser.execute_script("nextPage(1)")
    with pytest.raises(ElementClickInterceptedException):
        click(browser, ".prodListBtn a")
    until(lambda: not overlay(browser).is_displayed())
    assert time.monotonic() - start >= 6
    assert count(browser, CARDS[Chain.CU]) == 80


def test_cus_conditions_start_the_list_anew(browser: webdriver.Chrome, shops: Shops) -> None:
    open_list(browser, shops, Chain.CU)
    browser.execute_script("goDepth('23')")
    kinds = [offer.kind for offer in shops.truth(Chain.CU)]
    expected = min(40, kinds.count(Kind.ONE_PLUS_ONE))
    until(lambda: count(browser, CARDS[Chain.CU]) == expected)
    until(lambda: not overlay(browser).is_displayed())
    assert count(browser, ".badge .plus2") == 0


def test_gs25s_pager_replaces_rows_and_its_tabs_choose_the_list(
    browser: webdriver.Chrome, shops: Shops
) -> None:
    open_list(browser, shops, Chain.GS25)
    browser.execute_script("goodsPageController.moveTab('TWO_TO_ONE')")
    until(lambda: count(browser, ".flag_box.TWO_TO_ONE") == 8)
    shown = names(browser, Chain.GS25)
    while browser.find_element(By.CSS_SELECTOR, ".paging a.next").get_attribute("onclick"):
        before = names(browser, Chain.GS25)
        browser.execute_script("goodsPageController.moveControl(1)")
        until(lambda before=before: names(browser, Chain.GS25) != before)  # type: ignore[misc]
        shown += names(browser, Chain.GS25)
    two_plus_one = [o.name for o in shops.truth(Chain.GS25) if o.kind is Kind.TWO_PLUS_ONE]
    assert sorted(shown) == sorted(two_plus_one)


def test_gs25s_layer_covers_the_page_until_it_is_closed(
    browser: webdriver.Chrome, shops: Shops
) -> None:
    open_list(browser, shops, Chain.GS25)
    until(lambda: count(browser, "#gsCommonPopup1"))
    click(browser, "#gsCommonPopup1 .close")
    assert count(browser, "#gsCommonPopup1") == 0


def test_gs25s_gift_card_shows_what_is_given(browser: webdriver.Chrome, shops: Shops) -> None:
    open_list(browser, shops, Chain.GS25)
    browser.execute_script("goodsPageController.moveTab('GIFT')")
    until(lambda: count(browser, ".dum_box") == 1)
    gift = next(offer.gift for offer in shops.truth(Chain.GS25) if offer.gift)
    assert browser.find_element(By.CSS_SELECTOR, ".dum_txt .name").text == gift.name
    assert browser.find_element(By.CSS_SELECTOR, ".dum_txt .cost").text == f"{gift.price_krw:,}원"


def test_sevens_rows_grow_by_ten_until_none_come(browser: webdriver.Chrome, shops: Shops) -> None:
    open_list(browser, shops, Chain.SEVEN)
    total = int(browser.execute_script("return intTotalCount"))
    counted = [count(browser, CARDS[Chain.SEVEN])]
    while counted[-1] < total:
        click(browser, "#moreImg a")
        until(lambda: count(browser, CARDS[Chain.SEVEN]) > counted[-1])
        counted.append(count(browser, CARDS[Chain.SEVEN]))
        shown = browser.find_element(By.ID, "listCnt").get_attribute("value")
        assert shown == str(counted[-1])
    assert counted[:3] == [13, 23, 33]
    one_plus_one = [o.name for o in shops.truth(Chain.SEVEN) if o.kind is Kind.ONE_PLUS_ONE]
    assert sorted(names(browser, Chain.SEVEN)) == sorted(one_plus_one)
    browser.execute_script("fncMore('1')")
    until(lambda: count(browser, "#listUl > li.no_data"))
    assert count(browser, "#moreImg") == 0


def test_sevens_tabs_open_another_list(browser: webdriver.Chrome, shops: Shops) -> None:
    open_list(browser, shops, Chain.SEVEN)
    browser.execute_script("fncTab('3')")
    until(lambda: count(browser, "#listUl .btn_product_02"))
    active = browser.find_element(By.CSS_SELECTOR, ".wrap_tab li.on").text
    assert active == "증정행사"


def test_emart24s_pager_is_drawn_and_leads_on(browser: webdriver.Chrome, shops: Shops) -> None:
    open_list(browser, shops, Chain.EMART24)
    pages = [e.text for e in browser.find_elements(By.CSS_SELECTOR, ".pIndex span")]
    assert pages == [str(n) for n in range(1, len(pages) + 1)]
    first = names(browser, Chain.EMART24)
    click(browser, ".nextButtons > .next > a")
    until(lambda: names(browser, Chain.EMART24) not in ([], first))
    assert "page=2" in browser.current_url


def test_cspaces_pager_leads_on(browser: webdriver.Chrome, shops: Shops) -> None:
    open_list(browser, shops, Chain.CSPACE)
    click(browser, "ul.pagination.pc a.active")
    click(browser, "ul.pagination.pc li:nth-child(2) a")
    until(lambda: "cpage=2" in browser.current_url)
    active = browser.find_element(By.CSS_SELECTOR, "ul.pagination.pc a.active")
    assert active.text == "2"


@pytest.mark.parametrize("chain", SHOPS)
def test_alert_boxes_interrupt_the_visitor(
    browser: webdriver.Chrome, shops: Shops, chain: Chain
) -> None:
    shops.set_modes(chain, "alert")
    with pytest.raises(UnexpectedAlertPresentException):
        until(
            lambda: browser.get(shops.start_page(chain)) or time.sleep(0.3) or browser.title == ""
        )
    shops.set_modes(chain, "")
    until(lambda: _opens(browser, shops, chain))


def _opens(browser: webdriver.Chrome, shops: Shops, chain: Chain) -> bool:
    try:
        return _without_alert(lambda: browser.get(shops.start_page(chain)))
    except WebDriverException:
        new_tab(browser)
        return False


def _without_alert(act: Callable[[], object]) -> bool:
    """Act; False where a box was in the way, which is closed by that."""
    try:
        act()
    except UnexpectedAlertPresentException:
        return False
    return True


@pytest.mark.parametrize("chain", SHOPS)
def test_cards_go_stale_while_they_are_read(
    browser: webdriver.Chrome, shops: Shops, chain: Chain
) -> None:
    shops.set_modes(chain, "stale")
    open_list(browser, shops, chain)
    shown = names(browser, chain)
    card = browser.find_element(By.CSS_SELECTOR, CARDS[chain])
    time.sleep(0.6)
    with pytest.raises(StaleElementReferenceException):
        card.is_displayed()
    assert names(browser, chain) == shown


@pytest.mark.parametrize("chain", [chain for chain in SHOPS if chain is not Chain.GS25])
def test_a_malformed_page_is_the_same_to_a_browser(
    browser: webdriver.Chrome, shops: Shops, chain: Chain
) -> None:
    open_list(browser, shops, chain)
    shown = names(browser, chain)
    shops.set_modes(chain, "malformed")
    open_list(browser, shops, chain)
    assert names(browser, chain) == shown


def test_a_redesigned_page_works_for_people(browser: webdriver.Chrome, shops: Shops) -> None:
    """Drift renames scripts and styles too: only who knows the old names is lost."""
    for chain, card in (
        (Chain.CU, ".goodsArea > ul > li.goods_card"),
        (Chain.GS25, "ul.goods_list > li .goods_box"),
        (Chain.SEVEN, "#goodsUl > li .goods_link"),
        (Chain.EMART24, ".goodsGrid .goodsBox"),
    ):
        shops.set_modes(chain, "drift")
        browser.get(shops.start_page(chain))
        until(lambda card=card: count(browser, card) >= 8)  # type: ignore[misc]
        assert count(browser, CARDS[chain]) == 0


def test_a_mode_in_the_pages_address_holds_for_its_lists(
    browser: webdriver.Chrome, shops: Shops
) -> None:
    browser.get(shops.start_page(Chain.CU) + "&standin=empty")
    until(lambda: count(browser, "#nothing"))
    assert count(browser, CARDS[Chain.CU]) == 0


@pytest.mark.parametrize("chain", [Chain.CU, Chain.SEVEN])
def test_a_click_that_failed_can_be_made_again(
    browser: webdriver.Chrome, shops: Shops, chain: Chain
) -> None:
    open_list(browser, shops, chain)
    before = count(browser, CARDS[chain])
    more = {Chain.CU: "nextPage(1)", Chain.SEVEN: "fncMore('')"}[chain]
    shops.set_modes(chain, "503")
    for expected in (before, before + {Chain.CU: 40, Chain.SEVEN: 10}[chain]):
        asked = len(shops.log.entries(chain, "list"))
        browser.execute_script(more)
        until(lambda asked=asked: len(shops.log.entries(chain, "list")) > asked)  # type: ignore[misc]
        time.sleep(0.6)
        assert count(browser, CARDS[chain]) == expected
