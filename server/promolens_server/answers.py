"""Answers of the catalog: tagged by the version that they were read at and by the Korean day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from starlette.requests import Request
from starlette.responses import Response

from promolens_catalog.calendar import korean_day
from promolens_server.caching import JSON, LISTS, etag_of, known_tag
from promolens_server.services import Services


@dataclass(frozen=True)
class Built:
    """A JSON body and the version of the catalog that it is of."""

    version: int
    body: bytes


def tag_of(catalog_id: str, version: int, day: date, path: str, query: bytes) -> str:
    """Return the tag of an address's answer at a version of a catalog on a day."""
    return etag_of(catalog_id, version, day.toordinal(), path, query)


def answered(
    request: Request,
    services: Services,
    build: Callable[[datetime], Built],
    *,
    policy: str = LISTS,
    also: bytes = b"",
) -> Response:
    """Return an answer, or 304 where the client has it; then only the version is asked for.

    Args:
        build: gets the time and makes the answer; what it returns depends on the catalog, the
            address, the Korean day and `also` alone.
        policy: Cache-Control.
        also: what else the tag depends on.

    Raises:
        InputError: the database is away.
    """
    now = services.clock()
    day, path = korean_day(now), request.scope["path"]
    query = request.scope["query_string"] + also
    asked_with = request.headers.get("if-none-match")
    if asked_with is not None:
        version = services.versions.current()
        etag = tag_of(services.versions.catalog_id, version, day, path, query)
        known = known_tag(asked_with, etag)
        if known is not None:
            return Response(status_code=304, headers=_headers(known, policy))
    built = build(now)
    # The tag of what was read, not of what was the newest before.
    etag = tag_of(services.versions.catalog_id, built.version, day, path, query)
    return Response(built.body, headers=_headers(etag, policy), media_type=JSON)


def _headers(etag: str, policy: str) -> dict[str, str]:
    return {"etag": etag, "cache-control": policy, "vary": "Accept-Encoding"}
