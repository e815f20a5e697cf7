"""Lists of promotions."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from promolens_server.models.base import Answer, ChainName, KindName, Version
from promolens_server.models.chains import ChainModel
from promolens_server.models.products import PromotionModel

CURSOR_FORM = r"^[A-Za-z0-9_-]{16,200}$"
# No control characters; everything else may be searched for.
TEXT_FORM = r"^[^\x00-\x1f\x7f]+$"


class PromotionQuery(BaseModel):
    """What may be asked of /v1/promotions."""

    model_config = ConfigDict(extra="forbid")

    chain: list[ChainName] = Field(default=[], max_length=6, description="Only these chains.")
    kind: list[KindName] = Field(default=[], max_length=6, description="Only these kinds.")
    category: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        pattern=TEXT_FORM,
        description="The chain's own section, exactly.",
        examples=["음료"],
    )
    price_min: int | None = Field(
        default=None, ge=0, le=1_000_000, description="Won for one piece at the till, included."
    )
    price_max: int | None = Field(
        default=None, ge=0, le=1_000_000, description="Won for one piece at the till, included."
    )
    item: int | None = Field(
        default=None, ge=1, le=2**53 - 1, description="Only those of this product."
    )
    text: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        pattern=TEXT_FORM,
        description="Only rows with each of its words in their name. For likeness use /v1/search.",
        examples=["콜라 500ml"],
    )
    sort: Literal["unit-price", "per-100", "newest"] = Field(
        default="unit-price",
        description="Cheapest piece first, cheapest 100 ml or g first, or newest first.",
    )
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(
        default=None,
        pattern=CURSOR_FORM,
        description="`next_cursor` of the page before, with the same other parameters. All pages "
        "are of one version and one day, whatever is published meanwhile.",
    )


class PromotionList(Answer):
    """A page of a list."""

    version: Version
    day: date = Field(description="Korean calendar day that the rows hold on.")
    total: int = Field(ge=0, description="Rows of the whole list.")
    promotions: list[PromotionModel]
    next_cursor: str | None = Field(description="For the next page; null on the last one.")
    chains: list[ChainModel]
