"""The one gate through which every document and list request of every transport goes.

Before a request: its host is one that a person switched on, robots.txt allows the address, the
host's visiting hours are open, and enough time has passed since the host's last request, whichever
transport, thread or process made it.
"""

from __future__ import annotations

import fcntl
import ipaddress
import math
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from promolens_crawler.errors import CrawlError, NotAllowedError
from promolens_crawler.robots import RobotsRules, closed

LIVE_MIN_DELAY_S = 1.0
# A request needs some milliseconds to the wire, the next one fewer: the host must not see less
# than the delay between the two.
_MARGIN_SHARE, _MAX_MARGIN_S = 0.05, 0.05
_MAX_AHEAD_S = 1.0
_DEFAULT_PORTS = {"http": 80, "https": 443}


def utc_now() -> datetime:
    """Return the present instant, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """Time as the gate sees it; tests give their own.

    Attributes:
        now: with a zone; visiting hours and the time of answers.
        seconds: since some instant, the same for all processes; measures delays.
        sleep: waits so many seconds.
    """

    now: Callable[[], datetime] = utc_now
    seconds: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


def user_agent(version: str, contact: str) -> str:
    """Return what requests say about who sends them: `promolens/0.1.0 (+crawler@example.org)`.

    Args:
        contact: an e-mail address or a page; `""` only where nothing but loopback is visited.
    """
    return f"promolens/{version} ({'+' + contact if contact else 'loopback only'})"


def host_of(url: str) -> str:
    """Return `host`, or `host:port` where the port is not the scheme's own, in lower case.

    Raises:
        NotAllowedError: not an http(s) address, or one with a user name.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise NotAllowedError(
            f"Expected an address such as https://host/path. Received {url[:80]!r}. "
            "Only such addresses are fetched."
        )
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return name if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{name}:{port}"


def same_host(one: str, other: str) -> bool:
    """Say whether two addresses are of one host; http and https of it, on their own ports, are."""
    return host_of(one) == host_of(other)


def is_loopback(url: str) -> bool:
    """Say whether an address can only lead to this machine."""
    name = urlsplit(url).hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Turn:
    """The right to ask a host, held until the request is on its way."""

    def __init__(self, descriptor: int, seconds: Callable[[], float]) -> None:
        """Take over an open, locked file."""
        self._descriptor: int | None = descriptor
        self._seconds, self._lock = seconds, threading.Lock()

    def started(self) -> None:
        """Stamp the host with now and let the next one wait from here; again does nothing.

        Whoever does not call this keeps the host from everyone until its process ends.
        """
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            try:
                text = f"{self._seconds():.6f}\n".encode()
                os.pwrite(descriptor, text, 0)
                os.ftruncate(descriptor, len(text))
            finally:
                os.close(descriptor)


class Pace:
    """When each host was last asked, shared by all processes through small locked files.

    The lock is held from a request's turn until it is on the wire: two crawls of one host share
    its rate, however long each takes to connect. The system lets go of it when a process ends.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Keep stamps in `folder`, which is made when the first is written."""
        self._folder, self._clock = folder, clock

    def turn(self, host: str, delay_s: float) -> Turn:
        """Return when nobody else asks the host and its last request is `delay_s` ago."""
        delay_s += min(_MARGIN_SHARE * delay_s, _MAX_MARGIN_S)
        descriptor = self._open(host)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            now, last = self._clock.seconds(), _stamp(descriptor)
            # A stamp of the future was written before somebody put the clock back.
            if last <= now + _MAX_AHEAD_S and last + delay_s > now:
                self._clock.sleep(last + delay_s - now)
        except BaseException:
            os.close(descriptor)
            raise
        return Turn(descriptor, self._clock.seconds)

    def _open(self, host: str) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^a-z0-9.-]", "_", host)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._folder / f"{name}.pace", flags, 0o644)


def _stamp(descriptor: int) -> float:
    try:
        seconds = float(os.pread(descriptor, 64, 0))
    except ValueError:
        return -math.inf
    return seconds if math.isfinite(seconds) else -math.inf


class Gate:
    """Lets requests pass one by one; safe to use from several threads. One gate a run."""

    def __init__(
        self,
        delays_s: Mapping[str, float],
        fetch_robots: Callable[[str], RobotsRules],
        pace: Pace,
        clock: Clock,
    ) -> None:
        """Open the gate for some hosts.

        Args:
            delays_s: the hosts that a person switched on, as `host_of` spells them, and the least
                seconds between two requests to each.
            fetch_robots: an address -> the rules of its host; asked once a host. It must take its
                own turn with `turn`.
        """
        self._delays_s, self._fetch_robots = dict(delays_s), fetch_robots
        self._pace, self._clock = pace, clock
        self._rules: dict[str, RobotsRules | CrawlError] = {}
        self._robots_lock, self._count_lock = threading.Lock(), threading.Lock()
        self._requests = 0

    @property
    def requests(self) -> int:
        """How many requests had their turn."""
        return self._requests

    def check(self, url: str) -> None:
        """Return if the address may be fetched now.

        Raises:
            NotAllowedError: its host is not switched on, robots.txt forbids it or cannot be known,
                or the host's visiting hours are over.
            SourceGoneError: another host answers for robots.txt.
        """
        host = self._known(url)
        rules = self.rules(url)
        if not rules.allows(url):
            raise NotAllowedError(
                f"Expected an address that robots.txt of {host} allows. Received "
                f"{_path(url)}. It is not fetched; look whether the list moved."
            )
        self._check_hours(host, rules)

    def turn(self, url: str) -> Turn:
        """Wait until the host may be asked again, and count a request.

        Raises:
            NotAllowedError: the host is not switched on.
        """
        host = self._known(url)
        rules = self._rules.get(host)
        asked_s = rules.delay_s(self._clock.now()) if isinstance(rules, RobotsRules) else 0.0
        turn = self._pace.turn(host, max(self._delays_s[host], asked_s))
        with self._count_lock:
            self._requests += 1
        return turn

    def enter(self, url: str) -> Turn:
        """Check an address, wait for the turn, and return when the request may begin.

        Raises:
            CrawlError: as `check`, before or after the wait.
        """
        self.check(url)
        turn = self.turn(url)
        try:
            self._check_hours(host_of(url), self.rules(url))
        except BaseException:
            turn.started()
            raise
        return turn

    def rules(self, url: str) -> RobotsRules:
        """Return the rules of the address' host, fetched at the first question.

        Raises:
            CrawlError: they cannot be known, now and for the rest of the run.
        """
        host = self._known(url)
        with self._robots_lock:
            if host not in self._rules:
                try:
                    self._rules[host] = self._fetch_robots(url)
                except CrawlError as error:
                    self._rules[host] = error
            found = self._rules[host]
        if isinstance(found, CrawlError):
            raise found
        return found

    def _known(self, url: str) -> str:
        host = host_of(url)
        if host not in self._delays_s:
            raise NotAllowedError(
                f"Expected an address of a source that is switched on. Received {host}. Sources "
                "are off until the configuration enables them: see docs/crawling-manners.md."
            )
        return host

    def _check_hours(self, host: str, rules: RobotsRules) -> None:
        window, now = rules.visit_window(), self._clock.now()
        if window is not None and not window.is_open(now):
            raise closed(host, window, now)


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (f"{parts.path}?{parts.query}" if parts.query else parts.path)[:200]
