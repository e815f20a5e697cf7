"""One product: what it is, what is offered for it, what is known about it."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from promolens_server.models.base import (
    Answer,
    ChainName,
    Instant,
    KindName,
    RowId,
    SizeUnit,
    StatusName,
    Version,
    Won,
)
from promolens_server.models.chains import ChainModel

Day = date


class GiftModel(Answer):
    """What is given with a purchase."""

    name: str = Field(examples=["달빛)미니젤리"])
    price_krw: Won | None
    barcode: str | None = Field(examples=["2000000000022"])
    image_url: str | None = Field(examples=["https://images.example/gift.jpg"])


class OfferModel(Answer):
    """A promotion's terms as the chain states them, and what one piece comes to."""

    chain: ChainName
    name: str = Field(description="As the chain calls it.", examples=["롯데)펩시콜라500ml"])
    kind: KindName = Field(examples=["1+1"])
    price_krw: Won = Field(description="One piece at the till.", examples=[2300])
    unit_price_krw: Won = Field(
        description="One piece, for who takes the whole promotion; halves up.", examples=[1150]
    )
    pieces: int = Field(ge=1, description="Carried home: 2 of 1+1, 3 of 2+1.", examples=[2])
    regular_price_krw: Won | None = Field(
        description="Before a discount, where stated.", examples=[None]
    )
    saving_percent: int = Field(ge=0, le=100, examples=[50])
    gift: GiftModel | None = Field(examples=[None])
    barcode: str | None = Field(examples=["8801056150013"])
    category: str | None = Field(description="The chain's own section.", examples=["음료"])
    image_url: str | None = Field(
        description="The chain's picture; hostile until checked.",
        examples=["https://images.example/8801056150013.jpg"],
    )
    valid_from: Day = Field(description="Korean calendar day, included.", examples=["2026-02-01"])
    valid_until: Day = Field(description="Korean calendar day, included.", examples=["2026-02-28"])
    valid_until_inferred: bool = Field(
        description="The chain shows no end; the month's last day is taken for it.",
        examples=[False],
    )


class PromotionModel(OfferModel):
    """A published promotion and the product that it is of."""

    id: RowId = Field(examples=[345])
    item_id: RowId
    item_name: str = Field(examples=["롯데)펩시콜라500ml"])
    price_per_100_krw: int | None = Field(
        description="Of 100 ml or 100 g by `unit_price_krw`; null for counted or unknown sizes.",
        examples=[230],
    )
    link_method: str = Field(
        description="How the row came to its product: `barcode`, `own`, `review` (a "
        "person), or the name of a matching method.",
        examples=["barcode"],
    )
    link_score: float | None = Field(
        description="0 to 1, of a matching method; null where none was needed.", examples=[None]
    )
    first_seen: Instant
    last_seen: Instant


class KeyModel(Answer):
    """What names a product from outside: `barcode`, `class` (a recogniser's), or your own kind."""

    kind: str = Field(examples=["barcode"])
    value: str = Field(examples=["8801056150013"])


class NameModel(Answer):
    """A name that a chain uses or used."""

    chain: ChainName
    name: str = Field(examples=["롯데)펩시콜라500ml"])
    first_seen: Instant
    last_seen: Instant


class ProductModel(Answer):
    """A thing that is sold."""

    id: RowId
    name: str = Field(examples=["롯데)펩시콜라500ml"])
    maker: str | None = Field(examples=["롯데"])
    category: str | None = Field(examples=["음료"])
    size_amount: float | None = Field(examples=[500.0])
    size_unit: SizeUnit | None = Field(examples=["ml"])
    barcodes: list[str] = Field(examples=[["8801056150013"]])
    keys: list[KeyModel]
    names: list[NameModel]


class FactFieldModel(Answer):
    """One value with all that is needed to show it."""

    name: str = Field(examples=["energy_kcal"])
    title: str = Field(examples=["열량"])
    unit: str = Field(examples=["kcal"])
    type: str = Field(
        description="`text`, `integer`, `number`, `boolean`, `date`.", examples=["integer"]
    )
    value: bool | int | float | str = Field(examples=[220])


class FactModel(Answer):
    """What a data source other than promotions says about the product."""

    source: str = Field(examples=["nutrition"])
    title: str = Field(examples=["영양 성분"])
    attribution: str = Field(
        description="Who must be named where it is shown.", examples=["식품의약품안전처"]
    )
    key: KeyModel
    fields: list[FactFieldModel]
    loaded_at: Instant | None
    stale: bool = Field(
        description="Older than the source is taken for true: show it with a mark.",
        examples=[False],
    )


class ProductAnswer(Answer):
    """What is known about one product today, best deal first."""

    status: StatusName = Field(
        description="`promotions`; `no-promotion`: every list that is kept was read and is of this "
        "month; `unknown-product`: no list ever had it; `source-unavailable`: none is known of, "
        "but a list is gone, stale or not yet of this month. See `chains` for dates."
    )
    version: Version
    day: Day = Field(description="Korean calendar day of the answer.", examples=["2026-02-24"])
    product: ProductModel | None = Field(description="Null for an unknown product.")
    promotions: list[PromotionModel]
    expired: list[PromotionModel] = Field(
        description="Still listed though their time is over: no newer list came. Never a yes.",
        examples=[[]],
    )
    facts: list[FactModel]
    chains: list[ChainModel]


class PastModel(OfferModel):
    """Terms that were or are published; equal ones that came back are one entry."""

    months: list[str] = Field(
        description="First and last month in which they held.", examples=[["2026-01", "2026-02"]]
    )
    first_seen: Instant
    last_seen: Instant
    live: bool = Field(examples=[True])


class LastTimeModel(Answer):
    """When the product last had a promotion of a kind, before this month."""

    kind: KindName
    chain: ChainName
    months: list[str] = Field(examples=[["2025-11", "2025-12"]])
    valid_until: Day = Field(examples=["2025-12-31"])


class HistoryAnswer(Answer):
    """Everything that was ever published for a product, newest first."""

    version: Version
    day: Day = Field(examples=["2026-02-24"])
    item_id: RowId
    name: str = Field(examples=["롯데)펩시콜라500ml"])
    entries: list[PastModel]
    last_times: list[LastTimeModel] = Field(description="Was this 1+1 before? One entry a kind.")
