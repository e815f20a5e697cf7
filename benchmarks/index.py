"""Time the vector index beside raw FAISS and its rivals, and say when a graph is repaid.

Vectors are drawn: unit vectors near a 48-dimensional surface with noise, as embeddings of a small
network are; queries are drawn the same way and are not in the index. All engines of a table answer
the same queries in turn within one run, on one thread. Times are processor time, medians over
queries; pgvector works in processes of its own, so its are wall time. Recall is against the exact
float32 order. A graph is repaid after `build seconds / (time of exact - time of graph)` queries.

examples:
  python benchmarks/index.py
  python benchmarks/index.py --rows 20000 --skip sqlite-vec pgvector --out index.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from promolens_catalog.database import connect_database, open_database
from promolens_retrieval.entries import Entry, Filter
from promolens_retrieval.faiss_index import FaissConfig, FaissIndex
from promolens_retrieval.index import VectorIndex
from promolens_retrieval.spaces import Space

MODEL = "drawn"
K = 10
ROWS_AT_ONCE = 10_000
ENGINES = ("usearch", "hnswlib", "faiss-hnsw", "sqlite-vec", "pgvector")
Ask = Callable[[np.ndarray], list[int]]


@dataclass(frozen=True)
class Row:
    """One engine's figures; times in milliseconds a query, medians."""

    engine: str
    build_s: float
    query_ms: float
    ratio: float
    recall: float
    repaid_after: int | None = None


@dataclass(frozen=True)
class Engine:
    """What answers, and what building it took, seconds."""

    name: str
    build_s: float
    ask: Ask
    graph: bool = False


