"""The bootstrap file: a whole copy of the catalog, to begin with or to begin anew.

Gzipped lines of JSON. A phone unpacks them as a stream (`DecompressionStream`), reads each with its
own JSON parser and puts it into IndexedDB; an SQLite file would be smaller in no way, and would
need an SQLite of its own in every page that reads it (docs/sync.md).

    {"format":"promolens-bootstrap","format_version":1,"catalog_id":"8f2c...","version":12,"rows":2401}
    {"entity":"item","id":"1","data":{...}}
    ...
    {"end":true,"rows":2401}

The same version gives the same bytes, on every worker and machine. A file is made once a version,
beside its name and then moved there, so that nobody ever reads half of one.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, func, select

from promolens_catalog.changes import UPSERT, whole
from promolens_catalog.copies import copied
from promolens_catalog.database import Database, now_version
from promolens_catalog.identity import catalog_id
from promolens_catalog.schema import catalog_version, change, item, promotion, snapshot, source
from promolens_runtime.errors import InputError

FORMAT = "promolens-bootstrap"
FORMAT_VERSION = 1
# Phones that have begun to load a file finish it; so some older ones stay.
KEPT_FILES = 3
_LEVEL = 6
_SUFFIX = ".jsonl.gz"


@dataclass(frozen=True)
class Bootstrap:
    """A bootstrap file.

    Attributes:
        version: of the catalog: what to page on from.
        rows: entities in it.
        size_bytes, sha256: of the compressed file.
        catalog_id: of the catalog that it is a copy of.
    """

    path: Path
    version: int
    rows: int
    size_bytes: int
    sha256: str
    catalog_id: str


def current(database: Database, folder: Path) -> Bootstrap | None:
    """Return the file of the newest version, `None` if it is not made yet."""
    with database.read() as connection:
        return _read(folder / _name(connection))


def newest(folder: Path, of: str, version: int) -> Bootstrap | None:
    """Return the newest file of a catalog that is there; files of others do not count.

    Args:
        of: the catalog's id. Another catalog may have had the same folder, and as many versions.
        version: of the catalog now; a file of a later one is no copy of it.
    """
    found = (one for one in map(_read, _files(folder)) if one is not None)
    usable = [one for one in found if one.catalog_id == of and one.version <= version]
    # Of one version there may be several files: a restored catalog has another floor.
    return max(usable, key=lambda one: (one.version, _changed_ns(one.path)), default=None)


def make(database: Database, folder: Path) -> Bootstrap:
    """Return the file of the newest version; make it, if nobody has yet.

    Processes that want it at once wait for the one that makes it. All but the newest `KEPT_FILES`
    files go.

    Raises:
        InputError: the folder cannot be written to, the disk is full, or the database is away.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder), database.read() as connection:
            path = folder / _name(connection)
            made = _read(path) or _write(connection, path)
            _clean(folder, path)
            return made
    except OSError as error:
        raise InputError(
            f"Expected a folder for bootstrap files that can be written to. Received "
            f"{error.strerror} at {folder}. Make room, or name another folder."
        ) from error


def _name(connection: Connection) -> str:
    """Return the name of the file: another catalog, or a restored one, has another."""
    parts = (
        catalog_id(connection),
        now_version(connection),
        connection.execute(select(catalog_version.c.floor)).scalar_one(),
        connection.execute(select(func.max(promotion.c.id))).scalar_one(),
        *connection.execute(select(func.max(snapshot.c.id), func.max(snapshot.c.crawled_at))).one(),
        *connection.execute(select(func.max(item.c.id), func.max(item.c.created_at))).one(),
        *sorted(map(tuple, connection.execute(select(source.c.chain, source.c.since)))),
    )
    told = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
    return f"bootstrap-{now_version(connection):012d}-{told}{_SUFFIX}"


def _write(connection: Connection, path: Path) -> Bootstrap:
    begun = path.with_name(f".{path.name}.part")
    version, told_by = now_version(connection), catalog_id(connection)
    count = select(func.count()).select_from(change).where(change.c.op == UPSERT)
    rows = int(connection.execute(count).scalar_one())
    try:
        with begun.open("wb") as raw:
            with gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed:
                _lines(connection, packed, told_by, version, rows)
            raw.flush()
            os.fsync(raw.fileno())
        made = Bootstrap(path, version, rows, begun.stat().st_size, _sha256(begun), told_by)
        begun.replace(path)
    finally:
        begun.unlink(missing_ok=True)
    told = path.with_name(f".{path.name}.told")
    told.write_text(json.dumps(asdict(made) | {"path": path.name}), "utf-8")
    told.replace(_told(path))
    return made


def _lines(
    connection: Connection,
    out: IO[bytes] | gzip.GzipFile,
    told_by: str,
    version: int,
    rows: int,
) -> None:
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "catalog_id": told_by}
    out.write(_line(head | {"version": version, "rows": rows}))
    written = 0
    for one in whole(connection):
        out.write(_line({"entity": one.entity, "id": one.entity_id, "data": copied(one)}))
        written += 1
    if written != rows:
        raise InputError(
            f"Expected {rows} rows for the bootstrap file. Received {written}. "
            "Run: promolens catalog check"
        )
    out.write(_line({"end": True, "rows": rows}))


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"


def _read(path: Path) -> Bootstrap | None:
    """Return what is told of a file; `None` where it, or what is told, is not there whole."""
    try:
        told = json.loads(_told(path).read_text("utf-8"))
        made = Bootstrap(
            path,
            int(told["version"]),
            int(told["rows"]),
            int(told["size_bytes"]),
            str(told["sha256"]),
            str(told["catalog_id"]),
        )
        return made if path.stat().st_size == made.size_bytes else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _told(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(_SUFFIX) + ".json")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"bootstrap-*{_SUFFIX}"))


def _changed_ns(path: Path) -> int:
    """Return when a file was made; 0 where another process has taken it away."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _clean(folder: Path, keep: Path) -> None:
    """Keep this file and the newest others; what a killed process left goes too."""
    others = [path for path in _files(folder) if path != keep]
    others.sort(key=_changed_ns, reverse=True)
    for path in others[KEPT_FILES - 1 :]:
        path.unlink(missing_ok=True)
        _told(path).unlink(missing_ok=True)
    for path in folder.glob(f".bootstrap-*{_SUFFIX}.*"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make a file; the lock goes with a killed process."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
