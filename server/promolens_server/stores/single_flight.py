"""Equal questions at the same time are asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SingleFlight(Generic[Key, Value]):
    """Shares one running call among all who ask for its key."""

    def __init__(self) -> None:
        self._running: dict[Key, asyncio.Task[Value]] = {}

    async def run(self, key: Key, make: Callable[[], Awaitable[Value]]) -> Value:
        """Return what `make` gives, of a call that may be under way already.

        Who asked first may go away: the call goes on for the others.
        """
        task = self._running.get(key)
        if task is None:
            task = asyncio.ensure_future(_awaited(make))
            self._running[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def __len__(self) -> int:
        """Return how many calls are under way."""
        return len(self._running)

    async def close(self) -> None:
        """End the calls that are under way."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: Key, done: asyncio.Task[Value]) -> None:
        self._running.pop(key, None)
        # If all who asked are gone, nobody else takes note of the error.
        if not done.cancelled():
            done.exception()


async def _awaited(make: Callable[[], Awaitable[Value]]) -> Value:
    return await make()
