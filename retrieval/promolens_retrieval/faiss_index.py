"""Vectors in the catalog, searched by FAISS in this process: the default backend.

The catalog's rows are the truth. What searches is a cache of them: a built part, mapped from a file
that all processes of the machine share, and the few rows that changed since. What this index stores
or deletes counts at once; what others do, when the newest sequence number is next asked for: after
`poll_s`, or at once where a search says which change it must see.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from promolens_catalog.database import Database
from promolens_catalog.held_file import HeldFile
from promolens_retrieval import base as bases
from promolens_retrieval import catalog_rows as rows
from promolens_retrieval import index_file, snapshots
from promolens_retrieval.catalog_rows import Place
from promolens_retrieval.entries import (
    Entry,
    Filter,
    Hits,
    Stats,
    VectorKey,
    Vectors,
    check_entries,
    check_k,
    check_keys,
)
from promolens_retrieval.faiss_library import faiss_library
from promolens_retrieval.spaces import Space
from promolens_retrieval.state import State
from promolens_retrieval.vectors import checked, checked_queries, checked_query
from promolens_runtime.errors import InputError

# The built part is built again when a tenth of it has changed: work in proportion to what is new.
_NEWER_SHARE = 10
_PLACE = (
    "SELECT i.catalog_id, s.last_seq, s.floor_seq FROM vector_space s, catalog_identity i "
    "WHERE s.id = ?"
)


@dataclass(frozen=True)
class FaissConfig:
    """How to search.

    Attributes:
        folder: for index files, on this machine's disk; None to build anew in each process.
        ann_threshold: from so many rows on `optimize` builds a graph; searches are approximate.
        neighbours, ef_construction, ef_search: of the graph (HNSW's M, efConstruction, efSearch).
        newer_limit: from so many changed rows on, and a tenth, the built part is built again.
        poll_s: how often to ask the catalog for changes at most, seconds; 0 for each search.
    """

    folder: Path | None = None
    ann_threshold: int = 1_000_000
    neighbours: int = 16
    ef_construction: int = 80
    ef_search: int = 128
    newer_limit: int = 5_000
    poll_s: float = 0.1

    def __post_init__(self) -> None:
        """Check the numbers; raises InputError."""
        numbers = (self.neighbours, self.ef_construction, self.ef_search, self.newer_limit)
        if min(numbers) < 1 or self.neighbours > 128 or self.ann_threshold < 0 or self.poll_s < 0:
            raise InputError(
                "Expected positive numbers, at most 128 neighbours, and poll_s of 0 or more. "
                f"Received {self}. Correct them."
            )


class FaissIndex:
    """`VectorIndex` over a catalog's rows; see there for the methods.

    Raises:
        InputError: the catalog cannot be reached, or the folder cannot be used.
        MissingError: FAISS is not installed.
    """

    def __init__(
        self,
        database: Database,
        space: Space,
        config: FaissConfig | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        faiss_library()
        self.space = space
        self._config = config or FaissConfig()
        self._database = database
        self._now = now
        self._turn = threading.Lock()
        self._held = None if database.path is None else HeldFile(database, database.wait_s)
        self._looked_s = 0.0
        self._state: State | None = None
        self._not_kept = ""
        if self._config.folder is not None:
            _make_folder(self._config.folder)
        self._space_id = self._ensure()

    def upsert(self, entries: Sequence[Entry], vectors: Any, *, model_id: str) -> int:
        """See `VectorIndex`."""
        self.space.check_model(model_id)
        good = checked(vectors, self.space)
        check_entries(entries, len(good.norms))
        with self._database.write() as connection:
            seq = rows.store(connection, self._space_id, entries, good)
        self._after_writing()
        return seq

    def delete(self, keys: Iterable[VectorKey]) -> int:
        """See `VectorIndex`."""
        wanted = check_keys(keys)
        with self._database.write() as connection:
            seq = rows.bury(connection, self._space_id, wanted)
        self._after_writing()
        return seq

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
        """See `VectorIndex`."""
        check_k(k)
        unit = checked_query(query, self.space)
        state = self._fresh(at_least_seq)
        hits = state.search(unit, k, where, exact, self._config.ef_search)
        return hits if min_score is None else [hit for hit in hits if hit.score >= min_score]

    def search_many(
        self, queries: Any, k: int, *, where: Filter | None = None, exact: bool = False
    ) -> list[Hits]:
        """See `VectorIndex`."""
        check_k(k)
        units = checked_queries(queries, self.space)
        state = self._fresh(None)
        return [state.search(one, k, where, exact, self._config.ef_search) for one in units]

    def fetch(self, keys: Iterable[VectorKey]) -> Vectors:
        """See `VectorIndex`."""
        wanted = check_keys(keys)
        with self._database.read() as connection:
            return rows.fetched(connection, self._space_id, self.space.dim, wanted)

    def keys(self, where: Filter | None = None) -> list[VectorKey]:
        """See `VectorIndex`."""
        return self._fresh(None).keys(where)

    def optimize(self) -> Stats:
        """Build anew, with a graph from `ann_threshold` rows on, and keep it as a file."""
        with self._turn:
            self._state = self._build(graph=True)
        return self.stats()

    def stats(self) -> Stats:
        """See `VectorIndex`."""
        state = self._fresh(None)
        return Stats(
            len(state),
            state.place.last_seq,
            state.base.kind,
            len(state.newer),
            state.n_gone,
            state.base.size_bytes,
            self._note(state),
        )

    def close(self) -> None:
        """See `VectorIndex`; the catalog stays open."""
        with self._turn:
            self._state = None
            if self._held is not None:
                self._held.forget()

    def _note(self, state: State) -> str:
        if self._not_kept:
            return f"the index is in memory only: {self._not_kept}"
        if len(state) >= self._config.ann_threshold and state.base.kind == bases.EXACT:
            return f"{len(state)} rows are searched exactly; optimize builds a graph over them"
        if self._too_new(state):
            return "many rows changed since the index was built; optimize builds it again"
        return ""

    def _ensure(self) -> int:
        with self._database.read() as connection:
            found = rows.find_space(connection, self.space)
        if found is not None:
            return found
        with self._database.write() as connection:
            return rows.ensure_space(connection, self.space)

    # ---- keeping up with the catalog

    def _fresh(self, at_least_seq: int | None) -> State:
        """Return a state that has what this process stored, and what others did (`poll_s`)."""
        now_s = time.monotonic()
        state = self._state
        behind = state is None or (at_least_seq is not None and state.place.last_seq < at_least_seq)
        if behind or now_s - self._looked_s >= self._config.poll_s:
            state = self._look(now_s)
        assert state is not None
        if at_least_seq is not None and state.place.last_seq < at_least_seq:
            raise InputError(
                f"Expected change {at_least_seq} in {self.space}. Received a catalog that is at "
                f"{state.place.last_seq}. Ask the catalog that the number is from."
            )
        return state

    def _look(self, now_s: float) -> State:
        with self._turn:
            place = self._place()
            state = self._state
            if state is None or not _goes_on(state.place, place):
                state = self._build(graph=False)
            elif state.place != place:
                state = self._caught_up(state)
            self._state = state
            self._looked_s = now_s
            return state

    def _place(self) -> Place:
        if self._held is None:
            with self._database.read() as connection:
                return rows.place_of(connection, self._space_id)
        with self._database.clear_errors():
            try:
                found = self._held.opened().execute(_PLACE, (self._space_id,)).fetchone()
            except sqlite3.Error:
                self._held.forget()
                raise
        if found is None:
            with self._database.read() as connection:
                return rows.place_of(connection, self._space_id)
        return Place(*found)

    def _caught_up(self, state: State) -> State:
        with self._database.read() as connection:
            place = rows.place_of(connection, self._space_id)
            if _goes_on(state.place, place):
                changes = rows.changes_after(connection, self._space_id, state.place.last_seq)
                state = state.after(changes, place)
                if not self._too_new(state):
                    return state
        return self._build(graph=False)

    def _too_new(self, state: State) -> bool:
        limit = max(self._config.newer_limit, len(state.base) // _NEWER_SHARE)
        return len(state.newer) + state.n_gone > limit

    def _after_writing(self) -> None:
        """Let the next search look; who stored much builds, so that searches need not."""
        self._looked_s = 0.0
        if self._state is not None:
            self._look(time.monotonic())

    # ---- the built part

    def _build(self, *, graph: bool) -> State:
        """Return a state with a built part that is new enough; a file's, where there is one."""
        folder = self._config.folder
        if folder is None:
            return self._built(None, graph=graph)
        if not graph:
            found = self._loaded(folder)
            if found is not None and not self._too_new(found):
                return found
        with (folder / ".lock").open("w") as lock:
            # One process builds, the others take its file; the lock goes with a killed process.
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self._loaded(folder)
            if (
                found is not None
                and not self._too_new(found)
                and not (graph and self._would_change(found))
            ):
                return found
            return self._built(folder, graph=graph)

    def _would_change(self, state: State) -> bool:
        wanted = bases.HNSW if len(state) >= self._config.ann_threshold else bases.EXACT
        return bool(state.newer) or state.n_gone > 0 or state.base.kind != wanted

    def _built(self, folder: Path | None, *, graph: bool) -> State:
        with self._database.read() as connection:
            place = rows.place_of(connection, self._space_id)
            every = rows.all_rows(connection, self._space_id)
            base = bases.build(every, self.space.dim, place.last_seq)
        if graph and len(base) >= self._config.ann_threshold:
            config = self._config
            made = bases.build_graph(base, config.neighbours, config.ef_construction)
            base = bases.with_graph(base, made)
        if folder is not None:
            self._keep(base, folder)
        return _state(place, base)

    def _keep(self, base: bases.Base, folder: Path) -> None:
        keep = snapshots.Snapshots(self._database, self._space_id, folder)
        try:
            keep.write(base, self._now())
            self._not_kept = ""
        except InputError as error:
            # A full disk or a busy catalog costs the file, never the answers.
            self._not_kept = str(error)

    def _loaded(self, folder: Path) -> State | None:
        keep = snapshots.Snapshots(self._database, self._space_id, folder)
        with self._database.read() as connection:
            place = rows.place_of(connection, self._space_id)
            base = keep.newest(connection, place, self.space.dim)
            if base is None:
                return None
            changes = rows.changes_after(connection, self._space_id, base.max_seq)
            return _state(place, base).after(changes, place)


def _state(place: Place, base: bases.Base) -> State:
    return State(place, base, {}, np.zeros(len(base), np.bool_), 0)


def _goes_on(seen: Place, now: Place) -> bool:
    """Return whether what was seen is an earlier moment of the same space, with all it needs."""
    same = seen.catalog_id == now.catalog_id and seen.last_seq <= now.last_seq
    return same and seen.last_seq >= now.floor_seq


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("a"):
            pass
    except OSError as error:
        raise InputError(
            f"Expected a folder for index files that can be written to. Received {error.strerror} "
            f"at {folder}. Name another folder."
        ) from error
    with suppress(OSError):
        index_file.sync_folder(folder)
