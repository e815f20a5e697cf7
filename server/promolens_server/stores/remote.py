"""A provider on the network, behind all that keeps it from hurting us and us from hurting it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from cachetools import TTLCache

from promolens_server.stores.breaker import Breaker
from promolens_server.stores.failures import COUNTED, Outcome, ProviderError
from promolens_server.stores.questions import Answer, Area, Found, Question, answer_of, area_of
from promolens_server.stores.single_flight import SingleFlight

_log = logging.getLogger(__name__)


class AreaSource(Protocol):
    """Something that knows the stores of areas."""

    name: str
    attribution: str
    by_chain: bool
    certain: bool

    async def find(self, area: Area) -> Found:
        """Return the stores of an area; raises ProviderError."""
        ...


@dataclass(frozen=True)
class RemoteLimits:
    """How a provider on the network is treated; see `config.RemoteConfig`."""

    timeout_s: float
    keep_s: float
    kept_stores: int
    at_once: int


class Remote:
    """Asks one provider: from what is kept, else once for all who ask, within a time limit."""

    def __init__(
        self,
        source: AreaSource,
        limits: RemoteLimits,
        breaker: Breaker,
        clock_s: Callable[[], float],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        """Ask `source`; `close` lets go of its connections."""
        self.name = source.name
        self._close = close
        self._source, self._limits, self._breaker = source, limits, breaker
        self._kept: TTLCache[Area, Found] = TTLCache(
            limits.kept_stores, limits.keep_s, timer=clock_s, getsizeof=_size
        )
        self._flights: SingleFlight[Area, Found] = SingleFlight()
        self._under_way = 0

    async def ask(self, question: Question) -> Answer:
        """Return what the provider says; raises ProviderError."""
        area = area_of(question, by_chain=self._source.by_chain)
        found = self._kept.get(area)
        if found is None:
            found = await self._flights.run(area, lambda: self._find(area))
        return answer_of(
            question,
            area,
            found,
            provider=self.name,
            attribution=self._source.attribution,
            certain=self._source.certain,
        )

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()
        await self._close()

    async def _find(self, area: Area) -> Found:
        if self._under_way >= self._limits.at_once:
            raise ProviderError(Outcome.BUSY, "enough questions are under way")
        if not self._breaker.enter():
            raise ProviderError(Outcome.RESTING, f"for {self._breaker.resting_s():.0f} s")
        self._under_way += 1
        try:
            found = await self._judged(area)
        finally:
            self._under_way -= 1
        if _size(found) <= self._limits.kept_stores:
            self._kept[area] = found
        return found

    async def _judged(self, area: Area) -> Found:
        """Ask, and let the breaker know how it went."""
        try:
            found = await self._limited(area)
        except ProviderError as error:
            if error.outcome in COUNTED:
                self._breaker.failed(error.rest_s)
            else:
                self._breaker.left()
            # Never the area: logs are kept longer than anybody should know who was where.
            _log.warning("store provider %s: %s", self.name, error)
            raise
        except BaseException:
            self._breaker.left()
            raise
        self._breaker.succeeded()
        return found

    async def _limited(self, area: Area) -> Found:
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return await self._source.find(area)
        except TimeoutError:
            raise ProviderError(Outcome.SLOW, f"more than {self._limits.timeout_s:g} s") from None


def _size(found: Found) -> int:
    # An area without stores takes room too.
    return len(found.stores) + 1
