"""Index files of a space: which there are, which to trust, which to throw away."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, delete, select

from promolens_catalog.database import Database
from promolens_catalog.schema import vector_snapshot
from promolens_catalog.statements import insert_into
from promolens_retrieval import index_file
from promolens_retrieval.base import Base, arrays_of, base_of, fields_of
from promolens_retrieval.catalog_rows import Place
from promolens_retrieval.index_file import Checkpoint

KEPT = 2


def _nothing(_step: str) -> None:
    """Go on."""


@dataclass(frozen=True)
class Snapshots:
    """The index files of one space in one folder."""

    database: Database
    space_id: int
    folder: Path

    def write(self, base: Base, now: datetime, *, checkpoint: Checkpoint = _nothing) -> str:
        """Write a base as a file, then tell the catalog of it; returns its SHA-256.

        A file that the catalog does not know does not count: killed between the two, the next
        process builds again.
        """
        name = f"space-{self.space_id}-{base.max_seq:012d}-{len(base.graph)}"
        path = self.folder / f"{name}{index_file.SUFFIX}"
        fields = fields_of(base) | {"kind": base.kind}
        sha256 = index_file.write(path, fields, arrays_of(base), checkpoint=checkpoint)
        row = {
            "space_id": self.space_id,
            "sha256": sha256,
            "row_count": len(base),
            "max_seq": base.max_seq,
            "built_at": now,
            "parameters": fields | {"file": path.name},
        }
        with self.database.write() as connection:
            connection.execute(
                insert_into(connection, vector_snapshot).on_conflict_do_nothing(), row
            )
            self._forget_old(connection)
        checkpoint("recorded")
        self._clean(path)
        return sha256

    def newest(self, connection: Connection, place: Place, dim: int) -> Base | None:
        """Return the newest file that is whole and fits; None where there is none."""
        c = vector_snapshot.c
        fits = (c.space_id == self.space_id, c.max_seq <= place.last_seq)
        query = select(vector_snapshot).where(*fits, c.max_seq >= place.floor_seq)
        for row in connection.execute(query.order_by(c.max_seq.desc(), c.built_at.desc())):
            base = self._read(str(row.parameters.get("file", "")), row.sha256)
            same = base is not None and (len(base), base.max_seq) == (row.row_count, row.max_seq)
            if base is not None and same and base.dim == dim:
                return base
        return None

    def _read(self, name: str, sha256: str) -> Base | None:
        if not name or Path(name).name != name:
            return None
        found = index_file.read(self.folder / name, sha256)
        if found is None:
            return None
        try:
            return base_of(*found)
        except (ValueError, KeyError, TypeError):
            return None

    def _forget_old(self, connection: Connection) -> None:
        c = vector_snapshot.c
        query = select(c.sha256).where(c.space_id == self.space_id)
        ordered = connection.execute(query.order_by(c.max_seq.desc(), c.built_at.desc()))
        old = ordered.scalars().all()[4 * KEPT :]
        if old:
            connection.execute(
                delete(vector_snapshot).where(c.space_id == self.space_id, c.sha256.in_(old))
            )

    def _clean(self, keep: Path) -> None:
        """Keep this file and the newest others; what killed processes left goes too."""
        pattern = f"space-{self.space_id}-*{index_file.SUFFIX}"
        others = [path for path in self.folder.glob(pattern) if path != keep]
        others.sort(key=lambda path: path.name, reverse=True)
        for path in others[KEPT - 1 :]:
            path.unlink(missing_ok=True)
        for path in self.folder.glob(f".{pattern}.*.part"):
            if f".{os.getpid()}." not in path.name:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
