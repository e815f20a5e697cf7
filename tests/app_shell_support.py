"""What the tests of the app's shell share: a filled catalog, a built app, a phone to hold."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from app_support import APP, chromium
from bundle_files import tiny_labels, write_bundle
from catalog_support import make_offer, stage_crawl
from conftest import Keys
from promolens_catalog import publishing
from promolens_catalog.calendar import korean_day, korean_month
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Offer
from promolens_catalog.store_files import read_store_file
from promolens_catalog.store_imports import import_stores
from promolens_demo.maps import stores
from promolens_runtime.labels import labels_json
from promolens_runtime.manifest import Manifest
from promolens_runtime.signing import SigningKey
from promolens_server.bundles.publishing import Order, publish_bundle
from promolens_server.bundles.store import ArtefactStore
from server_support import ServeProcess, serve_process

T = TypeVar("T")

N_PRODUCTS = 5
MARKUP = "<img src=x onerror=\"document.title='x'\"><b>과자</b>"
# In the middle of the invented stores' first town.
HERE = {"latitude": 37.5665, "longitude": 126.9780, "accuracy": 10}
WAIT_S = 40.0


def offers_of(chain: Chain, today: date) -> list[Offer]:
    """Return what a chain offers this month for the products that the tiny recogniser knows."""
    first = today.replace(day=1)
    last = (first + timedelta(days=40)).replace(day=1) - timedelta(days=1)
    if chain is Chain.CU:
        # 2+1 at 1,500: one piece comes to 1,000.
        terms: dict[str, Any] = {"kind": Kind.TWO_PLUS_ONE, "price_krw": 1500}
    else:
        # 1+1 at 1,800: one piece comes to 900.
        terms = {"kind": Kind.ONE_PLUS_ONE, "price_krw": 1800}
    return [
        make_offer(
            i, chain=chain, name=f"{MARKUP} {i}호", valid_from=first, valid_until=last, **terms
        )
        for i in range(1, N_PRODUCTS + 1)
    ]


def publish(database: Database, chain: Chain, offers: list[Offer]) -> None:
    """Publish a chain's list as read now."""
    now = datetime.now(UTC)
    crawl = stage_crawl(database, offers, now, chain=chain, month=korean_month(now))
    publishing.publish(database, crawl, now)


def fill_catalog(path: Path) -> None:
    """Fill a catalog: two chains' lists of this month, and invented stores."""
    database = open_database(str(path))
    try:
        today = korean_day(datetime.now(UTC))
        for chain in (Chain.CU, Chain.GS25):
            publish(database, chain, offers_of(chain, today))
        file = path.with_suffix(".csv")
        stores.write_stores(file, stores.demo_stores())
        read = read_store_file(file, source=stores.SOURCE)
        import_stores(database, [read], datetime.now(UTC), attribution=stores.ATTRIBUTION)
    finally:
        database.close()


def shop_bundle(
    folder: Path, model: bytes, manifest: Manifest, key: SigningKey, version: int = 1
) -> Path:
    """Write a bundle that is sure of whatever it sees, and whose labels are in the catalog."""
    labels = tuple(
        replace(label, barcodes=(str(make_offer(label.index + 1).barcode),))
        for label in tiny_labels(N_PRODUCTS)
    )
    sure = replace(manifest, version=version, temperature=0.01)
    return write_bundle(folder, sure, model, key, {"labels.json": labels_json(labels)})


