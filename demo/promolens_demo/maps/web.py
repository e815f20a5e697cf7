"""HTTP for the stand-in map service: questions become answers, modes bend them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from promolens_demo.maps import kakao, naver, overpass
from promolens_demo.maps.asking import RefusedError
from promolens_demo.maps.modes import Switched
from promolens_demo.maps.stores import DemoStore

MAX_BODY_BYTES = 65_536
MAX_ASKED = 100_000
# How old the map's data is, as it says.
OSM_AGE = timedelta(hours=2)
_JSON = "application/json;charset=UTF-8"
_PAGE = "<!DOCTYPE html><html><head><title>점검 중</title></head><body>잠시 후</body></html>"
_STATUSES = {
    "400": ("InvalidArgument", "bad request"),
    "401": ("AccessDeniedError", "wrong appKey() format"),
    "403": ("NotAuthorizedError", "App(demo) disabled OPEN_MAP_AND_LOCAL service."),
    "429": ("RequestThrottled", "too many requests"),
    "500": ("InternalError", "internal error"),
    "503": ("Unavailable", "service unavailable"),
    "504": ("Timeout", "The server is probably too busy to handle your request."),
}


@dataclass(frozen=True)
class Asked:
    """One request that came in: what was asked, and with which headers."""

    provider: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass
class MapState:
    """What the service knows and does; changed while it runs."""

    stores: Sequence[DemoStore]
    now: Callable[[], datetime]
    modes: dict[str, Switched | None] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def note(self, asked: Asked) -> None:
        """Remember a request."""
        if len(self.asked) < MAX_ASKED:
            self.asked.append(asked)


Build = Callable[[Asked], dict[str, Any]]


def make_app(state: MapState) -> Starlette:
    """Return the application."""

    def on_category(asked: Asked) -> dict[str, Any]:
        kakao.check_key(asked.headers.get("authorization", ""))
        return kakao.category_answer(state.stores, asked.query)

    def on_keyword(asked: Asked) -> dict[str, Any]:
        kakao.check_key(asked.headers.get("authorization", ""))
        return kakao.keyword_answer(state.stores, asked.query)

    def on_overpass(asked: Asked) -> dict[str, Any]:
        as_of = f"{state.now() - OSM_AGE:%Y-%m-%dT%H:%M:%SZ}"
        mode = state.modes.get("overpass")
        remark = mode is not None and mode.name == "remark"
        return overpass.answer(state.stores, asked.query.get("data", ""), as_of, remark=remark)

    def on_naver(asked: Asked) -> dict[str, Any]:
        naver.check_key(asked.headers)
        return naver.answer(state.stores, asked.query)

    routes = [
        Route(kakao.CATEGORY, _endpoint(state, "kakao", on_category), methods=["GET"]),
        Route(kakao.KEYWORD, _endpoint(state, "kakao", on_keyword), methods=["GET"]),
        Route(overpass.PATH, _endpoint(state, "overpass", on_overpass), methods=["GET", "POST"]),
        Route(naver.PATH, _endpoint(state, "naver", on_naver), methods=["GET"]),
    ]
    return Starlette(routes=routes)


def _endpoint(state: MapState, provider: str, build: Build) -> Callable[[Request], Any]:
    async def respond(request: Request) -> Response:
        query = await _query(request)
        asked = Asked(provider, request.url.path, query, dict(request.headers))
        state.note(asked)
        mode = state.modes.get(provider)
        if mode is not None and mode.name == "slow":
            await asyncio.sleep(mode.number)
        if mode is not None and (refused := _refusal(provider, mode)) is not None:
            return refused
        try:
            answer = build(asked)
        except RefusedError as error:
            return _refused(provider, error)
        return _bent(json.dumps(answer, ensure_ascii=False).encode(), answer, mode)

    return respond


async def _query(request: Request) -> dict[str, str]:
    """Return the parameters of the address, and of a form in the body."""
    query = dict(request.query_params)
    if request.method == "POST":
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return query
        form = parse_qs(body.decode("utf-8", "replace"))
        query |= {name: values[-1] for name, values in form.items()}
    return query


def _refused(provider: str, error: RefusedError) -> Response:
    if provider == "overpass":
        return HTMLResponse(f"<p><strong>Error</strong>: {error}</p>", status_code=400)
    if provider == "naver":
        status = 401 if error.code == "024" else 400
        return _json({"errorMessage": str(error), "errorCode": error.code}, status)
    status = 401 if error.code == "AccessDeniedError" else 400
    return _json({"errorType": error.code, "message": str(error)}, status)


def _refusal(provider: str, mode: Switched) -> Response | None:
    """Return what a mode answers in place of stores."""
    if mode.name == "over-limit":
        return _json({"code": -10, "msg": "API limit has been exceeded."}, 400)
    if mode.name == "html":
        return HTMLResponse(_PAGE)
    if mode.name == "redirect":
        return RedirectResponse("/elsewhere", status_code=302)
    if mode.name not in _STATUSES:
        return None
    code, message = _STATUSES[mode.name]
    status = int(mode.name)
    headers = {"retry-after": f"{mode.number:g}"} if status == 429 and mode.number else {}
    if provider == "overpass":
        return HTMLResponse(f"<p>{message}</p>", status_code=status, headers=headers)
    return _json({"errorType": code, "message": message}, status, headers)


def _bent(body: bytes, answer: dict[str, Any], mode: Switched | None) -> Response:
    """Return an answer's body as a mode makes it."""
    name = mode.name if mode is not None else ""
    number = mode.number if mode is not None else 0.0
    if name in ("drop", "drip", "huge"):
        return _streamed(name, number, body)
    if name == "packed":
        headers = {"content-encoding": "gzip"}
        return Response(gzip.compress(body), headers=headers, media_type=_JSON)
    texts = {
        "cut": lambda: body[: len(body) * 2 // 3],
        "empty": lambda: json.dumps(_without_rows(answer)).encode(),
        "fields": lambda: json.dumps({f"new_{name}": one for name, one in answer.items()}).encode(),
        "types": lambda: json.dumps(_other_types(answer)).encode(),
        "array": lambda: b"[" + body + b"]",
        "deep": lambda: b"[" * 100_000 + b"]" * 100_000,
    }
    return Response(texts[name]() if name in texts else body, media_type=_JSON)


def _streamed(name: str, number: float, body: bytes) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        if name == "drip":
            for place in range(len(body)):
                yield body[place : place + 1]
                await asyncio.sleep(number)
        elif name == "huge":
            yield b'{"remark":"'
            for _ in range(int(number)):
                yield b" " * 1_000_000
                await asyncio.sleep(0)
            yield b'"}'
        else:
            yield body[: len(body) // 2]

    # Half of a body whose length was told: the server has to break the connection.
    headers = {"content-length": str(len(body))} if name == "drop" else {}
    return StreamingResponse(parts(), headers=headers, media_type=_JSON)


def _without_rows(answer: dict[str, Any]) -> dict[str, Any]:
    empty = {name: [] if isinstance(one, list) else one for name, one in answer.items()}
    counts = {"same_name": None, "pageable_count": 0, "total_count": 0, "is_end": True}
    return empty | ({"meta": counts} if "meta" in answer else {})


def _other_types(answer: dict[str, Any]) -> dict[str, Any]:
    """Return rows whose fields hold what nobody expects, each row something else."""
    odd: tuple[Any, ...] = (None, [], {}, 10**400, "NaN", True, "\ud800", -1.5, "9" * 5_000)
    return {
        name: [
            dict.fromkeys(row, odd[number % len(odd)]) if number % 4 else odd[number % len(odd)]
            for number, row in enumerate(one)
        ]
        if isinstance(one, list)
        else one
        for name, one in answer.items()
    }


def _json(value: object, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        json.dumps(value, ensure_ascii=False).encode(), status, headers, media_type=_JSON
    )
