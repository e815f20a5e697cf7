"""Vectors as rows of the catalog: the truth, from which every index can be built again.

Functions that take a connection belong into a transaction of `Database.read` or `Database.write`.
There is one writer at a time, so sequence numbers rise in the order of commits: who has seen number
12 has seen all before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, tuple_, update

from promolens_catalog.schema import catalog_identity, embedding, vector_space
from promolens_catalog.statements import in_chunks, insert_into
from promolens_retrieval.entries import Entry, VectorKey, Vectors
from promolens_retrieval.spaces import Space
from promolens_retrieval.vectors import Checked, Halves
from promolens_runtime.errors import InputError

ROWS_AT_ONCE = 5_000
STORED = np.dtype("<f2")


@dataclass(frozen=True)
class Place:
    """Where a space stands.

    Attributes:
        catalog_id: of the catalog: numbers of another one, or of a restored one, mean others.
        last_seq: of its newest change.
        floor_seq: tombstones up to it are gone: who has seen less begins anew.
    """

    catalog_id: str
    last_seq: int
    floor_seq: int


@dataclass(frozen=True)
class Changed:
    """A row that was stored, or deleted: then `unit` is None."""

    entry: Entry
    unit: Halves | None
    seq: int


def ensure_space(connection: Connection, space: Space) -> int:
    """Return the number of a space, which is made if it is not there."""
    wanted = {"corpus": space.corpus, "model_id": space.model_id, "dim": space.dim}
    found = find_space(connection, space)
    if found is not None:
        return found
    row = wanted | {"dtype": space.dtype}
    statement = insert(vector_space).values(row).returning(vector_space.c.id)
    return int(connection.execute(statement).scalar_one())


def spaces(connection: Connection) -> list[Space]:
    """Return all spaces, sorted."""
    c = vector_space.c
    query = select(c.corpus, c.model_id, c.dim).order_by(c.corpus, c.model_id, c.dim)
    return [Space(*row) for row in connection.execute(query)]


def find_space(connection: Connection, space: Space) -> int | None:
    """Return the number of a space; None where it is not there."""
    c = vector_space.c
    query = select(c.id).where(
        c.corpus == space.corpus, c.model_id == space.model_id, c.dim == space.dim
    )
    return connection.execute(query).scalar()


def place_of(connection: Connection, space_id: int) -> Place:
    """Return where a space stands; raises InputError where it is gone."""
    which = select(catalog_identity.c.catalog_id).scalar_subquery()
    query = select(
        which.label("catalog_id"), vector_space.c.last_seq, vector_space.c.floor_seq
    ).where(vector_space.c.id == space_id)
    row = connection.execute(query).first()
    if row is None:
        raise InputError(
            f"Expected vector space {space_id} in the catalog. Received a catalog without it. "
            "Open the index again."
        )
    return Place(row.catalog_id, row.last_seq, row.floor_seq)


def store(connection: Connection, space_id: int, entries: Sequence[Entry], vectors: Checked) -> int:
    """Store rows; those that are there already, the same, are left alone. Returns the last seq."""
    units = np.ascontiguousarray(vectors.units, STORED)
    kept = {row.key: row for row in _rows_of(connection, space_id, [e.key for e in entries])}
    rows = []
    for entry, unit, norm in zip(entries, units, vectors.norms.tolist(), strict=True):
        stored = unit.tobytes()
        if not _same(kept.get(entry.key), entry, stored):
            rows.append(_row(space_id, entry, stored, norm))
    seq = _number(connection, space_id, rows)
    if rows:
        new = insert_into(connection, embedding)
        columns = ("item_id", "unit", "norm", "attributes", "seq")
        put = new.on_conflict_do_update(
            index_elements=[embedding.c.space_id, embedding.c.image_id, embedding.c.region_id],
            set_={name: new.excluded[name] for name in columns},
        )
        connection.execute(put, rows)
    return seq


def bury(connection: Connection, space_id: int, keys: Sequence[VectorKey]) -> int:
    """Turn rows into tombstones, which keep no vector; returns the last seq."""
    found = [row for row in _rows_of(connection, space_id, keys) if row.unit is not None]
    numbered: list[dict[str, Any]] = [{} for _ in found]
    seq = _number(connection, space_id, numbered)
    for row, number in zip(found, numbered, strict=True):
        values = {"unit": None, "attributes": {}, "seq": number["seq"]}
        connection.execute(update(embedding).where(embedding.c.id == row.id).values(values))
    return seq


def prune(connection: Connection, space_id: int, up_to_seq: int) -> int:
    """Drop tombstones up to a sequence number; returns how many. Older searchers begin anew."""
    ours = (
        embedding.c.space_id == space_id,
        embedding.c.unit.is_(None),
        embedding.c.seq <= up_to_seq,
    )
    gone = connection.execute(select(func.count()).select_from(embedding).where(*ours)).scalar_one()
    if gone:
        connection.execute(delete(embedding).where(*ours))
        space = update(vector_space).where(vector_space.c.id == space_id)
        connection.execute(space.values(floor_seq=up_to_seq))
    return int(gone)


def changes_after(connection: Connection, space_id: int, seq: int) -> Iterator[Changed]:
    """Yield the rows that changed after `seq`, oldest change first."""
    query = select(embedding).where(embedding.c.space_id == space_id, embedding.c.seq > seq)
    for row in _streamed(connection, query.order_by(embedding.c.seq)):
        unit = None if row.unit is None else np.frombuffer(row.unit, STORED)
        yield Changed(entry_of(row), unit, row.seq)


def all_rows(connection: Connection, space_id: int) -> Iterator[tuple[Entry, bytes]]:
    """Yield entries and their stored vectors in the order of their keys."""
    query = select(embedding).where(embedding.c.space_id == space_id, embedding.c.unit.is_not(None))
    for row in _streamed(connection, query.order_by(embedding.c.image_id, embedding.c.region_id)):
        yield entry_of(row), row.unit


def count(connection: Connection, space_id: int) -> int:
    """Return how many vectors a space has."""
    ours = (embedding.c.space_id == space_id, embedding.c.unit.is_not(None))
    query = select(func.count()).select_from(embedding).where(*ours)
    return int(connection.execute(query).scalar_one())


def fetched(connection: Connection, space_id: int, dim: int, keys: Sequence[VectorKey]) -> Vectors:
    """Return the vectors of sorted `keys`; unknown ones are left out."""
    rows = [row for row in _rows_of(connection, space_id, keys) if row.unit is not None]
    rows.sort(key=lambda row: row.key)
    joined = b"".join(row.unit or b"" for row in rows)
    units = np.frombuffer(joined, STORED).reshape(len(rows), dim)
    norms = np.array([row.norm for row in rows], np.float64)
    return Vectors(tuple(row.entry for row in rows), units, norms)


def entry_of(row: Row[Any]) -> Entry:
    """Return the entry of a row; what is stored was checked before."""
    # Checking millions of rows again would take longer than reading them.
    entry = object.__new__(Entry)
    fields = entry.__dict__
    fields["image_id"], fields["item_id"] = row.image_id, row.item_id
    fields["region_id"], fields["attributes"] = row.region_id, row.attributes
    return entry


@dataclass(frozen=True)
class _Stored:
    id: int
    entry: Entry
    unit: bytes | None
    norm: float

    @property
    def key(self) -> VectorKey:
        return self.entry.key


def _rows_of(connection: Connection, space_id: int, keys: Iterable[VectorKey]) -> list[_Stored]:
    found = []
    named = tuple_(embedding.c.image_id, embedding.c.region_id)
    for chunk in in_chunks(keys):
        query = select(embedding).where(embedding.c.space_id == space_id, named.in_(chunk))
        for row in connection.execute(query):
            stored = None if row.unit is None else bytes(row.unit)
            found.append(_Stored(row.id, entry_of(row), stored, row.norm))
    return found


def _same(kept: _Stored | None, entry: Entry, stored: bytes) -> bool:
    if kept is None or kept.unit != stored or kept.entry.item_id != entry.item_id:
        return False
    return kept.entry.attributes == _plain(entry)


def _plain(entry: Entry) -> dict[str, list[str]]:
    return {name: list(values) for name, values in entry.attributes.items()}


def _row(space_id: int, entry: Entry, stored: bytes, norm: float) -> dict[str, Any]:
    return {
        "space_id": space_id,
        "image_id": entry.image_id,
        "region_id": entry.region_id,
        "item_id": entry.item_id,
        "unit": stored,
        "norm": norm,
        "attributes": _plain(entry),
    }


def _number(connection: Connection, space_id: int, rows: list[dict[str, Any]]) -> int:
    """Give rows the next sequence numbers; return the newest of the space."""
    last = place_of(connection, space_id).last_seq
    for row in rows:
        last += 1
        row["seq"] = last
    if rows:
        space = update(vector_space).where(vector_space.c.id == space_id)
        connection.execute(space.values(last_seq=last))
    return last


def _streamed(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    return iter(connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query))
