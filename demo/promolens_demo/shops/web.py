"""HTTP for one stand-in shop: requests become visits, drafts become answers."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from promolens_demo.shops.access_log import MAX_AGENT_CHARACTERS, Access, AccessLog
from promolens_demo.shops.admin import ADMIN, admin_answer
from promolens_demo.shops.bending import BOT_PAGE, bent_text, drifted, encoded, shell_page
from promolens_demo.shops.hostile import hostile_answer
from promolens_demo.shops.image_paths import is_picture, number_of
from promolens_demo.shops.modes import Modes, parse_modes
from promolens_demo.shops.pictures import MEDIA_TYPES, Pictures, format_of
from promolens_demo.shops.shop import Shop
from promolens_demo.shops.site import Draft, Page, StandIn, Visit
from promolens_demo.shops.static_files import static_file
from promolens_runtime.errors import InputError

MAX_BODY_BYTES = 65_536
MODE_PARAMETER = "standin"
MODE_HEADER = "x-standin-mode"
_HOST = re.compile(r"[\w.-]+(?::\d{1,5})?|\[[0-9a-f:]+\](?::\d{1,5})?", re.ASCII)
_FORM = "application/x-www-form-urlencoded"
_KEPT = {"cache-control": "public, max-age=3600"}


@dataclass(frozen=True)
class ShopApp:
    """The ASGI application of one shop."""

    shop: Shop
    site: StandIn
    pictures: Pictures
    log: AccessLog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and enter it in the log, those of the admin address excepted."""
        request = Request(scope, receive)
        if request.url.path.startswith(ADMIN):
            answer = await admin_answer(request, self.shop, self.log)
            await answer(scope, receive, send)
            return
        logged = _Logged(self, request, send)
        try:
            respond = await self._answer(request)
            await respond(scope, receive, logged.send)
        except ClientDisconnect:
            pass
        finally:
            logged.enter(0)

    def kind_of(self, path: str) -> str:
        """Tell what a path asks for, as the access log names it."""
        if path == "/robots.txt":
            return "robots"
        if is_picture(self.shop.chain, path):
            return "image"
        if path in self.site.pages:
            return self.site.pages[path].kind
        return "asset" if path.startswith(("/css/", "/js/")) else "other"

    async def _answer(self, request: Request) -> ASGIApp:
        try:
            modes = _modes_of(request, self.shop)
        except InputError as error:
            return PlainTextResponse(str(error), status_code=400)
        path = request.url.path
        page = self.site.pages.get(path)
        modes = self.shop.begun(modes, counts=page is not None and page.kind != "asset")
        if "gone" in modes:
            return _gone(request, self.shop)
        if path == "/robots.txt":
            return _robots(self.shop, self.site, modes)
        if is_picture(self.shop.chain, path):
            return await self._picture(path)
        if page is not None:
            return await self._page(request, page, modes)
        return self._static(path, modes)

    async def _picture(self, path: str) -> Response:
        picture_format = format_of(path)
        number = number_of(self.shop.chain, path)
        data = await run_in_threadpool(self.pictures.of, number, picture_format)
        return Response(data, media_type=MEDIA_TYPES[picture_format], headers=_KEPT)

    def _static(self, path: str, modes: Modes) -> Response:
        if path == "/":
            return RedirectResponse(self.site.start, status_code=302)
        found = static_file(path)
        if found is None:
            return PlainTextResponse("404 Not Found", status_code=404)
        data, media_type = found
        if "drift" in modes and media_type.startswith("text/"):
            data = drifted(data.decode(), self.site).encode()
        return Response(data, media_type=media_type, headers={"cache-control": "no-cache"})

    async def _page(self, request: Request, page: Page, modes: Modes) -> ASGIApp:
        body = await _read_body(request)
        if page.kind != "asset":
            trouble = await self._trouble(request, body, modes)
            if trouble is not None:
                return trouble
        draft = page.handler(_visit(request, body, self.shop, modes))
        if page.kind == "asset":
            return Response(draft.text, media_type=draft.media_type)
        return self._finish(request, draft, page.kind, modes)

    async def _trouble(self, request: Request, body: bytes, modes: Modes) -> Response | None:
        """Return what a mode answers instead of the page, if one does."""
        if "slow" in modes:
            await asyncio.sleep(modes.number("slow"))
        key = hashlib.sha256(f"{request.method} {request.url}".encode() + body).hexdigest()
        if "503" in modes and self.shop.fails_now(key):
            return PlainTextResponse(
                "503 Service Unavailable", status_code=503, headers={"retry-after": "1"}
            )
        if "bot" in modes:
            return Response(BOT_PAGE, media_type="text/html;charset=UTF-8")
        if "redirect-loop" in modes:
            turn = "1" if request.query_params.get("turn") != "1" else "2"
            return RedirectResponse(
                str(request.url.include_query_params(turn=turn)), status_code=302
            )
        return None

    def _finish(self, request: Request, draft: Draft, kind: str, modes: Modes) -> ASGIApp:
        text = bent_text(draft, kind, self.site, modes)
        body, content_type = encoded(text, draft.media_type, modes)
        headers = {**draft.headers, "content-type": content_type}
        hostile = hostile_answer(body, headers, modes)
        if hostile is not None:
            return hostile
        if request.method == "GET" and draft.status == 200:
            # The same bytes under another charset are another page.
            tag = f'"{hashlib.sha256(content_type.encode() + body).hexdigest()[:32]}"'
            headers |= {"etag": tag, "cache-control": "no-cache"}
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers=headers)
        return Response(body, status_code=draft.status, headers=headers)