def drawn(rows: int, dim: int, seed: int) -> np.ndarray:
    """Return float32 unit vectors `[rows, dim]`; the surface is the same for every seed."""
    surface = np.random.default_rng(7).standard_normal((48, dim)).astype(np.float32)
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((rows, 48)).astype(np.float32) @ surface
    vectors += 1.5 * rng.standard_normal((rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> int:
    """Run the benchmark and print its tables."""
    options = _options()
    import faiss

    faiss.omp_set_num_threads(1)
    vectors = drawn(options.rows, options.dim, 1)
    queries = drawn(options.queries, options.dim, 2)
    truth = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :K]
    with tempfile.TemporaryDirectory() as name:
        index, told = _ours(Path(name), vectors)
        engines = _exact(index, vectors, queries)
        skip = set(options.skip)
        engines += [e for n, e in _graphs(vectors, skip)]
        if "sqlite-vec" not in skip:
            engines += _sqlite_vec(Path(name), vectors)
        rows = _timed(engines, queries, truth)
        extra = _further(index, queries)
        index.close()
    found: dict[str, Any] = {
        "rows": options.rows,
        "dim": options.dim,
        "queries": options.queries,
        "k": K,
        "ours": told | extra,
        "engines": [asdict(row) for row in rows],
    }
    _print(rows, found)
    if "pgvector" not in skip:
        found["pgvector"] = _pgvector(vectors[: options.pgvector_rows], queries[:100])
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--pgvector-rows", type=int, default=20_000)
    parser.add_argument("--skip", nargs="*", default=[], choices=ENGINES)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _cpu_s(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _ours(folder: Path, vectors: np.ndarray) -> tuple[FaissIndex, dict[str, float]]:
    database = open_database(str(folder / "catalog.db"))
    space = Space("bench", MODEL, vectors.shape[1])
    config = FaissConfig(folder=folder / "index")
    index = FaissIndex(database, space, config)
    store_s, _ = _cpu_s(lambda: _fill(index, vectors))
    build_s, stats = _cpu_s(index.stats)
    index.close()
    index = FaissIndex(database, space, config)
    load_s, _ = _cpu_s(index.stats)
    told = {"store_s": store_s, "build_s": build_s, "load_s": load_s, "bytes": stats.size_bytes}
    return index, told


def _fill(index: VectorIndex, vectors: np.ndarray) -> None:
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        part = vectors[start : start + ROWS_AT_ONCE]
        entries = [
            Entry(f"{row:08d}", str(row // 3), attributes={"twentieth": (str(row % 20),)})
            for row in range(start, start + len(part))
        ]
        index.upsert(entries, part, model_id=MODEL)


def _ask_index(index: VectorIndex, **options: Any) -> Ask:
    return lambda query: [int(hit.image_id) for hit in index.search(query, K, **options)]


def _exact(index: FaissIndex, vectors: np.ndarray, queries: np.ndarray) -> list[Engine]:
    import faiss

    from promolens_retrieval.state import _coded

    inner = faiss.METRIC_INNER_PRODUCT
    base = index._fresh(None).base
    codes = base.flat
    flat_s, flat = _cpu_s(lambda: _added(faiss.IndexFlatIP(base.dim), vectors))
    eight = faiss.IndexScalarQuantizer(base.dim, faiss.ScalarQuantizer.QT_8bit, inner)
    eight_s, _ = _cpu_s(lambda: _added(eight, vectors))

    def scan(query: np.ndarray) -> list[int]:
        return list(codes.search(coded[query.tobytes()], K)[1][0])

    # The codes of the queries are made outside: raw FAISS is given them.
    coded = {query.tobytes(): _coded(query.astype(np.float64)).codes for query in queries}
    return [
        Engine("raw FAISS, the same codes", 0.0, scan),
        Engine("promolens, exact int8 + float16 of 50", 0.0, _ask_index(index)),
        Engine("raw FAISS SQ8", eight_s, lambda q: list(eight.search(q[None], K)[1][0])),
        Engine("raw FAISS Flat float32", flat_s, lambda q: list(flat.search(q[None], K)[1][0])),
    ]


def _added(index: Any, vectors: np.ndarray) -> Any:
    if not index.is_trained:
        index.train(vectors)
    index.add(vectors)
    return index


def _graphs(vectors: np.ndarray, skip: set[str]) -> list[tuple[str, Engine]]:
    makers = {"usearch": _usearch, "hnswlib": _hnswlib, "faiss-hnsw": _faiss_hnsw}
    found = []
    for name, make in makers.items():
        if name in skip:
            continue
        try:
            engine = make(vectors)
        except ImportError as error:
            print(f"left out: {name} ({error}); pip install 'promolens[retrieval-bench]'")
            continue
        print(f"built {name} in {engine.build_s:.0f} s of processor time", file=sys.stderr)
        found.append((name, engine))
    return found


def _usearch(vectors: np.ndarray) -> Engine:
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip", dtype="i8", connectivity=16)
    index.expansion_search = 64
    keys = np.arange(len(vectors), dtype=np.uint64)
    build_s, _ = _cpu_s(lambda: index.add(keys, vectors, threads=1))
    return Engine(
        "usearch HNSW int8, ef 64",
        build_s,
        lambda q: [int(key) for key in index.search(q, K, threads=1).keys],
        True,
    )


def _hnswlib(vectors: np.ndarray) -> Engine:
    import hnswlib

    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=16, ef_construction=100)
    index.set_num_threads(1)
    build_s, _ = _cpu_s(lambda: index.add_items(vectors, num_threads=1))
    index.set_ef(64)
    ask: Ask = lambda q: list(index.knn_query(q, k=K, num_threads=1)[0][0])  # noqa: E731
    return Engine("hnswlib HNSW float32, ef 64", build_s, ask, True)


def _faiss_hnsw(vectors: np.ndarray) -> Engine:
    import faiss

    index: Any = faiss.index_factory(vectors.shape[1], "HNSW16,SQ8", faiss.METRIC_INNER_PRODUCT)
    build_s, _ = _cpu_s(lambda: _added(index, vectors))
    index.hnsw.efSearch = 64
    ask: Ask = lambda q: list(index.search(q[None], K)[1][0])  # noqa: E731
    return Engine("FAISS HNSW16,SQ8, ef 64", build_s, ask, True)


def _sqlite_vec(folder: Path, vectors: np.ndarray) -> list[Engine]:
    try:
        import apsw
        import sqlite_vec
    except ImportError as error:
        print(f"left out: sqlite-vec ({error}); pip install 'promolens[retrieval-bench]'")
        return []
    connection = apsw.Connection(str(folder / "vec.db"))
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    found = []
    for kind, wrap in (("float", "?"), ("int8", "vec_quantize_int8(?, 'unit')")):
        made = f"CREATE VIRTUAL TABLE v_{kind} USING vec0(e {kind}[{vectors.shape[1]}])"
        connection.execute(made)
        put = f"INSERT INTO v_{kind} (rowid, e) VALUES (?, {wrap})"  # noqa: S608

        def fill(put: str = put) -> None:
            with connection:
                rows = ((row, vector.tobytes()) for row, vector in enumerate(vectors))
                connection.executemany(put, rows)

        build_s, _ = _cpu_s(fill)
        get = f"SELECT rowid FROM v_{kind} WHERE e MATCH {wrap} ORDER BY distance LIMIT {K}"  # noqa: S608

        def ask(query: np.ndarray, get: str = get) -> list[int]:
            return [row[0] for row in connection.execute(get, (query.tobytes(),))]

        found.append(Engine(f"sqlite-vec {kind}", build_s, ask))
    return found


def _timed(engines: list[Engine], queries: np.ndarray, truth: np.ndarray) -> list[Row]:
    """Ask all engines each query in turn; who comes first changes with each query."""
    times: dict[str, list[float]] = {engine.name: [] for engine in engines}
    right = dict.fromkeys(times, 0)
    for engine in engines:
        engine.ask(queries[0])
    for number, query in enumerate(queries):
        first = number % len(engines)
        for engine in engines[first:] + engines[:first]:
            start = time.process_time()
            answer = engine.ask(query)
            times[engine.name].append(1000 * (time.process_time() - start))
            right[engine.name] += len(set(answer) & set(truth[number].tolist()))
    medians = {name: statistics.median(some) for name, some in times.items()}
    raw, ours = medians[engines[0].name], medians[engines[1].name]
    return [
        Row(
            engine.name,
            engine.build_s,
            medians[engine.name],
            medians[engine.name] / raw,
            right[engine.name] / (K * len(queries)),
            _repaid(engine, medians[engine.name], ours),
        )
        for engine in engines
    ]


def _repaid(engine: Engine, graph_ms: float, exact_ms: float) -> int | None:
    if not engine.graph or graph_ms >= exact_ms:
        return None
    return round(1000 * engine.build_s / (exact_ms - graph_ms))


def _further(index: FaissIndex, queries: np.ndarray) -> dict[str, float]:
    """Time what only ours does, a hundred queries each."""
    kinds: dict[str, Any] = {
        "filter_5_percent_ms": {"where": Filter({"twentieth": ("7",)})},
        "proven_exact_ms": {"exact": True},
    }
    found = {}
    for name, options in kinds.items():
        ask = _ask_index(index, **options)
        times = []
        for query in queries[:100]:
            start = time.process_time()
            ask(query)
            times.append(1000 * (time.process_time() - start))
        found[name] = statistics.median(times)
    return found


def _pgvector(vectors: np.ndarray, queries: np.ndarray) -> list[dict[str, Any]]:
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from postgres_server import NoPostgresError, postgres_server
    from promolens_retrieval.pgvector_index import PgVectorIndex
    from retrieval_support import pgvector_programs, vector_database

    truth = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :K]
    rows = []
    with suppress(NoPostgresError), tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        with postgres_server(programs=pgvector_programs(Path(name))) as server:
            url = vector_database(server)
            space = Space("bench", MODEL, vectors.shape[1])
            index = PgVectorIndex(connect_database(url), space, ann_threshold=1)
            _fill(index, vectors)
            rows.append(_wall("pgvector exact", 0.0, index, queries, truth))
            start = time.perf_counter()
            index.optimize()
            build_s = time.perf_counter() - start
            rows.append(_wall("pgvector HNSW, ef 100", build_s, index, queries, truth))
            where = Filter({"twentieth": ("7",)})
            hits = [len(index.search(query, K, where=where)) for query in queries]
            rows[-1]["fewest_of_10_with_5_percent_filter"] = min(hits)
            index.close()
    print(f"\npgvector, {len(vectors)} rows, wall time\n")
    print("| engine | build s | p50 ms | recall@10 |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row['engine']} | {row['build_s']:.1f} | {row['ms']:.1f} | {row['recall']:.4f} |")
    return rows


def _wall(
    name: str, build_s: float, index: VectorIndex, queries: np.ndarray, truth: np.ndarray
) -> dict[str, Any]:
    times, right = [], 0
    for number, query in enumerate(queries):
        start = time.perf_counter()
        answer = [int(hit.image_id) for hit in index.search(query, K)]
        times.append(1000 * (time.perf_counter() - start))
        right += len(set(answer) & set(truth[number].tolist()))
    recall = right / (K * len(queries))
    return {"engine": name, "build_s": build_s, "ms": statistics.median(times), "recall": recall}


def _print(rows: list[Row], found: dict[str, Any]) -> None:
    print(f"\n{found['rows']} x {found['dim']}, k = {K}, {found['queries']} queries\n")
    print("| engine | build s | p50 ms | ratio | recall@10 | graph repaid after |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        repaid = "" if row.repaid_after is None else f"{row.repaid_after:,} queries"
        print(
            f"| {row.engine} | {row.build_s:.1f} | {row.query_ms:.2f} | {row.ratio:.2f} "
            f"| {row.recall:.4f} | {repaid} |"
        )
    ours = found["ours"]
    print(
        f"\nOurs: stored in {ours['store_s']:.1f} s, built in {ours['build_s']:.2f} s, a file "
        f"loaded in {ours['load_s']:.2f} s, {ours['bytes'] / 1e6:.0f} MB; with a filter that "
        f"leaves 5 % {ours['filter_5_percent_ms']:.2f} ms; proven exact "
        f"{ours['proven_exact_ms']:.1f} ms."
    )


if __name__ == "__main__":
    sys.exit(main())
