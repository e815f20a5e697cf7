"""/v1/search and /v1/autocomplete: products by free text."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from promolens_server.answers import Built, answered
from promolens_server.caching import json_bytes
from promolens_server.found import found_by_text
from promolens_server.models.search import (
    CompletionAnswer,
    CompletionQuery,
    SearchAnswer,
    SearchQuery,
)
from promolens_server.services import Services


def router(services: Services) -> APIRouter:
    """Return the routes of search."""
    routes = APIRouter(prefix="/v1", tags=["search"])

    @routes.get("/search", response_model=SearchAnswer)
    def search(request: Request, query: Annotated[SearchQuery, Query()]) -> Response:
        """Return the products that a text may mean, with scores, most alike first."""
        return answered(request, services, lambda now: found_by_text(services.texts, query, now))

    @routes.get("/autocomplete", response_model=CompletionAnswer)
    def autocomplete(request: Request, query: Annotated[CompletionQuery, Query()]) -> Response:
        """Return products whose names go on from what was typed; quick enough for every key."""
        return answered(request, services, lambda now: _complete(services, query, now))

    return routes


def _complete(services: Services, query: CompletionQuery, now: datetime) -> Built:
    version, found = services.texts.complete(query.q, now, query.limit)
    completions = [{"item_id": one.item_id, "name": one.name} for one in found]
    return Built(version, json_bytes({"version": version, "completions": completions}))
