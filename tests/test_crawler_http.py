"""Plain HTTP: what a shop can do to its reader, and what the reader makes of it."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from promolens_crawler.backoff import TransientError
from promolens_crawler.errors import (
    BotPageError,
    CrawlError,
    FetchFailedError,
    NotAllowedError,
    SourceGoneError,
)
from promolens_crawler.limits import Limits
from promolens_crawler.manners import Turn
from promolens_crawler.pages import Answer, Request
from promolens_crawler.sites.base import Listing, Tokens
from promolens_crawler.transports.body import TooLargeError, unpacked
from promolens_crawler.transports.wire import Wire
from tiny_shop import (
    ALL,
    LISTING,
    QUICK,
    SERVER_JITTER_S,
    SITE,
    Hit,
    TinyShop,
    names,
    on_a_busy_machine,
    open_shop,
    rows_html,
)
from tiny_shop import transport_for as transport_to


@pytest.fixture
def shop() -> Iterator[TinyShop]:
    with open_shop() as opened:
        yield opened


def failing_first(times: int, fail: Callable[[Hit], None], then: Callable[[Hit], None]):
    left = [times]

    def answer(hit: Hit) -> None:
        left[0] -= 1
        (fail if left[0] >= 0 else then)(hit)

    return answer


def page_two(hit: Hit) -> None:
    hit.send(rows_html(2))


def error_of(shop: TinyShop, folder: Path, limits: Limits = QUICK) -> CrawlError:
    with (
        transport_to(shop, folder, limits=limits) as transport,
        pytest.raises(CrawlError) as caught,
    ):
        names(transport, shop.home)
    return caught.value


def test_all_rows_come_once_and_say_who_asks(shop: TinyShop, tmp_path: Path) -> None:
    with transport_to(shop, tmp_path) as transport:
        assert names(transport, shop.home) == ALL
        assert transport.requests == 4  # robots.txt and three pages
    assert shop.paths() == ["/robots.txt", "/list?page=1", "/list?page=2", "/list?page=3"]
    assert {hit.headers["User-Agent"] for hit in shop.hits} == {"promolens/0.1.0 (loopback only)"}
    assert {hit.headers["Accept-Encoding"] for hit in shop.hits} == {"gzip, deflate"}


def test_an_answer_carries_what_parsers_and_archives_need(shop: TinyShop, tmp_path: Path) -> None:
    with transport_to(shop, tmp_path) as transport:
        answer = transport.open(SITE, shop.home, LISTING).fetch(2)
    assert (answer.listing, answer.number, answer.status) == ("one", 2, 200)
    assert answer.url == f"{shop.home}/list?page=2"
    assert answer.body == rows_html(2).encode()
    assert answer.content_type == "text/html; charset=utf-8"
    assert not answer.rendered
    assert answer.fetched_at.tzinfo is not None


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_failure_that_may_pass_is_tried_again(
    shop: TinyShop, tmp_path: Path, status: int
) -> None:
    shop.on["/list?page=2"] = failing_first(2, lambda hit: hit.send("busy", status), page_two)
    with transport_to(shop, tmp_path) as transport:
        assert names(transport, shop.home) == ALL
    assert shop.paths().count("/list?page=2") == 3


def test_three_tries_are_all(shop: TinyShop, tmp_path: Path) -> None:
    shop.on["/list?page=2"] = lambda hit: hit.send("busy", 503)
    error = error_of(shop, tmp_path)
    assert isinstance(error, FetchFailedError)
    assert f"Expected an answer to {shop.home}/list?page=2. Received status 503, 3 times." in str(
        error
    )
    assert shop.paths().count("/list?page=2") == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FetchFailedError),
        (401, BotPageError),
        (403, BotPageError),
        (404, SourceGoneError),
        (410, SourceGoneError),
        (418, FetchFailedError),
        (501, FetchFailedError),
    ],
)
def test_a_refusal_is_never_tried_again(
    shop: TinyShop, tmp_path: Path, status: int, kind: type[CrawlError]
) -> None:
    shop.on["/list?page=2"] = lambda hit: hit.send("no", status)
    error = error_of(shop, tmp_path)
    assert type(error) is kind
    assert f"{status}" in str(error)
    assert shop.paths().count("/list?page=2") == 1


def test_a_body_that_breaks_off_is_tried_again(shop: TinyShop, tmp_path: Path) -> None:
    def drop(hit: Hit) -> None:
        hit.head(200, Content_Type="text/html", Content_Length="1000")
        hit.write(b"<ul>")
        hit.hang_up()

    shop.on["/list?page=2"] = failing_first(1, drop, page_two)
    with transport_to(shop, tmp_path) as transport:
        assert names(transport, shop.home) == ALL
    shop.on["/list?page=2"] = drop
    assert "a body that broke off, 3 times" in str(error_of(shop, tmp_path))


def test_half_a_chunked_body_is_no_body(shop: TinyShop, tmp_path: Path) -> None:
    def drop(hit: Hit) -> None:
        hit.head(200, Content_Type="text/html", Transfer_Encoding="chunked")
        hit.write(b"4\r\n<ul>\r\n")
        hit.hang_up()

    shop.on["/list?page=1"] = drop
    assert "a body that broke off, 3 times" in str(error_of(shop, tmp_path))


@pytest.mark.parametrize("missing", [1, 8, 60])
def test_a_gzip_body_without_its_end_is_no_body(
    shop: TinyShop, tmp_path: Path, missing: int
) -> None:
    """Its length is the declared one, so that only the stream itself tells."""
    packed = gzip.compress(rows_html(1).encode() * 50)
    shop.on["/list?page=1"] = lambda hit: hit.send(packed[:-missing], Content_Encoding="gzip")
    assert "a body that broke off, 3 times" in str(error_of(shop, tmp_path))


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
        ("identity", bytes),
    ],
)
def test_packed_bodies_are_read(
    shop: TinyShop, tmp_path: Path, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(rows_html(2).encode())
    shop.on["/list?page=2"] = lambda hit: hit.send(packed, Content_Encoding=encoding)
    with transport_to(shop, tmp_path) as transport:
        assert names(transport, shop.home) == ALL


def test_an_encoding_that_nobody_asked_for(shop: TinyShop, tmp_path: Path) -> None:
    shop.on["/list?page=1"] = lambda hit: hit.send(b"x", Content_Encoding="br")
    assert "Received content encoding 'br'" in str(error_of(shop, tmp_path))


def test_a_body_that_does_not_say_where_it_ends_proves_nothing(
    shop: TinyShop, tmp_path: Path
) -> None:
    def unstated(hit: Hit) -> None:
        hit.head(200, Content_Type="text/html")
        hit.write(rows_html(1).encode()[:40])
        hit.hang_up()

    shop.on["/list?page=1"] = unstated
    assert "without a length" in str(error_of(shop, tmp_path))


def test_a_silent_shop_is_tried_again_and_given_up(shop: TinyShop, tmp_path: Path) -> None:
    shop.on["/list?page=1"] = lambda hit: time.sleep(1)
    error = error_of(shop, tmp_path, replace(QUICK, read_timeout_s=0.3))
    assert "Received nothing for 0.3 s, 3 times." in str(error)


def test_a_slow_shop_within_the_limits_is_waited_for(shop: TinyShop, tmp_path: Path) -> None:
    def slow(hit: Hit) -> None:
        time.sleep(0.6)
        page_two(hit)

    shop.on["/list?page=2"] = slow
    with transport_to(shop, tmp_path) as transport:
        assert names(transport, shop.home) == ALL
    assert shop.paths().count("/list?page=2") == 1


def drip_body(hit: Hit) -> None:
    hit.head(200, Content_Type="text/html", Content_Length="100000")
    drip(hit)


def drip_chunks(hit: Hit) -> None:
    hit.head(200, Content_Type="text/html", Transfer_Encoding="chunked")
    for _ in range(200):
        hit.write(b"1\r\nx\r\n")
        time.sleep(0.05)


def drip_headers(hit: Hit) -> None:
    hit.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(hit)


def drip_gzip(hit: Hit) -> None:
    hit.head(200, Content_Type="text/html", Content_Encoding="gzip", Content_Length="100000")
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(200):
        hit.write(packer.compress(b"x") + packer.flush(zlib.Z_FULL_FLUSH))
        time.sleep(0.05)


def drip(hit: Hit) -> None:
    for _ in range(200):
        hit.write(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("dripping", [drip_body, drip_chunks, drip_headers, drip_gzip])
def test_a_dripping_answer_ends_at_the_limit_and_is_not_tried_again(
    shop: TinyShop, tmp_path: Path, dripping: Callable[[Hit], None]
) -> None:
    shop.on["/list?page=1"] = dripping
    began_s = time.monotonic()
    error = error_of(shop, tmp_path, replace(QUICK, total_timeout_s=0.7))
    assert time.monotonic() - began_s < 9  # the whole answer takes 10
    assert isinstance(error, FetchFailedError)
    assert "within 0.7 s" in str(error)
    assert shop.paths().count("/list?page=1") == 1


def test_a_bomb_ends_at_the_limit_with_little_memory(shop: TinyShop, tmp_path: Path) -> None:
    """A gigabyte of blanks in a megabyte; the reader must stop at its 200 kB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(b" ") + packer.flush(zlib.Z_FULL_FLUSH)
    mebibyte = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    bomb = head + mebibyte * 1024
    assert len(bomb) < 1_200_000
    shop.on["/list?page=1"] = lambda hit: hit.send(bomb, Content_Encoding="gzip")
    import tracemalloc

    tracemalloc.start()
    error = error_of(shop, tmp_path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "Expected at most 200000 bytes" in str(error)
    assert peak_bytes < 20_000_000
    assert shop.paths().count("/list?page=1") == 1


def test_a_body_without_end_is_left(shop: TinyShop, tmp_path: Path) -> None:
    sent = []

    def endless(hit: Hit) -> None:
        hit.head(200, Content_Type="text/html", Transfer_Encoding="chunked")
        for _ in range(4000):
            hit.write(b"c350\r\n" + b" " * 50_000 + b"\r\n")
            sent.append(50_000)

    shop.on["/list?page=1"] = endless
    assert "Expected at most 200000 bytes" in str(error_of(shop, tmp_path))
    time.sleep(0.1)
    assert sum(sent) < 20_000_000


def test_a_declared_size_beyond_the_limit_is_not_read(shop: TinyShop, tmp_path: Path) -> None:
    def huge(hit: Hit) -> None:
        hit.head(200, Content_Type="text/html", Content_Length="200000000")
        hit.hang_up()

    shop.on["/list?page=1"] = huge
    assert "Expected at most 200000 bytes" in str(error_of(shop, tmp_path))


@pytest.mark.parametrize("kind", ["image/png", "IMAGE/jpeg; x=y", "video/mp4", "font/woff2"])
def test_pictures_are_never_read(shop: TinyShop, tmp_path: Path, kind: str) -> None:
    shop.on["/list?page=1"] = lambda hit: hit.send(b"\x89PNG" * 10_000, content_type=kind)
    error = error_of(shop, tmp_path)
    assert isinstance(error, FetchFailedError)
    assert "Expected text, HTML or JSON" in str(error)


def redirect_to(target: str, status: int = 302) -> Callable[[Hit], None]:
    return lambda hit: hit.head(status, Location=target, Content_Length="0")


def test_a_redirect_within_the_host_is_followed_and_shown(shop: TinyShop, tmp_path: Path) -> None:
    shop.on["/list?page=1"] = redirect_to("moved?page=1", 301)
    shop.on["/moved"] = lambda hit: hit.send(rows_html(1))
    with transport_to(shop, tmp_path) as transport:
        answer = transport.open(SITE, shop.home, LISTING).fetch(1)
        assert answer.url == f"{shop.home}/moved?page=1"
        assert transport.requests == 3


def test_redirects_without_end_are_left(shop: TinyShop, tmp_path: Path) -> None:
    shop.on["/list"] = redirect_to("/list?page=1")
    error = error_of(shop, tmp_path)
    assert isinstance(error, FetchFailedError)
    assert "Expected at most 5 redirects" in str(error)
    assert shop.paths().count("/list?page=1") == 6


@pytest.mark.parametrize(
    "target", ["http://localhost:1/brand", "https://www.shop.example/", "//other.example/x"]
)
def test_a_redirect_to_another_host_is_not_followed(
    shop: TinyShop, tmp_path: Path, target: str
) -> None:
    shop.on["/list?page=2"] = redirect_to(target)
    error = error_of(shop, tmp_path)
    assert isinstance(error, SourceGoneError)
    assert target.removeprefix("//") in str(error)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:1"])
def test_a_redirect_to_something_else_is_refused(
    shop: TinyShop, tmp_path: Path, target: str
) -> None:
    shop.on["/list?page=1"] = redirect_to(target)
    assert isinstance(error_of(shop, tmp_path), NotAllowedError)


def test_a_redirect_goes_through_robots_too(shop: TinyShop, tmp_path: Path) -> None:
    shop.robots = "User-agent: *\nDisallow: /private\n"
    shop.on["/list?page=1"] = redirect_to("/private/list")
    error = error_of(shop, tmp_path)
    assert isinstance(error, NotAllowedError)
    assert "/private/list" in str(error)
    assert not any(path.startswith("/private") for path in shop.paths())


def test_a_shop_that_is_not_there(shop: TinyShop, tmp_path: Path) -> None:
    shop.on["/list?page=1"] = lambda hit: hit.hang_up()
    assert "a broken connection, 3 times" in str(error_of(shop, tmp_path))


def test_garbage_instead_of_http(shop: TinyShop, tmp_path: Path) -> None:
    def garbage(hit: Hit) -> None:
        hit.write(b"\x00\xff" * 100)
        hit.hang_up()

    shop.on["/list?page=1"] = garbage
    assert isinstance(error_of(shop, tmp_path), FetchFailedError)


def test_too_many_headers(shop: TinyShop, tmp_path: Path) -> None:
    def headers(hit: Hit) -> None:
        hit.write(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n")
        hit.hang_up()

    shop.on["/list?page=1"] = headers
    assert isinstance(error_of(shop, tmp_path), FetchFailedError)


# ---- over TLS, as live shops are


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(pem)
    )
    return path


@contextmanager
def tls_shop(certificate: Path, answer: bytes, pause_s: float) -> Iterator[str]:
    """A server that sends `answer` byte by byte."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken, _ = listening.accept()
                    threading.Thread(target=drip_to, args=(taken,), daemon=True).start()

        def drip_to(taken: socket.socket) -> None:
            with contextlib.suppress(OSError), context.wrap_socket(taken, server_side=True) as tls:
                tls.recv(65_536)
                for byte in answer:
                    tls.send(bytes([byte]))
                    time.sleep(pause_s)

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}/"


def tls_get(url: str, certificate: Path | bool, limits: Limits) -> bytes:
    wire = Wire("promolens", limits, lambda: datetime.now(UTC))
    wire._session.verify = str(certificate) if isinstance(certificate, Path) else certificate
    try:
        return wire.follow(Request(url), lambda _url: NO_TURN).body
    finally:
        wire.close()


class _NoTurn(Turn):
    def __init__(self) -> None:
        pass

    def started(self) -> None:
        pass


NO_TURN = _NoTurn()
TLS_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n12345"


def test_a_page_over_tls(certificate: Path) -> None:
    with tls_shop(certificate, TLS_ANSWER, 0) as url:
        assert tls_get(url, certificate, QUICK) == b"12345"


def test_a_dripping_answer_over_tls_ends_at_the_limit(certificate: Path) -> None:
    began_s = time.monotonic()
    with tls_shop(certificate, TLS_ANSWER, 0.1) as url, pytest.raises(FetchFailedError) as caught:
        tls_get(url, certificate, replace(QUICK, total_timeout_s=0.7))
    assert "within 0.7 s" in str(caught.value)
    assert time.monotonic() - began_s < 6  # the whole answer takes 7


def test_a_certificate_that_nobody_vouches_for(certificate: Path) -> None:
    with tls_shop(certificate, TLS_ANSWER, 0) as url, pytest.raises(TransientError):
        tls_get(url, True, QUICK)


# ---- packed bodies


@given(body=st.binary(max_size=3000), cuts=st.lists(st.integers(1, 50), min_size=1, max_size=9))
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", bytes),
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
    ],
)
def test_a_body_is_the_same_however_it_is_cut(
    encoding: str, pack: Callable[[bytes], bytes], body: bytes, cuts: list[int]
) -> None:
    packed, parts, place = pack(body), [], 0
    for size in itertools.cycle(cuts):
        parts.append(packed[place : place + size])
        place += size
        if place >= len(packed):
            break
    assert unpacked(parts, encoding, 3000) == body
    if len(body) > 1:
        with pytest.raises(TooLargeError):
            unpacked(parts, encoding, len(body) - 1)


# ---- opening pages and tokens


def token_shop(shop: TinyShop) -> dict[str, int]:
    """A shop whose list needs the cookie and the token of its opening page, used at most twice."""
    count = {"opened": 0, "used": 0}

    def opening(hit: Hit) -> None:
        count["opened"] += 1
        count["used"] = 0
        text = f"<i id=token>t{count['opened']}</i>"
        hit.send(text, Set_Cookie=f"SESSION=s{count['opened']}; Path=/", ETag='"always"')

    def page(hit: Hit) -> None:
        count["used"] += 1
        good = (f"SESSION=s{count['opened']}", f"page=2&token=t{count['opened']}")
        sound = (hit.headers.get("Cookie"), hit.body.replace("page=1", "page=2")) == good
        hit.send(rows_html(2), 200 if sound and count["used"] <= 2 else 403)

    shop.on["/open"] = opening
    shop.on["/search"] = page
    return count


def _opening(home: str, _listing: Listing) -> Request:
    return Request(f"{home}/open")


def _tokens(answer: Answer) -> Tokens:
    return {"token": answer.body.decode().partition(">")[2].partition("<")[0]}


def _search(home: str, _listing: Listing, number: int, tokens: Tokens) -> Request:
    return Request(f"{home}/search", {"page": str(number), "token": tokens["token"]})


TOKEN_SITE = replace(SITE, opening=_opening, tokens=_tokens, page_request=_search)


def test_a_token_that_grew_old_is_fetched_once_more(shop: TinyShop, tmp_path: Path) -> None:
    count = token_shop(shop)
    with transport_to(shop, tmp_path) as transport:
        session = transport.open(TOKEN_SITE, shop.home, LISTING)
        for _ in range(5):
            assert session.fetch(2).status == 200
    assert count["opened"] == 3


def test_a_shop_that_refuses_fresh_tokens_too_is_left_alone(shop: TinyShop, tmp_path: Path) -> None:
    token_shop(shop)
    shop.on["/search"] = lambda hit: hit.send("no", 403)
    with transport_to(shop, tmp_path) as transport:
        session = transport.open(TOKEN_SITE, shop.home, LISTING)
        with pytest.raises(BotPageError):
            session.fetch(1)
    assert shop.paths().count("/search") == 2


def test_each_listing_begins_without_cookies(shop: TinyShop, tmp_path: Path) -> None:
    token_shop(shop)
    with transport_to(shop, tmp_path) as transport:
        for _ in range(2):
            transport.open(TOKEN_SITE, shop.home, LISTING)
    opened = [hit for hit in shop.hits if hit.path == "/open"]
    assert [hit.headers.get("Cookie") for hit in opened] == [None, None]


@on_a_busy_machine
def test_two_crawls_of_one_shop_do_not_double_its_rate(shop: TinyShop, tmp_path: Path) -> None:
    """Two transports with the same folder of stamps, as two processes have it."""
    shop.hits.clear()

    def crawl() -> None:
        with transport_to(shop, tmp_path, delay_s=0.15) as transport:
            names(transport, shop.home)

    threads = [threading.Thread(target=crawl) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shop.hits) == 8
    assert min(shop.gaps_s()) >= 0.15 - SERVER_JITTER_S
