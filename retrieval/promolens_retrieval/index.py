"""The one interface of all backends: what an index can do, whatever searches behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from promolens_retrieval.entries import Entry, Filter, Hits, Stats, VectorKey, Vectors
from promolens_retrieval.spaces import Space


class VectorIndex(Protocol):
    """Vectors of one space: stored safely, found by similarity. Threads may share one.

    Every method raises InputError where the database is locked, full, damaged or away.

    Attributes:
        space: whose vectors.
    """

    space: Space

    def upsert(self, entries: Sequence[Entry], vectors: Any, *, model_id: str) -> int:
        """Store vectors, replacing those of the same keys: all of them or none.

        Stored again unchanged, nothing changes.

        Args:
            entries: one for each vector; no key twice.
            vectors: `[n, dim]` of float16, float32 or float64, of any length but zero.
            model_id: the model that made them: the space's.

        Returns:
            The sequence number of the newest change of the space.

        Raises:
            InputError: vectors that `vectors.checked` refuses, or another model's.
        """
        ...

    def delete(self, keys: Iterable[VectorKey]) -> int:
        """Take vectors away; unknown keys are passed over. Returns the newest sequence number."""
        ...

    def search(
        self,
        query: Any,
        k: int,
        *,
        where: Filter | None = None,
        min_score: float | None = None,
        exact: bool = False,
        at_least_seq: int | None = None,
    ) -> Hits:
        """Return the `k` most similar vectors, best first; fewer only where fewer may be answers.

        Args:
            query: `[dim]`, of any length but zero.
            k: 1 to 10,000.
            where: which vectors may be answers.
            min_score: smallest cosine; taken off the `k` best afterwards.
            exact: proven to be the true order of the stored vectors, at some cost.
            at_least_seq: see this change and all before it; every search sees what its own
                process has stored.

        Raises:
            InputError: a query that is no vector of the space, or `at_least_seq` is not there yet.
        """
        ...

    def search_many(
        self, queries: Any, k: int, *, where: Filter | None = None, exact: bool = False
    ) -> list[Hits]:
        """Return `search` of each query (`[m, dim]`), all of them at one state of the space."""
        ...

    def fetch(self, keys: Iterable[VectorKey]) -> Vectors:
        """Return stored vectors in the order of their keys; unknown keys are left out."""
        ...

    def keys(self, where: Filter | None = None) -> list[VectorKey]:
        """Return the keys of all vectors that meet a filter, in their order."""
        ...

    def optimize(self) -> Stats:
        """Build what makes searching fast, and keep it; worth it after many changes."""
        ...

    def stats(self) -> Stats:
        """Return how the index is, after a look at the newest changes."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
