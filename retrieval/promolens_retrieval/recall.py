"""How much an index loses: its answers beside the proven ones, for real queries."""

from __future__ import annotations

from typing import Any

from promolens_retrieval.index import VectorIndex
from promolens_runtime.errors import InputError


def recall_estimate(index: VectorIndex, queries: Any, k: int = 10) -> float:
    """Return the share of the true best `k` that `search` finds, 0..1.

    Args:
        queries: `[m, dim]`, as people ask them: a hundred of yesterday's, every night.

    Raises:
        InputError: no query, or the space has no vectors.
    """
    found = index.search_many(queries, k)
    true = index.search_many(queries, k, exact=True)
    total = sum(map(len, true))
    if not total:
        raise InputError(
            "Expected queries and vectors to estimate recall. Received none. Store vectors first."
        )
    right = sum(
        len({hit.key for hit in some} & {hit.key for hit in best})
        for some, best in zip(found, true, strict=True)
    )
    return right / total
