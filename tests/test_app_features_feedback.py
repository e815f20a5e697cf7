"""Sending one photo: nothing leaves the phone but by two presses for that very photo."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from app_devtools import DevTools, devtools
from app_shell_support import (
    Phone,
    build_shell,
    camera_arguments,
    fill_catalog,
    phone,
    shop_bundle,
    still_video,
)
from app_support import APP, needs_chromium, needs_node
from barcode_drawing import on_a_pack
from bundle_files import tiny_labels
from catalog_support import make_offer
from conftest import Keys
from promolens_runtime.manifest import Manifest
from server_support import ServeProcess, serve_process

pytestmark = [needs_node, needs_chromium]

SCAN_S = 30.0
BUTTON = "인식 개선을 위해 이 사진 보내기"
OFFLINE = "오프라인이라 사진을 보낼 수 없어요"
ASK = "이 사진을 보낼까요?"
SEND = "보내기"
SENT = "보냈어요. 고마워요!"
NOTHING_KEPT = "나중에 보내려고 저장한 것도 없어요"
BARRIERS = """
const done = arguments[0];
axe.run().then(({ violations }) =>
  done(violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}`))));
"""
# The mean of blue over that of red, in percent, of what the camera shows.
BLUE_NOW = """
const canvas = document.createElement('canvas');
canvas.width = canvas.height = 1;
const pen = canvas.getContext('2d');
pen.drawImage(document.querySelector('video'), 0, 0, 1, 1);
const [red, , blue] = pen.getImageData(0, 0, 1, 1).data;
return 100 * blue / (red + 1);
"""
ORIENTATION, GPS = 0x0112, 0x8825


@dataclass
class Corner:
    """A shop whose server takes photos.

    Attributes:
        photos: where the server keeps them.
    """

    folder: Path
    assets: Path
    video: Path
    environment: dict[str, str]

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @contextmanager
    def server(self, assets: Path | None = None, port: int = 0) -> Iterator[ServeProcess]:
        words = ("--app", str(assets or self.assets))
        with serve_process(self.folder, *words, port=port, environment=self.environment) as served:
            yield served

    @contextmanager
    def phone_of(self, server: ServeProcess) -> Iterator[Phone]:
        url = f"http://localhost:{server.port}/app/"
        with phone(url, *camera_arguments(self.video)) as held:
            yield held

    def kept(self) -> list[Path]:
        return sorted(self.photos.glob("*.json"), key=lambda one: one.stat().st_ctime_ns)


@pytest.fixture(scope="module")
def corner(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model_bytes: bytes,
    tiny_manifest_template: Manifest,
    keys: Keys,
) -> Corner:
    folder = tmp_path_factory.mktemp("corner")
    assets, puzzled = folder / "assets", folder / "puzzled"
    build_shell(assets / "www", keys.own.public)
    shop_bundle(assets / "bundle", tiny_model_bytes, tiny_manifest_template, keys.own)
    # The same, but sure of nothing.
    puzzled.mkdir()
    (puzzled / "www").symlink_to(assets / "www")
    manifest = replace(
        tiny_manifest_template, unknown=replace(tiny_manifest_template.unknown, accept_at_least=1e6)
    )
    shop_bundle(puzzled / "bundle", tiny_model_bytes, manifest, keys.own)
    fill_catalog(folder / "catalog.db")
    config = folder / "server.toml"
    config.write_text(f'[feedback]\nfolder = "{folder / "photos"}"\nburst = 50\n', "utf-8")
    environment = {
        "PROMOLENS_DATABASE_URL": f"sqlite:///{folder / 'catalog.db'}",
        "PROMOLENS_SERVER_CONFIG": str(config),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    return Corner(folder, assets, still_video(folder / "camera.mjpeg"), environment)


@pytest.fixture(scope="module")
def served(corner: Corner) -> Iterator[ServeProcess]:
    with corner.server() as server:
        yield server


@pytest.fixture
def held(corner: Corner, served: ServeProcess) -> Iterator[Phone]:
    """A phone that never had the app."""
    with corner.phone_of(served) as opened:
        yield opened


def switch_on(held: Phone) -> None:
    held.open("#/settings")
    switch = held.one("#feedback-switch")
    assert not switch.is_selected(), "off until somebody wants it"
    held.driver.execute_script("arguments[0].click()", switch)
    held.sees("직접 ‘보내기’를 누른 한 장만")


def press_button(held: Phone) -> None:
    """Press the button of the sheet, as a finger does: there is another one over the camera."""
    button = held.one(".sheet:not([hidden]) .feedback-button")
    held.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    held.driver.execute_script("arguments[0].click()", button)


def ask_about_a_scan(held: Phone) -> None:
    held.open("#/scan")
    held.sees("최저가")
    press_button(held)
    held.sees(ASK)
    held.until(lambda: held.one(".feedback button[type=submit]").is_enabled(), "the picture")


@dataclass
class Requests:
    """Every request of the page, its workers and its service worker.

    Attributes:
        seen: what `Network.requestWillBeSent` told, in order.
    """

    tools: DevTools
    seen: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> str:
        """Watch what is open and what will be; returns the page's session."""
        page = self.tools.attach("page")
        self._follow(page)
        # The service worker belongs to the browser, not to the page.
        kinds = [{"type": "service_worker"}, {"type": "shared_worker"}, {"exclude": True}]
        self.tools.ask(
            "Target.setAutoAttach",
            autoAttach=True, waitForDebuggerOnStart=True, flatten=True, filter=kinds,
        )  # fmt: skip
        return page

    def watch(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for event in self.tools.listen(min(left, 0.5)):
                self._take(event)

    def _follow(self, session: str) -> None:
        self.tools.ask("Network.enable", session)
        self.tools.ask(
            "Target.setAutoAttach", session,
            autoAttach=True, waitForDebuggerOnStart=True, flatten=True,
        )  # fmt: skip

    def _take(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Target.attachedToTarget":
            session = event["params"]["sessionId"]
            self._follow(session)
            self.tools.ask("Runtime.runIfWaitingForDebugger", session)
        elif event.get("method") == "Network.requestWillBeSent":
            self.seen.append(event["params"]["request"])

    def to_a_network(self) -> list[dict[str, Any]]:
        """Return those that leave the browser: not what the page made itself."""
        return [one for one in self.seen if urlsplit(one["url"]).scheme not in ("blob", "data")]


def test_scanning_sends_nothing_while_it_is_off(held: Phone, corner: Corner) -> None:
    # The server offers it, and the app knows that it does.
    held.open("#/settings")
    held.one("#feedback-switch")
    held.driver.get("about:blank")
    origin = held.url.removesuffix("/app/")
    with devtools(held.driver) as tools:
        requests = Requests(tools)
        page = requests.begin()
        tools.ask("Page.navigate", page, url=f"{held.url}#/scan")
        requests.watch(SCAN_S)
    sent = requests.to_a_network()
    assert held.all(".sheet:not([hidden]) .hero"), "it scanned"
    assert BUTTON not in held.text()
    paths = [urlsplit(one["url"]).path for one in sent]
    # The recorder is not blind: page, sync, the recogniser's worker.
    assert "/app/" in paths
    assert any(path.startswith("/v1/sync") for path in paths), paths
    assert any(path.endswith(".wasm") for path in paths), paths
    assert any(path.endswith("/model.tflite") for path in paths), paths
    for one in sent:
        assert one["method"] in ("GET", "HEAD"), one
        assert not one.get("hasPostData"), one
        assert "postData" not in one, one
        assert one["url"].startswith(f"{origin}/"), one
        assert len(one["url"]) < 300, "no picture in an address"
    assert corner.kept() == []


def test_two_presses_send_one_small_picture_and_what_was_said(held: Phone, corner: Corner) -> None:
    before = corner.kept()
    switch_on(held)
    with devtools(held.driver) as tools:
        requests = Requests(tools)
        requests.begin()
        held.go("#/scan")
        while BUTTON not in held.text():
            requests.watch(0.2)
        held.keep_picture("feedback-button")
        press_button(held)
        requests.watch(2)
        assert [one["url"] for one in requests.seen if one["method"] == "POST"] == []
        held.sees(ASK, "누가 보냈는지 저장하지 않고")
        Select(held.one("#feedback-chosen")).select_by_index(2)
        held.one("#feedback-text").send_keys("<b>큰 것</b>")
        held.keep_picture("feedback-form")
        held.one(".feedback button[type=submit]").click()
        while SENT not in held.text():
            requests.watch(0.2)
        requests.watch(1)
    posts = [one for one in requests.to_a_network() if one["method"] not in ("GET", "HEAD")]
    assert [urlsplit(one["url"]).path for one in posts if one["method"] == "POST"] == [
        "/v1/feedback/photos"
    ]
    (record,) = [one for one in corner.kept() if one not in before]
    said = json.loads(record.read_text("utf-8"))
    assert said["text"] == "<b>큰 것</b>"
    assert said["answer"]
    assert said["chosen"]
    assert said["chosen"] != said["answer"]
    assert said["bundle"].endswith(" 1")
    with Image.open(record.with_suffix(".jpg")) as picture:
        assert (picture.format, picture.size) == ("JPEG", (640, 480))
        assert not picture.getexif()
    held.click("닫기")
    held.until(lambda: not held.all(".feedback"), "the camera again")


def photo_with_place(path: Path) -> Path:
    """Write a photo as a phone's camera does: large, turned by EXIF, with the place."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[GPS] = {1: "N", 2: (37.0, 33.0, 59.0), 3: "E", 4: (126.0, 58.0, 41.0)}
    left = np.full((1_500, 1_000, 3), (200, 30, 30), np.uint8)
    right = np.full((1_500, 1_000, 3), (30, 30, 200), np.uint8)
    photo = Image.fromarray(np.concatenate([left, right], axis=1))
    photo.save(path, "JPEG", quality=95, exif=exif)
    return path


def test_a_photo_of_the_gallery_loses_size_and_place(
    held: Phone, corner: Corner, tmp_path: Path
) -> None:
    switch_on(held)
    held.cdp("Browser.setPermission", permission={"name": "camera"}, setting="denied")
    held.open("#/scan")
    held.one(".scan input[type=file]").send_keys(str(photo_with_place(tmp_path / "photo.jpg")))
    held.sees(BUTTON)
    press_button(held)
    held.until(lambda: held.one(".feedback button[type=submit]").is_enabled(), "the picture")
    held.one(".feedback button[type=submit]").click()
    held.sees(SENT)
    record = corner.kept()[-1]
    data = record.with_suffix(".jpg").read_bytes()
    assert b"Exif" not in data
    with Image.open(io.BytesIO(data)) as picture:
        # 2,000 x 1,500 turned by a quarter: red was left and is above.
        assert picture.size == (768, 1_024)
        red, blue = (np.asarray(picture.convert("RGB"))[row, 384] for row in (100, 900))
    assert red[0] > 150 > red[2]
    assert blue[2] > 150 > blue[0]


def test_what_is_not_known_can_be_sent_too(corner: Corner) -> None:
    with corner.server(corner.folder / "puzzled") as server, corner.phone_of(server) as held:
        switch_on(held)
        held.open("#/scan")
        over = ".scan-bottom .feedback-button"
        held.until(lambda: any(one.is_displayed() for one in held.all(over)), BUTTON)
        held.keep_picture("feedback-unknown")
        held.click("비슷한 상품")
        held.sees(BUTTON)
        press_button(held)
        held.sees(ASK, "모르는 상품")
        held.until(lambda: held.one(".feedback button[type=submit]").is_enabled(), "the picture")
        held.one(".feedback button[type=submit]").click()
        held.sees(SENT)
        said = json.loads(corner.kept()[-1].read_text("utf-8"))
        assert (said["answer"], said["chosen"], said["text"]) == (None, None, None)


def barcode_film(path: Path, digits: str) -> Path:
    """Write a film for the fake camera: three seconds of a barcode on orange, three of blue."""
    blue = Image.new("RGB", (640, 480), (30, 60, 200))
    data = b""
    for scene in (on_a_pack(digits), blue):
        frame = io.BytesIO()
        scene.save(frame, "JPEG", quality=90)
        data += frame.getvalue() * 90
    path.write_bytes(data)
    return path


def test_the_frame_of_a_barcode_goes_with_the_product_that_it_names(corner: Corner) -> None:
    product = tiny_labels(5)[2]
    film = barcode_film(corner.folder / "barcode.mjpeg", str(make_offer(product.index + 1).barcode))
    filmed = replace(corner, video=film)
    # Its recogniser knows nothing: only the barcode can name the product.
    with filmed.server(corner.folder / "puzzled") as server, filmed.phone_of(server) as held:
        switch_on(held)
        held.open("#/scan")
        held.sees("최저가", BUTTON)
        held.keep_picture("feedback-barcode")
        # By the time somebody presses, the camera sees something else.
        held.until(lambda: int(held.driver.execute_script(BLUE_NOW)) > 150, "blue")
        press_button(held)
        held.sees(ASK, "바코드로 찾았다는 사실")
        assert "인식기 버전" not in held.text()
        assert not held.all("#feedback-chosen"), "nothing else was thought of"
        held.until(lambda: held.one(".feedback button[type=submit]").is_enabled(), "the picture")
        held.keep_picture("feedback-barcode-form")
        held.one(".feedback button[type=submit]").click()
        held.sees(SENT)
    record = corner.kept()[-1]
    said = json.loads(record.read_text("utf-8"))
    assert (said["answer"], said["bundle"]) == (product.item_id, "barcode")
    assert (said["chosen"], said["text"]) == (None, None)
    with Image.open(record.with_suffix(".jpg")) as picture:
        assert picture.size == (640, 480)
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    red, _, blue = pixels[20, 20]
    assert red > blue + 80, "the pack, and not what came after it"
    across = pixels[240, 150:490].mean(axis=1) > 128
    # EAN-13: 30 bars and 29 spaces between them.
    assert np.count_nonzero(np.diff(across.astype(int)) == -1) == 30


def test_a_chosen_picture_with_a_barcode_can_be_sent(
    held: Phone, corner: Corner, tmp_path: Path
) -> None:
    unknown = "8801056150013"
    held.cdp("Browser.setPermission", permission={"name": "camera"}, setting="denied")
    photo = tmp_path / "barcode.png"
    on_a_pack(unknown).save(photo)

    def choose() -> None:
        held.open("#/scan")
        held.one(".scan input[type=file]").send_keys(str(photo))
        held.sees(unknown)

    choose()
    assert not held.all(".sheet .feedback-button"), "off until somebody wants it"
    switch_on(held)
    choose()
    press_button(held)
    held.until(lambda: held.one(".feedback button[type=submit]").is_enabled(), "the picture")
    held.one(".feedback button[type=submit]").click()
    held.sees(SENT)
    said = json.loads(corner.kept()[-1].read_text("utf-8"))
    # No recogniser has a name for it: the digits are all that is known.
    assert (said["answer"], said["bundle"], said["chosen"]) == (unknown, "barcode", None)
    held.click("닫기")
    # What was typed shows no picture, and none can be sent.
    held.one(".scan-tools button:nth-of-type(3)").click()
    held.one("#barcode").send_keys(unknown)
    held.one(".sheet form button[type=submit]").click()
    held.sees(unknown)
    held.until(lambda: held.all(".sheet .card"), "the card")
    assert not held.all(".sheet .feedback-button")


def test_a_note_about_the_last_photo_goes_with_the_next(corner: Corner, tmp_path: Path) -> None:
    note = "사진 속 상품을 알아보지 못했어요"
    plain, barcode = tmp_path / "plain.png", tmp_path / "barcode.png"
    Image.new("RGB", (320, 240), (90, 160, 90)).save(plain)
    on_a_pack("8801056150013").save(barcode)
    with corner.server(corner.folder / "puzzled") as server, corner.phone_of(server) as held:
        held.cdp("Browser.setPermission", permission={"name": "camera"}, setting="denied")
        held.open("#/scan")
        held.one(".scan input[type=file]").send_keys(str(plain))
        held.sees(note)
        held.one(".scan input[type=file]").send_keys(str(barcode))
        held.until(lambda: note not in held.text(), "no note")
        held.sees("8801056150013")


def test_offline_the_button_says_so(held: Phone) -> None:
    switch_on(held)
    held.open("#/scan")
    held.sees("최저가", BUTTON)
    held.cdp("Network.enable")
    nothing = {"latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    held.cdp("Network.emulateNetworkConditions", offline=True, **nothing)
    held.sees(OFFLINE)
    assert not held.one(".sheet .feedback-button").is_enabled()
    back = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    held.cdp("Network.emulateNetworkConditions", offline=False, **back)
    held.sees(BUTTON)


def test_what_could_not_be_sent_is_never_sent_later(corner: Corner) -> None:
    before = corner.kept()
    with corner.server() as server, corner.phone_of(server) as held:
        switch_on(held)
        ask_about_a_scan(held)
        port = server.port
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        held.one(".feedback button[type=submit]").click()
        held.sees(NOTHING_KEPT)
        held.keep_picture("feedback-offline")
        with corner.server(port=port):
            held.open("#/scan")
            held.sees("최저가")
            time.sleep(3)
    assert corner.kept() == before


def test_a_full_server_is_told_and_nothing_breaks(held: Phone, corner: Corner) -> None:
    switch_on(held)
    ask_about_a_scan(held)
    # A file of the right name that takes all the room there is; nothing of it is written.
    whale = corner.photos / f"{'f' * 32}.jpg"
    with whale.open("wb") as file:
        file.truncate(1_000_000_000)
    try:
        held.one(".feedback button[type=submit]").click()
        held.sees("지금은 서버가 사진을 더 받지 않아요")
    finally:
        whale.unlink()
    held.click("보내지 않기")
    held.until(lambda: not held.all(".feedback"), "the camera again")


def test_a_server_that_takes_none_has_no_switch(corner: Corner) -> None:
    without = {
        name: value
        for name, value in corner.environment.items()
        if name != "PROMOLENS_SERVER_CONFIG"
    }
    quiet = replace(corner, environment=without)
    with quiet.server() as server, quiet.phone_of(server) as held:
        # Even where an earlier server took photos and the person had said yes.
        script = "for (const [name, value] of arguments) localStorage.setItem(name, value)"
        offer = {"picture_bytes": 500_000, "side_px": 1_024, "keep_days": 90}
        old = (["promolens.feedback", "on"], ["promolens.photos", json.dumps(offer)])
        held.driver.execute_script(script, *old)
        held.open("#/settings")
        held.sees("사진은 휴대폰 밖으로 나가지 않고")
        held.until(lambda: not held.one("#feedback-switch").is_displayed(), "no switch")
        held.open("#/scan")
        held.sees("최저가")
        assert BUTTON not in held.text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_switch_and_form_have_no_barriers(held: Phone, theme: str) -> None:
    axe = (APP / "node_modules/axe-core/axe.min.js").read_text("utf-8")
    keep = "localStorage.setItem('promolens.theme', arguments[0])"
    held.driver.execute_script(keep, theme)
    switch_on(held)
    held.driver.execute_script("document.querySelector('#feedback-switch').scrollIntoView()")
    held.keep_picture(f"feedback-settings-{theme}")
    held.driver.execute_script(axe)
    assert held.driver.execute_async_script(BARRIERS) == []
    ask_about_a_scan(held)
    assert held.shows_nothing_wider_than_itself()
    held.driver.execute_script(axe)
    assert held.driver.execute_async_script(BARRIERS) == []
    held.keep_picture(f"feedback-form-{theme}")
    box = held.driver.find_element(By.CSS_SELECTOR, ".feedback canvas").rect
    assert box["width"] > 150
