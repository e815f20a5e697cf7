"""Staging: what a running crawl has read so far, page by page. Nobody but it reads from here.

A page is stored in one transaction, together with the anomalies seen on it. A killed crawl finds
its pages again (`open_crawl`, `staged_pages`) and goes on where it stopped; the same page stored
twice is there once. Rows never leave staging by themselves: `publishing` takes them as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from promolens_catalog.chains import Chain
from promolens_catalog.conflicts import retried
from promolens_catalog.database import Database
from promolens_catalog.offers import Offer
from promolens_catalog.rows import check_offer, clean_offer, offer_of, offer_row
from promolens_catalog.schema import CRAWL_STATES, anomaly, crawl, staged_offer, staged_page
from promolens_runtime.errors import InputError

MAX_DETAIL_CHARACTERS = 500
# Adds to the codes that parsers use.
TEXT_UNCLEAN = "text-unclean"


@dataclass(frozen=True)
class AnomalyRow:
    """Something that is not as it should be, kept with the crawl for a person.

    Attributes:
        code: kebab-case name.
        detail: what was expected and received, in one line.
        position: card of the page, from 0; `None` for the page as a whole.
        listing, number: the page; `None` for the crawl as a whole. `stage_page` fills them in.
    """

    code: str
    detail: str
    position: int | None = None
    listing: str | None = None
    number: int | None = None


@dataclass(frozen=True)
class StagedPage:
    """One page of one listing as a crawl read it.

    Attributes:
        number: from 1.
        sha256: of the answer's bytes; tells a repeated page.
        cards_seen: all cards, the unreadable included.
        declared_total: rows of the whole listing as the page states them.
        end_seen: the page says that there is no further one.
        offers: the readable rows in page order; a row's place in here is its position.
        problems: what was wrong on the page.
    """

    listing: str
    number: int
    sha256: str
    cards_seen: int
    declared_total: int | None
    end_seen: bool
    offers: tuple[Offer, ...] = ()
    problems: tuple[AnomalyRow, ...] = ()


@dataclass(frozen=True)
class CrawlRecord:
    """One crawl of one chain.

    Attributes:
        month: `YYYY-MM`, in Korea.
        state: `running`, `staged`, `published`, `held` or `failed`.
        reason: why it failed or was held; `""` otherwise.
        archive: where its raw answers are.
        requests: how many were made.
    """

    id: int
    chain: Chain
    month: str
    transport: str
    state: str
    reason: str
    started_at: datetime
    finished_at: datetime | None
    archive: str | None
    requests: int


@retried
def start_crawl(
    db: Database,
    chain: Chain,
    month: str,
    transport: str,
    now: datetime,
    *,
    archive: str | None = None,
) -> int:
    """Record a new crawl and return its id."""
    values = {
        "chain": str(chain),
        "month": month,
        "transport": transport,
        "state": "running",
        "started_at": now,
        "archive": archive,
    }
    with db.write() as connection:
        return _new_id(connection.execute(insert(crawl).values(values)).inserted_primary_key)


def open_crawl(db: Database, chain: Chain, month: str, transport: str) -> int | None:
    """Return the newest crawl that is still `running`, to go on with; `None` if there is none."""
    query = (
        select(crawl.c.id)
        .where(crawl.c.chain == str(chain), crawl.c.month == month)
        .where(crawl.c.transport == transport, crawl.c.state == "running")
        .order_by(crawl.c.id.desc())
        .limit(1)
    )
    with db.read() as connection:
        found = connection.execute(query).scalar()
    return None if found is None else int(found)


def crawl_record(db: Database, crawl_id: int) -> CrawlRecord:
    """Return what is known of a crawl.

    Raises:
        InputError: there is no such crawl.
    """
    with db.read() as connection:
        return crawl_in(connection, crawl_id)


def crawls(db: Database, chain: Chain | None = None, limit: int = 50) -> list[CrawlRecord]:
    """Return the newest crawls, newest first; of one chain where one is given."""
    query = select(crawl).order_by(crawl.c.id.desc()).limit(limit)
    if chain is not None:
        query = query.where(crawl.c.chain == str(chain))
    with db.read() as connection:
        return [_crawl_of(row) for row in connection.execute(query)]


@retried
def stage_page(db: Database, crawl_id: int, page: StagedPage, now: datetime | None = None) -> None:
    """Store a page in one transaction; the same (listing, number) replaces what was there.

    Args:
        now: when the page was read; the beginning of the crawl where it is not given.

    Raises:
        InputError: the crawl is not running any more, or an offer is none (see `rows.check_offer`).
    """
    offers = [clean_offer(offer) for offer in page.offers]
    for offer in offers:
        check_offer(offer)
    problems = [*page.problems, *_unclean(page.offers, offers)]
    with db.write() as connection:
        record = crawl_in(connection, crawl_id)
        if record.state != "running":
            raise InputError(
                f"Expected a running crawl to stage into. Received crawl {crawl_id} of "
                f"{record.chain}, which is {record.state}. Start a new one."
            )
        strangers = {offer.chain for offer in offers} - {record.chain}
        if strangers:
            raise InputError(
                f"Expected offers of {record.chain} in crawl {crawl_id}. Received offers of "
                f"{', '.join(sorted(strangers))}. Stage each chain's offers in its own crawl."
            )
        _replace_page(connection, crawl_id, page, offers, problems, now or record.started_at)


def staged_pages(db: Database, crawl_id: int) -> list[StagedPage]:
    """Return the pages of a crawl by listing and number, with their offers and anomalies."""
    offers: dict[tuple[str, int], list[Offer]] = {}
    problems: dict[tuple[str, int], list[AnomalyRow]] = {}
    with db.read() as connection:
        chain = crawl_in(connection, crawl_id).chain
        for row in connection.execute(_offers_of(crawl_id)):
            offers.setdefault((row.listing, row.number), []).append(offer_of(chain, row._mapping))
        for problem in _anomalies_in(connection, crawl_id):
            if problem.listing is not None and problem.number is not None:
                problems.setdefault((problem.listing, problem.number), []).append(problem)
        pages = connection.execute(
            select(staged_page)
            .where(staged_page.c.crawl_id == crawl_id)
            .order_by(staged_page.c.listing, staged_page.c.number)
        ).all()
    return [
        StagedPage(
            listing=row.listing,
            number=row.number,
            sha256=row.sha256,
            cards_seen=row.cards_seen,
            declared_total=row.declared_total,
            end_seen=row.end_seen,
            offers=tuple(offers.get((row.listing, row.number), ())),
            problems=tuple(problems.get((row.listing, row.number), ())),
        )
        for row in pages
    ]


def staged_offers(db: Database, crawl_id: int) -> list[Offer]:
    """Return all staged offers by listing, page and position; repeated ones as often as seen."""
    with db.read() as connection:
        chain = crawl_in(connection, crawl_id).chain
        rows = connection.execute(_offers_of(crawl_id)).all()
    return [offer_of(chain, row._mapping) for row in rows]


@retried
def drop_listing(db: Database, crawl_id: int, listing: str) -> None:
    """Forget the pages of one listing and what was wrong on them, to read it again."""
    with db.write() as connection:
        for table in (staged_offer, staged_page, anomaly):
            connection.execute(
                delete(table).where(table.c.crawl_id == crawl_id, table.c.listing == listing)
            )


@retried
def add_anomalies(db: Database, crawl_id: int, rows: Sequence[AnomalyRow]) -> None:
    """Keep what was found wrong outside a page, such as a total that was not reached."""
    if rows:
        with db.write() as connection:
            crawl_in(connection, crawl_id)
            connection.execute(insert(anomaly), _anomaly_values(crawl_id, rows))


def anomalies(db: Database, crawl_id: int) -> list[AnomalyRow]:
    """Return what was wrong in a crawl, in the order it was found."""
    with db.read() as connection:
        return _anomalies_in(connection, crawl_id)


@retried
def finish_crawl(
    db: Database,
    crawl_id: int,
    state: str,
    reason: str,
    now: datetime,
    *,
    requests: int | None = None,
) -> None:
    """End a crawl that publishes nothing (`failed`), or mark it as read whole (`staged`).

    `published` and `held` are set by `publishing` together with the snapshot. A failed crawl's rows
    go, its anomalies stay.

    Raises:
        InputError: another state is asked for, or the crawl has already ended.
    """
    if state not in ("staged", "failed"):
        raise InputError(
            f"Expected staged or failed as the end of a crawl. Received {state!r}. "
            f"Use publishing for the others of {', '.join(CRAWL_STATES)}."
        )
    with db.write() as connection:
        record = crawl_in(connection, crawl_id)
        if record.state not in ("running", "staged"):
            raise InputError(
                f"Expected a crawl that goes on. Received crawl {crawl_id} of {record.chain}, "
                f"which is {record.state}. Start a new one."
            )
        values: dict[str, Any] = {"state": state, "reason": reason, "finished_at": now}
        if requests is not None:
            values["requests"] = requests
        connection.execute(update(crawl).where(crawl.c.id == crawl_id).values(values))
        if state == "failed":
            clear_staging(connection, crawl_id)


def crawl_in(connection: Connection, crawl_id: int) -> CrawlRecord:
    """Return a crawl as this transaction sees it.

    Raises:
        InputError: there is no such crawl.
    """
    row = connection.execute(select(crawl).where(crawl.c.id == crawl_id)).first()
    if row is None:
        raise InputError(
            f"Expected the number of a crawl. Received {crawl_id}, which is none. "
            "Run: promolens crawl status"
        )
    return _crawl_of(row)


def clear_staging(connection: Connection, crawl_id: int) -> None:
    """Remove a crawl's rows and pages; its anomalies stay."""
    connection.execute(delete(staged_offer).where(staged_offer.c.crawl_id == crawl_id))
    connection.execute(delete(staged_page).where(staged_page.c.crawl_id == crawl_id))


