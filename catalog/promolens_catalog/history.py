"""What was published for an item before: was this 1+1 some months ago?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from promolens_catalog.calendar import month_of
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.deals import best_first
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Offer
from promolens_catalog.rows import offer_of
from promolens_catalog.schema import promotion, snapshot


@dataclass(frozen=True)
class Past:
    """A promotion that was or is published for an item.

    Attributes:
        first_seen, last_seen: over all times that these very terms were live.
        live: it is now.
    """

    offer: Offer
    first_seen: datetime
    last_seen: datetime
    live: bool

    @property
    def months(self) -> tuple[str, ...]:
        """First and last month in which it held, once if they are one."""
        ends = (month_of(self.offer.valid_from), month_of(self.offer.valid_until))
        return tuple(dict.fromkeys(ends))


def history(database: Database, item_id: int) -> tuple[Past, ...]:
    """Return everything that was ever published for an item, newest first.

    Equal terms that went and came back are one entry. What was published and then taken back by a
    rollback is no part of it.
    """
    with database.read() as connection:
        return history_in(connection, item_id)


def history_in(connection: Connection, item_id: int) -> tuple[Past, ...]:
    """Do the same as `history` within a transaction that is already open."""
    query = (
        select(promotion)
        .join(snapshot, snapshot.c.id == promotion.c.from_snapshot_id)
        .where(promotion.c.item_id == item_id, snapshot.c.state != "rejected")
        .order_by(promotion.c.id)
    )
    found: dict[tuple[str, str], Past] = {}
    for row in connection.execute(query).mappings():
        key = (row["chain"], row["content_hash"])
        old = found.get(key)
        found[key] = Past(
            offer_of(row["chain"], row),
            min(row["first_seen"], old.first_seen) if old else row["first_seen"],
            max(row["last_seen"], old.last_seen) if old else row["last_seen"],
            row["until_version"] is None or bool(old and old.live),
        )
    return tuple(sorted(found.values(), key=_newest_first))


def last_time(
    entries: Iterable[Past], kind: Kind, before: date, chain: Chain | None = None
) -> Past | None:
    """Return the newest entry of a history with this kind that was over before a day.

    "Was this 1+1 before?": `last_time(history(db, item_id), Kind.ONE_PLUS_ONE, first_day(month))`.
    """
    fitting = (
        one
        for one in entries
        if one.offer.kind is kind
        and one.offer.valid_until < before
        and chain in (None, one.offer.chain)
    )
    return max(fitting, key=lambda one: one.offer.valid_until, default=None)


def _newest_first(one: Past) -> tuple[Any, ...]:
    return (-one.offer.valid_from.toordinal(), one.offer.chain, *best_first(one.offer))
