"""Every request that the shops received: what proves delays, blocked pictures and manners."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TextIO

from promolens_catalog.chains import Chain

KINDS = ("document", "list", "asset", "image", "robots", "other")
MAX_KEPT = 200_000
MAX_AGENT_CHARACTERS = 200


@dataclass(frozen=True)
class Access:
    """One request.

    Attributes:
        at_s: `time.monotonic()` of the machine when the request came in, seconds.
        at_utc: the same instant, UTC.
        path: with its query.
        kind: one of `KINDS`.
        status: of the answer; 0 where the connection was broken without one.
        user_agent: as sent, at most 200 characters.
    """

    at_s: float
    at_utc: datetime
    chain: Chain
    method: str
    path: str
    kind: str
    status: int
    user_agent: str

    def line(self) -> str:
        """Return the request as one line of JSON."""
        fields = asdict(self) | {"at_utc": self.at_utc.isoformat(timespec="microseconds")}
        return json.dumps(fields, ensure_ascii=False)


class AccessLog:
    """Keeps requests in memory and, if asked to, in a file; safe to use from several threads.

    A request is entered before the first byte of its answer goes out, so that a client that has
    its answer finds its request in the log.
    """

    def __init__(
        self, clock_s: Callable[[], float], utc: Callable[[], datetime], file: Path | None
    ) -> None:
        """Begin an empty log; `file` is added to, one line of JSON a request."""
        self.clock_s, self.utc = clock_s, utc
        self._lock = threading.Lock()
        self._entries: list[Access] = []
        self._file: TextIO | None = file.open("a", encoding="utf-8") if file else None

    def enter(self, access: Access) -> None:
        """Add a request; the oldest tenth goes when `MAX_KEPT` are in memory."""
        with self._lock:
            if len(self._entries) >= MAX_KEPT:
                del self._entries[: MAX_KEPT // 10]
            self._entries.append(access)
            if self._file is not None:
                self._file.write(access.line() + "\n")
                self._file.flush()

    def entries(self, chain: Chain | None = None, *kinds: str) -> list[Access]:
        """Return the requests in the order in which they came in, of some kinds if named."""
        with self._lock:
            found = [
                entry
                for entry in self._entries
                if chain in (None, entry.chain) and (not kinds or entry.kind in kinds)
            ]
        return sorted(found, key=lambda entry: entry.at_s)

    def gaps_s(self, chain: Chain, *kinds: str) -> list[float]:
        """Return the seconds between one request and the next, of some kinds if named."""
        times = [entry.at_s for entry in self.entries(chain, *kinds)]
        return [after - before for before, after in pairwise(times)]

    def clear(self) -> None:
        """Forget what is in memory; the file keeps it."""
        with self._lock:
            self._entries.clear()

    def close(self) -> None:
        """Close the file, if there is one."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
