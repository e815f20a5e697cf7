"""/v1/promotions: all promotions that hold today, filtered, ordered, paged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from promolens_catalog.bigrams import query_words
from promolens_catalog.calendar import korean_day
from promolens_catalog.chain_status import chain_statuses
from promolens_catalog.chains import Chain
from promolens_catalog.database import now_version
from promolens_catalog.kinds import Kind
from promolens_catalog.promotion_list import Filters, PromotionPage, Sort, page_in
from promolens_server import cursors
from promolens_server.answers import Built, answered
from promolens_server.caching import json_bytes
from promolens_server.cursors import Cursor
from promolens_server.models.promotions import PromotionList, PromotionQuery
from promolens_server.problems import Problem, shown
from promolens_server.services import Services
from promolens_server.versions import check_not_behind
from promolens_server.views import Json, chains_json, promotions_json


@dataclass(frozen=True)
class _List:
    """Which list is asked for, and where in it.

    Attributes:
        begun: the cursor; `None` for the first page.
    """

    id: str
    filters: Filters
    sort: Sort
    limit: int
    day: date
    begun: Cursor | None


def router(services: Services) -> APIRouter:
    """Return the route of lists."""
    routes = APIRouter(prefix="/v1", tags=["promotions"])

    @routes.get("/promotions", response_model=PromotionList)
    def promotions(request: Request, query: Annotated[PromotionQuery, Query()]) -> Response:
        """Return promotions that hold today: by the price of one piece, of 100 ml or g, or newest.

        Asked for with `next_cursor`, further pages are of the same version and day: every row comes
        exactly once, whatever is published in between. `chains` is as it is now.
        """
        return answered(request, services, lambda now: _page(services, query, now))

    return routes


def _page(services: Services, query: PromotionQuery, now: datetime) -> Built:
    wanted = _wanted(query, now)
    with services.catalog.read() as connection:
        newest = now_version(connection)
        if wanted.begun is not None and wanted.begun.version > newest:
            check_not_behind(wanted.begun.version, services.primary_versions)
            raise cursors.no_page()
        page = page_in(
            connection,
            wanted.filters,
            sort=wanted.sort,
            limit=wanted.limit,
            after=wanted.begun.place if wanted.begun else None,
            version=wanted.begun.version if wanted.begun else None,
        )
        chains = chains_json(chain_statuses(connection, now))
    return Built(newest, json_bytes(_page_json(wanted, page) | {"chains": chains}))


def _page_json(wanted: _List, page: PromotionPage) -> Json:
    place = page.next_place
    after = Cursor(page.version, wanted.day, wanted.id, place) if place else None
    return {
        "version": page.version,
        "day": wanted.day.isoformat(),
        "total": page.total,
        "promotions": promotions_json(page.promotions),
        "next_cursor": cursors.written(after) if after else None,
    }


def _wanted(query: PromotionQuery, now: datetime) -> _List:
    parameters = query.model_dump(exclude={"cursor", "limit"})
    # In whatever order chains and kinds are named, it is one list.
    parameters |= {"chain": sorted(set(query.chain)), "kind": sorted(set(query.kind))}
    list_id, sort = cursors.list_id(parameters), Sort(query.sort)
    begun = cursors.read(query.cursor, sort, list_id) if query.cursor is not None else None
    day = begun.day if begun is not None else korean_day(now)
    filters = Filters(
        chains=frozenset(map(Chain, query.chain)),
        kinds=frozenset(map(Kind, query.kind)),
        category=query.category,
        min_price_krw=query.price_min,
        max_price_krw=query.price_max,
        on=day,
        item_id=query.item,
        words=_words(query.text) if query.text is not None else (),
    )
    return _List(list_id, filters, sort, query.limit, day, begun)


def _words(text: str) -> tuple[str, ...]:
    """Return what a row's name must have; a text without any word would be had by every row."""
    words = tuple(query_words(text))
    if not words:
        raise Problem(
            404,
            "no-words",
            f"Expected a letter or a digit in text. Received {shown(text)}. Type a word of a name.",
        )
    return words
