"""How a chain's list is doing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from promolens_server.models.base import Answer, ChainName, Instant


class ChainModel(Answer):
    """How far a chain's list can be trusted today."""

    chain: ChainName = Field(examples=["seven"])
    name_ko: str = Field(examples=["세븐일레븐"])
    name_en: str = Field(examples=["7-Eleven"])
    state: Literal["never", "ok", "stale", "gone"] = Field(
        description="`never` read, `ok`, `stale` (the last crawls failed), `gone`.",
        examples=["ok"],
    )
    since: Instant | None = Field(description="When that state began.")
    month: str | None = Field(description="Of the last good list.", examples=["2026-02"])
    snapshot_at: Instant | None = Field(description="When the last good list was read.")
    rows: int = Field(ge=0, description="Rows of the last good list.", examples=[1204])
    speaks_for_today: bool = Field(
        description="That list is of this month and its source is ok: what it does not have is not "
        "offered.",
        examples=[True],
    )
