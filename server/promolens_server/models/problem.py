"""What every problem looks like in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from promolens_server.problems import MEDIA_TYPE


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


def problem_response(description: str) -> dict[str, Any]:
    """Return the entry of one status for `responses=` of a route."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


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
