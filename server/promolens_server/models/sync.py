"""A copy of the catalog that is kept right."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from promolens_server.models.base import Answer, CatalogId
from promolens_server.models.bundles import Releases

POSITION_FORM = r"^[0-9]{1,15}(-[0-9]{1,15})?(\.[a-z_]{1,40}\.[A-Za-z0-9_-]{1,60})?$"


class SyncQuery(BaseModel):
    """What may be asked of /v1/sync."""

    model_config = ConfigDict(extra="forbid")

    since: str = Field(
        default="0",
        pattern=POSITION_FORM,
        description="`next_since` of the page before or of a bootstrap file; 0 for an empty copy.",
        examples=["0", "12", "12.promotion.345"],
    )
    limit: int = Field(
        default=1000, ge=1, le=2000, description="Changes in a page.", examples=[1000]
    )


class ChangeModel(BaseModel):
    """What to do with one entity; fields of `data` without a value are left out."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=1, examples=[12])
    op: Literal["upsert", "delete"]
    entity: str = Field(
        description="`item`, `promotion`, `source` (a chain) or `data_source`.",
        examples=["promotion"],
    )
    id: str = Field(examples=["345"])
    data: dict[str, Any] | None = Field(
        default=None,
        description="Put it in place of what is there; not there for a deletion.",
        examples=[
            {
                "chain": "cu",
                "item_id": 17,
                "kind": "1+1",
                "name": "롯데)펩시콜라500ml",
                "price_krw": 2300,
                "barcode": "8801056150013",
                "valid_from": "2026-02-01",
                "valid_until": "2026-02-28",
                "link": "barcode",
            }
        ],
    )


class SyncPage(Answer):
    """Changes in the order of version, entity and id."""

    catalog_id: CatalogId
    changes: list[ChangeModel]
    next_since: str = Field(
        description="Keep it in one transaction with the changes.", examples=["12"]
    )
    more: bool = Field(description="There are further changes by now.", examples=[False])
    releases: Releases
