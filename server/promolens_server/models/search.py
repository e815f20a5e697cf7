"""Products by free text."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from promolens_server.models.base import Answer, ChainName, KindName, RowId, StatusName, Version
from promolens_server.models.chains import ChainModel
from promolens_server.models.products import ProductAnswer, PromotionModel
from promolens_server.models.promotions import TEXT_FORM


class SearchQuery(BaseModel):
    """What may be asked of /v1/search."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(
        min_length=1,
        max_length=200,
        pattern=TEXT_FORM,
        description="Any text; two characters are enough. Operators and quotes mean nothing.",
        examples=["콜라"],
    )
    chain: list[ChainName] = Field(
        default=[],
        max_length=6,
        description="Only promotions of these chains.",
        examples=[["cu", "gs25"]],
    )
    kind: list[KindName] = Field(
        default=[],
        max_length=6,
        description="Only promotions of these kinds.",
        examples=[["1+1", "2+1"]],
    )
    offered: bool = Field(
        default=False,
        description="Leave out what has no promotion, if something else has one.",
        examples=[True],
    )
    limit: int = Field(default=10, ge=1, le=50, description="Most matches.", examples=[10])


class CompletionQuery(BaseModel):
    """What may be asked of /v1/autocomplete."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(
        min_length=1,
        max_length=100,
        pattern=TEXT_FORM,
        description="What was typed so far, a letter on its way to a syllable included.",
        examples=["초코", "초ㅋ"],
    )
    limit: int = Field(default=8, ge=1, le=20, description="Most names.", examples=[8])


class MatchModel(Answer):
    """A product that the text may mean. A suggestion: only a key says what a product is."""

    item_id: RowId
    name: str = Field(examples=["롯데)펩시콜라500ml"])
    score: float = Field(
        ge=0,
        le=1,
        description="Likeness: 1 for equal letters, above 0.5 where a name holds the whole text.",
        examples=[0.7333],
    )
    promotions: list[PromotionModel]


class SearchAnswer(Answer):
    """What a text may mean, most alike first."""

    status: StatusName
    version: Version
    day: date = Field(examples=["2026-02-24"])
    matches: list[MatchModel]
    chains: list[ChainModel]


class CompletionModel(Answer):
    """A product whose name may be on its way."""

    item_id: RowId
    name: str = Field(examples=["롯데)펩시콜라500ml"])


class CompletionAnswer(Answer):
    """Names that begin with what was typed, then names that have it further on."""

    version: Version
    completions: list[CompletionModel]


class LabelAnswer(ProductAnswer):
    """What is known about the label that a recogniser gives."""

    label: str = Field(examples=["pepsi-cola-500ml"])
    matched_by: Literal["class", "text", "nothing"] = Field(
        description="`class`: a product has this label as a key. `text`: none has, and `matches` "
        "are like the label's words; `product` is null. `nothing`: nothing is like it."
    )
    matches: list[MatchModel] = Field(examples=[[]])
