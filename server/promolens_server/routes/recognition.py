"""/v1/recognise, /v1/search/image, /v1/compare, /v1/index/status: questions with a picture.

There are none of them where the configuration names no bundle.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from promolens_server.caching import JSON, NO_STORE, json_bytes
from promolens_server.exchange import Exchange
from promolens_server.models.problem import problem_response
from promolens_server.models.recognition import (
    CompareAnswer,
    CompareQuery,
    ImageSearchAnswer,
    ImageSearchQuery,
    IndexStatus,
    RecogniseAnswer,
    RecogniseQuery,
)
from promolens_server.recognition.bodies import (
    PICTURES,
    body_of,
    form_of_two,
    picture_body,
    two_pictures,
)
from promolens_server.recognition.config import COMPARE, RECOGNISE, SEARCH_IMAGE
from promolens_server.services import Services

_ONE = body_of(*PICTURES, description="A JPEG, PNG, WebP or BMP picture.")
RESPONSES: dict[int | str, dict[str, Any]] = {
    415: problem_response("Content-Type or Content-Encoding cannot be taken."),
    422: problem_response(
        "A parameter is not sound, or the picture cannot be used: `picture-refused`, "
        "`picture-too-slow`."
    ),
}


def router(services: Services) -> APIRouter:
    """Return the routes; none where no bundle is configured."""
    routes = APIRouter(tags=["pictures"], responses=RESPONSES)
    recognition = services.recognition
    if recognition is None:
        return routes

    @routes.post(RECOGNISE, response_model=RecogniseAnswer, openapi_extra=_ONE)
    async def recognise(request: Request, query: Annotated[RecogniseQuery, Query()]) -> Response:
        """Name the product on a picture, as a phone with the bundle and the gallery does."""
        with recognition.admission.enter(exchange_of(request)):
            data = await picture_body(request)
            return _json(await recognition.work(partial(recognition.recognise, data, query.top)))

    @routes.post(SEARCH_IMAGE, response_model=ImageSearchAnswer, openapi_extra=_ONE)
    async def search_image(
        request: Request, query: Annotated[ImageSearchQuery, Query()]
    ) -> Response:
        """Return the pictures of a corpus that are most like a picture, and what that means."""
        with recognition.admission.enter(exchange_of(request)):
            data = await picture_body(request)
            ask = partial(
                recognition.search, data, query.corpus, query.k, query.min_score, query.chain
            )
            return _json(await recognition.work(ask))

    @routes.post(COMPARE, response_model=CompareAnswer, openapi_extra=form_of_two())
    async def compare(request: Request, query: Annotated[CompareQuery, Query()]) -> Response:
        """Say how alike two pictures are: the fields `one` and `other` of a form."""
        with recognition.admission.enter(exchange_of(request), pictures=2):
            one, other = await two_pictures(request)
            exchange_of(request).allow(2 * recognition.config.decode_s + 10)
            return _json(
                await recognition.work(partial(recognition.compare, one, other, query.corpus))
            )

    @routes.get("/v1/index/status", response_model=IndexStatus, tags=["pictures"])
    def index_status() -> Response:
        """Return the collections of vectors, and how their indexes are in this process."""
        return _json(recognition.index_status())

    return routes


def exchange_of(request: Request) -> Exchange:
    """Return the request's way through the gate."""
    exchange = request.scope["state"]["exchange"]
    assert isinstance(exchange, Exchange)
    return exchange


def _json(value: dict[str, Any]) -> Response:
    return Response(json_bytes(value), media_type=JSON, headers={"cache-control": NO_STORE})
