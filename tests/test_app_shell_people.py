"""The app for people who use no mouse, no eyes, other words, or want nothing to move."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys as Key

from app_shell_support import HERE, Phone, Shop, shop  # noqa: F401
from app_support import APP, needs_chromium, needs_node
from catalog_support import make_offer

pytestmark = [needs_node, needs_chromium]

BARRIERS = """
const done = arguments[0];
axe.run().then(({ violations }) =>
  done(violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}`))));
"""
# Each page, and words that tell that it is whole, in Korean and in English.
PAGES = (
    ("#/scan", "최저가", "Best price"),
    ("#/browse", "5개", "5 found"),
    ("#/stores", "매장 60곳", "Stores: 60"),
    ("#/saved", "스캔한 상품", "Scanned"),
    ("#/settings", "개인정보", "Privacy"),
    ("#/report", "재기 시작", "Measure"),
    (f"#/product/barcode-{make_offer(2).barcode}", "최저가", "Best price"),
)


def press(held: Phone, *keys: str) -> None:
    """Press keys one after another."""
    chain = ActionChains(held.driver)
    for key in keys:
        chain.send_keys(key)
    chain.perform()


def focused(held: Phone) -> str:
    """Return what has the focus: its label, else its words."""
    script = (
        "const at = document.activeElement;"
        "return at.getAttribute('aria-label') ?? at.id + ' ' + at.innerText"
    )
    return str(held.driver.execute_script(script))


def tab_to(held: Phone, words: str, most: int = 40) -> None:
    """Press Tab until what has these words has the focus; it must be seen to have it."""
    for _ in range(most):
        press(held, Key.TAB)
        if words in focused(held):
            outline = "return getComputedStyle(document.activeElement).outlineStyle"
            assert held.driver.execute_script(outline) == "solid", words
            return
    raise AssertionError(f"Tab never comes to {words}; last: {focused(held)}")


@pytest.mark.parametrize("language", ["ko", "en"])
def test_no_page_has_what_axe_calls_a_barrier(shop: Shop, language: str) -> None:  # noqa: F811
    axe = (APP / "node_modules/axe-core/axe.min.js").read_text("utf-8")
    held = shop.phone
    held.cdp("Browser.grantPermissions", permissions=["geolocation", "videoCapture"])
    held.cdp("Emulation.setGeolocationOverride", **HERE)
    keep = "localStorage.setItem(...arguments)"
    held.driver.execute_script(keep, "promolens.language", language)
    for theme in ("light", "dark"):
        held.driver.execute_script(keep, "promolens.theme", theme)
        for page, korean, english in PAGES:
            held.open(page)
            held.sees(korean if language == "ko" else english)
            assert held.driver.execute_script("return document.documentElement.lang") == language
            held.driver.execute_script(axe)
            found = held.driver.execute_async_script(BARRIERS)
            assert found == [], f"{page} in {theme}, {language}"
    held.driver.execute_script(keep, "promolens.language", "ko")


def test_everything_is_reached_by_keyboard_alone(shop: Shop) -> None:  # noqa: F811
    held = shop.phone
    held.open("#/settings")
    tab_to(held, "찾기")
    press(held, Key.ENTER)
    held.sees("5개")
    # After the change of page the focus is on its title.
    held.until(lambda: "행사 찾기" in focused(held), "focus on the title")
    tab_to(held, "search")
    press(held, *"3호")
    held.sees("1개")
    tab_to(held, "3호")
    press(held, Key.ENTER)
    held.sees("최저가")
    tab_to(held, "즐겨찾기에 넣기")
    press(held, Key.SPACE)
    held.one("button[aria-pressed=true][aria-label='즐겨찾기에서 빼기']")
    tab_to(held, "내 것")
    press(held, Key.ENTER)
    held.until(lambda: "3호" in held.text(), "the favourite")


def test_the_sheet_over_the_camera_closes_with_escape(shop: Shop) -> None:  # noqa: F811
    held = shop.phone
    held.open("#/scan")
    held.sees("최저가")
    tab_to(held, "닫기")
    press(held, Key.ESCAPE)
    held.until(lambda: not held.all(".sheet:not([hidden])"), "closed sheet")


def test_nothing_moves_for_who_wants_that(shop: Shop) -> None:  # noqa: F811
    held = shop.phone
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    held.cdp("Emulation.setEmulatedMedia", features=features)
    for page, words, _ in PAGES:
        held.open(page)
        held.sees(words)
        assert held.driver.execute_script(MOVING) == [], page
    held.cdp("Emulation.setEmulatedMedia", features=[])


# Animations that run, and styles that would move something.
MOVING = """
const still = (text) => text.split(',').every((one) => parseFloat(one) === 0);
const styles = [...document.querySelectorAll('*')].filter((one) => {
  const { animationName, transitionDuration } = getComputedStyle(one);
  return animationName !== 'none' || !still(transitionDuration);
});
return [...styles.map((one) => one.className || one.tagName),
        ...document.getAnimations().map((one) => String(one))];
"""
