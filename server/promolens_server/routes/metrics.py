"""Figures for Prometheus, for addresses that are allowed to see them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from promolens_server import metrics
from promolens_server.addresses import LOCAL, forwarded, one_of, peer_of
from promolens_server.caching import NO_STORE
from promolens_server.services import Services


def router(services: Services) -> APIRouter:
    """Return /metrics; to other addresses it is not there."""
    routes = APIRouter(tags=["service"])
    allowed = one_of(services.config.metrics.allow)
    trusted = one_of(services.config.proxy.trusted)

    @routes.get("/metrics", summary="Figures for Prometheus", include_in_schema=False)
    def figures(request: Request) -> Response:
        header = request.headers.get("x-forwarded-for")
        peer = peer_of(request.scope.get("client"))
        address = forwarded(peer, header.encode("latin-1") if header else None, trusted)
        if address != LOCAL and not allowed(address):
            raise HTTPException(404)
        return Response(
            services.metrics.text(),
            media_type=metrics.MEDIA_TYPE,
            headers={"cache-control": NO_STORE},
        )

    return routes
