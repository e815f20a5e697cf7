"""A ZIP of pictures from a stranger: looked at before anything is unpacked.

Python's own reader makes an object of each entry of the directory and believes its sizes, so the
end of the file is checked first: number of entries, size of the directory, no second directory.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from promolens_runtime.errors import ImageError, InputError
from promolens_server.recognition.config import BatchConfig

_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\x05\x06"
_END64_MARK = b"PK\x06\x07"
_END64_BYTES = 20
_ENTRY_BYTES = 1_024
_NAME_CHARACTERS = 255
_ENCRYPTED = 1
# Entries that a Mac adds.
_EXTRA_PREFIX = "__MACOSX/"
_BROKEN = (
    zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError, RuntimeError,
    struct.error, zlib.error, OverflowError, MemoryError, IndexError,
)  # fmt: skip


def picture_names(path: Path, config: BatchConfig, picture_bytes: int) -> tuple[str, ...]:
    """Return the names of a ZIP's files in its order.

    Raises:
        InputError: it is no ZIP within the limits, or has names that are no plain ones.
    """
    _check_end(path, config)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [one for one in archive.infolist() if _is_file(one)]
    except _BROKEN as error:
        raise _refused("a whole ZIP", f"a damaged one ({str(error)[:80]})") from error
    if not 1 <= len(infos) <= config.pictures:
        raise _refused(f"1 to {config.pictures} files in the ZIP", f"{len(infos)}")
    seen: set[str] = set()
    for info in infos:
        _check_entry(info, config, picture_bytes)
        if info.filename in seen:
            raise _refused("each name once", f"{info.filename[:80]!r} twice")
        seen.add(info.filename)
    return tuple(info.filename for info in infos)


class Pictures:
    """The files of a checked ZIP, read one at a time."""

    def __init__(self, path: Path, picture_bytes: int) -> None:
        """Raises InputError when it cannot be read any more."""
        self._picture_bytes = picture_bytes
        try:
            self._archive = zipfile.ZipFile(path)
        except _BROKEN as error:
            raise _refused("the ZIP of an order", f"none ({str(error)[:80]})") from error

    def read(self, name: str) -> bytes:
        """Return the bytes of a file; raises ImageError where they are too many or damaged."""
        try:
            with self._archive.open(name) as file:
                data = file.read(self._picture_bytes + 1)
        except (*_BROKEN, KeyError) as error:
            raise ImageError(
                f"Expected a whole file in the ZIP. Received one that cannot be unpacked "
                f"({' '.join(str(error).split())[:80]}). Pack it again."
            ) from error
        if len(data) > self._picture_bytes:
            raise ImageError(
                f"Expected a picture of at most {self._picture_bytes} bytes. Received more. "
                "Save it smaller."
            )
        return data

    def close(self) -> None:
        """Close the file."""
        self._archive.close()


def _check_end(path: Path, config: BatchConfig) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END.size - _END64_BYTES))
        tail = file.read()
    if len(tail) < _END.size:
        raise _refused("a ZIP", f"{size} bytes")
    mark, _, _, _, entries, directory_bytes, _, comment = _END.unpack(tail[-_END.size :])
    if mark != _END_MARK or comment:
        raise _refused("a ZIP without a comment", "something else, or one with a comment")
    if tail[: len(_END64_MARK)] == _END64_MARK or entries == 0xFFFF:
        raise _refused("a plain ZIP", "a ZIP64")
    # Folders and a Mac's shadows count here too.
    if entries > 3 * config.pictures or directory_bytes > entries * _ENTRY_BYTES:
        raise _refused(f"at most {config.pictures} files in the ZIP", f"{entries} entries")


def _is_file(info: zipfile.ZipInfo) -> bool:
    name = info.filename
    hidden = PurePosixPath(name).name.startswith(".")
    return not (info.is_dir() or name.startswith(_EXTRA_PREFIX) or hidden)


def _check_entry(info: zipfile.ZipInfo, config: BatchConfig, picture_bytes: int) -> None:
    name = info.filename
    shown = repr(name[:80])
    parts = PurePosixPath(name).parts
    if len(name) > _NAME_CHARACTERS or not name.isprintable() or "\\" in name:
        raise _refused(f"names of up to {_NAME_CHARACTERS} printable characters", shown)
    if name.startswith("/") or ".." in parts or ":" in name:
        raise _refused("names below the ZIP's own folder", shown)
    if info.flag_bits & _ENCRYPTED:
        raise _refused("files without a password", f"{shown} with one")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused("files that are stored or deflated", f"{shown} in another way")
    if info.file_size > picture_bytes:
        raise _refused(f"files of at most {picture_bytes} bytes", f"{shown}, {info.file_size}")
    if info.file_size > config.ratio * max(info.compress_size, 1):
        raise _refused(f"files packed at most {config.ratio:g} to 1", f"{shown}, packed more")


def _refused(expected: str, received: str) -> InputError:
    return InputError(f"Expected {expected}. Received {received}. Pack the pictures again.")
