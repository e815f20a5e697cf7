"""Manners: what the gate lets through, when, and how often; proved by a shop's own log."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.chains import Chain
from promolens_crawler import backoff
from promolens_crawler.backoff import TransientError, retry_after_s, try_again
from promolens_crawler.config import CrawlerConfig, SourceConfig
from promolens_crawler.errors import CrawlError, FetchFailedError, NotAllowedError, SourceGoneError
from promolens_crawler.limits import Limits
from promolens_crawler.manners import Clock, Gate, Pace, host_of, is_loopback, same_host, user_agent
from promolens_crawler.robots import RobotsRules, read_robots
from promolens_crawler.transports.build import gate_for
from tiny_shop import (
    ALL,
    LISTING,
    SERVER_JITTER_S,
    SITE,
    TinyShop,
    config_for,
    names,
    on_a_busy_machine,
    open_shop,
    transport_for,
)

OPENS = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
HOURS = "User-agent: *\nVisit-time: 0400-0845\n"


@pytest.fixture
def shop() -> Iterator[TinyShop]:
    with open_shop() as opened:
        yield opened


@dataclass
class FakeTime:
    """Time that passes only while somebody sleeps."""

    at: datetime = OPENS
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)

    @property
    def clock(self) -> Clock:
        return Clock(self.now, self.seconds, self.sleep)


def gate(folder: Path, robots: str | None, passing: FakeTime, delay_s: float = 1.0) -> Gate:
    """A gate to shop.example whose robots.txt is `robots`."""
    rules = read_robots(404 if robots is None else 200, (robots or "").encode(), "shop.example")
    clock = passing.clock
    return Gate({"shop.example": delay_s}, lambda _url: rules, Pace(folder, clock), clock)


def visit(one: Gate, url: str = "https://shop.example/list") -> None:
    one.enter(url).started()


# ---- delays


@pytest.mark.parametrize(
    ("robots", "delay_s", "expected_s"),
    [
        (None, 1.0, 1.0),
        ("User-agent: *\nCrawl-delay: 10\n", 1.0, 10.0),
        ("User-agent: *\nCrawl-delay: 0.2\n", 1.0, 1.0),
        ("User-agent: *\nRequest-rate: 1/10\n", 1.0, 10.0),
        ("User-agent: *\nRequest-rate: 10/1m\n", 1.0, 6.0),
        ("User-agent: *\nRequest-rate: 1/30 0300-0500\n", 1.0, 30.0),
        ("User-agent: *\nRequest-rate: 1/30 0500-0600\n", 1.0, 1.0),
        ("User-agent: promolens\nCrawl-delay: 7\n\nUser-agent: *\nCrawl-delay: 3\n", 1.0, 7.0),
        ("User-agent: otherbot\nCrawl-delay: 7\n", 2.5, 2.5),
        ("User-agent: *\nCrawl-delay: soon\n", 1.0, 1.0),
    ],
)
def test_the_longest_of_the_delays_holds(
    tmp_path: Path, robots: str | None, delay_s: float, expected_s: float
) -> None:
    passing = FakeTime()
    one = gate(tmp_path, robots, passing, delay_s)
    for _ in range(3):
        visit(one)
    # The margin for the way to the wire: 5 %, at most 50 ms.
    assert passing.slept == pytest.approx([expected_s + min(0.05 * expected_s, 0.05)] * 2, abs=1e-4)
    assert one.requests == 3


def test_time_that_passed_anyway_counts(tmp_path: Path) -> None:
    passing = FakeTime()
    one = gate(tmp_path, None, passing, 1.0)
    visit(one)
    passing.at += timedelta(seconds=0.8)
    visit(one)
    assert passing.slept == pytest.approx([0.25], abs=1e-4)


def test_a_request_that_connects_slowly_moves_the_next_one(tmp_path: Path) -> None:
    passing = FakeTime()
    one = gate(tmp_path, None, passing, 1.0)
    turn = one.enter("https://shop.example/list")
    passing.at += timedelta(seconds=5)
    turn.started()
    visit(one)
    assert passing.slept == pytest.approx([1.05], abs=1e-4)


def test_hosts_do_not_wait_for_each_other(tmp_path: Path) -> None:
    passing = FakeTime()
    clock = passing.clock
    hosts = {"a.example": 1.0, "b.example:8080": 1.0}
    one = Gate(hosts, lambda _url: RobotsRules(), Pace(tmp_path, clock), clock)
    visit(one, "https://a.example/")
    visit(one, "http://b.example:8080/")
    assert passing.slept == []


def test_the_stamp_outlives_the_process(tmp_path: Path) -> None:
    """A second run right after the first waits for the first one's last request."""
    passing = FakeTime()
    visit(gate(tmp_path, None, passing))
    visit(gate(tmp_path, None, passing))
    assert passing.slept == pytest.approx([1.05], abs=1e-4)


