"""The first start with a file that came with the app, while its server is away, silent or mad."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app_shell_support import Phone, build_shell, fill_catalog, phone
from app_support import FileServer, needs_chromium, needs_node, serve
from catalog_support import make_offer
from conftest import Keys
from promolens_catalog import bootstrap
from promolens_catalog.calendar import korean_day
from promolens_catalog.database import open_database

pytestmark = [needs_node, needs_chromium]

SEED_AGE_H = 30
PROBLEM = b'{"type": "about:blank", "status": 500, "code": "x"}'


@contextmanager
def api_on(port: int, answer: Callable[[], tuple[int, bytes] | None]) -> Iterator[None]:
    """Answer every request on that port alike; `None` keeps silent until the end of the block."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = answer()
            if told is None:
                over.wait(60)
                return
            status, body = told
            self.send_response(status)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, keys: Keys, free_port: int
) -> Iterator[FileServer]:
    """The app with a seed of yesterday; its API is named but not there, and there is no bundle."""
    folder = tmp_path_factory.mktemp("seed")
    fill_catalog(folder / "catalog.db")
    database = open_database(str(folder / "catalog.db"))
    try:
        seed = bootstrap.make(database, folder).path
    finally:
        database.close()
    made = (datetime.now(UTC) - timedelta(hours=SEED_AGE_H)).timestamp()
    os.utime(seed, (made, made))
    os.environ["PROMOLENS_APP_SEED"] = str(seed)
    try:
        api = f"http://127.0.0.1:{free_port}/"
        build_shell(folder / "www", keys.own.public, {"api": api, "bundle": "../bundle/"})
    finally:
        del os.environ["PROMOLENS_APP_SEED"]
    with serve({"app": folder / "www"}) as served:
        yield served


@pytest.fixture(scope="module")
def held(files: FileServer) -> Iterator[Phone]:
    with phone(f"http://localhost:{files.port}/app/") as opened:
        opened.open("index.html#/browse")
        yield opened


def test_promotions_are_there_without_any_server(held: Phone) -> None:
    seen = held.sees("5개", "개당 900원")
    # How old they are is said at once.
    assert f"{SEED_AGE_H}시간 전 확인한 내용이에요" in seen
    held.keep_picture("seed")


def test_a_product_of_the_seed_says_how_old_it_is(held: Phone) -> None:
    held.go(f"#/product/barcode-{make_offer(1).barcode}")
    held.sees("최저가", "900원", f"{SEED_AGE_H}시간 전", "서버에 닿지 못했어요")
    held.go("#/settings")
    held.sees(f"마지막 확인: {SEED_AGE_H}시간 전")


def test_the_seed_stays_when_the_page_is_loaded_without_its_files(
    held: Phone, files: FileServer
) -> None:
    files.files["app/seed.jsonl.gz"] = None
    held.open("index.html#/browse")
    held.sees("5개")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, PROBLEM), "서버에 문제가 생겼어요"),
        ((503, PROBLEM), "서버가 바빠요"),
        ((200, b"\xff\xfe\x00"), "서버가 알 수 없는 답을 보냈어요"),
        ((200, b"[1, 2]"), "서버가 알 수 없는 답을 보냈어요"),
        # A server of another version: sound JSON with nothing in it that this app knows.
        ((200, b'{"api": "v9", "promotions": {"all": "none"}}'), "서버가 알 수 없는 답을 보냈어요"),
        (None, "서버가 제때 답하지 않아요"),
    ],
    ids=["500", "503", "bytes", "list", "version", "silent"],
)
def test_whatever_the_server_says_the_seed_is_still_shown(
    held: Phone, free_port: int, answer: tuple[int, bytes] | None, words: str
) -> None:
    with api_on(free_port, lambda: answer):
        held.go("#/settings")
        held.click("지금 확인")
        held.sees(words)
        held.go("#/browse")
        held.sees("5개", "개당 900원")


def test_a_later_server_takes_over_from_the_seed(held: Phone, free_port: int) -> None:
    today = korean_day(datetime.now(UTC))
    meta = meta_of(today, catalog_id="f" * 32)
    with api_on(free_port, lambda: (200, meta)):
        # Another catalog than the seed's: what the seed said is gone, though no file comes.
        held.go("#/settings")
        held.click("지금 확인")
        held.sees("서버가 알 수 없는 답을 보냈어요")
        held.go("#/browse")
        held.sees("아직 행사 목록을 받지 못했어요")


def meta_of(day: date, catalog_id: str) -> bytes:
    return f'{{"version": 1, "day": "{day}", "chains": [], "catalog_id": "{catalog_id}"}}'.encode()


def test_a_seed_that_is_damaged_is_no_harm(
    tmp_path: Path, files: FileServer, free_port: int
) -> None:
    files.files["app/seed.jsonl.gz"] = b"not gzip"
    with phone(f"http://localhost:{files.port}/app/") as opened:
        opened.open("index.html#/browse")
        opened.sees("아직 행사 목록을 받지 못했어요", "다시 시도")
