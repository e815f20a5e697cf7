"""A name for each request, in the answer and in the log."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable

# What a client or a proxy may give: nothing that could break a line, a header or a page.
_SOUND = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")


def request_ids() -> Callable[[bytes | None], str]:
    """Return a function that takes X-Request-ID and returns it if it is sound, else a new one.

    New ones are this worker's random name and a count: 20 characters, different everywhere.
    """
    worker = os.urandom(6).hex()
    count = itertools.count(1)

    def take(given: bytes | None) -> str:
        if given is not None and _SOUND.fullmatch(given):
            return given.decode("ascii")
        return f"{worker}{next(count) & 0xFFFFFFFF:08x}"

    return take
