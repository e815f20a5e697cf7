"""What all models of answers share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

ChainName = Literal["cu", "gs25", "seven", "emart24", "cspace", "ministop"]
KindName = Literal["1+1", "2+1", "3+1", "gift", "discount", "pick"]
StatusName = Literal["promotions", "no-promotion", "unknown-product", "source-unavailable"]
SizeUnit = Literal["ml", "g", "count"]


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


Instant = Annotated[
    datetime,
    PlainSerializer(_text, return_type=str, when_used="json"),
    Field(examples=["2026-02-24T03:00:00Z"]),
]
Won = Annotated[int, Field(ge=0, le=100_000_000, examples=[2300])]
RowId = Annotated[int, Field(ge=1, le=2**53 - 1, examples=[17])]
Version = Annotated[
    int, Field(ge=0, description="Of the catalog: rises with every publication.", examples=[12])
]
CatalogId = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{32}$",
        description="Which catalog this is. A copy of another one must begin anew.",
        examples=["8f2c61a0d5b94e0c9a3b7d12f4e6a581"],
    ),
]


class Answer(BaseModel):
    """A part of an answer: all fields are there, and no others."""

    model_config = ConfigDict(extra="forbid")
