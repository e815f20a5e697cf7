"""How often each provider answered, failed, or was passed over, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter

from promolens_server.stores.failures import Outcome


def counted(registry: CollectorRegistry) -> Callable[[str, Outcome], None]:
    """Return what counts an outcome; both labels are words of ours."""
    asked = Counter(
        "promolens_store_provider_questions",
        "Questions for stores by provider and what came of them.",
        ("provider", "outcome"),
        registry=registry,
    )
    return lambda provider, outcome: asked.labels(provider, str(outcome)).inc()
