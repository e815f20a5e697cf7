"""What the server adds for the app: parts of map archives, pictures of products."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from promolens_demo import fronts
from promolens_demo.catalogue import make_catalogue, max_products
from promolens_runtime.errors import InputError
from promolens_server.config import AppConfig, built_app
from promolens_server.factory import create_app
from promolens_server.services import open_services
from server_support import assert_problem, config_for

ARCHIVE = bytes(range(256)) * 400


@pytest.fixture
def browser(tmp_path: Path, sqlite_url: str) -> Iterator[TestClient]:
    """A client of a server with the app, a map and pictures."""
    (tmp_path / "www/maps").mkdir(parents=True)
    (tmp_path / "www/index.html").write_bytes(b"<!doctype html>")
    (tmp_path / "www/maps/own.pmtiles").write_bytes(ARCHIVE)
    fronts.write_fronts(tmp_path / "pictures", 2)
    app = built_app(tmp_path, AppConfig())
    with TestClient(create_app(open_services(config_for(sqlite_url, app=app)))) as opened:
        yield opened


def test_a_part_of_a_map_is_sent_alone(browser: TestClient) -> None:
    got = browser.get("/app/maps/own.pmtiles", headers={"range": "bytes=256-515"})
    assert got.status_code == 206
    assert got.content == ARCHIVE[256:516]
    assert got.headers["content-range"] == f"bytes 256-515/{len(ARCHIVE)}"
    assert got.headers["accept-ranges"] == "bytes"
    last = browser.get("/app/maps/own.pmtiles", headers={"range": "bytes=-7"})
    assert last.content == ARCHIVE[-7:]


def test_a_part_of_an_older_map_is_not_mixed_with_a_newer_one(browser: TestClient) -> None:
    asked = {"range": "bytes=0-9", "if-range": '"of-before"'}
    got = browser.get("/app/maps/own.pmtiles", headers=asked)
    assert (got.status_code, got.content) == (200, ARCHIVE)
    assert "content-encoding" not in got.headers


def test_a_part_behind_the_end_is_refused(browser: TestClient) -> None:
    asked = {"range": f"bytes={len(ARCHIVE)}-"}
    problem = browser.get("/app/maps/own.pmtiles", headers=asked)
    assert_problem(problem, 416, "range-not-satisfiable")
    assert problem.headers["content-range"] == f"bytes */{len(ARCHIVE)}"


def test_other_files_are_sent_whole(browser: TestClient) -> None:
    got = browser.get("/app/index.html", headers={"range": "bytes=0-3"})
    assert (got.status_code, got.content) == (200, b"<!doctype html>")


def test_pictures_lie_beside_the_app(browser: TestClient) -> None:
    barcodes = browser.get("/pictures/index.json").json()
    assert barcodes == [one.barcode for one in make_catalogue(max_products())[:2]]
    picture = browser.get(f"/pictures/{barcodes[0]}.webp")
    assert picture.headers["content-type"] == "image/webp"
    assert_problem(browser.get("/pictures/0000000000000.webp"), 404, "no-such-file")


def test_drawn_fronts_are_small_pictures(tmp_path: Path) -> None:
    barcodes = fronts.write_fronts(tmp_path, 3)
    assert json.loads((tmp_path / "index.json").read_text("utf-8")) == list(barcodes)
    for barcode in barcodes:
        path = tmp_path / f"{barcode}.webp"
        with Image.open(path) as picture:
            assert picture.size == (fronts.SIDE_PX, fronts.SIDE_PX)
        # What the app keeps at most of one.
        assert path.stat().st_size < 300_000
    with pytest.raises(InputError, match=r"^Expected 1 to .* Received 0"):
        fronts.write_fronts(tmp_path, 0)
