"""The app in a real Chromium against a real server: scans, stores, offline, updates, attacks."""

from __future__ import annotations

import re
import signal

from app_shell_support import HERE, MARKUP, Shop, shop  # noqa: F401
from app_support import needs_chromium, needs_node
from catalog_support import make_offer

pytestmark = [needs_node, needs_chromium]


def test_a_product_in_view_shows_its_promotions(shop: Shop) -> None:  # noqa: F811
    shop.phone.open()
    seen = shop.phone.sees("최저가", "다른 매장 행사")
    shop.phone.keep_picture("scan")
    assert re.search(r"사이다 [0-4]호", seen)
    # 1+1 of GS25 at 1,800 is 900 for each; 2+1 of CU at 1,500 is 1,000.
    best, others = seen.split("다른 매장 행사")
    assert "GS25" in best
    assert "900원" in best
    assert "2개 1,800원" in best
    assert "50% 절약" in best
    assert "CU" in others
    assert "개당 1,000원" in others
    assert "3개 3,000원" in others
    assert shop.phone.shows_nothing_wider_than_itself()


def test_what_was_seen_is_among_the_scans(shop: Shop) -> None:  # noqa: F811
    shop.phone.go("#/saved")
    assert re.search(r"스캔한 상품\s+사이다 [0-4]호", shop.phone.sees("스캔한 상품", "사이다"))


def test_names_with_markup_are_only_text(shop: Shop) -> None:  # noqa: F811
    shop.phone.go("#/browse")
    assert MARKUP in shop.phone.sees(MARKUP)
    assert not shop.phone.all("main img, main b")
    assert "프로모렌즈" in shop.phone.driver.title


def test_the_browser_itself_refuses_html_from_text(shop: Shop) -> None:  # noqa: F811
    for attempt in ("document.body.innerHTML = '<p>x</p>'", "new Worker('https://evil.example/x')"):
        script = f"try {{ {attempt}; return 'taken' }} catch (error) {{ return error.name }}"
        assert shop.phone.driver.execute_script(script) == "TypeError"


def test_products_are_found_by_name_and_filtered(shop: Shop) -> None:  # noqa: F811
    shop.phone.go("#/browse")
    shop.phone.one("#search").send_keys("3호")
    shop.phone.sees("1개")
    assert len(shop.phone.all(".rows .row")) == 1
    shop.phone.click("이마트24")
    shop.phone.sees("찾는 상품이 없어요")
    shop.phone.click("이마트24")
    shop.phone.sees("개당 900원")


def test_a_barcode_that_is_typed_leads_to_the_product(shop: Shop) -> None:  # noqa: F811
    shop.phone.open("#/browse")
    shop.phone.one("#search").send_keys(str(make_offer(2).barcode))
    assert "900원" in shop.phone.sees("최저가", f"{MARKUP} 2호")


def test_the_nearest_stores_are_on_list_and_map(shop: Shop) -> None:  # noqa: F811
    held = shop.phone
    origin = held.url.removesuffix("/app/")
    held.cdp("Browser.grantPermissions", origin=origin, permissions=["geolocation", "videoCapture"])
    held.cdp("Emulation.setGeolocationOverride", **HERE)
    held.go("#/stores")
    held.one(".store")
    assert "invented stores" in held.sees("내 위치", "매장 60곳")
    held.keep_picture("stores")
    away_m = [
        float(n) * (1000 if unit == "km" else 1)
        for n, unit in re.findall(r"\n([\d.]+)(km|m)\n", held.text())
    ]
    assert away_m == sorted(away_m)
    assert len(away_m) == 30
    assert len(held.all(".marker")) == 60
    assert held.all("a[href^='geo:37.']")
    held.click("GS25")
    only = {"marker chain-gs25"}
    held.until(lambda: {m.get_attribute("class") for m in held.all(".marker")} == only, "GS25")
    held.go("#/scan")
    # The card names the nearest store of each chain.
    held.sees("최저가", "GS25 ", "m")


def test_it_can_be_installed(shop: Shop) -> None:  # noqa: F811
    manifest = shop.phone.cdp("Page.getAppManifest")
    assert manifest["errors"] == []
    told = shop.phone.cdp("Page.getInstallabilityErrors")["installabilityErrors"]
    assert told == []


def test_nothing_came_from_another_host(shop: Shop) -> None:  # noqa: F811
    names = shop.phone.driver.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert names
    assert all(
        name.startswith((f"http://localhost:{shop.server.port}/", "blob:")) for name in names
    )


def test_a_newer_bundle_is_taken_and_a_tampered_one_refused(shop: Shop) -> None:  # noqa: F811
    held = shop.phone
    shop.publish(2)
    held.open("#/scan")
    held.sees("최저가")
    held.go("#/settings")
    held.sees("tiny 버전 1")
    held.click("새 인식기 확인")
    held.sees("버전 2(으)로 바꿨어요", "tiny 버전 2")
    held.keep_picture("updated")
    files = shop.publish(3)
    signature = (files / "manifest.sig").read_bytes()
    (files / "manifest.sig").chmod(0o600)
    (files / "manifest.sig").write_bytes(b"AAAA" + signature[4:])
    held.click("새 인식기 확인")
    held.sees("믿을 수 있는 서명이 없는 인식기라 쓰지 않았어요", "tiny 버전 2")
    held.keep_picture("tampered")
    held.open("#/scan")
    held.sees("최저가")


def test_everything_but_fresh_data_works_with_the_server_killed(shop: Shop) -> None:  # noqa: F811
    held = shop.phone
    # What was loaded last is kept by now.
    held.until(lambda: shop.phone.driver.execute_async_script(KEPT) >= 3, "kept runtime")
    shop.server.process.send_signal(signal.SIGKILL)
    shop.server.process.wait()
    held.open("#/scan")
    assert "900원" in held.sees("최저가", "GS25")
    held.keep_picture("offline")
    held.go("#/stores")
    held.sees("매장")
    held.one(".store")
    held.go("#/browse")
    held.sees("5개")
    held.one("#search").send_keys("8801056150013")
    seen = held.sees("지금은 행사를 확인할 수 없어요", "인터넷에 연결할 수 없어요")
    assert "행사가 없어요" not in seen
    held.go("#/settings")
    held.click("지금 확인")
    held.sees("인터넷에 연결할 수 없어요", "tiny 버전 2")


# How many files of the recogniser's runtime and the shell the service worker keeps.
KEPT = """
const done = arguments[0];
(async () => {
  let files = 0;
  for (const name of await caches.keys()) files += (await (await caches.open(name)).keys()).length;
  const runtime = (await caches.keys()).find((name) => name.startsWith('runtime-'));
  const kept = runtime ? (await (await caches.open(runtime)).keys()).length : 0;
  done(kept >= 2 ? files : 0);
})();
"""


def test_nothing_went_wrong_on_the_way(shop: Shop) -> None:  # noqa: F811
    lines = [line["message"] for line in shop.phone.driver.get_log("browser")]
    assert not [line for line in lines if "Uncaught" in line or "Content Security" in line]
