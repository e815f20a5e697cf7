"""Orders in a folder, so that they survive whatever happens to the processes that work on them.

<folder>/salt                 for keyed hashes of addresses
<folder>/runner.lock          held by the one process of the machine that works
<folder>/<id>/order.json      what was ordered; an order is there when its folder has this name
<folder>/<id>/upload.zip      until the end; then it is deleted
<folder>/<id>/results.jsonl   one line a picture, in order; a torn last line counts as not there
<folder>/<id>/cancel          somebody asked to stop
<folder>/<id>/end.json        how and when it ended
<folder>/.new-<id>/           an upload that is not complete
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from promolens_runtime.errors import InputError
from promolens_server.problems import Problem
from promolens_server.recognition.batches.orders import Ask, EndState, Order, Progress, State
from promolens_server.recognition.batches.zips import picture_names
from promolens_server.recognition.config import BatchConfig

ORDER, UPLOAD, RESULTS = "order.json", "upload.zip", "results.jsonl"
CANCEL, END, SALT, LOCK = "cancel", "end.json", "salt", "runner.lock"
_NEW = ".new-"
_ID = re.compile(r"[0-9a-f]{32}")
_ENDS: tuple[EndState, ...] = ("done", "cancelled", "failed")
# An upload takes at most `upload_s`; what is older was left by a killed process.
_STALE_UPLOADS = 3


@dataclass(frozen=True)
class Results:
    """Lines of results.

    Attributes:
        lines: of pictures 0 to n - 1.
        sound_bytes: where the last whole line ends.
    """

    lines: tuple[dict[str, Any], ...]
    sound_bytes: int


class BatchStore:
    """The folder. Several processes and threads may share it.

    Raises InputError where it cannot be used.
    """

    def __init__(self, config: BatchConfig, clock: Callable[[], datetime]) -> None:
        assert config.folder is not None
        self.config = config
        self.folder = config.folder
        self._clock = clock
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._salt = _salt(self.folder / SALT)
        except OSError as error:
            raise InputError(
                f"Expected a folder for batches that can be written to. Received {error.strerror} "
                f"at {self.folder}. Name another in [recognition.batches]."
            ) from error

    # ---- orders

    def owner_of(self, who: str, key_id: str | None) -> str:
        """Return whose an order is; an address is kept as a keyed hash only."""
        if key_id is not None:
            return f"key:{key_id}"
        hashed = hashlib.blake2b(who.encode(), key=self._salt, digest_size=12).hexdigest()
        return f"address:{hashed}"

    def check_quota(self, owner: str) -> None:
        """Raises Problem: 429, the owner has too many unfinished orders; 503, all together have."""
        orders = list(self.orders())
        unfinished = [one for one in orders if self.end(one.id) is None]
        if sum(one.owner == owner for one in unfinished) >= self.config.per_client:
            raise Problem(
                429,
                "too-many-batches",
                f"Expected at most {self.config.per_client} unfinished batches of one client. "
                "Received more. Wait for one to end, or cancel it.",
                headers={"retry-after": "30"},
            )
        if len(unfinished) >= self.config.unfinished or len(orders) >= self.config.kept:
            raise Problem(
                503,
                "batches-full",
                "Expected room for a batch. Received too many of all clients. Ask again later.",
                headers={"retry-after": "60"},
            )

    @contextmanager
    def upload(self) -> Iterator[Path]:
        """Give a path for an upload; what is left of it at the end of the block is deleted."""
        folder = self.folder / f"{_NEW}{secrets.token_hex(16)}"
        folder.mkdir(mode=0o700)
        try:
            yield folder / UPLOAD
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, upload: Path, owner: str, ask: Ask, picture_bytes: int) -> Order:
        """Take an upload as an order, whole or not at all.

        Raises:
            InputError: it is no ZIP within the limits.
        """
        names = picture_names(upload, self.config, picture_bytes)
        folder = upload.parent
        order = Order(folder.name.removeprefix(_NEW), owner, ask, names, _text(self._clock()))
        _write(folder / ORDER, order.to_json())
        folder.rename(self.folder / order.id)
        return order

    def orders(self) -> Iterator[Order]:
        """Yield all orders, the oldest first."""
        found = []
        for path in self.folder.iterdir():
            if _ID.fullmatch(path.name):
                order = self.find(path.name)
                if order is not None:
                    found.append(order)
        yield from sorted(found, key=lambda one: (one.created_at, one.id))

    def find(self, id_: str) -> Order | None:
        """Return an order, None where there is none of that id."""
        if not _ID.fullmatch(id_):
            return None
        value = _read(self.folder / id_ / ORDER)
        try:
            return None if value is None else Order.from_json(value)
        except (ValueError, KeyError, TypeError):
            return None

    def path(self, order: Order, name: str) -> Path:
        """Return where a file of an order is."""
        return self.folder / order.id / name

    # ---- progress

    def progress(self, order: Order) -> tuple[Progress, Results]:
        """Return how far an order is, with its results."""
        results = self.results(order)
        refused = sum(line.get("status") == "refused" for line in results.lines)
        answered = len(results.lines) - refused
        end = self.end(order.id)
        if end is not None:
            state: State = end["state"]
            reason = str(end.get("reason", ""))
            return Progress(order, state, answered, refused, end["at"], reason), results
        state = "running" if results.lines else "waiting"
        return Progress(order, state, answered, refused, None), results

    def results(self, order: Order) -> Results:
        """Return the whole lines of the results, up to the first that is none."""
        try:
            data = self.path(order, RESULTS).read_bytes()
        except FileNotFoundError:
            return Results((), 0)
        lines: list[dict[str, Any]] = []
        sound = 0
        for raw in data.splitlines(keepends=True):
            try:
                value = json.loads(raw) if raw.endswith(b"\n") else None
            except ValueError:
                value = None
            if not isinstance(value, dict) or value.get("n") != len(lines):
                break
            lines.append(value)
            sound += len(raw)
        return Results(tuple(lines), sound)

    def end(self, id_: str) -> dict[str, Any] | None:
        """Return how an order ended, None where it has not."""
        found = _read(self.folder / id_ / END)
        sound = found is not None and found.get("state") in _ENDS
        return found if sound and isinstance((found or {}).get("at"), str) else None

    def expires_at(self, ended_at: str) -> datetime:
        """Return when the results of an order that ended then are deleted."""
        return datetime.fromisoformat(ended_at) + timedelta(days=self.config.keep_days)

    def cancel(self, order: Order) -> None:
        """Ask whoever works on an order to stop; an order that ended stays as it is."""
        if self.end(order.id) is None:
            with suppress(FileNotFoundError):  # it was deleted meanwhile
                self.path(order, CANCEL).touch()

    def is_cancelled(self, order: Order) -> bool:
        """Return whether somebody asked to stop."""
        return self.path(order, CANCEL).exists()

    def finish(self, order: Order, state: EndState, reason: str = "") -> None:
        """Note the end and delete the pictures."""
        value = {"state": state, "at": _text(self._clock()), "reason": reason}
        _write(self.path(order, END), value)
        self.path(order, UPLOAD).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Delete what is kept no longer: old results, broken uploads, pictures after the end."""
        now = self._clock()
        for path in list(self.folder.iterdir()):
            if path.name.startswith(_NEW):
                if _age_s(path) > _STALE_UPLOADS * self.config.upload_s:
                    shutil.rmtree(path, ignore_errors=True)
            elif _ID.fullmatch(path.name) and (end := self.end(path.name)) is not None:
                (path / UPLOAD).unlink(missing_ok=True)
                if self.expires_at(end["at"]) <= now:
                    shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def working(self) -> Iterator[bool]:
        """Hold the right to work on orders, if no other process of the machine has it."""
        with (self.folder / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True


def _salt(path: Path) -> bytes:
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
    salt = b""
    # Another process may be about to write it.
    for _ in range(100):
        salt = path.read_bytes()
        if len(salt) == 32:
            return salt
        time.sleep(0.01)
    raise InputError(
        f"Expected 32 bytes in {path}. Received {len(salt)}. Delete the file and start again."
    )


def _write(path: Path, value: object) -> None:
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
