"""Numbers for Prometheus: a text file for node_exporter, or a port of the daemon.

They are read from the catalog, so they are whole after any run, whichever chains it crawled, and
after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from promolens_catalog.schema import CRAWL_STATES, SOURCE_STATES
from promolens_crawler.status import ChainStatus
from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

PREFIX = "promolens_crawl"


class StatusCollector:
    """Gives the numbers anew each time somebody asks."""

    def __init__(self, statuses: Callable[[], Sequence[ChainStatus]]) -> None:
        """Keep where the state of the chains comes from."""
        self._statuses = statuses

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all chains."""
        statuses = self._statuses()
        yield _states(
            "source_state",
            "State of the chain's list (1 for the one that holds).",
            [(one, SOURCE_STATES, one.source.state) for one in statuses],
        )
        yield _states(
            "last_crawl_state",
            "How the chain's newest crawl ended.",
            [(one, CRAWL_STATES, one.last_crawl.state) for one in statuses if one.last_crawl],
        )
        yield from _values(statuses)


def registry_of(statuses: Callable[[], Sequence[ChainStatus]]) -> CollectorRegistry:
    """Return a registry of its own: nothing of other libraries gets in."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(statuses))
    return registry


def write_textfile(path: Path, statuses: Sequence[ChainStatus]) -> None:
    """Write the numbers for node_exporter's textfile collector, atomically.

    Raises:
        InputError: the folder is missing or not writable, or the disk is full.
    """
    from prometheus_client import write_to_textfile

    try:
        write_to_textfile(str(path), registry_of(lambda: statuses))
    except OSError as error:
        raise InputError(
            f"Expected to write metrics to {path}. Received {error.strerror or error}. "
            "Check the folder of [metrics] textfile."
        ) from error


def serve(
    statuses: Callable[[], Sequence[ChainStatus]], host: str, port: int
) -> tuple[WSGIServer, int]:
    """Serve the numbers over HTTP from a thread; return the server and its port.

    Args:
        port: 0 takes a free one.

    Raises:
        InputError: the address cannot be listened on.
    """
    from prometheus_client import start_http_server

    try:
        server, _ = start_http_server(port, addr=host, registry=registry_of(statuses))
    except OSError as error:
        raise InputError(
            f"Expected to listen on {host}:{port} for metrics. Received {error.strerror or error}. "
            "Choose another port."
        ) from error
    return server, server.server_port


def _states(
    name: str, text: str, rows: Sequence[tuple[ChainStatus, Sequence[str], str]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=["chain", "state"])
    for status, states, now in rows:
        for state in states:
            family.add_metric([str(status.chain), state], float(state == now))
    return family


_NUMBERS: tuple[tuple[str, str, Callable[[ChainStatus], float | None]], ...] = (
    (
        "rows",
        "Live rows of the chain.",
        lambda one: one.published.row_count if one.published else 0,
    ),
    (
        "version",
        "Version of the chain's published snapshot.",
        lambda one: one.published.version if one.published else None,
    ),
    (
        "published_crawl_timestamp_seconds",
        "When the live rows were crawled.",
        lambda one: _seconds(one.published.crawled_at) if one.published else None,
    ),
    (
        "last_start_timestamp_seconds",
        "When the newest crawl began.",
        lambda one: _seconds(one.last_crawl.started_at) if one.last_crawl else None,
    ),
    (
        "last_duration_seconds",
        "How long the newest crawl took; missing while it runs.",
        lambda one: _duration_s(one),
    ),
    (
        "last_requests",
        "Requests of the newest crawl.",
        lambda one: one.last_crawl.requests if one.last_crawl else None,
    ),
    ("held", "Whether a snapshot waits for a person.", lambda one: one.held is not None),
    ("expired", "Whether the live rows are those of an earlier month.", lambda one: one.expired),
)


def _values(statuses: Sequence[ChainStatus]) -> Iterator[GaugeMetricFamily]:
    for name, text, value_of in _NUMBERS:
        family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=["chain"])
        for status in statuses:
            value = value_of(status)
            if value is not None:
                family.add_metric([str(status.chain)], float(value))
        yield family
    kinds = GaugeMetricFamily(
        f"{PREFIX}_rows_by_kind", "Live rows by kind.", labels=["chain", "kind"]
    )
    for status in statuses:
        for kind, count in status.published.by_kind.items() if status.published else ():
            kinds.add_metric([str(status.chain), kind], float(count))
    yield kinds


def _seconds(instant: datetime) -> float:
    return instant.timestamp()


def _duration_s(status: ChainStatus) -> float | None:
    crawl = status.last_crawl
    if crawl is None or crawl.finished_at is None:
        return None
    return max(0.0, (crawl.finished_at - crawl.started_at).total_seconds())
