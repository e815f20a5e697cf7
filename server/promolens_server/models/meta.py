"""How the service's data is doing."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from promolens_server.models.base import Answer, CatalogId, Instant, Version
from promolens_server.models.bundles import Releases
from promolens_server.models.chains import ChainModel


class MetaChainModel(ChainModel):
    """A chain's list."""

    stale: bool = Field(description="Not to be trusted today: the opposite of `speaks_for_today`.")


class BootstrapModel(Answer):
    """The file that a new copy begins with."""

    url: str = Field(examples=["/v1/sync/bootstrap"])
    version: Version
    rows: int = Field(ge=0)
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class DataSourceModel(Answer):
    """A table of facts that products are joined to."""

    name: str = Field(examples=["nutrition"])
    title: str
    key: str = Field(examples=["barcode"])
    attribution: str
    rows: int = Field(ge=0)
    loaded_at: Instant | None
    stale: bool


class MetaAnswer(Answer):
    """All of it."""

    catalog_id: CatalogId
    version: Version
    floor: int = Field(ge=0, description="The lowest version that a copy may sync from.")
    day: date
    chains: list[MetaChainModel]
    bootstrap: BootstrapModel | None = Field(
        description="The newest file that is made; null before anybody asked for one."
    )
    data_sources: list[DataSourceModel]
    releases: Releases
