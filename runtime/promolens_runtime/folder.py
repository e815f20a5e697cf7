"""Reading a bundle's folder without trusting it: plain files only, bounded, each read once."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection
from pathlib import Path

from promolens_runtime.errors import BundleError
from promolens_runtime.manifest import MANIFEST_FILE, SIGNATURE_FILE, FileEntry

MIB = 1024 * 1024
DEFAULT_MAX_BYTES = 4 * MIB
MAX_BYTES = {
    MANIFEST_FILE: 8 * MIB,
    SIGNATURE_FILE: 256,
    "labels.json": 16 * MIB,
    ".tflite": 128 * MIB,
    ".npz": 64 * MIB,
    ".json": 96 * MIB,
    ".bin": 256 * MIB,
}
MAX_STRAYS_NAMED = 20


def locate(path: Path) -> Path:
    """Return the bundle's folder: `path` itself, or `path/bundle`. Raises BundleError."""
    for folder in (path, path / "bundle"):
        if os.path.lexists(folder / MANIFEST_FILE):
            return folder
    found = "a folder without it" if path.is_dir() else "nothing" if not path.exists() else "a file"
    raise BundleError(
        f"Expected a bundle folder with {MANIFEST_FILE} at {path}. Received {found}. "
        "Make one with: promolens export"
    )


def size_limit(name: str) -> int:
    """Return the largest size in bytes that a file of that name may have."""
    by_suffix = MAX_BYTES.get(Path(name).suffix, DEFAULT_MAX_BYTES)
    return MAX_BYTES.get(name, by_suffix)


def read_file(folder: Path, name: str) -> bytes:
    """Read one plain file of the folder.

    Raises BundleError when it is missing, a link, anything but a plain file, or over the limit.
    """
    # O_NOFOLLOW refuses a link as the last part of the path, O_NONBLOCK does not wait on a pipe;
    # Windows has neither, and there the check on the open file's kind has to do.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(folder / name, flags)
    except OSError as error:
        kind = "a link" if (folder / name).is_symlink() else str(error.strerror)
        raise _refused(name, "a plain file", kind) from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refused(name, "a plain file", "something else")
        limit = size_limit(name)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise _refused(name, f"at most {limit} bytes", "more")
    return data


def read_listed(folder: Path, name: str, entry: FileEntry) -> bytes:
    """Read a file that the manifest lists and compare size and SHA-256. Raises BundleError."""
    data = read_file(folder, name)
    if len(data) != entry.size_bytes:
        raise _refused(name, f"{entry.size_bytes} bytes", f"{len(data)} bytes")
    digest = hashlib.sha256(data).hexdigest()
    if digest != entry.sha256:
        raise _refused(name, f"SHA-256 {entry.sha256}", digest)
    return data


def stray_problems(folder: Path, files: Collection[str]) -> list[str]:
    """Return a line for each entry of the folder that the manifest does not list in `files`."""
    listed = {*files, MANIFEST_FILE, SIGNATURE_FILE}
    problems = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in listed:
                shown = entry.name.encode("unicode_escape", "backslashreplace").decode()[:80]
                problems.append(
                    f"Expected only the files that {MANIFEST_FILE} lists. Received {shown!r} "
                    "beside them. Remove it."
                )
            if len(problems) == MAX_STRAYS_NAMED:
                break
    return sorted(problems)


def _refused(name: str, expected: str, received: str) -> BundleError:
    return BundleError(
        f"Expected {name} to be {expected}. Received {received}. Get the bundle again."
    )