def build_shell(out: Path, public_key: str, config: dict[str, Any] | None = None) -> Path:
    """Build the app as `make app` does, with a configuration of its own where one is given."""
    environ = os.environ | {"PROMOLENS_PUBLIC_KEY": public_key}
    if config is not None:
        file = out.with_suffix(".config.json")
        file.write_text(json.dumps(config), "utf-8")
        environ["PROMOLENS_APP_CONFIG"] = str(file)
    done = subprocess.run(
        ["node", "build.mjs", "--out", str(out), "--no-compression"],
        cwd=APP, env=environ, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def still_video(path: Path) -> Path:
    """Write a film of one picture, for Chromium's fake camera."""
    noise = np.random.default_rng(5).integers(0, 256, (12, 16, 3), np.uint8)
    frame = io.BytesIO()
    Image.fromarray(noise).resize((640, 480), Image.Resampling.NEAREST).save(frame, "JPEG")
    path.write_bytes(frame.getvalue() * 30)
    return path


@dataclass
class Phone:
    """A headless Chromium the size of a phone, with the app in it.

    Attributes:
        url: of the app, with a slash at its end.
    """

    driver: webdriver.Chrome
    url: str

    def open(self, hash_: str = "") -> None:
        """Load the app anew at a page such as `#/browse`."""
        # Another address first: a changed hash alone loads nothing.
        self.driver.get("about:blank")
        self.driver.get(self.url + hash_)
        self.until(lambda: self.all("[data-ready=true]"), "the shell")

    def go(self, hash_: str) -> None:
        """Go to another page of the app."""
        self.driver.execute_script("location.hash = arguments[0]", hash_)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """Return the first such element; waits for it."""
        return self.until(lambda: self.all(selector), selector)[0]

    def text(self) -> str:
        """Return all words on the screen."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def click(self, words: str) -> None:
        """Press the button or link with these words, or with this label."""
        path = f"//*[self::button or self::a][contains(., '{words}') or @aria-label='{words}']"
        found = self.until(lambda: self.driver.find_elements(By.XPATH, path), words)
        self.driver.execute_script("arguments[0].click()", found[0])

    def sees(self, *words: str) -> str:
        """Wait until all these words are on the screen; returns all that is."""
        self.until(lambda: all(word in self.text() for word in words), " + ".join(words))
        return self.text()

    def keep_picture(self, name: str) -> None:
        """Keep what is on the screen in the folder of PROMOLENS_SCREENSHOTS, where that is set."""
        folder = os.environ.get("PROMOLENS_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(folder) / f"app-{name}.png"))

    def until(self, look: Callable[[], T], what: str) -> T:
        """Wait until `look` finds something."""
        deadline = time.monotonic() + WAIT_S
        while True:
            found = look()
            if found:
                return found
            assert time.monotonic() < deadline, f"no {what} in: {self.text()[:1500]}"
            time.sleep(0.1)

    def cdp(self, command: str, **options: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, options)

    def shows_nothing_wider_than_itself(self) -> bool:
        """Tell whether nobody needs to scroll sideways."""
        wide = "return document.documentElement.scrollWidth - innerWidth"
        return int(self.driver.execute_script(wide)) <= 0


@contextmanager
def phone(url: str, *arguments: str, language: str = "ko") -> Iterator[Phone]:
    """Open a phone at the app's address; nothing is loaded yet but the choice of language."""
    with chromium(*arguments) as driver:
        held = Phone(driver, url)
        held.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=360, height=740, deviceScaleFactor=2, mobile=True,
        )  # fmt: skip
        held.cdp("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=5)
        driver.get(url + "licences.txt")
        script = "localStorage.setItem('promolens.language', arguments[0])"
        driver.execute_script(script, language)
        yield held


def camera_arguments(video: Path) -> tuple[str, ...]:
    """Return what makes Chromium take a film for its camera, and allow it without a question."""
    return (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    )


@dataclass(frozen=True)
class Shop:
    """All that the tests of this file use, in the order in which they stand here."""

    phone: Phone
    server: ServeProcess
    store: ArtefactStore
    folder: Path
    model: bytes
    manifest: Manifest
    keys: Keys

    def publish(self, version: int) -> Path:
        """Offer a bundle of that version; returns the folder of its files in the store."""
        made = shop_bundle(
            self.folder / f"bundle-{version}", self.model, self.manifest, self.keys.own, version
        )
        published = publish_bundle(
            self.store, made, self.keys.own.public, Order(), datetime.now(UTC)
        )
        return self.store.folder / "releases" / published.release.id / "files"


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model_bytes: bytes,
    tiny_manifest_template: Manifest,
    keys: Keys,
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    assets = folder / "assets"
    build_shell(assets / "www", keys.own.public)
    shop_bundle(assets / "bundle", tiny_model_bytes, tiny_manifest_template, keys.own)
    fill_catalog(folder / "catalog.db")
    environment = {
        "PROMOLENS_DATABASE_URL": f"sqlite:///{folder / 'catalog.db'}",
        "PROMOLENS_BUNDLE_STORE": str(folder / "store"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    arguments = camera_arguments(still_video(folder / "camera.mjpeg"))
    with (
        serve_process(folder, "--app", str(assets), environment=environment) as server,
        phone(f"http://localhost:{server.port}/app/", *arguments) as held,
    ):
        store = ArtefactStore(folder / "store")
        yield Shop(held, server, store, folder, tiny_model_bytes, tiny_manifest_template, keys)
