"""/v1/bundles: the recogniser that phones load."""

from __future__ import annotations

from fastapi import APIRouter

from promolens_server.models.bundles import OfferedBundle
from promolens_server.routes.delivery import Line, delivery_router
from promolens_server.services import Services

PREFIX = "/v1/bundles"


def router(services: Services) -> APIRouter:
    """Return the routes of bundle delivery."""
    return delivery_router(
        Line(
            PREFIX,
            services.bundles,
            OfferedBundle,
            lambda release: {
                "bundle_id": release.name,
                "minimum_app_version": release.minimum_app_version,
            },
            "Keep the bundle that came with the app",
        )
    )
