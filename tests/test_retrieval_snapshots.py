"""Index files are a cache: torn, foreign, old or gone, they cost a moment and never an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from promolens_catalog.database import Database, open_database
from promolens_catalog.schema import catalog_identity, embedding, vector_snapshot
from promolens_retrieval import catalog_rows, index_file
from promolens_retrieval.entries import Filter
from promolens_retrieval.faiss_index import FaissConfig, FaissIndex
from promolens_runtime.errors import InputError
from retrieval_support import MODEL, SPACE, Oracle, check_same, entry, random_vectors

N = 400
QUERIES = random_vectors(8, seed=1)


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "catalog.db").write_bytes(sqlite_template.read_bytes())
    opened = open_database(str(tmp_path / "catalog.db"))
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def oracle(database: Database, folder: Path) -> Oracle:
    """Stores N vectors and leaves one index file of them."""
    known = Oracle()
    entries = [entry(number, shelf=(str(number % 4),)) for number in range(N)]
    index = _open(database, folder)
    index.upsert(entries, random_vectors(N), model_id=MODEL)
    known.upsert(entries, random_vectors(N))
    index.optimize()
    index.close()
    return known


def _open(database: Database, folder: Path | None, **options: float) -> FaissIndex:
    return FaissIndex(database, SPACE, FaissConfig(folder=folder, **options))  # type: ignore[arg-type]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.vectors"))


def _check(index: FaissIndex, oracle: Oracle) -> None:
    for query in QUERIES:
        check_same(index.search(query, 10), oracle.search(query, 10))
    where = Filter({"shelf": ("2",)})
    check_same(index.search(QUERIES[0], 10, where=where), oracle.search(QUERIES[0], 10, where))


def _no_build(*_anything: object, **_more: object) -> None:
    raise AssertionError("built again")


def test_a_second_process_takes_the_file(
    database: Database, folder: Path, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promolens_retrieval.base.build", _no_build)
    _check(_open(database, folder), oracle)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_torn_file_is_built_again(
    database: Database, folder: Path, oracle: Oracle, share: float
) -> None:
    (file,) = _files(folder)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    _check(_open(database, folder), oracle)
    assert _files(folder) == [file]
    assert file.read_bytes() == whole


def test_a_flipped_bit_is_noticed(database: Database, folder: Path, oracle: Oracle) -> None:
    (file,) = _files(folder)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(bytes(data))
    _check(_open(database, folder), oracle)


def test_a_file_of_another_version_is_built_again(
    database: Database, folder: Path, oracle: Oracle
) -> None:
    """Even one whose hash the catalog knows."""
    (file,) = _files(folder)
    file.write_bytes(file.read_bytes().replace(b"promolens-vectors 1", b"promolens-vectors 2"))
    with database.write() as connection:
        known = update(vector_snapshot).values(sha256=index_file.file_sha256(file))
        connection.execute(known)
    _check(_open(database, folder), oracle)


def test_a_file_that_the_catalog_does_not_know_does_not_count(
    database: Database, folder: Path, oracle: Oracle
) -> None:
    with database.write() as connection:
        connection.execute(delete(vector_snapshot))
    _check(_open(database, folder), oracle)
    with database.read() as connection:
        row = connection.execute(select(vector_snapshot)).one()
    assert (row.row_count, row.max_seq) == (N, N)
    assert row.sha256 == index_file.file_sha256(_files(folder)[0])


def test_a_name_that_leads_out_of_the_folder_is_not_followed(
    database: Database, folder: Path, oracle: Oracle, tmp_path: Path
) -> None:
    (file,) = _files(folder)
    file.rename(tmp_path / file.name)
    with database.write() as connection:
        row = connection.execute(select(vector_snapshot)).one()
        parameters = row.parameters | {"file": f"../{file.name}"}
        connection.execute(update(vector_snapshot).values(parameters=parameters))
    _check(_open(database, folder), oracle)
    assert len(_files(folder)) == 1


def test_newer_rows_are_found_without_a_new_file(
    database: Database, folder: Path, oracle: Oracle
) -> None:
    index = _open(database, folder)
    before = [file.stat().st_mtime_ns for file in _files(folder)]
    index.upsert([entry(N + 1)], QUERIES[:1], model_id=MODEL)
    oracle.upsert([entry(N + 1)], QUERIES[:1])
    index.delete([entry(5).key])
    oracle.delete([entry(5).key])
    _check(index, oracle)
    assert index.search(QUERIES[0], 1)[0].key == entry(N + 1).key
    stats = index.stats()
    assert (stats.rows, stats.newer_rows, stats.gone_rows, stats.seq) == (N, 1, 1, N + 2)
    assert [file.stat().st_mtime_ns for file in _files(folder)] == before


def test_after_many_changes_the_index_is_built_again(
    database: Database, folder: Path, oracle: Oracle
) -> None:
    index = _open(database, folder, newer_limit=10)
    index.stats()
    more = [entry(number) for number in range(N, N + 60)]
    index.upsert(more, random_vectors(60, seed=4), model_id=MODEL)
    oracle.upsert(more, random_vectors(60, seed=4))
    assert index.stats().newer_rows == 0
    _check(index, oracle)
    assert len(_files(folder)) == 2


def test_dropped_tombstones_make_older_searchers_begin_anew(
    database: Database, folder: Path, oracle: Oracle
) -> None:
    behind, index = _open(database, folder, poll_s=0.0), _open(database, folder)
    behind.stats()
    index.delete([entry(3).key, entry(4).key])
    oracle.delete([entry(3).key, entry(4).key])
    with database.write() as connection:
        space_id = catalog_rows.find_space(connection, SPACE)
        assert space_id is not None
        assert catalog_rows.prune(connection, space_id, N + 2) == 2
        left = connection.execute(select(embedding).where(embedding.c.unit.is_(None))).all()
    assert left == []
    _check(behind, oracle)


def test_another_catalog_under_the_same_name_is_noticed(
    database: Database, folder: Path, oracle: Oracle
) -> None:
    """A restored backup counts on from older numbers: what was seen means something else."""
    index = _open(database, folder, poll_s=0.0)
    index.stats()
    with database.write() as connection:
        connection.execute(update(catalog_identity).values(catalog_id="0" * 32))
        gone = (embedding.c.image_id == entry(7).image_id,)
        connection.execute(delete(embedding).where(*gone))
        connection.execute(delete(vector_snapshot))
    oracle.delete([entry(7).key])
    _check(index, oracle)


def test_a_graph_is_built_from_the_threshold_on_and_said(
    database: Database, folder: Path, oracle: Oracle
) -> None:
    index = _open(database, folder, ann_threshold=N)
    assert "optimize builds a graph" in index.stats().note
    stats = index.optimize()
    assert (stats.kind, stats.note) == ("HNSW int8", "")
    other = _open(database, folder, ann_threshold=N)
    assert other.stats().kind == "HNSW int8"
    right = 0
    for query in QUERIES:
        true = oracle.search(query, 10)
        right += len(set(other.search(query, 10)) & set(true))
        check_same(other.search(query, 10, exact=True), true)
        few = Filter({"image_id": tuple(entry(number).image_id for number in range(15))})
        check_same(other.search(query, 10, where=few), oracle.search(query, 10, few))
    assert right >= 0.95 * 10 * len(QUERIES)


def test_without_a_folder_each_process_builds_its_own(database: Database, oracle: Oracle) -> None:
    _check(_open(database, None), oracle)


def test_a_folder_that_cannot_be_made_is_named(database: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="Expected a folder for index files"):
        _open(database, tmp_path / "file" / "index")


def test_a_full_disk_costs_the_file_and_not_the_answers(
    database: Database, folder: Path, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in _files(folder):
        file.unlink()

    def full(*_anything: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index_file, "_write", full)
    index = _open(database, folder)
    _check(index, oracle)
    assert "No space left on device" in index.stats().note
    assert list(folder.glob("*.part")) == list(folder.glob(".*.part")) == []


def test_old_files_and_leftovers_of_killed_processes_go(
    database: Database, folder: Path, oracle: Oracle
) -> None:
    index = _open(database, folder)
    leftover = folder / ".space-1-000000000400-0.vectors.99999999.part"
    leftover.write_bytes(b"half")
    for number in range(5):
        index.upsert([entry(N + number)], random_vectors(1, seed=number), model_id=MODEL)
        index.optimize()
    assert len(_files(folder)) == 2
    assert not leftover.exists()


names = st.text("abcdef_", min_size=1, max_size=8)
arrays = st.dictionaries(
    names,
    st.tuples(st.sampled_from(["<f2", "<i8", "|u1", "<f8"]), st.integers(0, 9), st.integers(1, 4)),
    max_size=4,
)


@given(arrays, st.dictionaries(names, st.integers()))
def test_files_give_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    shapes: dict[str, tuple[str, int, int]],
    fields: dict[str, int],
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.vectors"
    written = {
        name: np.arange(rows * columns, dtype=dtype).reshape(rows, columns)
        for name, (dtype, rows, columns) in shapes.items()
    }
    sha256 = index_file.write(path, fields, written)
    found = index_file.read(path, sha256)
    assert found is not None
    assert found[0] == fields
    assert sorted(found[1]) == sorted(written)
    for name, array in written.items():
        assert found[1][name].dtype == array.dtype
        np.testing.assert_array_equal(found[1][name], array)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.vectors"
    header = json.dumps({"fields": {}, "arrays": {"a": {"dtype": "<f8", "shape": [9, 9]}}})
    for start in (b"", index_file.MAGIC, index_file.MAGIC + len(header).to_bytes(8, "little")
                  + header.encode()):  # fmt: skip
        path.write_bytes(start + data)
        found = index_file.read(path, index_file.file_sha256(path))
        assert found is None or isinstance(found[0], dict)
