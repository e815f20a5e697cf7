"""An index file: named arrays in one file that processes map; it comes whole or not at all.

    promolens-vectors 1\\n
    8 bytes: length of the header, little-endian
    header: JSON with `fields` and, for each array, dtype, shape and place
    arrays, each at a multiple of 64 bytes

It is written beside its name, brought to disk, then moved there, and the folder is brought to disk:
whoever is killed leaves the old file or the new one. What it holds is told by its SHA-256, which
the catalog keeps; a file with another hash is not read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import InputError

MAGIC = b"promolens-vectors 1\n"
SUFFIX = ".vectors"
_ALIGNED = 64
_MAX_HEADER = 1_000_000

Arrays = Mapping[str, NDArray[Any]]
Checkpoint = Callable[[str], None]
"""Called with the name of each step that is behind us: what a test kills the process at."""
STEPS = ("begun", "written", "synced", "renamed", "folder synced")


def _nothing(_step: str) -> None:
    """Go on."""


def write(
    path: Path,
    fields: Mapping[str, Any],
    arrays: Arrays,
    *,
    checkpoint: Checkpoint = _nothing,
) -> str:
    """Write a file and return its SHA-256 (hex); raises InputError where there is no room."""
    begun = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with begun.open("wb") as stream:
            checkpoint("begun")
            _write(stream, fields, arrays)
            checkpoint("written")
            stream.flush()
            os.fsync(stream.fileno())
        checkpoint("synced")
        sha256 = file_sha256(begun)
        begun.replace(path)
        checkpoint("renamed")
        sync_folder(path.parent)
        checkpoint("folder synced")
    except OSError as error:
        raise InputError(
            f"Expected to write the index file {path}. Received: {error.strerror}. "
            "Make room, or name another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            begun.unlink(missing_ok=True)
    return sha256


def read(path: Path, sha256: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Return fields and mapped arrays; None where the file is not there, torn or another one."""
    try:
        if file_sha256(path) != sha256:
            return None
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                return None
            length = int.from_bytes(stream.read(8), "little")
            if length > _MAX_HEADER:
                return None
            header = json.loads(stream.read(length))
        start = _aligned(len(MAGIC) + 8 + length)
        whole = np.memmap(path, np.uint8, "r")
        arrays = {name: _array(whole, start, one) for name, one in header["arrays"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return header["fields"], arrays


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(stream: IO[bytes], fields: Mapping[str, Any], arrays: Arrays) -> None:
    told: dict[str, Any] = {}
    place = 0
    for name, array in arrays.items():
        told[name] = {"dtype": array.dtype.str, "shape": list(array.shape), "place": place}
        place = _aligned(place + array.nbytes)
    header = json.dumps({"fields": dict(fields), "arrays": told}, sort_keys=True).encode()
    stream.write(MAGIC + len(header).to_bytes(8, "little") + header)
    start = _aligned(stream.tell())
    for name, array in arrays.items():
        stream.seek(start + told[name]["place"])
        stream.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    stream.truncate(max(start + place, stream.tell()))


def _array(whole: NDArray[np.uint8], start: int, told: Mapping[str, Any]) -> NDArray[Any]:
    dtype, shape = np.dtype(told["dtype"]), tuple(told["shape"])
    first = start + int(told["place"])
    # A plain array: the class of mapped ones costs microseconds at each use.
    data = np.asarray(whole[first : first + math.prod(shape) * dtype.itemsize])
    array: NDArray[Any] = data.view(np.ndarray).view(dtype).reshape(shape)
    return array


def _aligned(place: int) -> int:
    return -(-place // _ALIGNED) * _ALIGNED
