"""The answers that most requests get, made before the framework is asked.

A phone that has an answer asks whether it is still right: that costs the version of the catalog
and a hash. Where the catalog is a file, a scanned barcode is looked up in microseconds, and a text
in a millisecond or two. Everything else, and whatever is odd about these, goes on to the routes,
which answer the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from promolens_catalog import barcodes
from promolens_catalog.calendar import korean_day
from promolens_runtime.errors import InputError
from promolens_server.answers import tag_of
from promolens_server.bundles.announcing import announced_tag
from promolens_server.caching import JSON, LISTS, known_tag
from promolens_server.found import found_by_text, plain_query
from promolens_server.known import KnownBodies
from promolens_server.services import Services

BY_BARCODE = "/v1/products/by-barcode/"
SEARCH = "/v1/search"
SYNC = "/v1/sync"
BARCODE_FORM = re.compile(r"[0-9][0-9 -]{6,62}[0-9]")
SYNC_POLICY = "public, max-age=60, stale-while-revalidate=600, stale-if-error=604800"
_Header = tuple[bytes, bytes]
_Found = tuple[int, list[_Header], bytes]
_VARY = (b"vary", b"Accept-Encoding")
_JSON = (b"content-type", JSON.encode("ascii"))


@dataclass(frozen=True)
class Place:
    """The template of an address, as logs and figures name it."""

    path: str


_BARCODE_PLACE = Place(f"{BY_BARCODE}{{barcode}}")
_SEARCH_PLACE = Place(SEARCH)
# Addresses whose answers are tagged by version and day; the first that fits counts.
_PLACES = (
    (re.compile(r"/v1/products/by-barcode/[^/]+"), _BARCODE_PLACE, LISTS),
    (re.compile(r"/v1/promotions"), Place("/v1/promotions"), LISTS),
    (re.compile(SYNC), Place(SYNC), SYNC_POLICY),
    (re.compile(SEARCH), _SEARCH_PLACE, LISTS),
    (re.compile(r"/v1/autocomplete"), Place("/v1/autocomplete"), LISTS),
    (re.compile(r"/v1/products/by-label/.+"), Place("/v1/products/by-label/{label:path}"), LISTS),
    (re.compile(r"/v1/products/[0-9]+/history"), Place("/v1/products/{item_id}/history"), LISTS),
    (re.compile(r"/v1/products/[0-9]+"), Place("/v1/products/{item_id}"), LISTS),
)


class Quick:
    """An ASGI application around the routes."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._versions = services.versions
        self._bodies = KnownBodies(services)
        self._on_file = services.catalog.path is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at once where that is possible."""
        if scope["type"] == "http" and scope["method"] == "GET":
            path: str = scope["path"]
            if path.startswith("/v1/"):
                found = self._not_modified(scope, path)
                if found is None and self._on_file:
                    if path.startswith(BY_BARCODE):
                        found = self._by_barcode(scope, path)
                    elif path == SEARCH:
                        found = self._by_text(scope)
                if found is not None:
                    status, headers, body = found
                    start = {"type": "http.response.start", "status": status, "headers": headers}
                    await send(start)
                    await send({"type": "http.response.body", "body": body})
                    return
        await self._app(scope, receive, send)

    def _not_modified(self, scope: Scope, path: str) -> _Found | None:
        asked_with = next((v for k, v in scope["headers"] if k == b"if-none-match"), None)
        if asked_with is None or asked_with.strip() == b"*":
            return None
        version = self._versions.peek()
        if version is None:
            return None
        day = korean_day(self._services.clock())
        query = scope["query_string"]
        if path == SYNC:
            query += announced_tag(self._services.bundles, self._services.galleries)
        etag = tag_of(self._versions.catalog_id, version, day, path, query)
        known = known_tag(asked_with.decode("latin-1"), etag)
        if known is None:
            return None
        for pattern, place, policy in _PLACES:
            if pattern.fullmatch(path):
                scope["route"] = place
                return 304, _headers(known, policy), b""
        return None

    def _by_barcode(self, scope: Scope, path: str) -> _Found | None:
        text = path[len(BY_BARCODE) :]
        code = barcodes.normalise(text) if BARCODE_FORM.fullmatch(text) else None
        if code is None or scope["query_string"]:
            return None
        now = self._services.clock()
        try:
            version, body = self._bodies.by_barcode(code, now)
        except InputError:
            return None
        etag = tag_of(self._versions.catalog_id, version, korean_day(now), path, b"")
        size = (b"content-length", str(len(body)).encode("ascii"))
        scope["route"] = _BARCODE_PLACE
        return 200, [size, _JSON, *_headers(etag, LISTS)], body

    def _by_text(self, scope: Scope) -> _Found | None:
        """A search takes a millisecond or two: less than to hand it to a thread and back."""
        query = plain_query(scope["query_string"])
        if query is None:
            return None
        now = self._services.clock()
        try:
            built = found_by_text(self._services.lookup, query, now)
        except InputError:
            return None
        catalog_id = self._versions.catalog_id
        etag = tag_of(catalog_id, built.version, korean_day(now), SEARCH, scope["query_string"])
        size = (b"content-length", str(len(built.body)).encode("ascii"))
        scope["route"] = _SEARCH_PLACE
        return 200, [size, _JSON, *_headers(etag, LISTS)], built.body


def _headers(etag: str, policy: str) -> list[_Header]:
    return [
        (b"etag", etag.encode("ascii")),
        (b"cache-control", policy.encode("ascii")),
        _VARY,
    ]
