"""Lists of promotions."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from promolens_server.models.base import Answer, ChainName, KindName, Version
from promolens_server.models.chains import ChainModel
from promolens_server.models.products import PromotionModel

# Of a list of version 12; what is behind it is the server's own business.
EXAMPLE_CURSOR = "WzEyLDczOTY3MSwiMDg3MjdjNmFiM2E0IiwxMTUwLDM0NV0"
CURSOR_FORM = r"^[A-Za-z0-9_-]{16,200}$"
# No control characters; everything else may be searched for.
TEXT_FORM = r"^[^\x00-\x1f\x7f]+$"


class PromotionQuery(BaseModel):
    """What may be asked of /v1/promotions."""

    model_config = ConfigDict(extra="forbid")

    chain: list[ChainName] = Field(
        default=[], max_length=6, description="Only these chains.", examples=[["cu", "gs25"]]
    )
    kind: list[KindName] = Field(
        default=[], max_length=6, description="Only these kinds.", examples=[["1+1", "2+1"]]
    )
    category: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        pattern=TEXT_FORM,
        description="The chain's own section, exactly.",
        examples=["음료"],
    )
    price_min: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Won for one piece at the till, included.",
        examples=[1000],
    )
    price_max: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Won for one piece at the till, included.",
        examples=[3000],
    )
    item: int | None = Field(
        default=None, ge=1, le=2**53 - 1, description="Only those of this product.", examples=[17]
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
        examples=["per-100"],
    )
    limit: int = Field(default=50, ge=1, le=200, description="Rows of a page.", examples=[20])
    cursor: str | None = Field(
        default=None,
        pattern=CURSOR_FORM,
        description="`next_cursor` of the page before, with the same other parameters. All pages "
        "are of one version and one day, whatever is published meanwhile.",
        examples=[EXAMPLE_CURSOR],
    )


class PromotionList(Answer):
    """A page of a list."""

    version: Version
    day: date = Field(
        description="Korean calendar day that the rows hold on.", examples=["2026-02-24"]
    )
    total: int = Field(ge=0, description="Rows of the whole list.", examples=[85])
    promotions: list[PromotionModel]
    next_cursor: str | None = Field(
        description="For the next page; null on the last one.", examples=[EXAMPLE_CURSOR]
    )
    chains: list[ChainModel]