def _replace_page(
    connection: Connection,
    crawl_id: int,
    page: StagedPage,
    offers: Sequence[Offer],
    problems: Sequence[AnomalyRow],
    staged_at: datetime,
) -> None:
    for table in (staged_offer, staged_page, anomaly):
        connection.execute(
            delete(table)
            .where(table.c.crawl_id == crawl_id)
            .where(table.c.listing == page.listing, table.c.number == page.number)
        )
    place = {"crawl_id": crawl_id, "listing": page.listing, "number": page.number}
    connection.execute(
        insert(staged_page).values(
            **place,
            sha256=page.sha256,
            cards_seen=page.cards_seen,
            declared_total=page.declared_total,
            end_seen=page.end_seen,
            staged_at=staged_at,
        )
    )
    if offers:
        rows = [place | {"position": at} | offer_row(offer) for at, offer in enumerate(offers)]
        connection.execute(insert(staged_offer), rows)
    if problems:
        connection.execute(
            insert(anomaly), [row | place for row in _anomaly_values(crawl_id, problems)]
        )


def _unclean(before: Sequence[Offer], after: Sequence[Offer]) -> list[AnomalyRow]:
    return [
        AnomalyRow(TEXT_UNCLEAN, f"Expected storable text. Received {old.name!r}.", position)
        for position, (old, new) in enumerate(zip(before, after, strict=True))
        if old != new
    ]


