"""`promolens demo`: what it makes, what it refuses, and what it prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app_shell_support import fill_catalog, shop_bundle
from conftest import Keys
from demo_support import mosaics
from promolens_catalog.calendar import korean_month
from promolens_cli.demo_ports import listen
from promolens_cli.demo_steps import Steps
from promolens_cli.demo_telling import Told, tell
from promolens_cli.lan import lan_addresses
from promolens_cli.local_certificates import local_certificate
from promolens_cli.main import main
from promolens_demo.catalogue import make_catalogue, max_products
from promolens_demo.newcomers import newcomers
from promolens_demo.sheet.qr import qr_lines
from promolens_runtime.errors import InputError
from promolens_runtime.manifest import Manifest
from promolens_runtime.signing import generate_key

START_WITHIN_S = 120.0


@pytest.fixture
def assets(
    tmp_path: Path,
    keys: Keys,
    tiny_model_bytes: bytes,
    tiny_manifest_template: Manifest,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder with a bundle and an app that trusts its key."""
    folder = tmp_path / "assets"
    shop_bundle(folder / "bundle", tiny_model_bytes, tiny_manifest_template, keys.own)
    (folder / "www/chunks").mkdir(parents=True)
    (folder / "www/index.html").write_text("<!doctype html><title>app</title>", "utf-8")
    # Somebody's own: nothing is drawn for each of these tests.
    (folder / "pictures").mkdir()
    (folder / "pictures/index.json").write_text('["96385074"]', "utf-8")
    (folder / "www/chunks/keys.js").write_text(f'const keys=["{keys.own.public}"];', "utf-8")
    monkeypatch.setenv("PROMOLENS_PUBLIC_KEY", keys.own.public)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """What an earlier demo left: a filled catalog of this month, and pictures."""
    folder = tmp_path / "state"
    (folder / "pictures").mkdir(parents=True)
    fill_catalog(folder / "catalog.db")
    month = korean_month(datetime.now(UTC))
    (folder / "filled.json").write_text(json.dumps({"month": month}), "utf-8")
    for product in make_catalogue():
        Image.new("RGB", (8, 8)).save(folder / f"pictures/{product.item_id}.png")
    return folder


