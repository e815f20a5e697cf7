"""Ends requests that take too long: one timer looks at all of them, which costs each nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

# How late an end may be, as a share of the limit.
_LATE = 0.1
_EARLIEST_S = 0.05


class Limited(Protocol):
    """Something that runs in a task until a moment that moves on as it makes progress."""

    deadline_s: float
    task: asyncio.Task[object] | None
    overdue: bool


class TimeLimit:
    """The requests that run in one event loop.

    Args:
        limit_s: the shortest limit that a request has.
    """

    def __init__(self, limit_s: float) -> None:
        self._every_s = max(_EARLIEST_S, limit_s * _LATE)
        self._running: set[Limited] = set()
        self._armed = False

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, one: Limited) -> None:
        """Watch something that runs in the current task."""
        one.task = asyncio.current_task()
        self._running.add(one)
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_later(self._every_s, self._look)

    def end(self, one: Limited) -> None:
        """Watch it no more."""
        self._running.discard(one)

    def _look(self) -> None:
        now_s = time.monotonic()
        for one in self._running:
            if now_s > one.deadline_s and not one.overdue and one.task is not None:
                one.overdue = True
                one.task.cancel()
        self._armed = bool(self._running)
        if self._armed:
            asyncio.get_running_loop().call_later(self._every_s, self._look)
