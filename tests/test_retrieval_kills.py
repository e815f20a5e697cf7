"""kill -9 at any moment never loses a vector: real processes are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from promolens_catalog.database import open_database
from promolens_retrieval import index_file
from promolens_retrieval.faiss_index import FaissConfig, FaissIndex
from promolens_retrieval.snapshots import Snapshots
from retrieval_support import (
    MODEL,
    SPACE,
    Oracle,
    catalog_url,
    check_same,
    empty_vectors,
    entry,
    random_vectors,
)
from vector_kills import kill_often

FORK = multiprocessing.get_context("fork")
STEPS = (*index_file.STEPS, "recorded")


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_killed_while_writing_nothing_is_lost(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    url = catalog_url(request, engine, tmp_path)
    logs = tmp_path / "logs"
    logs.mkdir()
    assert kill_often(url, str(tmp_path / "index"), logs, kills=3, seed=5) > 0


def test_killed_while_writing_nothing_is_lost_in_pgvector(
    pgvector_url: str, tmp_path: Path
) -> None:
    assert kill_often(empty_vectors(pgvector_url), "", tmp_path, kills=2, seed=6) > 0


def _write_and_die(path: Path, folder: Path, step: str) -> None:
    database = open_database(str(path))
    index = FaissIndex(database, SPACE, FaissConfig(folder=None))
    base = index._fresh(None).base

    def checkpoint(name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    from catalog_support import NOW

    Snapshots(database, index._space_id, folder).write(base, NOW, checkpoint=checkpoint)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_of_a_file_the_next_one_searches_all(
    sqlite_template: Path, tmp_path: Path, step: str
) -> None:
    path, folder, oracle = tmp_path / "catalog.db", tmp_path / "index", Oracle()
    path.write_bytes(sqlite_template.read_bytes())
    database = open_database(str(path))
    entries, vectors = [entry(number) for number in range(80)], random_vectors(80)
    index = FaissIndex(database, SPACE, FaissConfig(folder=folder))
    index.upsert(entries[:40], vectors[:40], model_id=MODEL)
    index.optimize()
    index.upsert(entries, vectors, model_id=MODEL)
    oracle.upsert(entries, vectors)
    database.close()
    child = FORK.Process(target=_write_and_die, args=(path, folder, step))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    database = open_database(str(path))
    again = FaissIndex(database, SPACE, FaissConfig(folder=folder))
    for query in random_vectors(5, seed=2):
        check_same(again.search(query, 10), oracle.search(query, 10))
    again.optimize()
    assert list(folder.glob(".*.part")) == []
    database.close()
