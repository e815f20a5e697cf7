"""Whether the service lives, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from promolens_server.caching import JSON, NO_STORE, json_bytes
from promolens_server.models.health import Health, Ready
from promolens_server.services import Services


def router(services: Services) -> APIRouter:
    """Return /healthz and /readyz."""
    routes = APIRouter(tags=["service"])

    @routes.get("/healthz", summary="The process answers", response_model=Health)
    async def healthz() -> Response:
        return _ok({"status": "ok"})

    @routes.get("/readyz", summary="The catalog can be read", response_model=Ready)
    def readyz() -> Response:
        # What the database says when it is away, the gate turns into 503.
        found: dict[str, object] = {"status": "ok", "version": services.versions.current()}
        if services.recognition is not None:
            found["recognition"] = services.recognition.health()
        return _ok(found)

    return routes


def _ok(value: dict[str, object]) -> Response:
    return Response(json_bytes(value), media_type=JSON, headers={"cache-control": NO_STORE})
