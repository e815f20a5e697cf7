"""/v1/meta: how each chain's list is doing, and what there is to keep a copy with."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from promolens_catalog import bootstrap, changes
from promolens_catalog.bootstrap import Bootstrap
from promolens_catalog.calendar import korean_day, start_of_day
from promolens_catalog.chain_status import chain_statuses
from promolens_catalog.data_sources import loaded_sources
from promolens_catalog.identity import catalog_id
from promolens_server.bundles.announcing import announced
from promolens_server.cache_folder import bootstrap_folder
from promolens_server.caching import cached_response, json_bytes
from promolens_server.models.meta import MetaAnswer
from promolens_server.routes.sync import BOOTSTRAP_URL
from promolens_server.services import Services
from promolens_server.views import Json, chain_json, source_json


def router(services: Services) -> APIRouter:
    """Return the route of meta."""
    routes = APIRouter(prefix="/v1", tags=["service"])
    folder = bootstrap_folder(services)

    @routes.get("/meta", response_model=MetaAnswer)
    def meta(request: Request) -> Response:
        """Return how every chain's list is doing, and what a copy begins with."""
        now = services.clock()
        body = json_bytes(_meta(services, folder, now))
        # Its own bytes are the tag: a file that is made changes it without a new version.
        return cached_response(request, ("meta", body), lambda: body)

    return routes


def _meta(services: Services, folder: Path, now: datetime) -> Json:
    day = korean_day(now)
    with services.catalog.read() as connection:
        told_by = catalog_id(connection)
        version, floor = changes.versions_in(connection)
        chains = chain_statuses(connection, now)
        sources = loaded_sources(connection)
    made = bootstrap.newest(folder, told_by, version)
    return {
        "catalog_id": told_by,
        "version": version,
        "floor": floor,
        "day": day.isoformat(),
        "chains": [chain_json(one) | {"stale": not one.speaks_for_today} for one in chains],
        "bootstrap": _bootstrap_json(made) if made else None,
        "data_sources": [source_json(one, start_of_day(day)) for one in sources],
        "releases": announced(services.bundles, services.galleries),
        "feedback": _feedback_json(services),
    }


def _feedback_json(services: Services) -> Json | None:
    config = services.config.feedback
    if services.feedback is None:
        return None
    return {
        "picture_bytes": config.picture_bytes,
        "side_px": config.side_px,
        "keep_days": config.keep_days,
    }


def _bootstrap_json(made: Bootstrap) -> Json:
    return {
        "url": BOOTSTRAP_URL,
        "version": made.version,
        "rows": made.rows,
        "size_bytes": made.size_bytes,
        "sha256": made.sha256,
    }
