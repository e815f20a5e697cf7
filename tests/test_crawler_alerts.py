"""Alerts reach a webhook, signed; what goes wrong with them never reaches a crawl or a log."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from promolens_catalog.chains import Chain
from promolens_crawler.alerts import (
    SIGNATURE_HEADER,
    AlertTarget,
    alert_body,
    alert_target,
    send_alert,
)
from promolens_crawler.results import ChainResult, Outcome

NOW = datetime(2026, 2, 24, 3, 0, tzinfo=UTC)
HELD = ChainResult(
    Chain.CU,
    Outcome.HELD,
    "2026-02",
    "count",
    "count: expected 1190 to 6800 rows (last: 1700), received 680",
    crawl_id=7,
    snapshot_id=12,
)
GOOD = ChainResult(Chain.EMART24, Outcome.PUBLISHED, "2026-02", version=3)


@dataclass
class Receiver:
    """A webhook that notes what it gets."""

    status: int = 204
    location: str = ""
    delay_s: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append((dict(self.headers.items()), body))
            state.ended.wait(state.delay_s)
            self.send_response(state.status)
            if state.location:
                self.send_header("Location", state.location)
            with suppress(OSError):
                self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/hook?token=tell-nobody"
    yield state
    state.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


def body(*results: ChainResult) -> dict[str, Any]:
    made = alert_body(results, NOW)
    assert made is not None
    return made


def test_a_good_run_tells_nothing() -> None:
    assert alert_body([GOOD], NOW) is None
    assert alert_body([ChainResult(Chain.CU, Outcome.BUSY, "2026-02", "busy")], NOW) is None


def test_what_is_told_names_chain_reason_and_snapshot() -> None:
    told = body(HELD, GOOD)
    assert told["text"] == "promolens: cu 2026-02: held (count)"
    assert told["at"] == "2026-02-24T03:00:00+00:00"
    assert told["crawls"] == [
        {
            "chain": "cu",
            "month": "2026-02",
            "outcome": "held",
            "reason": "count",
            "message": HELD.message,
            "crawl": 7,
            "held_snapshot": 12,
        }
    ]


def test_the_body_is_signed_with_the_secret(receiver: Receiver) -> None:
    assert send_alert(AlertTarget(receiver.url, "s3cret"), body(HELD))
    headers, data = receiver.got[0]
    assert json.loads(data) == body(HELD)
    expected = hmac.new(b"s3cret", data, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE_HEADER] == f"sha256={expected}"
    assert b"s3cret" not in data


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_receiver_that_refuses_is_a_warning_without_the_address(
    receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status, receiver.location = status, receiver.url if status == 302 else ""
    assert not send_alert(AlertTarget(receiver.url), body(HELD))
    assert len(receiver.got) == 1  # a redirect is not followed
    assert f"answered with status {status}" in caplog.text
    assert "tell-nobody" not in caplog.text


def test_a_receiver_that_is_not_there_is_a_warning_without_the_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    target = AlertTarget("http://127.0.0.1:1/hook?token=tell-nobody", "s3cret", timeout_s=1)
    assert not send_alert(target, body(HELD))
    assert "alert to 127.0.0.1 failed" in caplog.text
    assert "tell-nobody" not in caplog.text


def test_a_receiver_that_dawdles_is_given_up(receiver: Receiver) -> None:
    receiver.delay_s = 30
    started = time.monotonic()
    assert not send_alert(AlertTarget(receiver.url, timeout_s=0.2), body(HELD))
    assert time.monotonic() - started < 15


def test_odd_characters_of_hostile_pages_do_not_stop_an_alert(receiver: Receiver) -> None:
    odd = ChainResult(Chain.CU, Outcome.FAILED, "2026-02", "page-drift", "\ud800\0" * 3000)
    assert send_alert(AlertTarget(receiver.url), body(odd))
    assert len(receiver.got[0][1]) < 20_000


@pytest.mark.parametrize(
    "url", ["http://hooks.example.org/x", "ftp://127.0.0.1/", "https://", "hooks.example.org"]
)
def test_an_address_is_https_or_on_this_machine(url: str) -> None:
    with pytest.raises(ValueError, match="an alert address must be https"):
        AlertTarget(url)


def test_the_environment_goes_before_the_configuration() -> None:
    environment = {
        "PROMOLENS_ALERT_URL": "https://hooks.example.org/b",
        "PROMOLENS_ALERT_SECRET": "s3cret",
    }
    assert alert_target("https://hooks.example.org/a", environment) == AlertTarget(
        "https://hooks.example.org/b", "s3cret"
    )
    assert alert_target("https://hooks.example.org/a", {}) == AlertTarget(
        "https://hooks.example.org/a"
    )
    assert alert_target("", {}) is None
    assert alert_target(None, {"PROMOLENS_ALERT_URL": ""}) is None


def test_a_target_shows_its_host_only() -> None:
    assert AlertTarget("https://hooks.example.org/services/T0/B0/secret").host == (
        "hooks.example.org"
    )
