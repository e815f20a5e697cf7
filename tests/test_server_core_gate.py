"""What every request goes through: names, limits, keys, rates, headers, codings, problems."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import brotli
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response, StreamingResponse
from starlette.testclient import TestClient

from catalog_support import NOW
from promolens_runtime.errors import InputError
from promolens_server.addresses import counted_as, forwarded, one_of
from promolens_server.caching import cached_response, etag_of, known_tag
from promolens_server.compression import coding_for, compressed
from promolens_server.config import (
    CorsConfig,
    KeysConfig,
    LimitsConfig,
    ProxyConfig,
    RateConfig,
)
from promolens_server.factory import create_app
from promolens_server.keys import add_key
from promolens_server.problems import Problem
from promolens_server.services import open_services
from server_support import assert_problem, config_for

BIG = json.dumps({"rows": ["보리과자"] * 500}).encode()


def add_routes(app: FastAPI) -> None:
    """Add addresses that behave in every way that matters here."""

    @app.get("/v1/test/big")
    def big(request: Request) -> Response:
        return cached_response(request, (7,), lambda: BIG)

    @app.get("/v1/test/small")
    def small() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/v1/test/number")
    def number(n: int) -> dict[str, int]:
        return {"n": n}

    @app.get("/v1/test/stream")
    def stream() -> Response:
        return StreamingResponse(iter([b"a" * 500] * 4), media_type="text/plain")

    @app.get("/v1/test/page")
    def page() -> Response:
        return Response("<p>", headers={"content-security-policy": "default-src 'self'"})

    add_failing_routes(app)


def add_failing_routes(app: FastAPI) -> None:
    """Add addresses that fail, or take long."""

    @app.get("/v1/test/defect")
    def defect() -> None:
        raise RuntimeError("a secret that nobody may see")

    @app.get("/v1/test/half")
    def half() -> Response:
        def parts() -> Iterator[bytes]:
            yield b"first"
            raise RuntimeError("in the middle")

        return StreamingResponse(parts())

    @app.get("/v1/test/input")
    def bad_input() -> None:
        raise InputError("Expected a barcode. Received none. Scan it again.")

    @app.get("/v1/test/gone")
    def gone() -> None:
        raise Problem(410, "too-old", "Expected newer. Received older. Begin anew.", next="/x")

    @app.get("/v1/test/slow")
    async def slow() -> None:
        await asyncio.sleep(30)

    @app.post("/v1/test/body")
    async def body(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}


@contextmanager
def opened(url: str, **changes: Any) -> Iterator[TestClient]:
    peer = changes.pop("peer", "203.0.113.9")
    services = open_services(config_for(url, **changes), clock=lambda: NOW)
    app = create_app(services)
    add_routes(app)
    with TestClient(app, client=(peer, 1)) as client:
        yield client


@pytest.fixture
def plain(sqlite_url: str) -> Iterator[TestClient]:
    with opened(sqlite_url) as client:
        yield client


# ---- names


def test_a_sound_request_id_is_kept_and_others_are_replaced(plain: TestClient) -> None:
    kept = plain.get("/healthz", headers={"x-request-id": "phone-0001.a_b"})
    assert kept.headers["x-request-id"] == "phone-0001.a_b"
    made = set()
    for given_id in ("short", "a" * 65, "has spaces in", '<script>"', "", "-begins-with-dash"):
        answer = plain.get("/healthz", headers={"x-request-id": given_id})
        made.add(answer.headers["x-request-id"])
    assert len(made) == 6
    assert all(re.fullmatch(r"[0-9a-f]{20}", one) for one in made)


# ---- problems


def test_every_way_to_go_wrong_has_the_same_shape(plain: TestClient) -> None:
    assert_problem(plain.get("/nothing/here"), 404, "not-found")
    wrong_method = plain.delete("/v1/test/small")
    assert_problem(wrong_method, 405, "method-not-allowed")
    assert wrong_method.headers["allow"] == "GET"
    invalid = assert_problem(plain.get("/v1/test/number?n=x"), 422, "invalid")
    assert invalid["errors"][0]["where"] == "query.n"
    assert_problem(plain.get("/v1/test/input"), 400, "bad-input")
    gone = assert_problem(plain.get("/v1/test/gone"), 410, "too-old")
    assert gone["next"] == "/x"


def test_a_defect_is_logged_and_not_shown(
    plain: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = plain.get("/v1/test/defect")
    members = assert_problem(answer, 500, "defect")
    assert "secret" not in answer.text
    assert "a secret that nobody may see" in caplog.text
    assert caplog.records[0].members["request_id"] == members["request_id"]  # type: ignore[attr-defined]


def test_half_an_answer_is_never_taken_for_a_whole_one(plain: TestClient) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        plain.get("/v1/test/half")


def test_what_a_client_sent_is_shown_short(plain: TestClient) -> None:
    members = assert_problem(plain.get("/v1/test/number?n=" + "가" * 500), 422, "invalid")
    assert len(members["detail"]) < 300


# ---- limits


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/v1/test/small?q=" + "a" * 9_000, 414, "address-too-long"),
        ("/" + "a" * 9_000, 414, "address-too-long"),
        ("/v1/test/small?" + "&".join(["a=1"] * 101), 400, "too-many-parameters"),
        ("/v1/test/small?" + "&" * 5_000, 400, "too-many-parameters"),
        ("/v1/test/small?lat=1&lat=2", 400, "repeated-parameter"),
        ("/v1/test/small?lat=1&l%61t=2", 400, "repeated-parameter"),
        ("/v1/test/small?q=%FF", 400, "not-utf-8"),
        ("/v1/test/small?q=%ED%A0%80", 400, "not-utf-8"),
        ("/v1/test/small?q=%C0%AF", 400, "not-utf-8"),
        ("/v1/test/small?q=a%00b", 400, "nul-character"),
        ("/v1/test/sm%00all", 400, "nul-character"),
        ("/v1/test/%FF%FE", 400, "not-utf-8"),
    ],
)
def test_addresses_that_no_route_sees(
    plain: TestClient, address: str, status: int, code: str
) -> None:
    assert_problem(plain.get(address), status, code)


def test_korean_addresses_are_fine(plain: TestClient) -> None:
    assert plain.get("/v1/test/small?q=콜라&x=%EC%BD%9C%EB%9D%BC+1").status_code == 200


@given(st.binary(max_size=300))
def test_no_address_is_a_defect(plain_app: FastAPI, junk: bytes) -> None:
    """Any bytes as path and query: an answer below 500."""
    statuses = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    half = len(junk) // 2
    scope = {
        "type": "http",
        "method": "GET",
        "path": junk[:half].decode("utf-8", "replace"),
        "raw_path": junk[:half],
        "query_string": junk[half:],
        "headers": [(b"x-request-id", junk), (b"accept-encoding", junk), (b"x-api-key", junk)],
        "client": ("203.0.113.9", 1),
    }
    asyncio.run(plain_app(scope, receive, send))
    assert len(statuses) == 1
    assert statuses[0] < 500


@pytest.fixture(scope="module")
def plain_app(sqlite_template: Path) -> Iterator[FastAPI]:
    services = open_services(config_for(str(sqlite_template)), clock=lambda: NOW)
    yield create_app(services)
    services.close()


def test_bodies_over_the_limit(sqlite_url: str) -> None:
    with opened(sqlite_url, limits=LimitsConfig(body_bytes=1_000)) as client:
        assert client.post("/v1/test/body", content=b"a" * 1_000).json() == {"size": 1_000}
        too_large = client.post("/v1/test/body", content=b"a" * 1_001)
        assert_problem(too_large, 413, "body-too-large")
        # Of undeclared size, in parts.
        parts = client.post("/v1/test/body", content=iter([b"a" * 600] * 2))
        assert_problem(parts, 413, "body-too-large")
        lying = client.post("/v1/test/body", content=b"a", headers={"content-length": "-1"})
        assert_problem(lying, 400, "bad-length")


def test_requests_that_take_too_long_are_ended(sqlite_url: str) -> None:
    with opened(sqlite_url, limits=LimitsConfig(request_s=0.2)) as client:
        answer = client.get("/v1/test/slow")
        assert_problem(answer, 503, "time-limit")
        assert answer.headers["retry-after"] == "5"
        assert client.get("/v1/test/small").status_code == 200


# ---- keys and rates


def test_a_key_opens_what_needs_one(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, text = add_key(path, "app", NOW)
    with opened(sqlite_url, keys=KeysConfig(path, required=True)) as client:
        missing = client.get("/v1/test/small")
        assert_problem(missing, 401, "key-needed")
        assert missing.headers["www-authenticate"] == "ApiKey"
        wrong = {"x-api-key": text[:-1] + ("a" if text[-1] != "a" else "b")}
        assert_problem(client.get("/v1/test/small", headers=wrong), 401, "key-unknown")
        assert client.get("/v1/test/small", headers={"x-api-key": text}).status_code == 200
        # Those who keep the service running need none.
        assert client.get("/healthz").status_code == 200


def test_a_wrong_key_is_refused_also_where_none_is_needed(plain: TestClient) -> None:
    assert_problem(plain.get("/v1/test/small", headers={"x-api-key": "plk_x"}), 401, "key-unknown")


def test_an_address_may_send_so_many(sqlite_url: str) -> None:
    with opened(sqlite_url, rate=RateConfig(per_s=0.1, burst=4)) as client:
        first = client.get("/v1/test/small")
        assert "ratelimit" not in first.headers
        last = [client.get("/v1/test/small") for _ in range(3)][-1]
        assert last.headers["ratelimit-policy"] == '"address";q=4;w=40'
        assert last.headers["ratelimit"].startswith('"address";r=0;t=')
        refused = client.get("/v1/test/small")
        assert_problem(refused, 429, "too-many-requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 10
        assert refused.headers["ratelimit"].startswith('"address";r=0;t=')
        assert client.get("/healthz").status_code == 200


def test_a_key_has_a_rate_of_its_own(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, small = add_key(path, "small", NOW, per_s=0.1, burst=2)
    _, usual = add_key(path, "usual", NOW)
    rate = RateConfig(per_s=0.1, burst=1, key_per_s=0.1, key_burst=5)

    def statuses(client: TestClient, text: str, count: int) -> list[int]:
        headers = {"x-api-key": text}
        return [client.get("/v1/test/small", headers=headers).status_code for _ in range(count)]

    with opened(sqlite_url, keys=KeysConfig(path), rate=rate) as client:
        assert statuses(client, small, 3) == [200, 200, 429]
        assert statuses(client, usual, 6) == [200] * 5 + [429]
        # Guessing keys is counted for the address.
        assert statuses(client, "plk_guess", 3) == [401, 429, 429]


def test_whom_a_trusted_proxy_names_is_counted(sqlite_url: str) -> None:
    rate = RateConfig(per_s=0.1, burst=1)
    proxy = ProxyConfig(trusted=("10.0.0.0/8",))

    def status(client: TestClient, chain: str) -> int:
        return client.get("/v1/test/small", headers={"x-forwarded-for": chain}).status_code

    with opened(sqlite_url, rate=rate, proxy=proxy, peer="10.0.0.1") as client:
        assert status(client, "203.0.113.1") == 200
        assert status(client, "203.0.113.2") == 200
        assert status(client, "203.0.113.1") == 429
        # What a client writes in front of its own address is nothing.
        assert status(client, "198.51.100.7, 203.0.113.2, 10.0.0.9") == 429
    with opened(sqlite_url, rate=rate, peer="203.0.113.9") as client:
        assert status(client, "203.0.113.1") == 200
        assert status(client, "203.0.113.2") == 429


@pytest.mark.parametrize(
    ("peer", "header", "who"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", b"nonsense", "10.0.0.1"),
        ("10.0.0.1", b"1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", b"6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", b"1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", b"1.2.3.4, bad, 10.0.0.2", "10.0.0.2"),
        ("local", b"1.2.3.4", "1.2.3.4"),
        ("9.9.9.9", b"1.2.3.4", "9.9.9.9"),
    ],
)
def test_the_nearest_address_that_is_not_a_proxys(
    peer: str, header: bytes | None, who: str
) -> None:
    assert forwarded(peer, header, one_of(("10.0.0.0/8",))) == who


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1%eth0", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("testclient", "testclient"),
    ],
)
def test_ipv6_is_counted_by_its_network(address: str, name: str) -> None:
    assert counted_as(address) == name


# ---- headers


def test_security_headers_are_on_every_answer(plain: TestClient) -> None:
    for address in ("/healthz", "/nothing", "/v1/test/defect", "/v1/test/small?q=%00"):
        headers = plain.get(address).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers.get_list("content-security-policy") == [
            "default-src 'none'; frame-ancestors 'none'"
        ]
        assert "server" not in headers


def test_a_page_keeps_its_own_policy(plain: TestClient) -> None:
    headers = plain.get("/v1/test/page").headers
    assert headers.get_list("content-security-policy") == ["default-src 'self'"]


def test_cors_is_off_until_configured(plain: TestClient) -> None:
    answer = plain.get("/v1/test/small", headers={"origin": "https://shop.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_cors_for_one_origin(sqlite_url: str) -> None:
    ours, theirs = {"origin": "https://shop.example"}, {"origin": "https://evil.example"}
    asks = {"access-control-request-method": "GET"}
    with opened(sqlite_url, cors=CorsConfig(origins=("https://shop.example",))) as client:
        allowed = client.get("/v1/test/small", headers=ours).headers
        assert allowed["access-control-allow-origin"] == "https://shop.example"
        assert allowed["vary"] == "Origin"
        assert "access-control-allow-credentials" not in allowed
        refused = client.get("/v1/test/small", headers=theirs).headers
        assert "access-control-allow-origin" not in refused
        assert refused["vary"] == "Origin"
        # Kept by a cache, the answer may be shown to a page later.
        assert client.get("/v1/test/small").headers["vary"] == "Origin"
        preflight = client.options("/v1/test/small", headers=ours | asks)
        assert preflight.status_code == 204
        assert "X-API-Key" in preflight.headers["access-control-allow-headers"]
        assert preflight.headers.get_list("access-control-allow-origin") == ["https://shop.example"]
        assert (
            "access-control-allow-methods"
            not in client.options("/v1/test/small", headers=theirs | asks).headers
        )
        # Nothing outside the API is for pages of others, also not the administration.
        assert "access-control-allow-origin" not in client.get("/docs", headers=ours).headers


def test_cors_for_all_origins(sqlite_url: str) -> None:
    with opened(sqlite_url, cors=CorsConfig(origins=("*",))) as client:
        answer = client.get("/v1/test/small", headers={"origin": "https://any.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        problem = client.get("/v1/nothing", headers={"origin": "https://any.example"})
        assert problem.headers["access-control-allow-origin"] == "*"


def test_a_browser_may_ask_whether_it_may_send_a_key(sqlite_url: str, tmp_path: Path) -> None:
    keys = KeysConfig(tmp_path / "keys.json", required=True)
    cors = CorsConfig(origins=("*",))
    headers = {"origin": "https://a.example", "access-control-request-method": "GET"}
    with opened(sqlite_url, keys=keys, cors=cors) as client:
        assert client.options("/v1/test/small", headers=headers).status_code == 204


def test_head_is_get_without_a_body(plain: TestClient) -> None:
    got, head = plain.get("/v1/test/big"), plain.head("/v1/test/big")
    assert head.status_code == 200
    assert head.headers["etag"] == got.headers["etag"]


# ---- tags and codings


def test_who_has_the_answer_gets_304_and_nothing_is_built(sqlite_url: str) -> None:
    built = []
    services = open_services(config_for(sqlite_url))
    app = create_app(services)

    @app.get("/v1/test/counted")
    def counted(request: Request) -> Response:
        return cached_response(request, (7,), lambda: (built.append(1), BIG)[1])

    with TestClient(app) as client:
        first = client.get("/v1/test/counted", headers={"accept-encoding": "identity"})
        tag = first.headers["etag"]
        again = client.get("/v1/test/counted", headers={"if-none-match": f'"x", {tag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == first.headers["cache-control"]
        assert again.headers["vary"] == "Accept-Encoding"
        assert len(built) == 1
        other = client.get("/v1/test/counted?x=1", headers={"if-none-match": tag})
        assert other.status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_a_coded_answer_has_a_tag_of_its_own(plain: TestClient, coding: str) -> None:
    as_it_is = plain.get("/v1/test/big", headers={"accept-encoding": "identity"})
    coded = plain.get("/v1/test/big", headers={"accept-encoding": coding})
    assert "content-encoding" not in as_it_is.headers
    assert coded.headers["content-encoding"] == coding
    assert int(coded.headers["content-length"]) < len(BIG) / 5
    assert as_it_is.content == coded.content == BIG
    assert as_it_is.headers["etag"] != coded.headers["etag"]
    for tag in (as_it_is.headers["etag"], coded.headers["etag"]):
        headers = {"if-none-match": tag, "accept-encoding": coding}
        again = plain.get("/v1/test/big", headers=headers)
        assert (again.status_code, again.headers["etag"]) == (304, tag)
    assert coded.headers["vary"] == "Accept-Encoding"


def test_what_gains_nothing_is_sent_as_it_is(plain: TestClient) -> None:
    for address in ("/v1/test/small", "/v1/test/stream", "/v1/test/gone"):
        answer = plain.get(address, headers={"accept-encoding": "gzip, br"})
        assert "content-encoding" not in answer.headers
    assert plain.get("/v1/test/stream").text == "a" * 2_000


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (b"gzip, deflate, br", "br"),
        (b"gzip, deflate", "gzip"),
        (b"GZIP", "gzip"),
        (b"br;q=0, gzip", "gzip"),
        (b"br;q=0.5, gzip;q=0.9", "gzip"),
        (b"br;q=0, gzip;q=0", None),
        (b"identity", None),
        (b"", None),
        (b"*", "br"),
        (b"*;q=0", None),
        (b"gzip;q=x", None),
        (b"\xff\xfe", None),
    ],
)
def test_the_coding_that_a_client_prefers(accepted: bytes, coding: str | None) -> None:
    assert coding_for(accepted) == coding


@given(st.binary(max_size=5_000))
def test_codings_can_be_undone(body: bytes) -> None:
    assert gzip.decompress(compressed(body, "gzip")) == body
    assert zlib.decompress(compressed(body, "gzip"), 31) == body
    assert brotli.decompress(compressed(body, "br")) == body


def test_tags_tell_answers_apart() -> None:
    parts = [(1, "a"), (1, "b"), (2, "a"), ("1", "a"), ((1, "a"),), (1, None), (1, "None")]
    assert len({etag_of(*one) for one in parts}) == len(parts)
    tag = etag_of(1)
    assert known_tag(None, tag) is None
    assert known_tag("*", tag) == tag
    assert known_tag(f"W/{tag}", tag) == tag
    assert known_tag(tag[:-1], tag) is None
    assert known_tag('""', tag) is None
