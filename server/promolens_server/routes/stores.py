"""/v1/stores/nearby: the nearest stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query
from starlette.responses import Response

from promolens_catalog.chains import Chain
from promolens_server.caching import JSON, NO_STORE, json_bytes
from promolens_server.models.problem import problem_example, problem_response
from promolens_server.models.stores import NearbyAnswer, NearbyQuery
from promolens_server.problems import Problem
from promolens_server.services import Services
from promolens_server.stores.failures import Outcome
from promolens_server.stores.finder import Finding
from promolens_server.stores.questions import Answer, FoundStore, question_of

_RETRY_S = 30
_NOT_THERE = {Outcome.NO_LIST, Outcome.NOT_COVERED}
_IMPORT = (
    "No list of stores reaches there: ask for another place, or whoever runs this service to "
    "import one."
)
_NOBODY = problem_example(
    503,
    "stores-unavailable",
    "Expected a provider of stores to answer. Received: local not-covered. " + _IMPORT,
    tried=[{"provider": "local", "outcome": "not-covered"}],
)


def router(services: Services) -> APIRouter:
    """Return the routes of stores."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await services.stores.close()

    routes = APIRouter(prefix="/v1/stores", tags=["stores"], lifespan=lifespan)

    @routes.get(
        "/nearby",
        response_model=NearbyAnswer,
        responses={503: problem_response("No provider answers; `tried` says why.", _NOBODY)},
    )
    async def nearby(query: Annotated[NearbyQuery, Query()]) -> Response:
        """Return the nearest stores, of the first provider that knows.

        No provider learns where exactly the asker is, and no answer is kept by caches on the way.
        """
        question = question_of(
            query.lat, query.lon, query.radius_m, map(Chain, query.chain), query.limit
        )
        finding = await services.stores.find(question)
        body = json_bytes(nearby_json(finding, services.clock()))
        return Response(body, media_type=JSON, headers={"cache-control": NO_STORE})

    return routes


def nearby_json(finding: Finding, now: datetime) -> dict[str, Any]:
    """Return `NearbyAnswer` as JSON.

    Raises:
        Problem: 503, where no provider answered.
    """
    tried = [{"provider": name, "outcome": str(outcome)} for name, outcome in finding.tried]
    answer = finding.answer
    if answer is None:
        said = ", ".join(f"{one['provider']} {one['outcome']}" for one in tried) or "no provider"
        # Waiting helps only where somebody else might have known.
        nowhere = {outcome for _, outcome in finding.tried} <= _NOT_THERE
        raise Problem(
            503,
            "stores-unavailable",
            f"Expected a provider of stores to answer. Received: {said}. "
            f"{_IMPORT if nowhere else 'Try again later.'}",
            headers={"retry-after": str(_RETRY_S)},
            tried=tried,
        )
    return {
        "status": "stores" if answer.stores else "no-stores",
        "provider": answer.provider,
        "attribution": answer.attribution,
        "as_of": f"{answer.as_of.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "age_s": _age_s(answer, now),
        "complete": answer.complete,
        "tried": tried,
        "stores": [_store_json(one, away_m) for one, away_m in answer.stores],
    }


def _age_s(answer: Answer, now: datetime) -> int:
    # A clock that was set back makes nothing younger than new.
    return max(0, int((now - answer.as_of).total_seconds()))


def _store_json(one: FoundStore, away_m: float) -> dict[str, Any]:
    return {
        "id": one.id,
        "chain": str(one.chain) if one.chain else None,
        "name": one.name,
        "branch": one.branch,
        "address": one.address,
        "phone": one.phone,
        "latitude": one.latitude,
        "longitude": one.longitude,
        "distance_m": round(away_m),
        "url": one.url,
    }
