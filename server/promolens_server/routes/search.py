"""/v1/search and /v1/autocomplete: products by free text."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from promolens_catalog.calendar import korean_day
from promolens_catalog.chains import Chain
from promolens_catalog.completion import complete_in
from promolens_catalog.database import now_version
from promolens_catalog.kinds import Kind
from promolens_catalog.promotion_list import Filters
from promolens_server.answers import Built, answered
from promolens_server.caching import json_bytes
from promolens_server.models.search import (
    CompletionAnswer,
    CompletionQuery,
    SearchAnswer,
    SearchQuery,
)
from promolens_server.services import Services
from promolens_server.views import chains_json, match_json


def router(services: Services) -> APIRouter:
    """Return the routes of search."""
    routes = APIRouter(prefix="/v1", tags=["search"])

    @routes.get("/search", response_model=SearchAnswer)
    def search(request: Request, query: Annotated[SearchQuery, Query()]) -> Response:
        """Return the products that a text may mean, with scores, most alike first."""
        return answered(request, services, lambda now: _search(services, query, now))

    @routes.get("/autocomplete", response_model=CompletionAnswer)
    def autocomplete(request: Request, query: Annotated[CompletionQuery, Query()]) -> Response:
        """Return products whose names go on from what was typed; quick enough for every key."""
        return answered(request, services, lambda _now: _complete(services, query))

    return routes


def _search(services: Services, query: SearchQuery, now: datetime) -> Built:
    day = korean_day(now)
    filters = Filters(
        chains=frozenset(map(Chain, query.chain)), kinds=frozenset(map(Kind, query.kind))
    )
    found = services.texts.by_text(
        query.q, now, filters=filters, limit=query.limit, offered_only=query.offered
    )
    answer = {
        "status": str(found.status),
        "version": found.version,
        "day": day.isoformat(),
        "matches": [match_json(match) for match in found.matches],
        "chains": chains_json(found.chains),
    }
    return Built(found.version, json_bytes(answer))


def _complete(services: Services, query: CompletionQuery) -> Built:
    with services.catalog.read() as connection:
        version = now_version(connection)
        found = complete_in(connection, query.q, limit=query.limit)
    completions = [{"item_id": one.item_id, "name": one.name} for one in found]
    return Built(version, json_bytes({"version": version, "completions": completions}))