class _Logged:
    """Enters a request once: before its answer's first byte, or when it ends without one."""

    def __init__(self, app: ShopApp, request: Request, send: Send) -> None:
        self._app, self._request, self._send = app, request, send
        self._at_s, self._at_utc = app.log.clock_s(), app.log.utc()
        self._entered = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.enter(message["status"])
        await self._send(message)

    def enter(self, status: int) -> None:
        if self._entered:
            return
        self._entered = True
        url = self._request.url
        self._app.log.enter(
            Access(
                at_s=self._at_s,
                at_utc=self._at_utc,
                chain=self._app.shop.chain,
                method=self._request.method,
                path=f"{url.path}?{url.query}" if url.query else url.path,
                kind=self._app.kind_of(url.path),
                status=status,
                user_agent=self._request.headers.get("user-agent", "")[:MAX_AGENT_CHARACTERS],
            )
        )


def _modes_of(request: Request, shop: Shop) -> Modes:
    words = [request.query_params.get(MODE_PARAMETER, ""), request.headers.get(MODE_HEADER, "")]
    return shop.modes.joined(parse_modes(words, shop.chain))


async def _read_body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            return b""
    return body


def _first_values(pairs: list[tuple[str, str]]) -> Mapping[str, str]:
    return dict(reversed(pairs))


def _visit(request: Request, body: bytes, shop: Shop, modes: Modes) -> Visit:
    # A body of another type, such as JSON, is not read: a real shop then shows page 1.
    is_form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM
    text = body.decode("utf-8", "replace") if is_form else ""
    return Visit(
        shop=shop,
        method=request.method,
        home=home_of(request),
        path=request.url.path,
        query=_first_values(parse_qsl(request.url.query, keep_blank_values=True)),
        form=_first_values(parse_qsl(text, keep_blank_values=True)),
        cookies=request.cookies,
        new_session=secrets.token_hex(16).upper(),
        modes=modes,
    )


def home_of(request: Request) -> str:
    """Return the shop's address as the visitor wrote it, or as the server knows it."""
    host = request.headers.get("host", "")
    if _HOST.fullmatch(host) is None:
        server = request.scope["server"]
        host = f"{server[0]}:{server[1]}"
    return f"http://{host}"


def _robots(shop: Shop, site: StandIn, modes: Modes) -> Response:
    if "robots-503" in modes:
        return PlainTextResponse("503 Service Unavailable", status_code=503)
    if shop.robots != "real":
        return PlainTextResponse("User-agent: *\nAllow: /\n")
    if site.robots is None:
        return PlainTextResponse("404 Not Found", status_code=404)
    return PlainTextResponse(site.robots)


def _gone(request: Request, shop: Shop) -> Response:
    """Lead every address, robots.txt included, to another host's application."""
    if request.url.path.startswith("/brand/"):
        return Response(shell_page(shop.name_en), media_type="text/html;charset=UTF-8")
    port = request.scope["server"][1]
    other = "127.0.0.1" if request.url.hostname == "localhost" else "localhost"
    return RedirectResponse(f"http://{other}:{port}/brand/{shop.chain}", status_code=302)
