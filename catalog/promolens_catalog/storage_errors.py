"""What a database says, as one line that tells what to do."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from promolens_runtime.errors import InputError

FULL, LOCKED, READ_ONLY, DAMAGED, UNREACHABLE, REFUSED = (
    "full",
    "locked",
    "read-only",
    "damaged",
    "unreachable",
    "refused",
)

_SQLITE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_CANTOPEN: UNREACHABLE,
    sqlite3.SQLITE_IOERR: UNREACHABLE,
    sqlite3.SQLITE_PERM: REFUSED,
    sqlite3.SQLITE_AUTH: REFUSED,
}
# By the beginning of the SQLSTATE; the longest that fits counts.
_POSTGRESQL = {
    "53100": FULL,
    "53": UNREACHABLE,
    "55P03": LOCKED,
    "40001": LOCKED,
    "40P01": LOCKED,
    "25006": READ_ONLY,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
    "08": UNREACHABLE,
    "57P": UNREACHABLE,
    "3D000": UNREACHABLE,
    "28": REFUSED,
    "42501": REFUSED,
}


def clear_error(error: Exception, place: str, wait_s: float) -> InputError | None:
    """Return the error that a user can act on; `None` where it is a defect of the program.

    Args:
        error: of SQLAlchemy or of `sqlite3`.
        place: path or address without password.
        wait_s: how long the writer had waited, seconds.
    """
    trouble = _trouble(error)
    if trouble is None:
        return None
    said = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
    expected, advice = {
        FULL: ("room to write", "Nothing was changed. Make room, then run it again."),
        LOCKED: (
            f"to write within {wait_s:g} s",
            "Nothing was changed. Wait until the other process is done, then run it again.",
        ),
        READ_ONLY: ("leave to write", "Check the file's rights or the role's grants."),
        DAMAGED: (
            "a whole catalog",
            "Restore a backup, or name another file (promolens catalog check tells more).",
        ),
        UNREACHABLE: ("to reach the database", "Check that it is there and running."),
        REFUSED: ("to be let in", "Check user, password and grants."),
    }[trouble]
    return InputError(f"Expected {expected} in {place}. Received: {said}. {advice}")


def _trouble(error: Exception) -> str | None:
    if isinstance(error, PoolTimeoutError):
        return LOCKED
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        # The low byte is the primary code; the rest says more than a user can use.
        return _SQLITE.get(getattr(original, "sqlite_errorcode", -1) & 0xFF)
    state = getattr(original, "sqlstate", None)
    if state is None:
        # psycopg knows no SQLSTATE where there was no server to give one.
        named = type(original).__name__
        return UNREACHABLE if named in ("OperationalError", "ConnectionTimeout") else None
    return next((_POSTGRESQL[state[:n]] for n in (5, 3, 2) if state[:n] in _POSTGRESQL), None)
