"""/v1/galleries: what lets a recogniser name new products, for one model each."""

from __future__ import annotations

from fastapi import APIRouter

from promolens_server.models.bundles import OfferedGallery
from promolens_server.routes.delivery import Line, delivery_router
from promolens_server.services import Services

PREFIX = "/v1/galleries"


def router(services: Services) -> APIRouter:
    """Return the routes of gallery delivery."""
    return delivery_router(
        Line(
            PREFIX,
            services.galleries,
            OfferedGallery,
            lambda release: {"gallery_id": release.name, "model_sha256": release.model_sha256},
            "Go on without one",
        )
    )
