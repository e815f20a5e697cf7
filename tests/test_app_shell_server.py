"""/app/: the built app's files over HTTP, what browsers may keep of them, and what pages may do."""

from __future__ import annotations

import gzip
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli
import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from promolens_runtime.errors import InputError
from promolens_server.app_folder import AppFolder
from promolens_server.config import AppConfig, built_app, load_config
from promolens_server.factory import create_app
from promolens_server.packing import Packer
from promolens_server.services import open_services
from server_support import assert_problem, config_for

PLAIN = b"export const words = 'a page without a framework';\n" * 40
FILES = {
    "www/index.html": b"<!doctype html><title>app</title>",
    "www/app.js": PLAIN,
    "www/app.js.br": b"brotli bytes",
    "www/app.js.gz": b"gzip bytes",
    "www/litert/run.wasm": b"\0asm",
    "www/manifest.webmanifest": b"{}",
    "bundle/manifest.json": b"{}",
    "secret.txt": b"never",
}


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """A folder as `make app` and the export leave it."""
    folder = tmp_path / "assets"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture
def browser(assets: Path, sqlite_url: str) -> Iterator[TestClient]:
    """A client of a server with the app, which takes no compressed bodies unless it says so."""
    app = built_app(assets, AppConfig(hosts=("https://tiles.example",)))
    services = open_services(config_for(sqlite_url, app=app))
    with TestClient(create_app(services), follow_redirects=False) as opened:
        opened.headers["accept-encoding"] = "identity"
        yield opened


