"""The address under which another process switches modes: `/__standin/state` and `/__standin/log`.

It answers on loopback names only and takes JSON only, so that no web page can reach it.
"""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from promolens_demo.shops.access_log import AccessLog
from promolens_demo.shops.shop import Shop
from promolens_runtime.errors import InputError

ADMIN = "/__standin/"
_NAMES = ("127.0.0.1", "localhost", "::1")
_MAX_BODY_BYTES = 4096


async def admin_answer(request: Request, shop: Shop, log: AccessLog) -> Response:
    """Answer a request below `ADMIN`.

    `GET state` tells and `POST state` changes modes, month and robots rules; `GET log` returns the
    requests as lines of JSON, `DELETE log` forgets them.
    """
    if request.url.hostname not in _NAMES:
        return _refused("a loopback address", str(request.url.hostname), 403)
    what = request.url.path.removeprefix(ADMIN)
    if what == "log" and request.method == "GET":
        lines = "".join(entry.line() + "\n" for entry in log.entries(shop.chain))
        return Response(lines, media_type="application/x-ndjson")
    if what == "log" and request.method == "DELETE":
        log.clear()
        return JSONResponse({})
    if what == "state" and request.method == "POST":
        return await _change(request, shop)
    if what == "state" and request.method == "GET":
        return _state(shop)
    return _refused("GET or POST state, GET or DELETE log", f"{request.method} {what[:40]}", 404)


def _refused(expected: str, received: str, status: int) -> JSONResponse:
    text = f"Expected {expected}. Received {received}. See docs/demo-shops.md."
    return JSONResponse({"error": text}, status_code=status)


def _state(shop: Shop) -> JSONResponse:
    modes = {name: shop.modes.number(name) for name in shop.modes}
    state = {"month": shop.month, "robots": shop.robots, "modes": modes}
    return JSONResponse(state | {"after": dict(shop.modes.after)})


async def _change(request: Request, shop: Shop) -> JSONResponse:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return _refused("content type application/json", "another one", 415)
    try:
        wanted = json.loads((await request.body())[:_MAX_BODY_BYTES])
        changes = {name: wanted[name] for name in ("month", "robots", "modes") if name in wanted}
        if not all(isinstance(value, str) for value in changes.values()):
            raise TypeError
    except (ValueError, TypeError):
        return _refused('{"modes": "drop,slow:1", "month": "2026-12"}', "something else", 400)
    try:
        if "month" in changes:
            shop.set_month(changes["month"])
        if "robots" in changes:
            shop.set_robots(changes["robots"])
        if "modes" in changes:
            shop.set_modes(changes["modes"])
    except InputError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    return _state(shop)
