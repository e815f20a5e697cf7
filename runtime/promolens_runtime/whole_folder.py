"""A folder of files that is replaced whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

Content = Mapping[str, bytes]


def finish_swap(folder: Path) -> None:
    """Finish a replacement that was cut off between its two renames."""
    previous = _previous(folder)
    if previous.is_dir() and not folder.exists():
        previous.rename(folder)


def has_content(folder: Path, content: Content) -> bool:
    """Whether the folder holds these files, byte for byte, and nothing else."""
    try:
        found = {path.name: path.read_bytes() for path in folder.iterdir()}
    except OSError:
        return False
    return found == dict(content)


def replace_folder(folder: Path, content: Content, check: Callable[[Path], object]) -> None:
    """Put files in place of what the folder holds.

    They go into a folder beside it first, are flushed to disk and looked at by `check`, then take
    their place by a rename.

    Args:
        check: is given the new folder and raises where it must not be used.

    Raises:
        OSError: the disk is full or the folder cannot be written. On this and on any error of
            `check`, what was there is there still.
    """
    parent = folder.parent
    parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=parent, prefix=f".{folder.name}.new."))
    try:
        _write_files(work, content)
        check(work)
        _swap(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _previous(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.previous")


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_files(folder: Path, content: Content) -> None:
    for name, data in content.items():
        with (folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        (folder / name).chmod(0o644)
    folder.chmod(0o755)
    _fsync_folder(folder)


def _swap(new: Path, folder: Path) -> None:
    """Put `new` in place; on any failure, Ctrl-C included, what was there is there again."""
    previous = _previous(folder)
    shutil.rmtree(previous, ignore_errors=True)
    try:
        if folder.exists():
            folder.rename(previous)
        new.rename(folder)
    except BaseException:
        if previous.exists() and not folder.exists():
            previous.rename(folder)
        raise
    _fsync_folder(folder.parent)
    shutil.rmtree(previous, ignore_errors=True)
