"""What can go wrong around the app: each gets a clear message, and the rest goes on working."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app_shell_support import (
    HERE,
    Phone,
    Shop,
    camera_arguments,
    phone,
    shop,  # noqa: F401
    still_video,
)
from app_support import FileServer, needs_chromium, needs_node, serve
from catalog_support import make_offer

pytestmark = [needs_node, needs_chromium]

DAY_MS = 86_400_000


@pytest.fixture
def fresh(shop: Shop) -> Iterator[Phone]:  # noqa: F811
    """A phone that never had the app, with no camera and no permission given."""
    with phone(shop.phone.url) as held:
        yield held


def before_scripts(held: Phone, script: str) -> None:
    """Run a script before those of each page that is loaded from now on."""
    held.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)


def permit(held: Phone, name: str, setting: str) -> None:
    origin = held.url.removesuffix("/app/")
    held.cdp("Browser.setPermission", origin=origin, permission={"name": name}, setting=setting)


def test_the_camera_is_explained_before_it_is_asked_for(fresh: Phone) -> None:
    fresh.open()
    fresh.sees("카메라를 켤까요?", "영상은 휴대폰 안에서만 처리하고")
    fresh.click("카메라 켜기")
    # This machine has none.
    fresh.sees("이 기기에서 카메라를 찾지 못했어요")


def test_without_the_camera_everything_else_works(fresh: Phone) -> None:
    permit(fresh, "camera", "denied")
    fresh.open()
    fresh.sees("카메라 사용이 허용되지 않았어요")
    fresh.click("바코드 입력")
    fresh.one("#barcode").send_keys("123")
    fresh.click("찾기")
    fresh.one("form button[type=submit]").click()
    fresh.sees("바코드 숫자가 맞지 않아요")
    fresh.one("#barcode").clear()
    fresh.one("#barcode").send_keys(str(make_offer(1).barcode))
    fresh.one("form button[type=submit]").click()
    fresh.sees("최저가", "900원")


def test_a_refused_position_leaves_the_map_to_tap(fresh: Phone) -> None:
    permit(fresh, "geolocation", "denied")
    fresh.open("#/stores")
    fresh.click("내 위치 쓰기")
    fresh.sees("위치 사용이 허용되지 않았어요")
    fresh.one(".leaflet-tile")
    fresh.one(".map").click()
    fresh.sees("지도에서 고른 곳", "매장 60곳")


def test_a_damaged_database_is_made_anew(fresh: Phone) -> None:
    fresh.driver.get(fresh.url + "licences.txt")
    fresh.driver.execute_async_script("""
        const request = indexedDB.open('promolens-data', 9);
        request.onupgradeneeded = () => request.result.createObjectStore('other');
        request.onsuccess = () => (request.result.close(), arguments[0]());
    """)
    fresh.open("#/browse")
    fresh.sees("저장된 정보가 손상되어 다시 받아요", "5개")


def test_a_browser_that_keeps_nothing_still_answers(fresh: Phone) -> None:
    before_scripts(
        fresh,
        "Object.defineProperty(window, 'indexedDB', "
        "{ get() { throw new DOMException('refused', 'SecurityError') } });"
        "Object.defineProperty(window, 'localStorage', "
        "{ get() { throw new DOMException('refused', 'SecurityError') } });",
    )
    fresh.open("#/browse")
    # Without what was chosen, the language is the browser's.
    fresh.sees("This browser keeps nothing", "5 found", "₩900 each")


def test_a_full_device_says_so_and_still_answers(fresh: Phone) -> None:
    before_scripts(
        fresh,
        "IDBObjectStore.prototype.put = "
        "() => { throw new DOMException('', 'QuotaExceededError') };",
    )
    fresh.open("#/settings")
    fresh.click("지금 확인")
    fresh.sees("저장 공간이 부족해요")
    fresh.go(f"#/product/barcode-{make_offer(1).barcode}")
    fresh.sees("최저가", "900원")


def test_a_clock_a_year_wrong_is_put_right(fresh: Phone) -> None:
    before_scripts(fresh, f"const now = Date.now; Date.now = () => now() - 365 * {DAY_MS};")
    fresh.open("#/browse")
    fresh.sees("휴대폰 날짜가 365일 틀려요", "5개", "개당 900원")


def test_the_app_speaks_english_and_fits_every_screen(fresh: Phone) -> None:
    fresh.driver.execute_script("localStorage.setItem('promolens.language', 'en')")
    fresh.cdp("Browser.grantPermissions", permissions=["geolocation"])
    fresh.cdp("Emulation.setGeolocationOverride", **HERE)
    for width, height in [(320, 568), (740, 360), (1280, 800)]:
        fresh.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=True,
        )  # fmt: skip
        for page, words in [
            ("#/browse", "5 found"),
            ("#/stores", "Stores: 60"),
            ("#/scan", "camera"),
            (f"#/product/barcode-{make_offer(1).barcode}", "Best price"),
        ]:
            fresh.open(page)
            fresh.sees(words)
            assert fresh.shows_nothing_wider_than_itself(), f"{page} at {width}"


@pytest.fixture(scope="module")
def files(
    shop: Shop,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FileServer]:
    """The app and its bundle without any API: only files."""
    assets = shop.folder / "assets"
    with serve({"app": assets / "www", "bundle": assets / "bundle"}) as served:
        yield served


def test_a_server_without_an_api_is_not_taken_for_no_promotion(files: FileServer) -> None:
    with phone(f"http://localhost:{files.port}/app/") as held:
        held.open("index.html#/browse")
        held.sees("아직 행사 목록을 받지 못했어요")
        files.files["v1/meta"] = b"<html>login</html>"
        held.click("다시 시도")
        held.sees("서버가 알 수 없는 답을 보냈어요")
        barcode = make_offer(1).barcode
        files.files[f"v1/products/by-barcode/{barcode}"] = b"\xff\xfe nothing"
        held.go(f"#/product/barcode-{barcode}")
        seen = held.sees("지금은 행사를 확인할 수 없어요", "서버가 알 수 없는 답을 보냈어요")
        assert "지금은 행사가 없어요" not in seen
        held.go("#/settings")
        held.sees("아직 받지 못했어요")


def test_a_cut_off_model_is_refused_and_asked_for_again(
    shop: Shop,  # noqa: F811
    files: FileServer,
) -> None:
    whole = (shop.folder / "assets/bundle/model.tflite").read_bytes()
    files.files["bundle/model.tflite"] = whole[:-100]
    video = still_video(shop.folder / "again.mjpeg")
    with phone(f"http://localhost:{files.port}/app/", *camera_arguments(video)) as held:
        held.open("index.html#/scan")
        held.sees("내려받은 인식기가 온전하지 않아 쓰지 않았어요")
        del files.files["bundle/model.tflite"]
        held.click("다시 시도")
        held.sees("사이다")
