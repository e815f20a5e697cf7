"""/v1/sync: a copy of the catalog that is kept right, and the file that it begins with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from promolens_catalog import bootstrap, changes
from promolens_catalog.bootstrap import Bootstrap
from promolens_catalog.changes import Change, Position, TooOldError
from promolens_catalog.copies import copied
from promolens_catalog.database import now_version
from promolens_runtime.errors import InputError
from promolens_server.answers import Built, answered
from promolens_server.bundles.announcing import announced, announced_tag
from promolens_server.cache_folder import bootstrap_folder
from promolens_server.caching import json_bytes, known_tag
from promolens_server.models.problem import problem_example, problem_response
from promolens_server.models.sync import SyncPage, SyncQuery
from promolens_server.problems import Problem
from promolens_server.quick import SYNC_POLICY
from promolens_server.services import Services
from promolens_server.versions import check_not_behind

BOOTSTRAP_URL = "/v1/sync/bootstrap"
MEDIA_TYPE = "application/gzip"
# Whoever has a file pages on from it; so an older one does no harm for a while.
FILE_POLICY = "public, max-age=300, stale-while-revalidate=3600, stale-if-error=604800"
_PART_BYTES = 256 * 1024
_SYNC_RESPONSES: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing changed since."},
    409: problem_response(
        "The position lies in the future: it belongs to another catalog.",
        problem_example(
            409,
            "position-ahead",
            "Expected a version of at most 12, the newest. Received 99. It belongs to another "
            "catalog; begin anew with 0.",
            newest=12,
            bootstrap_url=BOOTSTRAP_URL,
        ),
    ),
    410: problem_response(
        "Too old: begin anew with the file at `bootstrap_url`.",
        problem_example(
            410,
            "too-old",
            "Expected a version of at least 3, or 0 to begin anew. Received 1, whose deletions are "
            "no longer kept. Begin with an empty copy.",
            floor=3,
            bootstrap_url=BOOTSTRAP_URL,
        ),
    ),
}
_FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Gzipped lines of JSON, see docs/sync.md.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        "headers": {
            "Promolens-Catalog": {
                "description": "`catalog_id` of the catalog that it is a copy of.",
                "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            },
            "Promolens-Version": {
                "description": "Sync on from here.",
                "schema": {"type": "string", "pattern": "^[0-9]+$"},
            },
            "Promolens-Rows": {
                "description": "Entities in it.",
                "schema": {"type": "string", "pattern": "^[0-9]+$"},
            },
            "Promolens-SHA256": {
                "description": "Of the file as it is sent, hex.",
                "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            },
        },
    },
    304: {"description": "The client has it."},
}


def router(services: Services) -> APIRouter:
    """Return the routes of sync."""
    routes = APIRouter(prefix="/v1", tags=["sync"])
    folder = bootstrap_folder(services)

    @routes.get("/sync", response_model=SyncPage, responses=_SYNC_RESPONSES)
    def sync(request: Request, query: Annotated[SyncQuery, Query()]) -> Response:
        """Return what changed after a position. Apply a page whole and keep its `next_since`."""
        # Read before the page: a release of meanwhile is told under the older tag, and once more.
        tag = announced_tag(services.bundles, services.galleries)
        return answered(
            request, services, lambda _now: _page(services, query), policy=SYNC_POLICY, also=tag
        )

    @routes.get("/sync/bootstrap", response_class=Response, responses=_FILE_RESPONSES)
    def bootstrap_file(request: Request) -> Response:
        """Return a whole copy as a file; made once a version, then sync goes on from it."""
        try:
            made = bootstrap.make(services.catalog, folder)
            file = made.path.open("rb")
        except (InputError, OSError) as error:
            raise Problem(503, "no-bootstrap", str(error), headers={"retry-after": "30"}) from error
        headers = _file_headers(made)
        if known_tag(request.headers.get("if-none-match"), headers["etag"]):
            file.close()
            return Response(status_code=304, headers=headers)
        headers["content-length"] = str(made.size_bytes)
        return StreamingResponse(_parts(file), headers=headers, media_type=MEDIA_TYPE)

    return routes


def change_json(change: Change) -> dict[str, Any]:
    """Return a change: `models.sync.ChangeModel`."""
    told: dict[str, Any] = {
        "version": change.version,
        "op": change.op,
        "entity": change.entity,
        "id": change.entity_id,
    }
    data = copied(change)
    return told if data is None else told | {"data": data}


def _page(services: Services, query: SyncQuery) -> Built:
    position = Position.parse(query.since)
    try:
        page = changes.changes_since(services.catalog, position, query.limit)
    except TooOldError as error:
        raise Problem(
            410, "too-old", str(error), floor=error.floor, bootstrap_url=BOOTSTRAP_URL
        ) from error
    except InputError as error:
        with services.catalog.read() as connection:
            newest = now_version(connection)
        if max(position.version, position.begun) <= newest:
            raise
        check_not_behind(max(position.version, position.begun), services.primary_versions)
        raise Problem(
            409, "position-ahead", str(error), newest=newest, bootstrap_url=BOOTSTRAP_URL
        ) from error
    body = {
        "catalog_id": page.catalog_id,
        "changes": [change_json(change) for change in page.changes],
        "next_since": str(page.next_since),
        "more": page.more,
        "releases": announced(services.bundles, services.galleries),
    }
    return Built(page.version, json_bytes(body))


def _file_headers(made: Bootstrap) -> dict[str, str]:
    return {
        "etag": f'"{made.sha256}"',
        "cache-control": FILE_POLICY,
        "promolens-catalog": made.catalog_id,
        "promolens-version": str(made.version),
        "promolens-rows": str(made.rows),
        "promolens-sha256": made.sha256,
        "content-disposition": f'attachment; filename="promolens-{made.version}.jsonl.gz"',
    }


def _parts(file: Any) -> Iterator[bytes]:
    with file:
        while part := file.read(_PART_BYTES):
            yield part
