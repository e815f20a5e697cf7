"""The app's map, notifications and behaviour under faults, in Chromium against a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.request import urlopen

import pytest
from PIL import Image
from selenium.webdriver.common.by import By

from app_shell_support import (
    HERE,
    Phone,
    Shop,
    camera_arguments,
    offers_of,
    phone,
    publish,
    shop,  # noqa: F401
    shop_bundle,
    still_video,
)
from app_support import chromium, needs_chromium, needs_node, serve
from catalog_support import make_offer
from promolens_catalog.calendar import korean_day
from promolens_catalog.chains import Chain
from promolens_catalog.database import open_database
from promolens_catalog.kinds import Kind

pytestmark = [needs_node, needs_chromium]

INVENTED = "invented towns of the promolens demo"
# How many frames the page gave to its recogniser.
COUNT_FRAMES = """
window.frames_given = 0;
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (...told) {
  if (told[0]?.bitmap || JSON.stringify(told[0] ?? null).includes('recognise')) frames_given += 1;
  return post.apply(this, told);
};
"""
# A tab that Selenium drives is never in the background: say what the browser says of one that is.
HIDE = """
const [hidden] = arguments;
Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
document.dispatchEvent(new Event('visibilitychange'));
"""


@pytest.fixture
def fresh(shop: Shop) -> Iterator[Phone]:  # noqa: F811
    """A phone that never had the app, with no camera."""
    with phone(shop.phone.url) as held:
        yield held


def before_scripts(held: Phone, script: str) -> None:
    """Run a script before those of each page that is loaded from now on."""
    held.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)


def allow(held: Phone, *names: str) -> None:
    origin = held.url.removesuffix("/app/")
    held.cdp("Browser.grantPermissions", origin=origin, permissions=list(names))


def stand_here(held: Phone) -> None:
    allow(held, "geolocation")
    held.cdp("Emulation.setGeolocationOverride", **HERE)


def colours(held: Phone) -> int:
    """Return how many colours the largest drawn tile of the map has."""
    script = """
    const tiles = [...document.querySelectorAll('.leaflet-tile-pane canvas')];
    return Math.max(0, ...tiles.map((tile) => {
      const { data } = tile.getContext('2d').getImageData(0, 0, tile.width, tile.height);
      return new Set(new Uint32Array(data.buffer)).size;
    }));
    """
    return int(held.driver.execute_script(script))


def test_the_own_map_is_drawn_under_the_stores(fresh: Phone) -> None:
    stand_here(fresh)
    fresh.open("#/stores")
    fresh.sees("매장 60곳", INVENTED)
    # The plain grid has a handful of colours; streets, houses and parks have many with their edges.
    fresh.until(lambda: colours(fresh) > 40, "a drawn town")
    fresh.keep_picture("map")
    links = [link.get_attribute("href") for link in fresh.all(".store a")]
    assert links
    assert all(str(link).startswith("geo:37.") for link in links)


def test_a_computer_gets_a_map_on_the_web_instead_of_a_geo_link(
    shop: Shop,  # noqa: F811
) -> None:
    with chromium("--window-size=1280,800") as driver:
        held = Phone(driver, shop.phone.url)
        stand_here(held)
        held.open("#/stores")
        link = held.one(".store a")
        assert str(link.get_attribute("href")).startswith("https://www.openstreetmap.org/?mlat=37.")
        assert link.get_attribute("rel") == "noopener noreferrer"


def test_a_map_that_is_missing_leaves_a_plain_one_and_the_stores(
    shop: Shop,  # noqa: F811
    fresh: Phone,
) -> None:
    archive = shop.folder / "assets/www/maps/demo.pmtiles"
    hidden = archive.with_suffix(".away")
    archive.rename(hidden)
    try:
        stand_here(fresh)
        fresh.open("#/stores")
        fresh.sees("지도 그림을 받지 못했어요", "매장 60곳")
        assert len(fresh.all(".marker")) == 60
        assert fresh.all(".leaflet-tile")
    finally:
        hidden.rename(archive)


def test_a_damaged_map_leaves_a_plain_one(shop: Shop, fresh: Phone) -> None:  # noqa: F811
    archive = shop.folder / "assets/www/maps/demo.pmtiles"
    whole = archive.read_bytes()
    archive.write_bytes(b"<html>login</html>" * 20)
    try:
        stand_here(fresh)
        fresh.open("#/stores")
        fresh.sees("지도 그림을 받지 못했어요", "매장 60곳")
    finally:
        archive.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotReadableError", "다른 앱이 카메라를 쓰고 있어요"),
        ("OverconstrainedError", "이 기기에서 카메라를 찾지 못했어요"),
        ("TypeError", "카메라를 켜지 못했어요"),
    ],
)
def test_what_is_wrong_with_the_camera_is_said(fresh: Phone, name: str, words: str) -> None:
    before_scripts(
        fresh,
        "navigator.mediaDevices.getUserMedia = () => "
        f"Promise.reject(new DOMException('no', '{name}'));",
    )
    fresh.open("#/scan")
    fresh.click("카메라 켜기")
    fresh.sees(words)
    fresh.go("#/browse")
    fresh.sees("5개")


def test_nothing_is_recognised_while_the_page_is_hidden(
    shop: Shop,  # noqa: F811
) -> None:
    video = still_video(shop.folder / "hidden.mjpeg")
    with phone(shop.phone.url, *camera_arguments(video)) as held:
        before_scripts(held, COUNT_FRAMES)
        held.open("#/scan")
        held.sees("최저가")
        given = "return window.frames_given"
        before = held.driver.execute_script(given)
        held.until(lambda: held.driver.execute_script(given) > before, "frames")
        held.driver.execute_script(HIDE, True)
        time.sleep(1.5)
        at = held.driver.execute_script(given)
        time.sleep(2)
        assert held.driver.execute_script(given) == at
        held.driver.execute_script(HIDE, False)
        held.until(lambda: held.driver.execute_script(given) > at, "frames again")


def test_who_saves_data_loads_the_recogniser_only_for_scanning(fresh: Phone) -> None:
    before_scripts(
        fresh,
        "Object.defineProperty(navigator, 'connection', { get: () => ({ saveData: true }) });",
    )
    fresh.open("#/browse")
    fresh.sees("5개")
    time.sleep(8)
    names = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    heavy = ("/recognise.js", "/litert/", "/barcode/", "/maps/", ".tflite")
    loaded = fresh.driver.execute_script(names)
    assert not [name for name in loaded if any(part in name for part in heavy)]
    fresh.go("#/settings")
    fresh.sees("아직 준비되지 않았어요")
    fresh.go("#/scan")
    fresh.sees("상품을 비추면")
    fresh.go("#/settings")
    fresh.sees("tiny 버전 1")


def test_a_favourite_that_gains_a_promotion_is_told_once(
    shop: Shop,  # noqa: F811
    fresh: Phone,
) -> None:
    def shown() -> list[str]:
        script = """
        const done = arguments[0];
        navigator.serviceWorker.getRegistration()
          .then((registration) => registration.getNotifications())
          .then((all) => done(all.map(({ title, body }) => `${title} | ${body}`)));
        """
        told: list[str] = fresh.driver.execute_async_script(script)
        return told

    allow(fresh, "notifications")
    fresh.open(f"#/product/barcode-{make_offer(3).barcode}")
    fresh.sees("최저가")
    fresh.click("즐겨찾기에 넣기")
    fresh.go("#/saved")
    fresh.click("알림 켜기")
    fresh.sees("알림 끄기")
    fresh.open("#/settings")
    fresh.click("지금 확인")
    fresh.sees("최신 정보예요")
    # What was on offer when the star was pressed is no news.
    assert shown() == []
    database = open_database(str(shop.folder / "catalog.db"))
    try:
        today = korean_day(datetime.now(UTC))
        old = offers_of(Chain.CU, today)[2]
        offer = make_offer(
            3, chain=Chain.EMART24, name="사이다", kind=Kind.ONE_PLUS_ONE, price_krw=1000,
            valid_from=old.valid_from, valid_until=old.valid_until,
        )  # fmt: skip
        publish(database, Chain.EMART24, [offer])
    finally:
        database.close()
    fresh.open("#/browse")
    fresh.until(shown, "a notification")
    (told,) = shown()
    assert "이마트24 1+1" in told
    assert "500원" in told
    close = """
    const done = arguments[0];
    navigator.serviceWorker.getRegistration()
      .then((registration) => registration.getNotifications())
      .then((all) => (all.forEach((one) => one.close()), done()));
    """
    fresh.driver.execute_async_script(close)
    fresh.open("#/settings")
    fresh.click("지금 확인")
    fresh.sees("최신 정보예요")
    assert shown() == []


def test_nothing_is_sent_while_scanning(shop: Shop) -> None:  # noqa: F811
    # The server's own log of all that it was asked in this file.
    lines = [json.loads(line) for line in shop.server.log.read_text("utf-8").splitlines()]
    asked = [line for line in lines if "method" in line]
    assert len(asked) > 50
    assert {line["method"] for line in asked} <= {"GET", "HEAD"}


def test_nothing_in_the_page_came_as_markup(fresh: Phone) -> None:
    stand_here(fresh)
    fresh.open("#/stores")
    fresh.sees("매장 60곳")
    titles = [marker.get_attribute("title") for marker in fresh.all(".marker-place")]
    assert len(titles) == 60
    assert not fresh.driver.find_elements(By.CSS_SELECTOR, "main b, main img[onerror]")


def test_a_bundle_of_a_later_form_asks_for_a_newer_app(
    shop: Shop,  # noqa: F811
) -> None:
    later = replace(shop.manifest, format_version="2.0")
    shop_bundle(shop.folder / "later", shop.model, later, shop.keys.own)
    with (
        serve({"app": shop.folder / "assets/www", "bundle": shop.folder / "later"}) as files,
        phone(f"http://localhost:{files.port}/app/") as held,
    ):
        held.open("index.html#/scan")
        held.sees("이 인식기를 쓰려면 앱을 새로 고쳐야 해요")
        held.click("바코드 입력")
        held.one("#barcode")


def test_pictures_of_products_are_shown_and_kept(shop: Shop) -> None:  # noqa: F811
    folder = shop.folder / "pictures"
    folder.mkdir()
    known, broken = str(make_offer(1).barcode), str(make_offer(2).barcode)
    Image.new("RGB", (64, 64), (200, 30, 30)).save(folder / f"{known}.webp", "WEBP")
    (folder / f"{broken}.webp").write_bytes(b"<html>login</html>")
    (folder / "index.json").write_text(json.dumps([known, broken]), "utf-8")
    with serve({"app": shop.folder / "assets/www", "pictures": folder}) as files:
        api = shop.phone.url.removesuffix("app/")
        meta = urlopen(f"{api}v1/meta").read()
        copy = urlopen(f"{api}v1/sync/bootstrap").read()
        files.files.update({"v1/meta": meta, "v1/sync/bootstrap": copy})
        with phone(f"http://localhost:{files.port}/app/") as held:
            held.open("index.html#/browse")
            held.sees("5개")
            held.until(lambda: held.all(".picture.filled img"), "a picture")
            assert len(held.all(".picture.filled")) == 1
            # The others show a letter, and none of them is read out beside the name.
            assert len(held.all(".picture[aria-hidden=true]")) == 5
            files.files.update({f"pictures/{known}.webp": None, "pictures/index.json": None})
            held.open("index.html#/browse")
            held.until(lambda: held.all(".picture.filled img"), "the kept picture")
            asked = [path for path in files.requests if path.startswith("pictures/")]
            assert sorted(set(asked)) == sorted(
                {"pictures/index.json", f"pictures/{known}.webp", f"pictures/{broken}.webp"}
            )
            assert asked.count(f"pictures/{known}.webp") == 1
