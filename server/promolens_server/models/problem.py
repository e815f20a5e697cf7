"""What every problem looks like in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from promolens_server.problems import MEDIA_TYPE, code_of, title_of


class ProblemModel(BaseModel):
    """application/problem+json (RFC 9457), the one shape of everything that goes wrong."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str = Field(description="Always about:blank.", examples=["about:blank"])
    title: str = Field(description="The phrase of the status.", examples=["Not Found"])
    status: int = Field(ge=400, le=599, examples=[404])
    code: str = Field(description="What programs branch on.", examples=["not-found"])
    detail: str = Field(
        description="What was expected, what was received, what to do; for people.",
        examples=["Expected an address of this service. Received another. See /docs."],
    )
    request_id: str = Field(
        description="As in the header X-Request-ID.", examples=["5f0c2a9d1b7e00000012"]
    )


# What is said most often with a status: `code` and `detail`.
_SAID = {
    400: (
        "nul-character",
        "Expected a query without the character NUL. Received one. Leave it out.",
    ),
    401: (
        "key-unknown",
        "Expected a good key in X-API-Key. Received another. Ask whoever runs this service for "
        "one.",
    ),
    404: ("not-found", "Expected an address of this service. Received another. See /docs."),
    405: (
        "method-not-allowed",
        "Expected a method that this address has. Received another. See the header Allow.",
    ),
    413: (
        "body-too-large",
        "Expected a body of at most 1000000 bytes. Received more. Send less.",
    ),
    414: (
        "address-too-long",
        "Expected an address of at most 8192 bytes. Received 9000. Shorten it.",
    ),
    416: (
        "range-not-satisfiable",
        "Expected a range within 4195392 bytes. Received one behind their end. Ask for the whole "
        "file.",
    ),
    422: (
        "invalid",
        "Expected a sound query.limit. Received '0': Input should be greater than or equal to 1. "
        "Correct it.",
    ),
    429: (
        "too-many-requests",
        "Expected at most 20 requests a second. Received more. Wait 1 s.",
    ),
    503: (
        "catalog-unavailable",
        "Expected the catalog's database to answer. Received none in time. Ask again later.",
    ),
}
_MEMBERS: dict[int, dict[str, Any]] = {
    422: {
        "errors": [
            {
                "where": "query.limit",
                "message": "Input should be greater than or equal to 1",
            }
        ]
    }
}


def problem_example(
    status: int, code: str | None = None, detail: str | None = None, **members: Any
) -> dict[str, Any]:
    """Return a problem as it may be sent with a status; without a code the most frequent one.

    Args:
        members: further members of this code.
    """
    own = code is None
    usual, said = _SAID.get(status, (code_of(status), f"{title_of(status)}."))
    return {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "code": usual if code is None else code,
        "detail": said if detail is None else detail,
        "request_id": "5f0c2a9d1b7e00000012",
        **(_MEMBERS.get(status, {}) if own else members),
    }


def problem_response(description: str, example: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the entry of one status for `responses=` of a route.

    Args:
        example: `problem_example` of what this route says; `None` for the status's usual one.
    """
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {MEDIA_TYPE: content}}


# What the gate may say for any address.
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: problem_response("What was sent cannot be used."),
    401: problem_response("A key is needed, or the one sent is not good."),
    404: problem_response("No such address or thing."),
    405: problem_response("The address has other methods."),
    413: problem_response("The body is too large."),
    414: problem_response("The address is too long."),
    422: problem_response("A parameter is not sound."),
    429: problem_response("Too many requests; Retry-After says when to come back."),
    503: problem_response("Busy, or the database is away; Retry-After says when to come back."),
}