@pytest.mark.parametrize("stamp", [b"", b"soon", b"nan", b"inf", b"-1", b"\xff" * 100, b"1e400"])
def test_a_damaged_stamp_stops_nobody(tmp_path: Path, stamp: bytes) -> None:
    (tmp_path / "shop.example.pace").write_bytes(stamp)
    passing = FakeTime()
    visit(gate(tmp_path, None, passing))
    assert passing.slept == []


def test_a_clock_that_was_put_back_does_not_stop_crawls(tmp_path: Path) -> None:
    passing = FakeTime()
    visit(gate(tmp_path, None, passing))
    passing.at -= timedelta(days=2)
    visit(gate(tmp_path, None, passing))
    assert passing.slept == []


def test_a_killed_process_lets_go_of_the_host(tmp_path: Path) -> None:
    """One that has its turn and never asks keeps others waiting, and only as long as it lives."""
    program = (
        "import sys, time\nfrom pathlib import Path\n"
        "from promolens_crawler.manners import Clock, Pace\n"
        "Pace(Path(sys.argv[1]), Clock()).turn('shop.example', 0.1)\n"
        "print('mine', flush=True)\ntime.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "mine\n"
        waiter = subprocess.Popen(
            [sys.executable, "-c", program.replace("60", "0"), str(tmp_path)],
            stdout=subprocess.PIPE,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiter.wait(1.0)
        os.kill(holder.pid, signal.SIGKILL)
        assert waiter.wait(20) == 0
        assert waiter.stdout is not None
        waiter.stdout.close()


@on_a_busy_machine
def test_the_shop_itself_sees_the_delay(shop: TinyShop, tmp_path: Path) -> None:
    """Robots.txt, pages, redirects and retries: all of them, in the shop's own log."""
    shop.hits.clear()
    tries = iter([503, 503, 200])
    page = shop.answer

    def busy(hit: Any) -> None:
        status = next(tries)
        if status == 200:
            del shop.on["/list?page=2"]
            page(hit)
        else:
            hit.send("busy", status)

    shop.on["/list?page=2"] = busy
    shop.on["/list?page=1"] = lambda hit: hit.head(302, Location="/first", Content_Length="0")
    shop.on["/first"] = lambda hit: hit.send(
        "".join(f"<li class=row>row {n}</li>" for n in range(4))
    )
    with transport_for(shop, tmp_path, delay_s=0.2) as transport:
        assert names(transport, shop.home) == ALL
        assert transport.requests == len(shop.hits) == 7
    assert min(shop.gaps_s()) >= 0.2 - SERVER_JITTER_S


@on_a_busy_machine
def test_one_second_is_the_least_for_live_hosts(shop: TinyShop, tmp_path: Path) -> None:
    """The default delay, over real time."""
    shop.hits.clear()
    with transport_for(shop, tmp_path, delay_s=1.0) as transport:
        transport.open(SITE, shop.home, LISTING).fetch(1)
    assert min(shop.gaps_s()) >= 1.0


# ---- which hosts


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/list",
        "https://shop.example.evil.example/",
        "https://shop.example:8443/list",
        "https://sub.shop.example/",
        "https://shop.example@evil.example/",
        "https://user:password@shop.example/",
        "file:///etc/passwd",
        "ftp://shop.example/",
        "javascript:alert(1)",
        "//shop.example/list",
        "https://[",
        "https://shop.example:99999/",
        "",
    ],
)
def test_nothing_but_the_switched_on_host_is_asked(tmp_path: Path, url: str) -> None:
    one = gate(tmp_path, None, FakeTime())
    with pytest.raises(NotAllowedError):
        one.enter(url)
    with pytest.raises(NotAllowedError):
        one.turn(url)
    assert one.requests == 0


