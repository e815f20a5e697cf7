"""Everything that goes wrong, in one shape: application/problem+json (RFC 9457).

    {"type": "about:blank", "title": "Not Found", "status": 404, "code": "not-found",
     "detail": "Expected ... Received ... Do ...", "request_id": "01J..."}

`code` is what programs branch on; `detail` is for people and may change. Further members are listed
where the problem is raised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
# What a client sent is shown to it, but never more than this of it.
SHOWN_CHARACTERS = 100


class Problem(Exception):  # noqa: N818 - it is one, as the standard names it
    """An answer that is a problem; raised anywhere below a route.

    Args:
        status: of HTTP, 400 to 599.
        code: a short name in kebab-case, stable.
        detail: what was expected, what was received, what to do; one line.
        headers: further headers of the answer.
        members: further members of the body.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


def problem_body(problem: Problem, request_id: str) -> bytes:
    """Return the body of a problem as UTF-8 JSON."""
    members = {
        "type": "about:blank",
        "title": title_of(problem.status),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "request_id": request_id,
        **problem.members,
    }
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def title_of(status: int) -> str:
    """Return the phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def code_of(status: int) -> str:
    """Return the code of a status that the framework raised: `not-found`, `method-not-allowed`."""
    return title_of(status).lower().replace(" ", "-")


def shown(value: object) -> str:
    """Return what a client sent, short and on one line, for a message."""
    text = repr(str(value)[:SHOWN_CHARACTERS])
    return text if len(str(value)) <= SHOWN_CHARACTERS else f"{text}..."
