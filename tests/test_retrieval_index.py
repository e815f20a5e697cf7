"""What every backend of the vector index promises: the same answers, on FAISS and on pgvector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from promolens_retrieval.entries import Entry, Filter, VectorKey
from promolens_retrieval.index import VectorIndex
from promolens_retrieval.spaces import Space
from promolens_runtime.errors import InputError
from retrieval_support import (
    DIM,
    MODEL,
    Backend,
    Oracle,
    check_same,
    empty_vectors,
    entry,
    faiss_backend,
    pgvector_backend,
    random_vectors,
)


def _filled(backend: Backend, n: int = 300) -> tuple[VectorIndex, Oracle]:
    index, oracle = backend.open(), Oracle()
    entries = [
        entry(i, i % 2, chain=("cu",) if i % 20 else ("cu", "gs25"), shelf=(str(i % 7),))
        for i in range(n)
    ]
    vectors = random_vectors(n)
    index.upsert(entries, vectors, model_id=MODEL)
    oracle.upsert(entries, vectors)
    return index, oracle


def test_the_nearest_by_hand(backend: Backend) -> None:
    index = backend.open(Space("gallery", MODEL, 2))
    vectors = np.array([[3.0, 4.0], [0.0, 2.0], [-1.0, 0.0]], np.float32)
    index.upsert([entry(1), entry(2), entry(3)], vectors, model_id=MODEL)
    hits = index.search(np.array([5.0, 0.0]), 3)
    # (0.6, 0.8), (0, 1) and (-1, 0) against (1, 0); 0.6 is 0.60009766 in float16.
    assert [hit.key for hit in hits] == [entry(n).key for n in (1, 2, 3)]
    assert [hit.score for hit in hits] == pytest.approx([0.6, 0.0, -1.0], abs=1e-3)
    assert hits[0].item_id == "item-0"


@pytest.mark.parametrize("exact", [False, True])
def test_answers_are_those_of_a_plain_search(backend: Backend, exact: bool) -> None:
    index, oracle = _filled(backend)
    for query in random_vectors(15, seed=1):
        check_same(index.search(query, 10, exact=exact), oracle.search(query, 10))
    many = index.search_many(random_vectors(15, seed=1), 10, exact=exact)
    for query, hits in zip(random_vectors(15, seed=1), many, strict=True):
        assert hits == index.search(query, 10, exact=exact)


@pytest.mark.parametrize(
    "where",
    [
        Filter({"chain": ("gs25",)}),
        Filter({"chain": ("gs25", "nobody"), "shelf": ("1", "2", "3")}),
        Filter({"item_id": ("item-3", "item-40")}),
        Filter(none_of={"image_id": ("image-00007", "image-00008"), "shelf": ("0",)}),
        Filter({"chain": ("cu",)}, {"chain": ("gs25",)}),
        Filter({"shelf": ("none of these",)}),
        Filter({"no such attribute": ("x",)}),
        Filter({"image_id": ("image-00011",)}),
    ],
)
def test_filters_give_k_wherever_k_exist(backend: Backend, where: Filter) -> None:
    index, oracle = _filled(backend)
    allowed = sum(where.allows(one) for one, _ in oracle.rows.values())
    for query in random_vectors(4, seed=2):
        hits = index.search(query, 12, where=where)
        assert len(hits) == min(12, allowed)
        check_same(hits, oracle.search(query, 12, where))
    assert index.keys(where) == sorted(
        key for key, (one, _) in oracle.rows.items() if where.allows(one)
    )


def test_k_may_be_more_than_there_are(backend: Backend) -> None:
    index, _ = _filled(backend, 5)
    assert len(index.search(random_vectors(1)[0], 10_000)) == 5


def test_an_empty_space_answers_with_nothing(backend: Backend) -> None:
    index = backend.open()
    assert index.search(random_vectors(1)[0], 5) == []
    assert index.stats().rows == 0
    assert index.keys() == []
    assert len(index.fetch([VectorKey("x")])) == 0


def test_equal_scores_are_in_the_order_of_their_keys(backend: Backend) -> None:
    """More equal ones than are rescored, half of them stored later."""
    index = backend.open()
    same = np.tile(np.arange(1, DIM + 1, dtype=np.float32), (130, 1))
    entries = [entry(number) for number in range(130)]
    for some in (slice(0, None, 2), slice(1, None, 2)):
        index.upsert(entries[some], same[some] * 3, model_id=MODEL)
        index.search(same[0], 1)
    for _ in range(2):
        hits = index.search(same[0], 7)
        assert [hit.key for hit in hits] == [one.key for one in entries[:7]]
        assert {hit.score for hit in hits} == {1.0}
        index.optimize()


def test_deleted_vectors_are_gone_at_once_for_everybody(backend: Backend) -> None:
    index, oracle = _filled(backend)
    other = backend.open()
    query = random_vectors(1, seed=3)[0]
    for _ in range(5):
        best = other.search(query, 3)
        seq = index.delete([best[0].key, VectorKey("unknown")])
        oracle.delete([best[0].key])
        for one in (index, other):
            check_same(one.search(query, 3, at_least_seq=seq), oracle.search(query, 3))
    assert index.stats().rows == other.stats().rows == 295
    assert len(index.fetch([best[0].key])) == 0


def test_replaced_vectors_are_found_where_they_are_now(backend: Backend) -> None:
    index, oracle = _filled(backend)
    moved = [entry(number, number % 2, chain=("seven",)) for number in range(40)]
    vectors = random_vectors(40, seed=9)
    index.upsert(moved, vectors, model_id=MODEL)
    oracle.upsert(moved, vectors)
    where = Filter({"chain": ("seven",)})
    for query in random_vectors(5, seed=4):
        check_same(index.search(query, 10), oracle.search(query, 10))
        check_same(index.search(query, 10, where=where), oracle.search(query, 10, where))
    assert index.stats().rows == 300


def test_storing_the_same_again_changes_nothing(backend: Backend) -> None:
    index, _ = _filled(backend, 20)
    before = index.stats().seq
    same = [entry(i, i % 2, chain=("cu",) if i % 20 else ("cu", "gs25"), shelf=(str(i % 7),))
            for i in range(20)]  # fmt: skip
    assert index.upsert(same, random_vectors(20), model_id=MODEL) == before == 20
    renamed = [Entry(same[3].image_id, "another", 1, same[3].attributes)]
    assert index.upsert(renamed, random_vectors(20)[3:4], model_id=MODEL) == 21
    assert index.fetch([same[3].key]).entries[0].item_id == "another"


def test_fetch_gives_back_what_was_stored(backend: Backend) -> None:
    index, oracle = _filled(backend, 10)
    keys = sorted(oracle.rows)
    found = index.fetch([*reversed(keys), VectorKey("unknown")])
    assert [one.key for one in found.entries] == keys
    assert {k: list(v) for k, v in found.entries[0].attributes.items()} == {
        "chain": ["cu", "gs25"],
        "shelf": ["0"],
    }
    for unit, key in zip(found.units, keys, strict=True):
        assert unit.tolist() == oracle.rows[key][1].tolist()
    np.testing.assert_allclose(found.norms, np.linalg.norm(random_vectors(10), axis=1), rtol=1e-6)


def test_min_score_takes_off_what_is_below(backend: Backend) -> None:
    index, oracle = _filled(backend)
    query = random_vectors(1, seed=5)[0]
    expected = [hit for hit in oracle.search(query, 200) if hit.score >= 0.5]
    assert 0 < len(expected) < 200
    check_same(index.search(query, 200, min_score=0.5), expected)


def test_spaces_do_not_mix(backend: Backend) -> None:
    index, _ = _filled(backend, 10)
    for other in (Space("originals", MODEL, DIM), Space("gallery", "model-b", DIM)):
        assert backend.open(other).search(random_vectors(1)[0], 5) == []
    with pytest.raises(InputError, match="Expected vectors of model model-a"):
        index.upsert([entry(99)], random_vectors(1), model_id="model-b")
    assert index.stats().rows == 10


def _with(value: float) -> np.ndarray:
    vectors = random_vectors(3)
    vectors[1, 2] = value
    return vectors


BAD: dict[str, Any] = {
    "NaN or infinity in vector 1": _with(np.nan),
    "NaN or infinity in vector 1.": _with(np.inf),
    "zeros only in vector 2": np.concatenate([random_vectors(2), np.zeros((1, DIM), np.float32)]),
    "Received 7": random_vectors(3, DIM - 1),
    "float16, float32 or float64. Received int64": np.ones((3, DIM), np.int64),
    "float16, float32 or float64. Received object": np.full((3, DIM), None),
    r"\(8,\)": random_vectors(1)[0],
    "3 entries for 2": random_vectors(2),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_vectors_are_refused_in_one_line_and_nothing_is_stored(
    backend: Backend, said: str
) -> None:
    index = backend.open()
    with pytest.raises(InputError, match=said) as caught:
        index.upsert([entry(1), entry(2), entry(3)], BAD[said], model_id=MODEL)
    assert "\n" not in str(caught.value)
    assert index.stats().rows == index.stats().seq == 0


@pytest.mark.parametrize(
    ("query", "k"),
    [
        (np.full(DIM, np.nan), 5),
        (np.zeros(DIM), 5),
        (np.ones(DIM + 1), 5),
        (np.ones((1, DIM)), 5),
        (np.ones(DIM), 0),
        (np.ones(DIM), 10_001),
        (np.ones(DIM), True),
    ],
)
def test_bad_questions_are_refused(backend: Backend, query: np.ndarray, k: int) -> None:
    index, _ = _filled(backend, 3)
    with pytest.raises(InputError):
        index.search(query, k)


def test_a_key_twice_is_refused(backend: Backend) -> None:
    with pytest.raises(InputError, match="Expected each region of an image once"):
        backend.open().upsert([entry(1), entry(1)], random_vectors(2), model_id=MODEL)


def test_a_change_that_is_not_there_yet_is_not_waited_for(backend: Backend) -> None:
    index, _ = _filled(backend, 3)
    with pytest.raises(InputError, match="Expected change 4"):
        index.search(random_vectors(1)[0], 1, at_least_seq=4)


VALUES = st.integers(-3, 3).map(float)
VECTORS = st.lists(VALUES, min_size=4, max_size=4).filter(any)
NUMBERS = st.integers(0, 15)
SMALL = Space("small", MODEL, 4)


class Machine(RuleBasedStateMachine):
    """Anything in any order, against the oracle; two indexes stand for two processes."""

    backend: Backend

    @initialize()
    def begin(self) -> None:
        self.oracle = Oracle()
        self.indexes = [self.backend.open(SMALL), self.backend.open(SMALL)]
        self.indexes[0].delete(self.indexes[0].keys())

    @rule(rows=st.dictionaries(NUMBERS, st.tuples(VECTORS, st.sampled_from("abc")), max_size=8),
          who=st.integers(0, 1))  # fmt: skip
    def upsert(self, rows: dict[int, tuple[list[float], str]], who: int) -> None:
        entries = [entry(number, kind=(kind,)) for number, (_, kind) in rows.items()]
        vectors = np.array([vector for vector, _ in rows.values()], np.float32).reshape(-1, 4)
        self.indexes[who].upsert(entries, vectors, model_id=MODEL)
        self.oracle.upsert(entries, vectors)

    @rule(numbers=st.sets(NUMBERS, max_size=5), who=st.integers(0, 1))
    def delete(self, numbers: set[int], who: int) -> None:
        keys = [entry(number).key for number in numbers]
        self.indexes[who].delete(keys)
        self.oracle.delete(keys)

    @rule(who=st.integers(0, 1))
    def optimize(self, who: int) -> None:
        self.indexes[who].optimize()

    @rule(who=st.integers(0, 1))
    def reopen(self, who: int) -> None:
        self.indexes[who].close()
        self.indexes[who] = self.backend.open(SMALL)

    @rule(query=VECTORS, k=st.integers(1, 20), kinds=st.sets(st.sampled_from("abc")),
          exact=st.booleans(), who=st.integers(0, 1))  # fmt: skip
    def search(self, query: list[float], k: int, kinds: set[str], exact: bool, who: int) -> None:
        where = Filter({"kind": tuple(kinds)}) if kinds else None
        asked = np.array(query, np.float32)
        found = self.indexes[who].search(asked, k, where=where, exact=exact)
        check_same(found, self.oracle.search(asked, k, where))

    @invariant()
    def both_know_all(self) -> None:
        if hasattr(self, "oracle"):
            for index in self.indexes:
                assert index.keys() == sorted(self.oracle.rows)


def _run(backend: Backend, examples: int) -> None:
    machine = type("Bound", (Machine,), {"backend": backend})
    case = machine.TestCase()
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case.runTest()


def test_anything_in_any_order_on_faiss(sqlite_template: Path, tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(sqlite_template.read_bytes())
    # Built again after three changes, with a graph from eight rows on.
    options = {"newer_limit": 3, "ann_threshold": 8}
    _run(faiss_backend(str(tmp_path / "catalog.db"), tmp_path / "index", **options), 15)


def test_anything_in_any_order_on_pgvector(pgvector_url: str) -> None:
    _run(pgvector_backend(empty_vectors(pgvector_url), ann_threshold=8), 6)
