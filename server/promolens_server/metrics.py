"""Figures for Prometheus. Labels come from the service's own tables, never from a request."""

from __future__ import annotations

import os
from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

MEDIA_TYPE = CONTENT_TYPE_LATEST
# Where several workers keep their figures together; set before they start.
SHARED_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Routes are a fixed table; this holds even if somebody makes one with a changing template.
_MOST_SERIES = 2_000


class Metrics:
    """What one worker counts; owners of other parts make their own on `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "promolens_requests",
            "Answers by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "promolens_request_seconds",
            "Time from the headers of a request to the end of its answer.",
            ("route",),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self._bytes = Counter(
            "promolens_response_bytes",
            "Bytes of bodies as they were sent.",
            ("route",),
            registry=self.registry,
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram, Counter]] = {}

    def observe(self, route: str, method: str, status: int, seconds: float, size: int) -> None:
        """Count an answer."""
        found = self._known.get((route, method, status))
        if found is None:
            found = self._make(route, method, status)
        found[0].inc()
        found[1].observe(seconds)
        found[2].inc(size)

    def text(self) -> bytes:
        """Return the figures as Prometheus reads them, of all workers."""
        if SHARED_VARIABLE not in os.environ:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def _make(self, route: str, method: str, status: int) -> tuple[Counter, Histogram, Counter]:
        if method not in _METHODS:
            method = "(other)"
        if len(self._known) >= _MOST_SERIES:
            route = "(more)"
        series = (
            self._requests.labels(route, method, str(status)),
            self._seconds.labels(route),
            self._bytes.labels(route),
        )
        if len(self._known) < _MOST_SERIES:
            self._known[route, method, status] = series
        return series


def open_metrics() -> Metrics:
    """Return a worker's figures, with those of its process where it is the only one."""
    metrics = Metrics()
    if SHARED_VARIABLE not in os.environ:
        ProcessCollector(registry=metrics.registry)
    return metrics


def worker_ended() -> Callable[[int], None]:
    """Return what forgets the gauges of a worker that is gone."""
    return lambda pid: mark_process_dead(pid)  # type: ignore[no-untyped-call]
