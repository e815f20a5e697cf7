"""/app/: the camera app, and beside it the bundle that came with it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from promolens_server.app_folder import AppFolder, FolderFile
from promolens_server.bundles.ranges import Span, accepted_coding, holds_tag
from promolens_server.bundles.sending import FileAnswer
from promolens_server.problems import Problem, shown
from promolens_server.services import Services

# Always asked about again, for almost nothing: the app's own service worker keeps what it needs.
CHECKED = "no-cache"
# An address that says which content it means (`app.js?v=...`) never gives another.
IMMUTABLE = "public, max-age=31536000, immutable"
_VERSIONED = b"v="
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
}
_BINARY = "application/octet-stream"


def content_security_policy(hosts: tuple[str, ...]) -> str:
    """Return what the app's pages may do: run and load nothing but their own files.

    Args:
        hosts: origins of map tiles that the app's configuration names.
    """
    also = "".join(f" {host}" for host in hosts)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "worker-src 'self'",
            "style-src 'self'",
            f"img-src 'self' blob: data:{also}",
            f"connect-src 'self'{also}",
            "manifest-src 'self'",
            "media-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def router(services: Services) -> APIRouter:
    """Return the routes of the app; none where no folder is configured."""
    routes = APIRouter(include_in_schema=False)
    config = services.config.app
    if config.folder is None:
        return routes
    policy = content_security_policy(config.hosts)
    folders = {"/app/": AppFolder(config.folder)}
    if config.bundle is not None:
        folders["/bundle/"] = AppFolder(config.bundle)

    def redirect() -> Response:
        # Relative, so that it holds behind a prefix as well.
        return RedirectResponse("app/", status_code=308)

    def add(prefix: str, folder: AppFolder) -> None:
        def send(request: Request, address: Annotated[str, Path()]) -> Response:
            return _answer(request, folder, address, policy)

        routes.add_api_route(f"{prefix}{{address:path}}", send, response_class=Response)

    routes.add_api_route("/app", redirect, response_class=Response)
    for prefix, folder in folders.items():
        add(prefix, folder)
    return routes


def _answer(request: Request, folder: AppFolder, address: str, policy: str) -> Response:
    file = folder.find(address)
    if file is None:
        raise Problem(
            404,
            "no-such-file",
            f"Expected a file of the app. Received {shown(address)}. Begin at /app/.",
        )
    coding = accepted_coding(request.headers.get("accept-encoding"), file.codings)
    path, size_bytes = file.codings[coding] if coding else (file.path, file.size_bytes)
    headers = _headers(request, file, coding, policy)
    if holds_tag(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    span = Span(0, size_bytes - 1) if size_bytes else None
    return FileAnswer(path, size_bytes, span, status_code=200, headers=headers)


def _headers(request: Request, file: FolderFile, coding: str | None, policy: str) -> dict[str, str]:
    versioned = request.scope["query_string"].startswith(_VERSIONED)
    headers = {
        "content-type": _TYPES.get(PurePosixPath(file.path.name).suffix, _BINARY),
        "etag": f'"{file.etag}{f"-{coding}" if coding else ""}"',
        "cache-control": IMMUTABLE if versioned else CHECKED,
        "content-security-policy": policy,
        "vary": "Accept-Encoding",
        # Says to the gate that it was made small when it was made, or never.
        "accept-ranges": "none",
    }
    if coding is not None:
        headers["content-encoding"] = coding
    return headers