@contextmanager
def demo(assets: Path, state: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the program until the end of the block; what it printed until it was ready."""
    words = [sys.executable, "-m", "promolens_cli.main", "demo", "--port", "0"]
    process = subprocess.Popen(
        [*words, "--assets", str(assets), "--state", str(state), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=state,
    )
    assert process.stdout is not None
    said, deadline = "", time.monotonic() + START_WITHIN_S
    try:
        while "Ctrl-C ends it." not in said:
            line = process.stdout.readline()
            assert line, said
            assert time.monotonic() < deadline, said
            said += line
        yield said, process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(START_WITHIN_S)
        process.stdout.close()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        data: bytes = answer.read()
        return data


def test_it_serves_all_of_it_and_ends_with_ctrl_c(assets: Path, state: Path) -> None:
    with demo(assets, state) as (said, process):
        app = re.search(r"open: (http://localhost:\d+/app/)", said)
        sheet = re.search(r"Products to scan: (http://127.0.0.1:\d+/)", said)
        assert app is not None
        assert sheet is not None
        port = app[1].split(":")[2].split("/")[0]
        assert f"adb reverse tcp:{port} tcp:{port}" in said
        assert b"<title>app</title>" in get(app[1])
        offered = json.loads(get(f"http://localhost:{port}/v1/bundles/stable"))
        assert offered["version"] == 1
        assert json.loads(get(f"http://localhost:{port}/readyz"))["version"] > 0
        assert app[1].encode() in get(sheet[1])
        # This bundle delegates no gallery key, and that ends nothing.
        assert re.search(r"(?m)^gallery +left out: Expected a bundle that lets", said)
        assert b"never trained" not in get(sheet[1])
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stdout is not None
        rest = process.stdout.read()
        assert "closed; what it made stays in" in rest
        assert "Traceback" not in rest
    with demo(assets, state) as (said, _):
        assert "version 1, to all phones already" in said


def test_phones_are_offered_a_gallery_of_what_was_never_trained(
    assets: Path,
    state: Path,
    keys: Keys,
    tiny_model_bytes: bytes,
    tiny_manifest_template: Manifest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = generate_key()
    monkeypatch.setenv("PROMOLENS_GALLERY_SIGNING_KEY", key.to_text())
    manifest = replace(tiny_manifest_template, delegated_keys={"gallery": key.public})
    shutil.rmtree(assets / "bundle")
    shop_bundle(assets / "bundle", tiny_model_bytes, manifest, keys.own)
    mosaics(state / "pictures", newcomers(240))
    for words in ("version 1, 24 products from one picture each", "24 products, to all phones"):
        with demo(assets, state, "--no-qr") as (said, _):
            assert words in said
            app = re.search(r"open: (http://localhost:\d+)/app/", said)
            sheet = re.search(r"Products to scan: (http://127.0.0.1:\d+/)", said)
            assert app is not None
            assert sheet is not None
            offered = json.loads(get(f"{app[1]}/v1/galleries/stable"))
            assert (offered["gallery_id"], offered["version"]) == ("demo", 1)
            assert json.loads(get(f"{app[1]}/v1/meta"))["releases"]["gallery"]["version"] == 1
            assert b"never trained" in get(sheet[1])


def test_over_https_whoever_trusts_the_authority_gets_the_app(assets: Path, state: Path) -> None:
    import ssl

    with demo(assets, state, "--https", "--address", "127.0.0.1", "--no-qr") as (said, _):
        app = re.search(r"open: (https://127.0.0.1:\d+/app/)", said)
        assert app is not None
        folder = Path(os.environ["XDG_CONFIG_HOME"]) / "promolens/local-authority"
        context = ssl.create_default_context(cafile=folder / "authority.crt")
        with urllib.request.urlopen(app[1], timeout=30, context=context) as answer:
            assert b"<title>app</title>" in answer.read()
        authority = app[1].replace("/app/", "/authority.crt")
        with urllib.request.urlopen(authority, timeout=30, context=context) as answer:
            assert answer.headers["content-type"] == "application/x-x509-ca-cert"
            assert answer.read() == (folder / "authority.crt").read_bytes()
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(app[1], timeout=30)


def test_a_port_that_is_taken_is_said_before_anything_is_done(
    assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["demo", "--assets", str(assets), "--state", str(tmp_path / "new")]
        assert main([*words, "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"Expected port {port} to be free" in said
    assert f"promolens demo --port {port + 1}" in said
    assert not (tmp_path / "new").exists()


def test_two_demos_cannot_have_one_port() -> None:
    with (
        listen("127.0.0.1", 0) as first,
        pytest.raises(InputError, match="another program listens"),
    ):
        listen("127.0.0.1", first.getsockname()[1])


def test_without_a_bundle_it_says_what_makes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--assets", str(tmp_path), "--port", "0"]) == 2
    assert "Received no such folder. Make it, and everything else: make demo" in (
        capsys.readouterr().err
    )


def test_a_damaged_bundle_is_not_served(
    assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (assets / "bundle/labels.json").open("ab") as file:
        file.write(b"x")
    words = ["demo", "--assets", str(assets), "--state", str(tmp_path / "s"), "--port", "0"]
    assert main(words) == 3
    assert "labels.json" in capsys.readouterr().err


def test_an_app_that_trusts_another_key_is_refused(assets: Path, keys: Keys, state: Path) -> None:
    (assets / "www/chunks/keys.js").write_text(f'["{keys.other.public}"]', "utf-8")
    steps = Steps(assets, state, datetime.now(UTC))
    with pytest.raises(InputError, match="Build it anew: make app"):
        steps.app(steps.bundle())


def test_a_recogniser_of_other_products_is_said(assets: Path, state: Path) -> None:
    steps = Steps(assets, state, datetime.now(UTC))
    products, note = steps.products(steps.bundle())
    assert list(products) == list(make_catalogue())
    assert note is not None
    assert "knows none of the invented products" in note


def test_a_bundle_that_the_store_refuses_says_how_to_begin_anew(
    assets: Path, state: Path, tiny_model_bytes: bytes, tiny_manifest_template: Manifest, keys: Keys
) -> None:
    now = datetime.now(UTC)
    newer = state / "newer"
    shop_bundle(newer / "bundle", tiny_model_bytes, tiny_manifest_template, keys.own, 2)
    later = Steps(newer, state, now)
    later.offer(later.bundle())
    steps = Steps(assets, state, now)
    with pytest.raises(InputError, match="promolens demo --fresh"):
        steps.offer(steps.bundle())
    (state / "mine.txt").write_text("kept", "utf-8")
    steps.forget()
    steps.offer(steps.bundle())
    assert (state / "mine.txt").read_text("utf-8") == "kept"


def test_the_app_gets_fronts_once_and_own_pictures_stay(
    assets: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = Steps(assets, state, datetime.now(UTC))
    index = assets / "pictures/index.json"
    steps.fronts(2)
    assert "left as it is" in capsys.readouterr().err
    assert json.loads(index.read_text("utf-8")) == ["96385074"]
    index.unlink()
    steps.fronts(2)
    first, second = (one.barcode for one in make_catalogue(max_products())[:2])
    assert json.loads(index.read_text("utf-8")) == [first, second]
    drawn = index.with_name(f"{first}.webp")
    with Image.open(drawn) as picture:
        assert picture.size == (192, 192)
    drawn.write_bytes(b"as it was")
    steps.fronts(2)
    assert drawn.read_bytes() == b"as it was", "drawn once"
    steps.fronts(3)
    assert drawn.read_bytes() != b"as it was", "more are wanted"
    index.write_text("[" * 2_000, "utf-8")
    steps.fronts(2)
    assert json.loads(index.read_text("utf-8")) == [first, second], "a damaged list is made anew"


@pytest.mark.parametrize("marker", [None, "", "[]", '{"month": 5}', '{"month": "2020-01"}'])
def test_a_catalog_of_another_month_is_crawled_again(
    assets: Path, state: Path, monkeypatch: pytest.MonkeyPatch, marker: str | None
) -> None:
    crawled: list[str] = []
    monkeypatch.setattr("promolens_cli.demo_filling.fill_in_own_process", crawled.append)
    (state / "filled.json").unlink()
    if marker is not None:
        (state / "filled.json").write_text(marker, "utf-8")
    steps = Steps(assets, state, datetime.now(UTC))
    steps.catalog()
    steps.catalog()
    assert crawled == [str(state / "catalog.db")]


def decoded(lines: list[str]) -> str:
    """Read a code drawn in half blocks with OpenCV's reader; a set half is light."""
    import cv2

    halves = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    rows = [[halves[sign][half] for sign in line] for line in lines for half in (0, 1)]
    picture = np.kron(np.array(rows, np.uint8) * 255, np.ones((8, 8), np.uint8))
    return str(cv2.QRCodeDetector().detectAndDecode(picture)[0])


@pytest.mark.parametrize(
    "address", ["http://localhost:8000/app/", "https://192.168.0.12:8443/app/"]
)
def test_the_code_in_the_terminal_is_the_address(address: str) -> None:
    assert decoded(qr_lines(address, colours=False)) == address
    coloured = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in qr_lines(address, colours=True)]
    assert coloured == qr_lines(address, colours=False)


def test_an_address_that_is_too_long_for_a_code() -> None:
    with pytest.raises(InputError, match="1 to 300 characters"):
        qr_lines("x" * 301, colours=False)


def test_what_is_said_for_phones_in_the_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    addresses = (IPv4Address("192.168.0.12"), IPv4Address("10.1.2.3"))
    certificate = local_certificate(tmp_path, addresses, datetime(2026, 11, 21, tzinfo=UTC))
    told = Told(addresses, 8443, certificate)
    tell(told, "http://127.0.0.1:8444/", "a note", qr=True)
    said = capsys.readouterr().out
    assert told.app == "https://192.168.0.12:8443/app/"
    assert "https://10.1.2.3:8443/app/" in said
    assert "https://192.168.0.12:8443/authority.crt" in said
    assert certificate.fingerprint.replace(":", "") in re.sub(r"[\s:]", "", said)
    assert "note: a note" in said


def test_addresses_of_this_machine_are_not_loopback() -> None:
    assert not any(one.is_loopback or one.is_unspecified for one in lan_addresses())
