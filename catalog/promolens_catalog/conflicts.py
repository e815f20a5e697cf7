"""Transactions that PostgreSQL ended in favour of another one, run again.

Writers of the catalog follow one another (`Database.write`), so they never conflict among
themselves. A session of somebody else (a person at psql, another program) can lock rows in another
order; PostgreSQL then ends one of the two, and may choose ours: SQLSTATE 40P01 (deadlock) or 40001
(serialisation failure). Nothing was changed then, and the whole transaction may be run again
(PostgreSQL 15, 13.5 "Serialization Failure Handling"). SQLite has one writer and no such end.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from promolens_runtime.errors import InputError

STATES = ("40001", "40P01")
TRIES = 3
_PAUSE_S = 0.1

P = ParamSpec("P")
T = TypeVar("T")


def is_conflict(error: BaseException) -> bool:
    """Return whether an error of `Database` says that a transaction was ended for another one."""
    original = getattr(error.__cause__, "orig", None)
    return getattr(original, "sqlstate", None) in STATES


def retried(transaction: Callable[P, T]) -> Callable[P, T]:
    """Run a function that is one transaction up to `TRIES` times, with short pauses between.

    Only conflicts are tried again; the last one is raised as `Database` tells it.
    """

    @functools.wraps(transaction)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for tried in range(1, TRIES):
            try:
                return transaction(*args, **kwargs)
            except InputError as error:
                if not is_conflict(error):
                    raise
            # At random, so that two who conflicted do not meet again.
            time.sleep(tried * random.uniform(_PAUSE_S / 2, _PAUSE_S))  # noqa: S311
        return transaction(*args, **kwargs)

    return run
