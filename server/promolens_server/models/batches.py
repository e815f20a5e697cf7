"""Many pictures in one order."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from promolens_server.models.base import Answer, Instant
from promolens_server.models.recognition import CorpusName, ImageSearchAnswer, RecogniseAnswer

BatchId = Annotated[
    str,
    Field(pattern=r"^[0-9a-f]{32}$", examples=["5f0c2a9d1b7e00000012a9c4d5e6f708"]),
]


class BatchQuery(BaseModel):
    """What may be asked of POST /v1/batches."""

    model_config = ConfigDict(extra="forbid")

    ask: Literal["recognise", "search"] = Field(
        default="recognise", description="What is asked about each picture."
    )
    corpus: CorpusName | None = Field(default=None, description="Needed for `search`.")
    k: int = Field(default=5, ge=1, le=20, description="Candidates or matches of each picture.")

    @model_validator(mode="after")
    def _corpus_belongs_to_search(self) -> BatchQuery:
        if (self.ask == "search") != (self.corpus is not None):
            raise ValueError("a corpus is needed for search, and for nothing else")
        return self


class ResultsQuery(BaseModel):
    """Which results of a batch."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0, le=1_000_000, description="The first number to return.")
    limit: int = Field(default=100, ge=0, le=500)


class BatchResult(Answer):
    """One picture of a batch."""

    n: int = Field(ge=0, description="Its number in the ZIP, from 0.")
    name: str = Field(examples=["shelf/1.jpg"])
    status: Literal["answered", "refused"]
    code: str | None = Field(default=None, examples=["picture-refused"])
    detail: str | None = None
    answer: RecogniseAnswer | ImageSearchAnswer | None = None


class BatchAnswer(Answer):
    """How far a batch is, and a page of its results."""

    id: BatchId
    state: Literal["waiting", "running", "done", "cancelled", "failed"]
    ask: Literal["recognise", "search"]
    corpus: CorpusName | None
    total: int = Field(ge=0, description="Pictures of the order.")
    answered: int = Field(ge=0)
    refused: int = Field(ge=0)
    created_at: Instant
    ended_at: Instant | None
    expires_at: Instant | None = Field(description="When the results are deleted.")
    reason: str | None = Field(description="Why it failed.")
    results: list[BatchResult]
    next_after: int | None = Field(
        description="`after` of the next page; null where no more results are there yet."
    )
