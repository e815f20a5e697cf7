"""API keys: who may send more than an address may. Only their hashes are kept.

    plk_<8 hex digits: which key>_<43 characters: 256 random bits>

The hashes are in a file of their own beside the service, not in the catalog: the service opens the
catalog for reading only, a catalog is copied, backed up and replicated to places where no key
belongs, and keys must work while the database is away. A secret of 256 random bits cannot be
guessed from its SHA-256, so that a slow hash would cost time on every request and protect nothing.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hmac
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from promolens_runtime.errors import InputError

MOST_BYTES = 10_000_000
_FORMAT = 1
_KEY = re.compile(rb"plk_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_LOOK_AGAIN_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ApiKey:
    """One key, without its secret.

    Attributes:
        id: 8 hex digits, in the key's text and in logs.
        name: whose it is; 1 to 100 characters.
        sha256: of the key's whole text, hex.
        made_at: UTC, ISO 8601.
        expires_at: the same, or `None` for never.
        revoked_at: the same, or `None` while it is good.
        per_s: its rate, requests a second; `None` for the configured one.
        burst: its requests at once; `None` for the configured number.
    """

    id: str
    name: str
    sha256: str
    made_at: str
    expires_at: str | None = None
    revoked_at: str | None = None
    per_s: float | None = None
    burst: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{8}", self.id) or not _NAME.fullmatch(self.name):
            raise ValueError("an id of 8 hex digits and a name of 1 to 100 characters are needed")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError("sha256 is not 64 hex digits")
        if self.per_s is not None and not 0 < self.per_s <= 1e6:
            raise ValueError("per_s is not above 0 and at most 1000000")
        if self.burst is not None and not 1 <= self.burst <= 1_000_000:
            raise ValueError("burst is not 1 to 1000000")
        for moment in (self.made_at, self.expires_at, self.revoked_at):
            if moment is not None and datetime.fromisoformat(moment).tzinfo is None:
                raise ValueError("a time without its zone")

    def good_at(self, now: datetime) -> bool:
        """Return whether it counts at a moment."""
        if self.revoked_at is not None:
            return False
        return self.expires_at is None or now < datetime.fromisoformat(self.expires_at)


class KeyRing:
    """The keys of a file, read again when it changes. Safe to share between threads."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._keys: Mapping[str, ApiKey] = {}
        self._seen: tuple[int, ...] | None = None
        self._look_at_s = 0.0
        if path is not None:
            self._seen = _stamp(path)
            self._keys = {key.id: key for key in read_keys(path)}

    def find(self, text: bytes, now: datetime) -> ApiKey | None:
        """Return the key with this text, if it is good at this moment."""
        found = _KEY.fullmatch(text)
        if found is None:
            return None
        self._look_again()
        key = self._keys.get(found[1].decode("ascii"))
        if key is None or not hmac.compare_digest(key.sha256, sha256(text).hexdigest()):
            return None
        return key if key.good_at(now) else None

    def _look_again(self) -> None:
        """Read the file again if it changed; a broken one changes nothing and is logged."""
        clock_s = time.monotonic()
        if self._path is None or clock_s < self._look_at_s:
            return
        self._look_at_s = clock_s + _LOOK_AGAIN_S
        stamp = _stamp(self._path)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._keys = {key.id: key for key in read_keys(self._path)}
        except InputError as error:
            _log.error("keys not read again: %s", error)


def read_keys(path: Path) -> list[ApiKey]:
    """Return the keys of a file, in the order of their making; none where there is no file.

    Raises:
        InputError: it cannot be read, or is no file of keys.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(
            f"Expected to read the keys in {path}. Received: {error.strerror}. Check its rights."
        ) from error
    try:
        table = json.loads(data) if len(data) <= MOST_BYTES else None
        if not isinstance(table, dict) or table.get("format") != _FORMAT:
            raise ValueError("another format")
        return [ApiKey(**one) for one in table["keys"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"Expected a file of keys of format {_FORMAT} in {path}. Received another: "
            f"{str(error)[:100]}. Restore it, or make a new one: promolens keys add."
        ) from error


def add_key(
    path: Path,
    name: str,
    now: datetime,
    *,
    expires_at: datetime | None = None,
    per_s: float | None = None,
    burst: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and keep its hash; return it and its text, which nobody can be told again.

    Raises:
        InputError: a name or a rate that cannot be, or a file that is none of keys.
    """
    with _changed(path) as keys:
        known = {key.id for key in keys}
        id_ = next(one for one in iter(lambda: secrets.token_hex(4), "") if one not in known)
        secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode("ascii")
        text = f"plk_{id_}_{secret}"
        try:
            key = ApiKey(
                id=id_,
                name=name,
                sha256=sha256(text.encode("ascii")).hexdigest(),
                made_at=_moment(now),
                expires_at=_moment(expires_at) if expires_at else None,
                per_s=per_s,
                burst=burst,
            )
        except ValueError as error:
            raise InputError(
                f"Expected a sound key. Received one where {error}. Change it."
            ) from error
        keys.append(key)
    return key, text


def revoke_key(path: Path, id_: str, now: datetime) -> ApiKey:
    """Make a key count no more; what was revoked stays so, with its first date.

    Raises:
        InputError: there is no such key.
    """
    with _changed(path) as keys:
        for place, key in enumerate(keys):
            if key.id == id_:
                keys[place] = replace(key, revoked_at=key.revoked_at or _moment(now))
                return keys[place]
        raise InputError(
            f"Expected the id of a key in {path}. Received {id_[:40]!r}. See: promolens keys list"
        )


@contextlib.contextmanager
def _changed(path: Path) -> Iterator[list[ApiKey]]:
    """Give the keys to change, one program at a time, and write them whole or not at all."""
    try:
        lock = path.with_name(f".{path.name}.lock").open("wb")
    except OSError as error:
        raise InputError(
            f"Expected to write keys to {path}. Received: {error.strerror}. Check the folder."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = read_keys(path)
        yield keys
        _write(path, keys)


def _write(path: Path, keys: Sequence[ApiKey]) -> None:
    table: dict[str, Any] = {"format": _FORMAT, "keys": [asdict(key) for key in keys]}
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        _same_rights(path, file.fileno())
        json.dump(table, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _same_rights(path: Path, descriptor: int) -> None:
    """Give a new file the rights of the one it replaces, so that the service can go on reading."""
    with contextlib.suppress(OSError):
        before = path.stat()
        os.fchmod(descriptor, before.st_mode & 0o640)
        os.fchown(descriptor, before.st_uid, before.st_gid)


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _moment(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds")
