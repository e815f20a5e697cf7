"""How the service's data is doing."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from promolens_server.models.base import Answer, CatalogId, Instant, Version
from promolens_server.models.bundles import EXAMPLE_SHA256, Releases
from promolens_server.models.chains import ChainModel
from promolens_server.models.feedback import FeedbackOffer


class MetaChainModel(ChainModel):
    """A chain's list."""

    stale: bool = Field(
        description="Not to be trusted today: the opposite of `speaks_for_today`.", examples=[False]
    )


class BootstrapModel(Answer):
    """The file that a new copy begins with."""

    url: str = Field(examples=["/v1/sync/bootstrap"])
    version: Version
    rows: int = Field(ge=0, examples=[2401])
    size_bytes: int = Field(ge=0, examples=[60233])
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", examples=[EXAMPLE_SHA256])


class DataSourceModel(Answer):
    """A table of facts that products are joined to."""

    name: str = Field(examples=["nutrition"])
    title: str = Field(examples=["영양 성분"])
    key: str = Field(examples=["barcode"])
    attribution: str = Field(examples=["식품의약품안전처"])
    rows: int = Field(ge=0, examples=[1800])
    loaded_at: Instant | None
    stale: bool = Field(examples=[False])


class MetaAnswer(Answer):
    """All of it."""

    catalog_id: CatalogId
    version: Version
    floor: int = Field(
        ge=0, description="The lowest version that a copy may sync from.", examples=[3]
    )
    day: date = Field(examples=["2026-02-24"])
    chains: list[MetaChainModel]
    bootstrap: BootstrapModel | None = Field(
        description="The newest file that is made; null before anybody asked for one."
    )
    data_sources: list[DataSourceModel]
    releases: Releases
    feedback: FeedbackOffer | None = Field(
        description="What a photo for /v1/feedback/photos must be; null where none are taken."
    )