def test_the_page_is_at_app_and_the_bundle_beside_it(browser: TestClient) -> None:
    page = browser.get("/app/")
    assert page.content == FILES["www/index.html"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert browser.get("/app/index.html").content == page.content
    assert browser.get("/bundle/manifest.json").content == b"{}"
    kinds = {
        "app.js": "text/javascript; charset=utf-8",
        "litert/run.wasm": "application/wasm",
        "manifest.webmanifest": "application/manifest+json",
    }
    for name, kind in kinds.items():
        assert browser.get(f"/app/{name}").headers["content-type"] == kind


def test_without_the_slash_one_is_led_there(browser: TestClient) -> None:
    led = browser.get("/app")
    assert (led.status_code, led.headers["location"]) == (308, "app/")


def test_pages_run_and_load_nothing_but_their_own(browser: TestClient) -> None:
    policy = dict(
        part.split(" ", 1)
        for part in browser.get("/app/").headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["img-src"].split() == ["'self'", "blob:", "data:", "https://tiles.example"]
    assert browser.get("/app/").headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["https://a.example; script-src *", "tiles.example", "https://"])
def test_a_host_cannot_smuggle_a_directive(host: str) -> None:
    with pytest.raises(ValueError, match="no origin"):
        AppConfig(hosts=(host,))


def test_compressed_forms_are_sent_to_who_takes_them(browser: TestClient) -> None:
    tags = set()
    for accepted, coding, content in [
        ("identity", None, PLAIN),
        ("gzip", "gzip", b"gzip bytes"),
        ("gzip, deflate, br", "br", b"brotli bytes"),
    ]:
        with browser.stream("GET", "/app/app.js", headers={"accept-encoding": accepted}) as got:
            assert b"".join(got.iter_raw()) == content
        assert got.headers.get("content-encoding") == coding
        assert got.headers["vary"] == "Accept-Encoding"
        tags.add(got.headers["etag"])
    assert len(tags) == 3


MODEL = random.Random(5).randbytes(200_000) + bytes(200_000)
UNPACK: dict[str | None, Callable[[bytes], bytes]] = {
    "br": brotli.decompress,
    "gzip": gzip.decompress,
    None: bytes,
}


def raw(browser: TestClient, address: str, accepted: str) -> tuple[Response, bytes]:
    """Return an answer and its body as it went over the wire."""
    with browser.stream("GET", address, headers={"accept-encoding": accepted}) as got:
        return got, b"".join(got.iter_raw())


def test_the_bundle_is_sent_compressed_to_who_takes_it(browser: TestClient, assets: Path) -> None:
    (assets / "bundle/model.tflite").write_bytes(MODEL)
    tags = set()
    for accepted, coding in [("identity", None), ("gzip", "gzip"), ("gzip, deflate, br", "br")]:
        got, sent = raw(browser, "/bundle/model.tflite", accepted)
        assert UNPACK[coding](sent) == MODEL
        assert (len(sent) < 0.6 * len(MODEL)) == (coding is not None)
        assert got.headers.get("content-encoding") == coding
        assert got.headers["content-length"] == str(len(sent))
        assert got.headers["vary"] == "Accept-Encoding"
        assert got.headers["content-type"] == "application/octet-stream"
        again = {"accept-encoding": accepted, "if-none-match": got.headers["etag"]}
        same = browser.get("/bundle/model.tflite", headers=again)
        assert (same.status_code, same.content, same.headers["etag"]) == (
            304, b"", got.headers["etag"],
        )  # fmt: skip
        tags.add(got.headers["etag"])
    assert len(tags) == 3
    assert sorted(path.name for path in (assets / "bundle").iterdir()) == [
        "manifest.json",
        "model.tflite",
    ]


def test_what_gains_nothing_is_sent_as_it_is(browser: TestClient, assets: Path) -> None:
    for content in (MODEL[:200_000], b"short"):
        (assets / "bundle/some.bin").write_bytes(content)
        got, sent = raw(browser, "/bundle/some.bin", "br")
        assert (sent, got.headers.get("content-encoding")) == (content, None)


def test_another_bundle_takes_the_place_of_the_compressed_one(
    browser: TestClient, assets: Path
) -> None:
    path = assets / "bundle/model.tflite"
    path.write_bytes(MODEL)
    first, _ = raw(browser, "/bundle/model.tflite", "br")
    # As large as before: only its content tells them apart.
    path.write_bytes(MODEL[::-1])
    later_ns = time.time_ns() + 10_000_000_000
    os.utime(path, ns=(later_ns, later_ns))
    second, sent = raw(browser, "/bundle/model.tflite", "br")
    assert brotli.decompress(sent) == MODEL[::-1]
    assert second.headers["etag"] != first.headers["etag"]


def test_a_file_is_compressed_once(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(MODEL)
    found = AppFolder(tmp_path).find("model.tflite")
    assert found is not None
    packer = Packer()
    first = packer.packed(found, "br")
    path.unlink()
    # Nothing is read again; and what is not the file of that tag is never sent as it.
    assert packer.packed(found, "br") is first
    assert packer.packed(found, "gzip") is None


def test_what_is_kept_is_asked_about_again_unless_the_address_names_its_content(
    browser: TestClient,
) -> None:
    first = browser.get("/app/app.js")
    assert first.headers["cache-control"] == "no-cache"
    again = browser.get("/app/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    named = browser.get("/app/app.js?v=020f166f4c2f")
    assert named.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_a_new_build_is_served_at_once(browser: TestClient, assets: Path) -> None:
    before = browser.get("/app/app.js").headers["etag"]
    path = assets / "www/app.js"
    path.write_bytes(b"// built again\n")
    later_ns = time.time_ns() + 10_000_000_000
    os.utime(path, ns=(later_ns, later_ns))
    # The compressed forms of before are not of this file.
    told = browser.get("/app/app.js", headers={"accept-encoding": "br"})
    assert told.content == b"// built again\n"
    assert told.headers["etag"] != before


@pytest.mark.parametrize(
    "address",
    [
        "/app/none.js",
        "/app/app.js.br",
        "/app/litert",
        "/app/%2e%2e/secret.txt",
        "/app/..%2fsecret.txt",
        "/app/litert/%2e%2e/app.js",
        "/app/%ec%95%b1.js",
        "/app/" + "a/" * 30,
        "/app/" + "a" * 300,
        "/bundle/",
    ],
)
def test_nothing_else_is_there(browser: TestClient, address: str) -> None:
    assert_problem(browser.get(address), 404, "no-such-file")


def test_links_lead_nowhere(browser: TestClient, assets: Path) -> None:
    (assets / "www/link.txt").symlink_to(assets / "secret.txt")
    (assets / "www/out").symlink_to(assets)
    for address in ("/app/link.txt", "/app/out/secret.txt"):
        assert_problem(browser.get(address), 404, "no-such-file")


def test_without_a_folder_there_is_no_app(sqlite_url: str) -> None:
    services = open_services(config_for(sqlite_url))
    with TestClient(create_app(services)) as client:
        assert client.get("/app/").status_code == 404


def test_the_app_is_named_by_file_or_environment(assets: Path, tmp_path: Path) -> None:
    config = load_config(environment={"PROMOLENS_APP": str(assets)})
    assert config.app == AppConfig(assets / "www", assets / "bundle")
    assert built_app(assets / "www", AppConfig()) == config.app
    file = tmp_path / "server.toml"
    file.write_text(f'[app]\nfolder = "{assets / "www"}"\nhosts = ["https://tiles.example"]\n')
    told = load_config(file, environment={}).app
    assert told == AppConfig(assets / "www", None, ("https://tiles.example",))
    with pytest.raises(InputError, match=r"^Expected the camera app .* Received .* make app$"):
        load_config(environment={"PROMOLENS_APP": str(tmp_path)})
