"""/v1/batches: many pictures in one order. None where no folder for them is configured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request
from starlette.responses import Response

from promolens_server.caching import JSON, NO_STORE, json_bytes
from promolens_server.models.batches import BatchAnswer, BatchQuery, ResultsQuery
from promolens_server.problems import Problem
from promolens_server.recognition.batches.orders import Order
from promolens_server.recognition.batches.view import asking, batch_json
from promolens_server.recognition.bodies import ZIPS, body_of, check_type
from promolens_server.recognition.config import BATCHES
from promolens_server.routes.recognition import RESPONSES, exchange_of
from promolens_server.services import Services

_PIECE_BYTES = 1 << 20
# One upload weighs as much as so many pictures.
_PICTURES = 5
_BODY = body_of(*ZIPS, description="A ZIP of JPEG, PNG, WebP or BMP pictures.")
BatchIdPath = Annotated[
    str, Path(pattern=r"^[0-9a-f]{32}$", description="as the answer to the order told it")
]


def router(services: Services) -> APIRouter:
    """Return the routes of batches."""
    recognition = services.recognition
    if recognition is None or recognition.batches is None or recognition.runner is None:
        return APIRouter()
    store, runner = recognition.batches, recognition.runner
    picture_bytes = recognition.config.picture_bytes

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        runner.start()
        yield
        await asyncio.to_thread(runner.stop)

    routes = APIRouter(tags=["pictures"], responses=RESPONSES, lifespan=lifespan)

    @routes.post(BATCHES, response_model=BatchAnswer, status_code=202, openapi_extra=_BODY)
    async def order(request: Request, query: Annotated[BatchQuery, Query()]) -> Response:
        """Take a ZIP of pictures; the answer tells the id under which results appear."""
        exchange = exchange_of(request)
        check_type(request, ZIPS)
        owner = store.owner_of(exchange.who, exchange.key_id)
        with recognition.uploads.enter(exchange, _PICTURES):
            await asyncio.to_thread(store.check_quota, owner)
            if query.corpus is not None:
                await asyncio.to_thread(recognition.check_corpus, query.corpus)
            with store.upload() as upload:
                await _receive(request, upload)
                ask = asking(query)
                made = await asyncio.to_thread(store.add, upload, owner, ask, picture_bytes)
        runner.wake()
        location = {"location": f"{BATCHES}/{made.id}"}
        return _json(batch_json(store, made, ResultsQuery(limit=0)), 202, location)

    @routes.get(BATCHES + "/{batch_id}", response_model=BatchAnswer)
    def progress(
        request: Request, batch_id: BatchIdPath, query: Annotated[ResultsQuery, Query()]
    ) -> Response:
        """Return how far an order is, and a page of its results."""
        return _json(batch_json(store, _found(request, batch_id), query))

    @routes.post(BATCHES + "/{batch_id}/cancel", response_model=BatchAnswer)
    def cancel(request: Request, batch_id: BatchIdPath) -> Response:
        """Stop working on an order; results that are there stay, its pictures are deleted."""
        made = _found(request, batch_id)
        store.cancel(made)
        runner.wake()
        return _json(batch_json(store, made, ResultsQuery(limit=0)))

    def _found(request: Request, batch_id: str) -> Order:
        made = store.find(batch_id)
        key_id = exchange_of(request).key_id
        # What was ordered with a key is for that key; else the id is the secret.
        if made is None or (made.owner.startswith("key:") and made.owner != f"key:{key_id}"):
            raise Problem(
                404,
                "unknown-batch",
                "Expected the id of a batch that is kept. Received another. Results are deleted "
                "some days after the end.",
            )
        return made

    return routes


async def _receive(request: Request, upload: FilePath) -> None:
    """Write the body to a file; the gate bounds it."""
    held = bytearray()
    try:
        with upload.open("wb") as file:
            async for piece in request.stream():
                held += piece
                if len(held) >= _PIECE_BYTES:
                    await asyncio.to_thread(file.write, bytes(held))
                    held.clear()
            await asyncio.to_thread(file.write, bytes(held))
    except OSError as error:
        raise Problem(
            503,
            "storage-full",
            "Expected room for the upload. Received none. Ask again later.",
            headers={"retry-after": "60"},
        ) from error


def _json(
    value: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    own = {"cache-control": NO_STORE, **(headers or {})}
    return Response(json_bytes(value), status, media_type=JSON, headers=own)
