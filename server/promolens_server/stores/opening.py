"""Put the chain of providers together from the configuration."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from promolens_catalog.database import Database
from promolens_server.stores.breaker import Breaker
from promolens_server.stores.config import RemoteConfig, StoresConfig
from promolens_server.stores.failures import Outcome
from promolens_server.stores.finder import Provider, StoreFinder
from promolens_server.stores.local import Local
from promolens_server.stores.quota import DailyQuota
from promolens_server.stores.remote import AreaSource, Remote, RemoteLimits

if TYPE_CHECKING:
    import httpx

    from promolens_server.stores.fetching import Fetcher


def open_finder(
    config: StoresConfig,
    database: Database,
    clock: Callable[[], datetime],
    *,
    kakao_key: str | None = None,
    workers: int = 1,
    clock_s: Callable[[], float] = time.monotonic,
    note: Callable[[str, Outcome], None] = lambda _name, _outcome: None,
) -> StoreFinder:
    """Return what finds stores; close it in the event loop that used it.

    Args:
        database: the catalog with the local table.
        clock: UTC, for ages and daily quotas.
        workers: processes that share the quotas.
        clock_s: monotonic, for what is kept and how long somebody rests.
        note: told what came of each question to each provider.
    """
    opener = _Opener(config, clock, clock_s, workers)
    providers: list[Provider] = []
    for name in config.providers:
        if name == "local":
            providers.append(Local(database))
        elif name == "overpass":
            providers.append(opener.overpass())
        elif kakao_key:
            providers.append(opener.kakao(kakao_key))
    return StoreFinder(providers, note)


class _Opener:
    """Opens providers on the network; a server without them need not load an HTTP client."""

    def __init__(
        self,
        config: StoresConfig,
        clock: Callable[[], datetime],
        clock_s: Callable[[], float],
        workers: int,
    ) -> None:
        self._config, self._clock, self._clock_s = config, clock, clock_s
        self._workers = workers

    def kakao(self, key: str) -> Provider:
        from promolens_server.stores import kakao

        one = self._config.kakao
        client, fetcher = self._fetcher(one, kakao.MAX_ANSWER_BYTES)
        source = kakao.Kakao(fetcher, one.url, key, one.per_question, self._clock)
        return self._remote(source, one, client)

    def overpass(self) -> Provider:
        from promolens_server.stores import overpass

        one = self._config.overpass
        client, fetcher = self._fetcher(one, overpass.MAX_ANSWER_BYTES)
        source = overpass.Overpass(fetcher, one.url, one.timeout_s, self._clock)
        return self._remote(source, one, client)

    def _fetcher(self, one: RemoteConfig, max_bytes: int) -> tuple[httpx.AsyncClient, Fetcher]:
        import httpx

        from promolens_server.stores.fetching import Fetcher

        client = httpx.AsyncClient(
            timeout=one.timeout_s,
            # No redirects: a provider's key and questions go where the configuration says.
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": self._config.agent, "Accept-Encoding": "identity"},
            limits=httpx.Limits(max_connections=one.at_once * 2),
        )
        quota = DailyQuota(max(1, one.per_day // self._workers), self._clock)
        return client, Fetcher(client, quota, max_bytes)

    def _remote(self, source: AreaSource, one: RemoteConfig, client: httpx.AsyncClient) -> Provider:
        breaker = Breaker(self._config.failures, self._config.rest_s, self._clock_s)
        limits = RemoteLimits(one.timeout_s, one.keep_s, self._config.kept_stores, one.at_once)
        return Remote(source, limits, breaker, self._clock_s, client.aclose)
