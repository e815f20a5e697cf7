"""Slowing down those who guess tokens: an address waits longer after each wrong try."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

FREE_TRIES = 3
LONGEST_WAIT_S = 300.0
FORGET_AFTER_S = 3600.0
MAX_ADDRESSES = 10_000


class Tries:
    """Wrong tries by address, in this process. Safe to share between threads.

    The first three cost nothing, then an address waits 1, 2, 4, ... seconds, at most five minutes.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = monotonic_s
        self._lock = threading.Lock()
        # Address -> how many wrong tries, and when the last one was.
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Return how long an address has to wait before its next try; 0 for not at all."""
        with self._lock:
            count, last_s = self._known(address)
            if count < FREE_TRIES:
                return 0.0
            pause_s = min(LONGEST_WAIT_S, 2.0 ** min(count - FREE_TRIES, 20))
            return max(0.0, last_s + pause_s - self._now_s())

    def wrong(self, address: str) -> None:
        """Note a wrong try."""
        with self._lock:
            count, _ = self._known(address)
            self._wrong[address] = (count + 1, self._now_s())
            self._wrong.move_to_end(address)
            while len(self._wrong) > MAX_ADDRESSES:
                self._wrong.popitem(last=False)

    def right(self, address: str) -> None:
        """Forget the wrong tries of somebody who has the token."""
        with self._lock:
            self._wrong.pop(address, None)

    def _known(self, address: str) -> tuple[int, float]:
        count, last_s = self._wrong.get(address, (0, 0.0))
        return (0, 0.0) if self._now_s() - last_s > FORGET_AFTER_S else (count, last_s)
