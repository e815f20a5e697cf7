"""The application: its routers, and the one layer around them."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec

from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from promolens_server.allocation import stay_small
from promolens_server.gate import Gate
from promolens_server.models.problem import PROBLEM_RESPONSES
from promolens_server.openapi import DESCRIPTION, TAGS
from promolens_server.quick import Quick
from promolens_server.services import Services

# Reading a file is work of the processor alone: more at once are no quicker, and each takes memory.
_FILE_THREADS = 4
# In the order in which addresses are tried: the busiest first.
ROUTERS = (
    "promolens_server.routes.products",
    "promolens_server.routes.promotions",
    "promolens_server.routes.search",
    "promolens_server.routes.stores",
    "promolens_server.routes.sync",
    "promolens_server.routes.recognition",
    "promolens_server.routes.batches",
    "promolens_server.routes.feedback",
    "promolens_server.routes.bundles",
    "promolens_server.routes.galleries",
    "promolens_server.routes.meta",
    "promolens_server.routes.health",
    "promolens_server.routes.metrics",
    "promolens_server.routes.docs",
    "promolens_server.routes.app_files",
    "promolens_server.routes.authority",
    "promolens_server.admin.routes",
)


_GC_THRESHOLDS = (20_000, 20, 20)


class Application(FastAPI):
    """FastAPI with the gate in place of its own layers, which would cost each request time.

    The gate does what they did: it answers errors, limits bodies, and logs defects.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        super().__init__(
            title="promolens",
            version="1",
            summary="Promotions of Korean convenience stores, and where the stores are.",
            description=DESCRIPTION,
            openapi_tags=TAGS,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            responses=PROBLEM_RESPONSES,
            redirect_slashes=False,
            lifespan=_lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go straight to the gate; the framework's own telemetry is not used."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Return the gate, around quick answers, around what closes files, around the routes."""
        return Gate(Quick(AsyncExitStackMiddleware(self.router), self.services), self.services)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    from anyio.to_thread import current_default_thread_limiter

    assert isinstance(app, Application)
    current_default_thread_limiter().total_tokens = _threads(app.services)
    # Each answer makes some hundred short-lived objects without circles: looking for circles after
    # every 700 of them costs a twentieth of a request.
    gc.set_threshold(*_GC_THRESHOLDS)
    stay_small()
    yield
    app.services.close()


def _threads(services: Services) -> int:
    """Return how many requests may work in threads at once."""
    most = services.config.database.threads
    return min(most, _FILE_THREADS) if services.catalog.path is not None else most


def create_app(services: Services) -> FastAPI:
    """Return the application on opened services; they are closed when it shuts down."""
    app = Application(services)
    for name in ROUTERS:
        if find_spec(name.rpartition(".")[0]) and find_spec(name):
            make: Callable[[Services], APIRouter] = import_module(name).router
            app.include_router(make(services))
    return app
