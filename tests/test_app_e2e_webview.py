"""The app and its bundle from another origin and folder than the server's, as in a WebView.

A WebView's asset loader serves `assets/www/` and `assets/bundle/` from an origin of its own; the
server has to allow that origin. Without it the app must name that as a reason: browsers tell pages
no more than that there was no answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app_shell_support import Phone, build_shell, camera_arguments, phone
from app_support import FileServer, needs_chromium, needs_node, serve
from conftest import Keys
from e2e_support import (
    HERE,
    allow_position,
    crawled,  # noqa: F401
    lay_out,
    nearest_store,
    products_in,
    publish_bundle,
    resigned,
    server_environment,
    trained,  # noqa: F401
    truth_of,
    wait_for_cards,
    watch_cards,
    write_film,
)
from promolens_demo.catalogue import Product
from server_support import ServeProcess, serve_process

pytestmark = [pytest.mark.slow, needs_node, needs_chromium]


@dataclass(frozen=True)
class WebView:
    """What a WebView's asset loader has, and where the server is that its app asks.

    Attributes:
        folder: of the server's catalog and bundles.
        port: of the server, while one runs.
    """

    folder: Path
    film: Path
    shown: tuple[Product, ...]
    files: FileServer
    port: int
    month: str

    @contextmanager
    def server(self, origin: str) -> Iterator[ServeProcess]:
        """Run a server that has no app of its own and allows one origin."""
        with _server(self.folder, origin, self.port) as server:
            yield server

    @contextmanager
    def phone(self) -> Iterator[Phone]:
        """Hold a phone that gets the app from the assets' origin."""
        url = f"{self.origin}/assets/www/"
        with phone(url, *camera_arguments(self.film)) as held:
            yield held

    @property
    def origin(self) -> str:
        return self.files.url("").rstrip("/")


@contextmanager
def _server(folder: Path, origin: str, port: int = 0) -> Iterator[ServeProcess]:
    config = folder / "server.toml"
    config.write_text(f'[cors]\norigins = ["{origin}"]\n', "utf-8")
    words = ("--config", str(config))
    environment = server_environment(folder)
    with serve_process(folder, *words, port=port, environment=environment) as server:
        yield server


@pytest.fixture(scope="module")
def view(
    tmp_path_factory: pytest.TempPathFactory,
    trained: Path,  # noqa: F811
    crawled: Path,  # noqa: F811
    keys: Keys,
) -> Iterator[WebView]:
    folder = tmp_path_factory.mktemp("view")
    photos = lay_out(folder, trained, crawled)
    film = write_film(folder / "film.mjpeg", list(photos.values()))
    # The app has to know the port before a server of this test runs there.
    with _server(folder, "https://nobody.example") as server:
        port = server.port
    told = {"api": f"http://127.0.0.1:{port}/", "bundle": "../bundle/"}
    build_shell(folder / "assets/www", keys.own.public, told)
    month = (crawled / "month.txt").read_text("utf-8")
    with serve({"assets": folder / "assets"}) as files:
        yield WebView(folder, film, products_in(photos), files, port, month)


def test_a_server_that_does_not_allow_the_origin_is_named_as_the_reason(view: WebView) -> None:
    with view.server("https://other.example"), view.phone() as held:
        held.open("index.html#/settings")
        held.click("지금 확인")
        held.sees("서버가 이 앱의 주소를 허용하지 않는 거예요", "[cors] origins")
        # The bundle that came with the app still recognises; nothing is called "no promotion".
        held.go("#/scan")
        seen = held.sees("지금은 행사를 확인할 수 없어요", "허용하지 않는 거예요")
        assert any(product.name_ko in seen for product in view.shown)
        assert "지금은 행사가 없어요" not in seen
        held.keep_picture("webview-refused")


def test_scanning_stores_lists_and_updates_work_from_another_origin(
    view: WebView,
    trained: Path,  # noqa: F811
    keys: Keys,
) -> None:
    with view.server(view.origin), view.phone() as held:
        allow_position(held, HERE)
        held.open("index.html#/scan")
        watch_cards(held)
        cards = wait_for_cards(held, {product.name_ko for product in view.shown})
        for product in view.shown:
            assert truth_of(product, view.month).certain <= set(cards[product.name_ko].deals)
        held.go("#/stores")
        held.one(".marker")
        assert nearest_store(HERE).branch in held.text()
        held.go("#/settings")
        held.click("지금 확인")
        held.sees("최신 정보예요")
        held.sees("e2e 버전 1")
        newer = resigned(trained / "bundle", view.folder / "newer", 2, keys.own)
        publish_bundle(view.folder, newer, keys.own)
        held.click("새 인식기 확인")
        held.sees("버전 2(으)로 바꿨어요", "e2e 버전 2")
        held.keep_picture("webview")
        lines = [line["message"] for line in held.driver.get_log("browser")]
        assert not [line for line in lines if "CORS" in line or "Content Security" in line]
