"""How each chain's list is doing, as one row a chain."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from promolens_catalog import changes
from promolens_catalog.chains import Chain
from promolens_catalog.schema import source


def same_state(connection: Connection, chain: Chain, state: str, reason: str) -> bool:
    """Tell whether the chain is known to be in this state for this reason."""
    row = _row(connection, chain)
    return row is not None and (row.state, row.reason) == (state, reason)


def set_state(
    connection: Connection,
    chain: Chain,
    version: int,
    state: str,
    since: datetime,
    reason: str = "",
    *,
    snapshot_id: int | None = None,
) -> None:
    """Put a chain into a state; `since` stays from the first time while the state is the same.

    Args:
        version: of the publication that this is part of; a changed state is a change of it.
        snapshot_id: the new last good snapshot; the old one stays where none is given.
    """
    row = _row(connection, chain)
    values: dict[str, Any] = {"state": state, "since": since, "reason": reason}
    if snapshot_id is not None:
        values["last_snapshot_id"] = snapshot_id
    if row is None:
        connection.execute(insert(source).values(chain=str(chain), **values))
    else:
        if row.state == state:
            values["since"] = row.since
        connection.execute(update(source).where(source.c.chain == str(chain)).values(values))
    if row is None or (row.state, row.reason) != (state, reason):
        changes.record(connection, version, "source", [str(chain)], changes.UPSERT)


def set_last_snapshot(connection: Connection, chain: Chain, snapshot_id: int) -> None:
    """Note a chain's last good snapshot; its state stays."""
    connection.execute(
        update(source).where(source.c.chain == str(chain)).values(last_snapshot_id=snapshot_id)
    )


def _row(connection: Connection, chain: Chain) -> Any:
    return connection.execute(select(source).where(source.c.chain == str(chain))).first()
