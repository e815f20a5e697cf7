"""/v1/feedback: pictures that people send of their own will. Not there unless configured."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from promolens_server.exchange import Exchange
from promolens_server.feedback.opening import FeedbackDesk
from promolens_server.models.feedback import FeedbackPhoto, FeedbackTaken
from promolens_server.models.problem import problem_response
from promolens_server.problems import Problem
from promolens_server.services import Services

_TYPE = "application/json"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            _TYPE: {
                "schema": FeedbackPhoto.model_json_schema(),
                "example": {"picture": "/9j/4AAQ...", "answer": None, "bundle": "demo 12"},
            }
        },
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    415: problem_response("The body is no JSON."),
    507: problem_response("No more photos are kept at the moment."),
}


def router(services: Services) -> APIRouter:
    """Return the route of feedback; none where no folder is configured."""
    routes = APIRouter(prefix="/v1/feedback", tags=["pictures"])
    desk = services.feedback
    if desk is not None:
        _add_photos(routes, desk)
    return routes


def _add_photos(routes: APIRouter, desk: FeedbackDesk) -> None:
    @routes.post(
        "/photos",
        status_code=201,
        response_model=FeedbackTaken,
        responses=_RESPONSES,
        openapi_extra=_BODY,
    )
    async def photos(request: Request) -> FeedbackTaken:
        """Keep one photo and what was said of it; neither address nor key are kept."""
        exchange: Exchange = request.state.exchange
        # A page of another origin can send this type only where [cors] allows it.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
            raise Problem(
                415,
                "not-json",
                f"Expected {_TYPE}. Received another type. Send a JSON object.",
            )
        with desk.room(exchange.who):
            photo = _read(await request.body())
            await run_in_threadpool(desk.take, photo)
        return FeedbackTaken(keep_days=desk.config.keep_days)


def _read(body: bytes) -> FeedbackPhoto:
    try:
        return FeedbackPhoto.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"]) or "the body"
        raise Problem(
            422,
            "feedback-unsound",
            f"Expected the fields that /docs tells. Received another {where} "
            f"({first['type']}). Correct it.",
        ) from None
