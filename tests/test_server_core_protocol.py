"""Clients that mean harm, over real connections: slow, endless, too many, ahead of themselves."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promolens_server.config import LimitsConfig
from promolens_server.factory import create_app
from promolens_server.services import open_services
from server_support import Running, config_for, running

LIMITS = LimitsConfig(
    header_bytes=4_000,
    header_s=0.6,
    body_bytes=100_000,
    body_s=0.8,
    request_s=5.0,
    connections=20,
    keep_alive_s=5.0,
)
HELLO = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
WAIT_S = 20.0


def _app(url: str) -> FastAPI:
    app = create_app(open_services(config_for(url, limits=LIMITS)))

    @app.post("/v1/test/body")
    async def body(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    return app


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    url = str(tmp_path_factory.mktemp("protocol") / "catalog.db")
    with running(_app(url), config_for(url, limits=LIMITS)) as found:
        yield found


@contextmanager
def connected(server: Running) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    """Return all until the other end closes."""
    data = b""
    try:
        while part := connection.recv(65_536):
            data += part
    except ConnectionResetError:
        pass
    return data


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def problem_in(answer: bytes) -> dict[str, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    members: dict[str, str] = json.loads(body)
    assert list(members) == ["type", "title", "status", "code", "detail", "request_id"]
    return members


def still_answers(server: Running) -> None:
    with connected(server) as connection:
        connection.sendall(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert status_of(read_to_end(connection)) == 200


def test_headers_that_never_end_are_ended(server: Running) -> None:
    began = time.monotonic()
    with connected(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")
        answer = read_to_end(connection)
    assert status_of(answer) == 408
    assert problem_in(answer)["code"] == "headers-too-slow"
    assert time.monotonic() - began >= LIMITS.header_s * 0.9


def test_headers_that_trickle_get_no_more_time(server: Running) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        began, ended = time.monotonic(), False
        while time.monotonic() - began < WAIT_S and not ended:
            time.sleep(0.1)
            try:
                connection.sendall(b"x: y\r\n")
            except (BrokenPipeError, ConnectionResetError):
                ended = True
        assert ended
    still_answers(server)


def test_silence_after_connecting_is_ended(server: Running) -> None:
    with connected(server) as connection:
        assert status_of(read_to_end(connection)) == 408


def test_a_second_request_that_trickles_is_ended_too(server: Running) -> None:
    with connected(server) as connection:
        connection.sendall(HELLO)
        assert status_of(connection.recv(65_536)) == 200
        connection.sendall(b"GET /hea")
        assert status_of(read_to_end(connection)) == 408


def test_a_connection_between_requests_may_be_idle_for_longer(server: Running) -> None:
    with connected(server) as connection:
        for _ in range(2):
            connection.sendall(HELLO)
            assert status_of(connection.recv(65_536)) == 200
            time.sleep(LIMITS.header_s * 1.5)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 10_000,
        b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 10_000,
        b"GET /healthz HTTP/1.1\r\n" + b"x: y\r\n" * 3_000,
        b"GET /healthz HTTP/1.1\r\n" + b"x: y\r\n" * 3_000 + b"\r\n",
    ],
    ids=["no end", "one long", "address", "many", "many with end"],
)
def test_headers_over_the_limit(server: Running, head: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(head)
        answer = read_to_end(connection)
    assert status_of(answer) == 431
    assert problem_in(answer)["code"] == "headers-too-large"


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50 + b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["tls", "text", "version", "bytes", "header", "lengths", "smuggling", "chunk"],
)
def test_what_is_no_http(server: Running, junk: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(junk)
        answer = read_to_end(connection)
    assert 400 <= status_of(answer) < 500
    assert b"problem+json" in answer
    still_answers(server)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=400))
def test_no_bytes_break_it(server: Running, junk: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(junk + b"\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answer = read_to_end(connection)
    assert not answer.startswith(b"HTTP/1.1 5")


def test_a_slow_body_is_ended(server: Running) -> None:
    with connected(server) as connection:
        connection.sendall(b"POST /v1/test/body HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n")
        began = time.monotonic()
        answer = b""
        connection.settimeout(0.1)
        while time.monotonic() - began < WAIT_S and not answer:
            try:
                connection.sendall(b"a")
                answer = connection.recv(65_536)
            except TimeoutError:
                continue
    assert status_of(answer) == 503
    assert problem_in(answer)["code"] == "time-limit"
    still_answers(server)


def test_a_large_body_is_refused_before_it_is_sent(server: Running) -> None:
    with connected(server) as connection:
        connection.sendall(
            b"POST /v1/test/body HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000000\r\n\r\n"
        )
        answer = read_to_end(connection)
    assert status_of(answer) == 413
    assert b"connection: close" in answer


def test_an_endless_body_is_cut(server: Running) -> None:
    part = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    with connected(server) as connection:
        connection.sendall(
            b"POST /v1/test/body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        sent = 0
        try:
            for _ in range(2_000):
                connection.sendall(part)
                sent += len(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < 20_000_000
    still_answers(server)


def test_requests_far_ahead_are_refused(server: Running) -> None:
    with connected(server) as connection:
        connection.sendall(HELLO * 5_000)
        answers = read_to_end(connection)
    # Those at the front may be answered; thousands are never kept.
    assert answers.count(b"HTTP/1.1 200") < 50
    still_answers(server)


def test_a_few_requests_ahead_are_answered_in_order(server: Running) -> None:
    last = HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with connected(server) as connection:
        connection.sendall(HELLO * 9 + last)
        assert read_to_end(connection).count(b"HTTP/1.1 200") == 10


def test_one_connection_too_many_is_told_so(server: Running) -> None:
    """Connections that go as far as they can, and then one more."""
    sockets = []
    try:
        for _ in range(LIMITS.connections):
            one = socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S)
            sockets.append(one)
            one.sendall(HELLO)
            assert status_of(one.recv(65_536)) == 200
        with connected(server) as connection:
            answer = read_to_end(connection)
        assert status_of(answer) == 503
        assert problem_in(answer)["code"] == "busy"
        # Those that are there are served.
        sockets[0].sendall(HELLO)
        assert status_of(sockets[0].recv(65_536)) == 200
    finally:
        for one in sockets:
            one.close()
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            still_answers(server)
            return
        except (AssertionError, IndexError, ConnectionError):
            time.sleep(0.1)
    still_answers(server)


def test_100000_keys_of_garbage(server: Running) -> None:
    """In the address, and in a body."""
    garbage = b"&".join(b"k%d=%%ff" % number for number in range(100_000))
    with connected(server) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"GET /healthz?" + garbage + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = read_to_end(connection)
    # The connection may be reset before the refusal is read; it is never answered with more.
    assert answer == b"" or status_of(answer) == 431
    still_answers(server)


def test_a_reader_that_stands_still_is_let_go(tmp_path: Path) -> None:
    limits = LimitsConfig(request_s=1.0, keep_alive_s=1.0)
    url = str(tmp_path / "catalog.db")
    app = create_app(open_services(config_for(url, limits=limits)))

    @app.get("/v1/test/large")
    def large() -> object:
        from starlette.responses import Response

        return Response(b"a" * 30_000_000)

    with running(app, config_for(url, limits=limits)) as server:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(WAIT_S)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"GET /v1/test/large HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(6.0)
        got = len(read_to_end(connection))
        connection.close()
        assert got < 30_000_000
        still_answers(server)
