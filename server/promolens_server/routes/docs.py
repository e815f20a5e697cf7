"""The OpenAPI document, and the page that shows it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from promolens_server.caching import JSON, LISTS, json_bytes
from promolens_server.docs_page import CSP, page
from promolens_server.openapi import document
from promolens_server.services import Services


def router(services: Services) -> APIRouter:
    """Return /docs and /openapi.json; none where they are switched off."""
    routes = APIRouter(include_in_schema=False)
    if not services.config.docs:
        return routes
    made: dict[str, bytes] = {}

    @routes.get("/openapi.json")
    async def openapi(request: Request) -> Response:
        if "openapi" not in made:
            made["openapi"] = json_bytes(document(request.app))
        return Response(made["openapi"], media_type=JSON, headers={"cache-control": LISTS})

    @routes.get("/docs")
    async def docs(request: Request) -> Response:
        if "docs" not in made:
            made["docs"] = page(document(request.app)).encode("utf-8")
        headers = {"cache-control": LISTS, "content-security-policy": CSP}
        return HTMLResponse(made["docs"], headers=headers)

    return routes
