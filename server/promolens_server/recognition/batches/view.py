"""A batch as JSON."""

from __future__ import annotations

from typing import Any

from promolens_server.models.batches import BatchQuery, ResultsQuery
from promolens_server.recognition.batches.orders import Ask, Order
from promolens_server.recognition.batches.store import BatchStore


def asking(query: BatchQuery) -> Ask:
    """Return what is asked about each picture."""
    return Ask(query.ask, query.k, query.corpus)


def batch_json(store: BatchStore, order: Order, page: ResultsQuery) -> dict[str, Any]:
    """Return `models.batches.BatchAnswer` as JSON."""
    progress, results = store.progress(order)
    shown = results.lines[page.after : page.after + page.limit]
    end = page.after + len(shown)
    ended = progress.ended_at
    return {
        "id": order.id,
        "state": progress.state,
        "ask": order.ask.kind,
        "corpus": order.ask.corpus,
        "total": len(order.files),
        "answered": progress.answered,
        "refused": progress.refused,
        "created_at": order.created_at.replace("+00:00", "Z"),
        "ended_at": ended.replace("+00:00", "Z") if ended else None,
        "expires_at": f"{store.expires_at(ended):%Y-%m-%dT%H:%M:%SZ}" if ended else None,
        "reason": progress.reason or None,
        "results": list(shown),
        "next_after": end if end < len(results.lines) else None,
    }
