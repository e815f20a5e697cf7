"""What was raised below a route, as the problem that the client sees."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from promolens_runtime.errors import InputError
from promolens_server.problems import Problem, code_of, shown

_RETRY_S = "5"
# PostgreSQL ended the statement: for its time limit, or, a replica, because its rows are gone.
_ENDED = ("57014", "40001")
# How many of the wrong fields of a request are told at once.
_TOLD = 20


def problem_of(error: Exception) -> Problem | None:
    """Return the problem of an error that was to be expected; `None` for a defect."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, InputError):
        return _of_input(error)
    if isinstance(error, HTTPException):
        return _of_framework(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    return unavailable() if _is_overload(error) else None


def unavailable() -> Problem:
    """Return the problem of a database that is gone, locked or too slow.

    Without what the database said: that names addresses and files, and goes into the log.
    """
    return Problem(
        503,
        "catalog-unavailable",
        "Expected the catalog's database to answer. Received none in time. Ask again later.",
        headers={"retry-after": _RETRY_S},
    )


def is_database_trouble(error: BaseException) -> bool:
    """Return whether an error says that the database is in trouble, and not the request."""
    cause = error.__cause__
    return isinstance(error, InputError) and isinstance(cause, (SQLAlchemyError, sqlite3.Error))


def _is_overload(error: Exception) -> bool:
    return getattr(getattr(error, "orig", None), "sqlstate", None) in _ENDED


def _of_input(error: InputError) -> Problem:
    return unavailable() if is_database_trouble(error) else Problem(400, "bad-input", str(error))


def _of_framework(error: HTTPException) -> Problem:
    advice = {
        404: "Expected an address of this service. Received another. See /docs.",
        405: "Expected a method that this address has. Received another. See the header Allow.",
    }
    return Problem(
        error.status_code,
        code_of(error.status_code),
        advice.get(error.status_code, str(error.detail)),
        headers=error.headers,
    )


def _of_validation(error: RequestValidationError) -> Problem:
    found = [
        {
            # A place may be named by the client: a parameter that there is not.
            "where": _plain(".".join(str(part)[:60] for part in one["loc"])),
            "message": _plain(str(one["msg"])[:200]),
        }
        for one in error.errors()[:_TOLD]
    ]
    first = found[0] if found else {"where": "request", "message": "not sound"}
    received = _received(error.errors()[0]) if found else "another"
    return Problem(
        422,
        "invalid",
        f"Expected a sound {first['where']}. Received {received}: {first['message']}. Correct it.",
        errors=found,
    )


def _received(one: Mapping[str, Any]) -> str:
    # What is missing has no input: it would be all that was sent.
    return "none" if one.get("type") == "missing" else shown(one.get("input", ""))


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
