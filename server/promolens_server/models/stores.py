"""Stores near a place."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from promolens_catalog.stores import MAX_LIMIT, MAX_RADIUS_M
from promolens_server.models.base import Answer, ChainName, Instant

ProviderName = Literal["kakao", "overpass", "local"]
OutcomeName = Literal[
    "answered",
    "nothing",
    "refused",
    "throttled",
    "down",
    "slow",
    "garbage",
    "busy",
    "resting",
    "quota-spent",
    "no-list",
    "not-covered",
    "defect",
]


class NearbyQuery(BaseModel):
    """What may be asked of /v1/stores/nearby."""

    model_config = ConfigDict(extra="forbid")

    lat: float = Field(
        ge=-90, le=90, allow_inf_nan=False, description="Latitude, WGS84.", examples=[37.4979]
    )
    lon: float = Field(
        ge=-180, le=180, allow_inf_nan=False, description="Longitude, WGS84.", examples=[127.0276]
    )
    radius_m: float = Field(
        default=1000,
        gt=0,
        le=MAX_RADIUS_M,
        allow_inf_nan=False,
        description="Metres.",
        examples=[800],
    )
    chain: list[ChainName] = Field(
        default=[],
        max_length=6,
        description="Only stores of these chains; `ministop` means 7-Eleven, whose they are today.",
        examples=[["cu", "gs25"]],
    )
    limit: int = Field(default=15, ge=1, le=MAX_LIMIT, description="Most stores.", examples=[15])


class StoreModel(Answer):
    """One store."""

    id: str = Field(description="The provider's own; it may change.", examples=["1234567"])
    chain: ChainName | None = Field(
        description="`null` for a store of no known chain.", examples=["gs25"]
    )
    name: str = Field(examples=["GS25 예시점"])
    branch: str | None = Field(examples=["예시점"])
    address: str | None = Field(examples=["서울 강남구 예시로 1"])
    phone: str | None = Field(examples=["02-000-0000"])
    latitude: float = Field(ge=-90, le=90, examples=[37.4981])
    longitude: float = Field(ge=-180, le=180, examples=[127.0281])
    distance_m: int = Field(ge=0, description="As the crow flies, whole metres.", examples=[49])
    url: str | None = Field(
        description="The provider's page about it.", examples=["https://place.example/1234567"]
    )


class TriedModel(Answer):
    """A provider that was asked, and what came of it."""

    provider: ProviderName = Field(examples=["overpass"])
    outcome: OutcomeName


class NearbyAnswer(Answer):
    """The nearest stores. Must be shown with the attribution."""

    status: Literal["stores", "no-stores"]
    provider: ProviderName = Field(description="Whose answer this is.", examples=["overpass"])
    attribution: str = Field(
        description="To be shown with the stores.",
        examples=["© OpenStreetMap contributors (ODbL)"],
    )
    as_of: Instant = Field(description="When the provider's data was true.")
    age_s: int = Field(ge=0, description="Seconds since then.", examples=[3600])
    complete: bool = Field(
        description="`false`: the provider may know nearer or further stores than these.",
        examples=[True],
    )
    tried: list[TriedModel] = Field(description="In the order in which they were asked.")
    stores: list[StoreModel] = Field(description="Nearest first.")
