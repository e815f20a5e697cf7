"""Whatever is sent to whatever address, the answer is an answer or a clear 4xx, and soon.

The addresses and parameters come from the OpenAPI document, so a new route is tried too.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from catalog_support import NOW, make_offers, stage_crawl
from promolens_catalog.database import open_database
from promolens_catalog.publishing import publish
from promolens_server.config import LimitsConfig, SyncConfig
from promolens_server.factory import create_app
from promolens_server.services import Services, open_services
from server_support import PROBLEM, Running, config_for, running

# Quoted: what stands in an address. None of it may do more than be no match.
HOSTILE = {
    "nul": "%00",
    "nul inside": "a%00b",
    "not utf-8": "%ff%fe",
    "cut utf-8": "%EC%BD",
    "overlong utf-8": "%C0%AF",
    "surrogate": "%ED%A0%80",
    "half an escape": "%",
    "sql": quote("'; DROP TABLE promotion; --", safe=""),
    "sql union": quote("1 UNION SELECT value FROM item_key", safe=""),
    "fts operators": quote('"NEAR(콜라, 2)" OR * AND ^ -name:"x', safe=""),
    "fts quote": "%22",
    "wildcards": quote("%_*?", safe=""),
    "path": quote("../../../../etc/passwd", safe=""),
    "path back": "..%5c..%5cwindows",
    "path dots": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "line breaks": "a%0d%0aset-cookie:%20b=1",
    "template": quote("{{7*7}}${7*7}<script>", safe=""),
    "long": "a" * 2_000,
    "long korean": quote("가" * 600, safe=""),
    "emoji": quote("🍫" * 40, safe=""),
    "marks": quote("e" + "́" * 300, safe=""),
    "right to left": quote("‮⁦", safe=""),
    "huge number": "9" * 400,
    "number": "9" * 15,
    "negative": "-1",
    "nan": "NaN",
    "infinity": "-Infinity",
    "91": "91",
    "zero": "0",
    "billion": "1000000000",
    "exponent": "1e999",
    "hex": "0x10",
    "underscore": "1_000",
    "arabic digits": quote("١٢٣", safe=""),
    "true": "true",
    "empty": "",
}
NEEDED = {"lat": "37.5", "lon": "127.0", "q": "%EA%B3%BC%EC%9E%90"}
PATHS = {"item_id": "1", "channel": "stable", "sha256": "a" * 64}


@pytest.fixture
def hostile(database_url: str, tmp_path: Any) -> Iterator[TestClient]:
    """The service on a list, on each engine."""
    database = open_database(database_url)
    publish(database, stage_crawl(database, make_offers(range(20))), NOW)
    database.close()
    config = config_for(database_url, sync=SyncConfig(tmp_path / "bootstrap"))
    services = open_services(config, clock=lambda: NOW)
    with TestClient(create_app(services)) as client:
        yield client
    services.close()


def attacks(document: Any) -> Iterator[tuple[str, str, str]]:
    """Return route, name and address of every hostile value at every place that takes one."""
    for route, operations in document["paths"].items():
        parameters = operations.get("get", {}).get("parameters", [])
        query = [one for one in parameters if one["in"] == "query"]
        within = [one for one in parameters if one["in"] == "path"]
        needed = "&".join(f"{o['name']}={NEEDED[o['name']]}" for o in query if o.get("required"))
        plain = re.sub(r"\{(\w+)(:path)?\}", lambda found: PATHS.get(found[1], "1"), route)
        for name, value in HOSTILE.items():
            for one in within:
                path = re.sub(rf"\{{{one['name']}(:path)?\}}", lambda _, v=value: v, route)
                path = re.sub(r"\{(\w+)(:path)?\}", lambda found: PATHS.get(found[1], "1"), path)
                yield route, f"{one['name']} {name}", f"{path}?{needed}".rstrip("?")
            for one in query:
                rest = "&".join(p for p in needed.split("&") if not p.startswith(one["name"] + "="))
                yield route, f"{one['name']} {name}", f"{plain}?{one['name']}={value}&{rest}"
            yield route, f"unknown {name}", f"{plain}?{needed}&{value or 'x'}={value}"


def test_no_value_at_no_place_does_harm(hostile: TestClient) -> None:
    document = hostile.get("/openapi.json").json()
    before = hostile.get("/v1/promotions").content
    tried, wrong, slowest_s = 0, [], 0.0
    for route, name, address in attacks(document):
        began_s = time.process_time()
        got = hostile.get(address)
        slowest_s = max(slowest_s, time.process_time() - began_s)
        tried += 1
        # Without a list of stores near there, nobody can say: that is no defect.
        nobody = route == "/v1/stores/nearby" and got.json().get("code") == "stores-unavailable"
        if not (got.status_code < 500 or nobody) or not is_sound(got):
            wrong.append((route, name, got.status_code, got.text[:200]))
    assert wrong[:5] == []
    assert tried > 1_000
    assert slowest_s < 2.0
    assert hostile.get("/v1/promotions").content == before


def is_sound(got: Any) -> bool:
    """Say whether an answer is one of ours, whole, and repeats no hostile header or file."""
    if "set-cookie" in got.headers or b"root:" in got.content:
        return False
    if got.status_code < 400:
        return True
    members = json.loads(got.content)
    told = re.fullmatch(r"Expected [^\n\r]+ Received[^\n\r]+\.", members["detail"]) is not None
    return got.headers["content-type"] == PROBLEM and told and len(got.content) < 6_000


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/v1/stores/nearby?lat=NaN&lon=127", 422),
        ("/v1/stores/nearby?lat=91&lon=127", 422),
        ("/v1/stores/nearby?lat=37.5&lon=-181", 422),
        ("/v1/stores/nearby?lat=37.5&lon=127&radius_m=0", 422),
        ("/v1/stores/nearby?lat=37.5&lon=127&radius_m=1000000000", 422),
        ("/v1/sync?since=999", 409),
        ("/v1/sync?since=999999999999999", 409),
        ("/v1/sync?since=9999999999999999", 422),
        ("/v1/sync?since=-1", 422),
        ("/v1/search?q=%ff", 400),
        ("/v1/search?q=a%00", 400),
        ("/v1/search?q=", 422),
        ("/v1/promotions?cursor=AAAA", 422),
        ("/v1/promotions?cursor=" + "A" * 40, 404),
        ("/v1/promotions?price_min=-5", 422),
        ("/v1/products/by-barcode/%00", 400),
        ("/v1/products/by-barcode/8801056150014", 404),
        ("/v1/products/99999999999999999999", 422),
        ("/v1/bundles/files/%2e%2e/passwd", 404),
        ("/v1/bundles/..%2f..%2fetc/manifest.json", 404),
        ("/v1/promotions?limit=5&limit=6&limit=x", 400),
        ("/v1/promotions?" + "&".join(f"k{n}=1" for n in range(150)), 400),
        ("/v1/promotions?text=" + "a" * 9_000, 414),
    ],
)
def test_the_named_ones_get_their_4xx(hostile: TestClient, address: str, status: int) -> None:
    got = hostile.get(address)
    assert (got.status_code, is_sound(got)) == (status, True), got.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "x"])
def test_other_methods_change_nothing(hostile: TestClient, method: str) -> None:
    for path in ("/v1/promotions", "/v1/sync", "/v1/bundles/stable", "/readyz", "/nothing"):
        got = hostile.request(method, path, content=b"\xff" * 100)
        assert got.status_code in {404, 405}
        assert is_sound(got)


LIMITS = LimitsConfig(header_s=1.0, body_s=1.0, body_bytes=100_000)


@pytest.fixture
def server(sqlite_url: str) -> Iterator[Running]:
    services: Services = open_services(config_for(sqlite_url, limits=LIMITS), clock=lambda: NOW)
    with running(create_app(services), config_for(sqlite_url, limits=LIMITS)) as started:
        yield started


def talk(server: Running, data: bytes, rest: bytes = b"", pause_s: float = 0.0) -> bytes:
    """Send bytes, then further ones one by one, until there is an answer; return it."""
    got = b""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection,
        contextlib.suppress(ConnectionResetError, BrokenPipeError),
    ):
        connection.sendall(data)
        for byte in rest:
            if select.select([connection], [], [], pause_s)[0]:
                break
            connection.sendall(bytes([byte]))
        while part := connection.recv(65_536):
            got += part
    return got


def test_slow_ones_are_told_and_others_are_served(server: Running) -> None:
    """Headers and bodies byte by byte, on addresses of every kind; fifty at once."""
    head = b"GET /v1/promotions HTTP/1.1\r\nhost: a\r\n"
    post = b"POST /v1/sync HTTP/1.1\r\nhost: a\r\ncontent-length: 50000\r\n\r\n"
    slow = [(head, b"x" * 40), (post, b"y" * 40)] * 25
    with ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(talk, server, first, rest, 0.1) for first, rest in slow]
        time.sleep(0.5)
        quick = talk(server, b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert quick.startswith(b"HTTP/1.1 200 ")
        answers = [one.result() for one in waiting]
    said = {answer[:13] for answer in answers if answer}
    # A route that takes no body says so before the body is there, and lets go of it in time.
    assert said == {b"HTTP/1.1 408 ", b"HTTP/1.1 405 "}


def test_a_body_that_goes_on_after_the_answer_is_ended(server: Running) -> None:
    """A byte now and then keeps no connection for ever."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"POST /v1/sync HTTP/1.1\r\nhost: a\r\ncontent-length: 50000\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 405 ")
        began_s = time.monotonic()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while time.monotonic() < began_s + 30:
                connection.sendall(b"y")
                time.sleep(0.2)
        assert time.monotonic() - began_s < 30


def test_100000_keys_in_the_address(server: Running) -> None:
    query = b"&".join(b"k%d=%%f%d" % (number, number % 10) for number in range(100_000))
    for path in (b"/v1/promotions?", b"/v1/stores/nearby?lat=37&lon=127&", b"/v1/sync?"):
        got = talk(server, b"GET " + path + query + b" HTTP/1.1\r\nhost: a\r\n\r\n")
        # The connection may break before the refusal is read.
        assert got == b"" or got.startswith(b"HTTP/1.1 431 "), got[:100]
    got = talk(server, b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")