def _anomaly_values(crawl_id: int, rows: Sequence[AnomalyRow]) -> list[dict[str, Any]]:
    return [
        {
            "crawl_id": crawl_id,
            "listing": row.listing,
            "number": row.number,
            "position": row.position,
            "code": row.code[:MAX_DETAIL_CHARACTERS],
            "detail": row.detail[:MAX_DETAIL_CHARACTERS],
        }
        for row in rows
    ]


def _offers_of(crawl_id: int) -> Any:
    return (
        select(staged_offer)
        .where(staged_offer.c.crawl_id == crawl_id)
        .order_by(staged_offer.c.listing, staged_offer.c.number, staged_offer.c.position)
    )


def _anomalies_in(connection: Connection, crawl_id: int) -> list[AnomalyRow]:
    query = select(anomaly).where(anomaly.c.crawl_id == crawl_id).order_by(anomaly.c.id)
    return [
        AnomalyRow(row.code, row.detail, row.position, row.listing, row.number)
        for row in connection.execute(query)
    ]


def _crawl_of(row: Row[Any]) -> CrawlRecord:
    values: dict[str, Any] = {**row._mapping, "chain": Chain(row.chain)}
    return CrawlRecord(**values)


def _new_id(primary_key: Any) -> int:
    return int(primary_key[0])
