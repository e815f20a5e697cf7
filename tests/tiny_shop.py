"""A shop of one list for tests of transports: a real HTTP server on loopback whose answers a test
chooses, address by address, byte by byte if it likes.

The list has `ROWS` rows, four on a page. The pages of the real shops are tested with the stand-in
shops; here are the answers that no stand-in gives.
"""

from __future__ import annotations

import functools
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ParamSpec

from selectolax.lexbor import LexborHTMLParser

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.config import CrawlerConfig, SourceConfig, TransportName
from promolens_crawler.errors import BotPageError, PageDriftError
from promolens_crawler.limits import Limits
from promolens_crawler.manners import Clock
from promolens_crawler.pages import Answer, Card, ParsedPage, Request
from promolens_crawler.sites.base import BrowserPlan, Listing, Site, Tokens
from promolens_crawler.transports.base import Transport
from promolens_crawler.transports.build import open_transport

ROWS = 10
PAGE = 4
LISTING = Listing("one", Kind.ONE_PLUS_ONE)
HTML = "text/html; charset=utf-8"
# The server notes a request when its thread gets to run, which may be late on a busy machine.
SERVER_JITTER_S = 0.02
QUICK = Limits(
    connect_timeout_s=2,
    read_timeout_s=2,
    total_timeout_s=6,
    backoff_s=0.01,
    max_body_bytes=200_000,
)


P = ParamSpec("P")


def on_a_busy_machine(test: Callable[P, None]) -> Callable[P, None]:
    """Let a test of small gaps try three times: a server that is late once is no fault of ours."""

    @functools.wraps(test)
    def tried(*args: P.args, **kwargs: P.kwargs) -> None:
        for _ in range(2):
            try:
                return test(*args, **kwargs)
            except AssertionError:
                continue
        return test(*args, **kwargs)

    return tried


@dataclass
class Hit:
    """One request as the server got it."""

    at_s: float
    method: str
    path: str
    headers: dict[str, str]
    body: str
    handler: Any

    def send(
        self,
        body: bytes | str,
        status: int = 200,
        content_type: str = HTML,
        **headers: str,
    ) -> None:
        """Answer; `Retry_After="1"` is the header Retry-After."""
        data = body.encode() if isinstance(body, str) else body
        self.head(
            status, **{"Content-Type": content_type, **headers}, Content_Length=str(len(data))
        )
        self.handler.wfile.write(data)

    def head(self, status: int, **headers: str) -> None:
        """Send the status line and headers only."""
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def hang_up(self) -> None:
        self.handler.close_connection = True


Answering = Callable[[Hit], None]


@dataclass
class TinyShop:
    """The server: `on[path]` answers in place of the list, `robots` is its robots.txt (or 404)."""

    home: str = ""
    robots: str | None = None
    hits: list[Hit] = field(default_factory=list)
    on: dict[str, Answering] = field(default_factory=dict)

    def paths(self) -> list[str]:
        return [hit.path for hit in self.hits]

    def gaps_s(self) -> list[float]:
        """Seconds between documents, lists and robots.txt, as the server saw them."""
        counted = [hit.at_s for hit in self.hits if not re.search(r"\.(js|css)$", hit.path)]
        return [after - before for before, after in itertools.pairwise(counted)]

    def answer(self, hit: Hit) -> None:
        path = hit.path.partition("?")[0]
        if hit.path in self.on:
            self.on[hit.path](hit)
        elif path in self.on:
            self.on[path](hit)
        elif path == "/robots.txt":
            hit.send(self.robots or "", 404 if self.robots is None else 200, "text/plain")
        elif path == "/list":
            hit.send(rows_html(int(hit.path.partition("=")[2])))
        else:
            hit.send("not here", 404)


def rows_html(page: int, extra: str = "") -> str:
    """One page of the list as the server prints it; the last one says so."""
    numbers = range((page - 1) * PAGE, min(page * PAGE, ROWS))
    items = "".join(f'<li class="row">row {number}</li>' for number in numbers)
    end = '<p id="end">no more</p>' if page * PAGE >= ROWS else ""
    return f"<ul>{items}</ul>{end}{extra}"


@contextmanager
def open_shop() -> Iterator[TinyShop]:
    """Run a shop for the length of a `with` block."""
    shop = TinyShop()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            hit = Hit(
                time.monotonic(),
                self.command,
                self.path,
                dict(self.headers),
                self.rfile.read(length).decode(),
                self,
            )
            shop.hits.append(hit)
            try:
                shop.answer(hit)
            except OSError:
                self.close_connection = True

        def do_POST(self) -> None:
            self.do_GET()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_arguments: object) -> None:
            """Clients that go away are what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    shop.home = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def read(answer: Answer, _listing: Listing) -> ParsedPage:
    """The list's reader: the same for what HTTP answers and what a browser renders."""
    tree = LexborHTMLParser(answer.body)
    text = tree.body.text() if tree.body is not None else ""
    if "robots keep out" in text:
        raise BotPageError("Expected rows. Received a page for robots. Stop.")
    rows = [node.text(strip=True) for node in tree.css(".row")]
    end = tree.css_first("#end") is not None
    if not rows and not end:
        raise PageDriftError("Expected rows or an end. Received neither. Look at the page.")
    cards = tuple(Card(name=name, price_krw=100, kind=Kind.ONE_PLUS_ONE) for name in rows)
    return ParsedPage(cards, len(cards), None, end)


def _page_request(home: str, _listing: Listing, number: int, _tokens: Tokens) -> Request:
    return Request(f"{home}/list?page={number}")


SITE = Site(
    chain=Chain.CU,
    home="https://shop.example",
    listings=(LISTING,),
    page_request=_page_request,
    read=read,
    browser=BrowserPlan(
        address=lambda _listing: "/plus.html",
        row_selector="li.row",
        more="more();",
        done="return document.querySelector('#end') !== null;",
        overlay=".loading",
        context_selector="#end",
    ),
    declares_total=False,
    page_size=PAGE,
)


def config_for(
    home: str,
    folder: Path,
    *,
    delay_s: float = 0.0,
    limits: Limits = QUICK,
    transport: TransportName = TransportName.HTTP,
) -> CrawlerConfig:
    """A configuration with one stand-in switched on; quick and small limits."""
    source = SourceConfig(Chain.CU, enabled=True, home=home, delay_s=delay_s, transport=transport)
    sources = {chain: SourceConfig(chain) for chain in Chain} | {Chain.CU: source}
    return CrawlerConfig(archive=folder / "archive", limits=limits, sources=sources)


@contextmanager
def transport_for(
    shop: TinyShop, folder: Path, *, clock: Clock | None = None, archive: Any = None, **more: Any
) -> Iterator[Transport]:
    """A transport to the shop, closed at the end."""
    made = open_transport(config_for(shop.home, folder, **more), SITE, clock=clock, archive=archive)
    try:
        yield made
    finally:
        made.close()


def names(transport: Transport, home: str, site: Site = SITE, most_pages: int = 20) -> list[str]:
    """Names of all rows, read until the end is seen."""
    session = transport.open(site, home, site.listings[0])
    found: list[str] = []
    try:
        for number in range(1, most_pages + 1):
            page = site.read(session.fetch(number), site.listings[0])
            found += [card.name for card in page.cards]
            if page.end_seen:
                return found
    finally:
        session.close()
    raise AssertionError("no end")


ALL = [f"row {number}" for number in range(ROWS)]
