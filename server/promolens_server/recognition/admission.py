"""Who may send a picture now: a rate of its own, and so many pictures at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from promolens_server.exchange import Exchange
from promolens_server.problems import Problem
from promolens_server.rates import Allowance, Buckets, seconds_up
from promolens_server.recognition.config import RecognitionConfig

_CLIENTS = 50_000


class Admission:
    """Counts pictures in one worker; all calls are from its event loop.

    Args:
        rated: whether rates count at all.
    """

    def __init__(self, config: RecognitionConfig, *, rated: bool) -> None:
        self._config = config
        self._rated = rated
        self._buckets = Buckets(_CLIENTS)
        self._inside: Counter[str] = Counter()
        self._total = 0

    @contextmanager
    def enter(self, exchange: Exchange, pictures: int = 1) -> Iterator[None]:
        """Let a request in that costs so many pictures, until the end of the block.

        Raises:
            Problem: 429 for its rate or too many of its own at once; 503 for too many of all.
        """
        for _ in range(pictures):
            self._charge(exchange)
        who = exchange.who
        if self._inside[who] >= self._config.per_client:
            raise Problem(
                429,
                "too-many-at-once",
                f"Expected at most {self._config.per_client} pictures of one client at once. "
                "Received more. Wait for an answer first.",
                headers={"retry-after": "1"},
            )
        if self._total >= self._config.at_once:
            raise busy()
        self._inside[who] += 1
        self._total += 1
        try:
            yield
        finally:
            self._total -= 1
            self._inside[who] -= 1
            if not self._inside[who]:
                del self._inside[who]

    def _charge(self, exchange: Exchange) -> None:
        if not self._rated:
            return
        config = self._config
        allowance = (
            Allowance("key-pictures", config.key_per_s, config.key_burst)
            if exchange.key_id
            else Allowance("address-pictures", config.per_s, config.burst)
        )
        left = self._buckets.take(exchange.who, allowance, time.monotonic())
        if left >= 0:
            return
        wait_s = seconds_up(-left)
        policy = (b"ratelimit-policy", allowance.policy)
        exchange.extra += [policy, (b"ratelimit", f'"{allowance.name}";r=0;t={wait_s}'.encode())]
        raise Problem(
            429,
            "too-many-pictures",
            f"Expected at most {allowance.per_s:g} pictures a second. Received more. "
            f"Wait {wait_s} s.",
            headers={"retry-after": str(wait_s)},
        )


def busy() -> Problem:
    """Return the problem of a service that has all the pictures that it can work on."""
    return Problem(
        503,
        "pictures-busy",
        "Expected room for a picture. Received too many at once. Ask again in some seconds.",
        headers={"retry-after": "3"},
    )