def test_spellings_of_one_host() -> None:
    assert host_of("HTTPS://Shop.Example:443/x?y#z") == "shop.example"
    assert host_of("http://127.0.0.1:8001/") == "127.0.0.1:8001"
    assert host_of("http://[::1]:8001/") == "[::1]:8001"
    assert same_host("http://shop.example/", "https://shop.example/list")
    assert not same_host("http://127.0.0.1:1/", "http://127.0.0.1:2/")
    assert not same_host("http://127.0.0.1:1/", "http://localhost:1/")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:80", True),
        ("http://127.3.2.1", True),
        ("http://localhost:5000", True),
        ("http://[::1]", True),
        ("http://0.0.0.0", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("https://shop.example", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_with_the_default_configuration_no_request_leaves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not for any chain, by any transport: not even a name is looked up."""
    from dataclasses import replace

    left: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda *what: left.append(what))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *what, **_more: left.append(what))
    monkeypatch.setattr(subprocess, "Popen", lambda *what, **_more: left.append(what))
    config = CrawlerConfig(archive=tmp_path)
    for chain in Chain:
        with pytest.raises(NotAllowedError, match=rf"{chain}, which is off.*\[sources.{chain}\]"):
            gate_for(config, replace(SITE, chain=chain))
    assert (left, config.enabled()) == ([], ())


def test_a_source_that_is_off_is_not_asked_by_a_gate_for_another(
    shop: TinyShop, tmp_path: Path
) -> None:
    one = gate_for(config_for(shop.home, tmp_path), SITE)
    with pytest.raises(NotAllowedError, match="Sources are off until"):
        one.enter("https://shop.example/list?page=1")
    assert shop.hits == []


# ---- robots.txt


def test_what_robots_txt_disallows_is_not_asked(shop: TinyShop, tmp_path: Path) -> None:
    shop.robots = "User-agent: *\nDisallow: /list?page=3\nDisallow: /upload/\n"
    with (
        transport_for(shop, tmp_path) as transport,
        pytest.raises(NotAllowedError, match=r"robots.txt of 127.* allows. Received /list\?page=3"),
    ):
        names(transport, shop.home)
    assert shop.paths() == ["/robots.txt", "/list?page=1", "/list?page=2"]


def test_rules_that_name_us_go_before_those_for_all(tmp_path: Path) -> None:
    rules = read_robots(
        200, b"User-agent: promolens\nDisallow: /a\n\nUser-agent: *\nDisallow: /\n", "x"
    )
    assert rules.allows("https://x/b")
    assert not rules.allows("https://x/a")


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_robots_txt_allows_everything(
    shop: TinyShop, tmp_path: Path, status: int
) -> None:
    shop.on["/robots.txt"] = lambda hit: hit.send("Disallow: /", status)
    with transport_for(shop, tmp_path) as transport:
        assert names(transport, shop.home) == ALL


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_robots_txt_that_cannot_be_read_stops_the_crawl(
    shop: TinyShop, tmp_path: Path, status: int
) -> None:
    shop.on["/robots.txt"] = lambda hit: hit.send("no", status)
    with transport_for(shop, tmp_path) as transport:
        for _ in range(2):
            with pytest.raises(NotAllowedError, match=rf"readable.*Received status {status}"):
                names(transport, shop.home)
    tries = 3 if status in backoff.RETRIED_STATUS else 1
    assert shop.paths() == ["/robots.txt"] * tries, "asked once a run, with its retries"


def test_a_robots_txt_that_never_comes_stops_the_crawl(shop: TinyShop, tmp_path: Path) -> None:
    shop.on["/robots.txt"] = lambda hit: hit.hang_up()
    with (
        transport_for(shop, tmp_path) as transport,
        pytest.raises(NotAllowedError, match="Received a broken connection"),
    ):
        names(transport, shop.home)
    assert set(shop.paths()) == {"/robots.txt"}


def test_a_robots_txt_that_moved_within_the_host_is_read_there(
    shop: TinyShop, tmp_path: Path
) -> None:
    shop.on["/robots.txt"] = lambda hit: hit.head(301, Location="/r.txt", Content_Length="0")
    shop.on["/r.txt"] = lambda hit: hit.send(
        "User-agent: *\nDisallow: /list\n", content_type="text/plain"
    )
    with transport_for(shop, tmp_path) as transport, pytest.raises(NotAllowedError):
        names(transport, shop.home)
    assert shop.paths() == ["/robots.txt", "/r.txt"]


def test_another_host_that_answers_for_robots_txt_means_that_the_shop_is_gone(
    shop: TinyShop, tmp_path: Path
) -> None:
    away = "https://www.other.example/brand"
    shop.on["/robots.txt"] = lambda hit: hit.head(302, Location=away, Content_Length="0")
    with transport_for(shop, tmp_path) as transport, pytest.raises(SourceGoneError, match="brand"):
        names(transport, shop.home)
    assert shop.paths() == ["/robots.txt"]


@given(text=st.binary(max_size=300))
def test_any_bytes_are_a_robots_txt(text: bytes) -> None:
    rules = read_robots(200, b"User-agent: *\n" + text, "shop.example")
    rules.allows("https://shop.example/list")
    assert rules.delay_s(OPENS) >= 0
    rules.visit_window()


def test_a_long_robots_txt_is_read_in_part(tmp_path: Path) -> None:
    text = b"User-agent: *\nDisallow: /a\n" + b"#" * 600_000 + b"\nDisallow: /b\n"
    rules = read_robots(200, text, "shop.example")
    assert not rules.allows("https://shop.example/a")
    assert rules.allows("https://shop.example/b")


# ---- visiting hours


@pytest.mark.parametrize(
    ("hour", "minute", "is_open"),
    [(3, 59, False), (4, 0, True), (8, 44, True), (8, 45, False), (23, 0, False)],
)
def test_a_shop_is_visited_within_its_hours_only(
    tmp_path: Path, hour: int, minute: int, is_open: bool
) -> None:
    one = gate(tmp_path, HOURS, FakeTime(OPENS.replace(hour=hour, minute=minute)))
    if is_open:
        visit(one)
        return
    with pytest.raises(NotAllowedError) as caught:
        visit(one)
    text = str(caught.value)
    assert "within 04:00-08:45 UTC" in text
    assert f"Received {hour:02}:{minute:02} UTC" in text
    day = 21 if hour < 4 else 22
    assert f"opens next at 2026-11-{day} 04:00 UTC" in text


def test_hours_are_utc_whatever_zone_the_clock_has(tmp_path: Path) -> None:
    from zoneinfo import ZoneInfo

    korean = OPENS.astimezone(ZoneInfo("Asia/Seoul"))
    assert korean.hour == 13
    visit(gate(tmp_path, HOURS, FakeTime(korean)))


def test_hours_that_end_while_a_request_waits_end_the_crawl(tmp_path: Path) -> None:
    passing = FakeTime(OPENS.replace(hour=8, minute=44, second=59))
    one = gate(tmp_path, HOURS, passing)
    visit(one)
    with pytest.raises(NotAllowedError):
        visit(one)
    # The turn is given back: somebody else may go on in the morning.
    passing.at = OPENS + timedelta(days=1)
    visit(gate(tmp_path, HOURS, passing))


def test_hours_over_midnight(tmp_path: Path) -> None:
    night = "User-agent: *\nVisit-time: 2200-0200\n"
    for hour, is_open in ((21, False), (22, True), (1, True), (2, False)):
        one = gate(tmp_path, night, FakeTime(OPENS.replace(hour=hour)))
        if is_open:
            one.check("https://shop.example/")
        else:
            with pytest.raises(NotAllowedError):
                one.check("https://shop.example/")


# ---- trying again


def test_waits_grow_and_are_random(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full jitter: each wait is uniform between 0 and 2, 4, 8 s; seen over many runs."""
    limits = Limits(tries=4, backoff_s=2.0)
    waits: list[list[float]] = []
    for _ in range(300):
        slept: list[float] = []

        def fail() -> None:
            raise TransientError("status 503")

        with pytest.raises(FetchFailedError, match=r"Received status 503, 4 times\."):
            try_again(fail, "http://x/", limits, slept.append)
        waits.append(slept)
    for place, most_s in enumerate((2.0, 4.0, 8.0)):
        column = [one[place] for one in waits]
        assert 0 <= min(column) < 0.1 * most_s
        assert 0.9 * most_s < max(column) <= most_s
        assert 0.4 * most_s < sum(column) / len(column) < 0.6 * most_s


def test_a_wait_that_the_shop_asks_for_is_kept() -> None:
    slept: list[float] = []
    answers = iter([TransientError("status 429", 7.0), None])

    def once() -> str:
        error = next(answers)
        if error is not None:
            raise error
        return "page"

    assert try_again(once, "http://x/", Limits(backoff_s=1.0), slept.append) == "page"
    assert len(slept) == 1
    assert 7.0 <= slept[0] <= 8.0


def test_a_shop_that_asks_for_a_long_wait_is_left_alone() -> None:
    slept: list[float] = []

    def fail() -> None:
        raise TransientError("status 503", 3600.0)

    with pytest.raises(FetchFailedError, match=r"a wish for 3600 s\. Run the crawl again later"):
        try_again(fail, "http://x/", Limits(max_backoff_s=120), slept.append)
    assert slept == []


def test_other_errors_are_not_tried_again() -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise CrawlError("no")

    with pytest.raises(CrawlError):
        try_again(fail, "http://x/", Limits(), lambda _s: None)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("Sat, 21 Nov 2026 04:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 03:00:00 GMT", 0.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٣", None),
        ("9" * 500, 999_999_999.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, expected_s: float | None) -> None:
    assert retry_after_s(header, OPENS) == expected_s


@given(header=st.text(max_size=60))
def test_any_retry_after_is_read_or_passed_over(header: str) -> None:
    seconds = retry_after_s(header, OPENS)
    assert seconds is None or seconds >= 0


def test_the_header_is_honoured_over_http(shop: TinyShop, tmp_path: Path) -> None:
    passing = FakeTime(datetime.now(UTC))
    answers = iter([lambda hit: hit.send("busy", 503, Retry_After="9"), shop.answer])

    def page(hit: Any) -> None:
        respond = next(answers)
        shop.on.clear()
        respond(hit)

    shop.on["/list?page=1"] = page
    with transport_for(shop, tmp_path, clock=passing.clock) as transport:
        shop.on["/list?page=1"] = page
        transport.open(SITE, shop.home, LISTING).fetch(1)
    assert [wait for wait in passing.slept if wait >= 9] == pytest.approx([9], abs=0.1)


# ---- who asks


def test_the_user_agent_says_who_asks(shop: TinyShop, tmp_path: Path) -> None:
    assert user_agent("0.1.0", "crawler@example.org") == "promolens/0.1.0 (+crawler@example.org)"
    config = CrawlerConfig(
        contact="https://example.org/about-our-crawler",
        archive=tmp_path,
        sources={Chain.CU: SourceConfig(Chain.CU, enabled=True, home=shop.home, delay_s=0)},
    )
    gate_for(config, SITE).check(shop.home + "/list")
    assert shop.hits[0].headers["User-Agent"] == (
        "promolens/0.1.0 (+https://example.org/about-our-crawler)"
    )


def test_nothing_of_the_environment_is_used(
    shop: TinyShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a proxy nor .netrc: we come as who we are."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    began_s = time.monotonic()
    with transport_for(shop, tmp_path) as transport:
        assert names(transport, shop.home) == ALL
    assert time.monotonic() - began_s < 30
    assert all("Authorization" not in hit.headers for hit in shop.hits)
