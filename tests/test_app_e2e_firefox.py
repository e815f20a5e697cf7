"""Firefox as a second browser: the app loads, knows a photo, looks it up, and works offline."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from app_support import needs_node
from conftest import Keys
from e2e_support import (
    built_app,  # noqa: F401
    crawled,  # noqa: F401
    lay_out,
    products_in,
    server_environment,
    trained,  # noqa: F401
    truth_of,
)
from firefox_support import Firefox, firefox, needs_firefox
from server_support import serve_process

pytestmark = [pytest.mark.slow, needs_node, needs_firefox]

KEPT = """
(async () => {
  let files = 0;
  for (const name of await caches.keys()) {
    const kept = await (await caches.open(name)).keys();
    files += kept.filter(({ url }) => url.includes('/litert/')).length;
  }
  return files >= 2;
})()
"""


def look_at(browser: Firefox, photo: Path, name: str) -> str:
    """Give the app a photo; returns what is on the screen when its card is whole."""
    browser.until(lambda: browser.script("document.documentElement.dataset.ready"), "the shell")
    browser.choose_file("input[type=file]", photo)
    return browser.sees(name, "최저가")


def keep_picture(browser: Firefox, name: str) -> None:
    """Keep the screen where PROMOLENS_SCREENSHOTS names a folder."""
    folder = os.environ.get("PROMOLENS_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"firefox-{name}.png").write_bytes(browser.picture())


def test_a_photo_is_known_and_its_promotions_shown_also_without_the_server(
    tmp_path: Path,
    trained: Path,  # noqa: F811
    crawled: Path,  # noqa: F811
    built_app: Path,  # noqa: F811
    keys: Keys,
) -> None:
    photos = lay_out(tmp_path, trained, crawled)
    shutil.copytree(built_app, tmp_path / "assets/www")
    month = (crawled / "month.txt").read_text("utf-8")
    product = products_in(photos)[0]
    certain = truth_of(product, month).certain
    best = min(deal.each_krw for deal in certain)
    environment = server_environment(tmp_path)
    words = ("--app", str(tmp_path / "assets"))
    with (
        serve_process(tmp_path, *words, environment=environment) as server,
        firefox(tmp_path) as browser,
    ):
        url = f"http://localhost:{server.port}/app/"
        browser.open(url + "licences.txt")
        browser.script("localStorage.setItem('promolens.language', 'ko')")
        browser.open(url + "#/scan")
        seen = look_at(browser, photos[product.item_id], product.name_ko)
        assert f"{best:,}원" in seen
        keep_picture(browser, "photo")
        browser.until(lambda: browser.script(KEPT), "kept runtime")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        browser.open(url + "#/scan")
        seen = look_at(browser, photos[product.item_id], product.name_ko)
        assert f"{best:,}원" in seen
        keep_picture(browser, "offline")
