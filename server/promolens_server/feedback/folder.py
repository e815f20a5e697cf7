"""Where pictures that people sent lie: within a quota, for a time, without who sent them.

    <32 hex digits>.jpg    the picture
    <32 hex digits>.json   what was said of it, written last: a picture without it is not whole

Names are random; of the time only the day is kept, as the files' own time too.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from promolens_runtime.errors import InputError

_NAME = re.compile(r"[0-9a-f]{32}\.(jpg|json)")
_LOCK = ".lock"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OWNER_ONLY = 0o600


class FolderFullError(Exception):
    """The quota is used up."""


class FeedbackFolder:
    """One folder, for several threads and processes.

    Args:
        folder: made if it is not there.
        most_pictures, most_bytes: the quota.
        keep_days: how long.
        clock: the time, in UTC.

    Raises:
        InputError: the folder cannot be made or written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        most_pictures: int,
        most_bytes: int,
        keep_days: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._folder = folder
        self._most_pictures = most_pictures
        self._most_bytes = most_bytes
        self._keep = timedelta(days=keep_days)
        self._clock = clock
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._alone():
                pass
        except OSError as error:
            raise InputError(
                f"Expected [feedback] folder to be one that can be written. Received {folder} "
                f"({error.strerror}). Change it, or its owner."
            ) from error

    def keep(self, picture: bytes, said: Mapping[str, object]) -> str:
        """Keep a picture and what was said of it; returns its random name.

        Raises:
            FolderFullError: the quota would be exceeded.
            OSError: the disk is full, or fails.
        """
        day = self._clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        record = json.dumps({**said, "day": f"{day:%Y-%m-%d}"}).encode("ascii")
        name = secrets.token_hex(16)
        with self._alone():
            self._delete_old()
            count, total = self._kept()
            size = len(picture) + len(record)
            if count >= self._most_pictures or total + size > self._most_bytes:
                raise FolderFullError
            written = []
            try:
                for ending, content in (("jpg", picture), ("json", record)):
                    written.append(self._folder / f"{name}.{ending}")
                    _write(written[-1], content, day)
            except OSError:
                for path in written:
                    path.unlink(missing_ok=True)
                raise
        return name

    def delete_old(self) -> int:
        """Delete what was kept long enough; returns how many files."""
        with self._alone():
            return self._delete_old()

    def _delete_old(self) -> int:
        before_s = (self._clock() - self._keep).timestamp()
        old = [path for path, status in self._files() if status.st_mtime <= before_s]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def _kept(self) -> tuple[int, int]:
        count = total = 0
        for path, status in self._files():
            count += path.suffix == ".jpg"
            total += status.st_size
        return count, total

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        # What others put here is neither counted nor deleted.
        for entry in list(os.scandir(self._folder)):
            if _NAME.fullmatch(entry.name):
                yield Path(entry.path), entry.stat(follow_symlinks=False)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._folder / _LOCK, flags, _OWNER_ONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _write(path: Path, content: bytes, day: datetime) -> None:
    descriptor = os.open(path, _NEW, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.utime(descriptor, (day.timestamp(), day.timestamp()))
