"""What is offered for a product, asked for by any of its keys or by free text.

An answer never takes silence for a no. "No promotion" needs sources that are read and of this
month; a product that nobody knows, and a source that is gone or old, are answers of their own. All
that one call returns is of one version of the catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Connection

from promolens_catalog import barcodes, items
from promolens_catalog.calendar import korean_day
from promolens_catalog.chain_status import ChainStatus, chain_statuses
from promolens_catalog.database import Database, now_version
from promolens_catalog.items import BARCODE, Item, ItemKey
from promolens_catalog.promotion_list import Filters, Promotion, of_items
from promolens_catalog.search import Candidate, candidates
from promolens_runtime.errors import InputError

# How many candidates of a text are looked through for some that are on offer.
SEARCHED = 60


class Status(StrEnum):
    """What an answer says.

    PROMOTIONS: there are some today.
    NO_PROMOTION: the product is known, and every source that is kept is read and of this month.
    UNKNOWN_PRODUCT: no list ever had this key.
    SOURCE_UNAVAILABLE: none is known of, but a source is gone, old or not yet of this month.
    """

    PROMOTIONS = "promotions"
    NO_PROMOTION = "no-promotion"
    UNKNOWN_PRODUCT = "unknown-product"
    SOURCE_UNAVAILABLE = "source-unavailable"


@dataclass(frozen=True)
class Answer:
    """What is known about one key.

    Attributes:
        version: of the catalog.
        item: `None` for an unknown product.
        promotions: those that hold today, best deal first.
        expired: rows that are still shown though their time is over, because no newer list has
            replaced them; best first. Never part of a yes.
        chains: every chain that is still crawled.
    """

    status: Status
    version: int
    item: Item | None
    promotions: tuple[Promotion, ...]
    expired: tuple[Promotion, ...]
    chains: tuple[ChainStatus, ...]


@dataclass(frozen=True)
class Match:
    """An item that a text may mean, and what is offered for it today, best deal first."""

    candidate: Candidate
    promotions: tuple[Promotion, ...]


@dataclass(frozen=True)
class TextAnswer:
    """What a text may mean.

    Attributes:
        status: `UNKNOWN_PRODUCT` if nothing is like it; `PROMOTIONS` if a match has some.
        matches: most alike first. Suggestions: the text may mean none of them.
    """

    status: Status
    version: int
    matches: tuple[Match, ...]
    chains: tuple[ChainStatus, ...]


def by_barcode(database: Database, barcode: str, now: datetime) -> Answer:
    """Return what is offered for a barcode, in any of its spellings.

    Raises:
        InputError: it is no barcode.
    """
    code = barcodes.normalise(barcode)
    if code is None:
        raise InputError(
            f"Expected a barcode of 8, 12 or 13 digits with a right check digit. Received "
            f"{barcode[:40]!r}. Scan it again."
        )
    return by_key(database, ItemKey(BARCODE, code), now)


def by_key(database: Database, key: ItemKey, now: datetime) -> Answer:
    """Return what is offered for the item with this key."""
    with database.read() as connection:
        return _answer(connection, items.find(connection, [key]).get(key), now)


def by_item(database: Database, item_id: int, now: datetime) -> Answer:
    """Return what is offered for an item."""
    with database.read() as connection:
        return _answer(connection, item_id, now)


def by_text(
    database: Database,
    text: str,
    now: datetime,
    *,
    filters: Filters | None = None,
    limit: int = 10,
    offered_only: bool = True,
) -> TextAnswer:
    """Return the items that a text may mean and what is offered for them today.

    Args:
        limit: 1 to 60.
        offered_only: leave out items without a promotion today, if there are others.

    Raises:
        InputError: the text is too long or the limit out of range (see `search.search`).
    """
    if not 1 <= limit <= SEARCHED:
        raise InputError(f"Expected a limit of 1 to {SEARCHED}. Received {limit}. Change it.")
    with database.read() as connection:
        found = candidates(connection, text, limit=SEARCHED if offered_only else limit)
        rows = of_items(connection, (one.item_id for one in found), filters or Filters())
        chains = chain_statuses(connection, now)
        version = now_version(connection)
    return text_answer_of(found, rows, chains, version, now, limit, offered_only)


def _answer(connection: Connection, item_id: int | None, now: datetime) -> Answer:
    chains = chain_statuses(connection, now)
    version = now_version(connection)
    found = items.get(connection, [item_id]).get(item_id) if item_id is not None else None
    if found is None:
        return answer_of(None, (), chains, version, now)
    rows = of_items(connection, [found.id], Filters()).get(found.id, [])
    return answer_of(found, rows, chains, version, now)


def answer_of(
    item: Item | None,
    rows: Sequence[Promotion],
    chains: tuple[ChainStatus, ...],
    version: int,
    now: datetime,
) -> Answer:
    """Return what an item's live rows come to today; pure.

    Args:
        item: `None` for an unknown product, which has no rows.
    """
    if item is None:
        return Answer(status_of(False, False, chains), version, None, (), (), chains)
    today = korean_day(now)
    current = _best(rows, today)
    over = [row for row in rows if row.offer.valid_until < today]
    expired = tuple(sorted(over, key=lambda row: row.order))
    return Answer(status_of(True, bool(current), chains), version, item, current, expired, chains)


def text_answer_of(
    found: Sequence[Candidate],
    rows: Mapping[int, Sequence[Promotion]],
    chains: tuple[ChainStatus, ...],
    version: int,
    now: datetime,
    limit: int,
    offered_only: bool,
) -> TextAnswer:
    """Return what candidates and the live rows of each come to today; pure."""
    today = korean_day(now)
    matches = [Match(one, _best(rows.get(one.item_id, ()), today)) for one in found]
    offered = [match for match in matches if match.promotions]
    shown = offered if offered and offered_only else matches
    status = status_of(bool(found), bool(offered), chains)
    return TextAnswer(status, version, tuple(shown[:limit]), chains)


def status_of(known: bool, offered: bool, chains: Sequence[ChainStatus]) -> Status:
    """Return what an answer comes to.

    A chain that was never read is none that an answer speaks about, unless all are.

    Args:
        known: the product is known.
        offered: something is offered for it today.
    """
    if not known:
        return Status.UNKNOWN_PRODUCT
    if offered:
        return Status.PROMOTIONS
    kept = [one for one in chains if one.state != "never"]
    if kept and all(one.speaks_for_today for one in kept):
        return Status.NO_PROMOTION
    return Status.SOURCE_UNAVAILABLE


def _best(rows: Iterable[Promotion], today: date) -> tuple[Promotion, ...]:
    valid = [row for row in rows if row.valid_on(today)]
    if len(valid) < 2:
        return tuple(valid)
    return tuple(sorted(valid, key=lambda row: row.order))
