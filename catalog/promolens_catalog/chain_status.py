"""How far each chain's rows can be trusted today: whether what a list lacks is not offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from promolens_catalog.calendar import korean_month
from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.schema import snapshot, source


@dataclass(frozen=True)
class ChainStatus:
    """How far a chain's rows can be trusted today.

    Attributes:
        state: `never`, `ok`, `stale` or `gone`.
        since: when that began.
        month, crawled_at, rows: of the last good snapshot; `None` and 0 before the first.
        speaks_for_today: that snapshot is of this month and its source is `ok`: what it does not
            have is not offered.
    """

    chain: Chain
    state: str
    since: datetime | None
    reason: str
    month: str | None
    crawled_at: datetime | None
    rows: int
    speaks_for_today: bool


def chain_statuses(connection: Connection, now: datetime) -> tuple[ChainStatus, ...]:
    """Return how far each chain that is still crawled can be trusted today."""
    query = select(source, snapshot.c.month, snapshot.c.crawled_at, snapshot.c.row_count).outerjoin(
        snapshot, snapshot.c.id == source.c.last_snapshot_id
    )
    rows = {row["chain"]: row for row in connection.execute(query).mappings()}
    month = korean_month(now)
    return tuple(
        _chain_status(chain, rows.get(str(chain)), month)
        for chain in Chain
        if not CHAINS[chain].historic
    )


def _chain_status(chain: Chain, row: Mapping[Any, Any] | None, month: str) -> ChainStatus:
    if row is None:
        return ChainStatus(chain, "never", None, "", None, None, 0, speaks_for_today=False)
    return ChainStatus(
        chain,
        row["state"],
        row["since"],
        row["reason"],
        row["month"],
        row["crawled_at"],
        row["row_count"] or 0,
        speaks_for_today=row["state"] == "ok" and row["month"] == month,
    )
