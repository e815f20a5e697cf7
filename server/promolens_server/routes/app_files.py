"""/app/: the camera app, and beside it the bundle that came with it and pictures of products."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import RedirectResponse, Response

from promolens_server.app_folder import AppFolder, FolderFile
from promolens_server.bundles.ranges import (
    Span,
    UnsatisfiableError,
    accepted_coding,
    holds_tag,
    wanted_span,
)
from promolens_server.bundles.sending import FileAnswer
from promolens_server.packing import CODINGS, BytesAnswer, Packer
from promolens_server.problems import Problem, shown
from promolens_server.services import Services

# Always asked about again, for almost nothing: the app's own service worker keeps what it needs.
CHECKED = "no-cache"
# An address that says which content it means (`app.js?v=...`) never gives another.
IMMUTABLE = "public, max-age=31536000, immutable"
# Beside the app's folder, with what the one who runs the service may show: `<barcode>.webp`.
PICTURES = "pictures"
# Its folder is signed as it is, and has no compressed files in it.
_PACKED = "/bundle/"
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
# Archives of map tiles, read here and there; what is in them is compressed already.
_IN_PARTS = (".pmtiles",)


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
    packer = Packer()
    folders = {"/app/": AppFolder(config.folder)}
    if config.bundle is not None:
        folders[_PACKED] = AppFolder(config.bundle)
    pictures = config.folder.parent / PICTURES
    if pictures.is_dir():
        folders[f"/{PICTURES}/"] = AppFolder(pictures)

    def redirect() -> Response:
        # Relative, so that it holds behind a prefix as well.
        return RedirectResponse("app/", status_code=308)

    def add(prefix: str, folder: AppFolder) -> None:
        def send(request: Request, address: Annotated[str, Path()]) -> Response:
            packs = packer if prefix == _PACKED else None
            return _answer(request, folder, address, policy, packs)

        routes.add_api_route(f"{prefix}{{address:path}}", send, response_class=Response)

    routes.add_api_route("/app", redirect, response_class=Response)
    for prefix, folder in folders.items():
        add(prefix, folder)
    return routes


def _answer(
    request: Request, folder: AppFolder, address: str, policy: str, packer: Packer | None
) -> Response:
    file = folder.find(address)
    if file is None:
        raise Problem(
            404,
            "no-such-file",
            f"Expected a file of the app. Received {shown(address)}. Begin at /app/.",
        )
    accepted = request.headers.get("accept-encoding")
    if packer is not None and (wanted := accepted_coding(accepted, CODINGS)):
        return _packed(request, packer, file, wanted, policy)
    coding = accepted_coding(accepted, file.codings)
    return _stored(request, file, coding, policy)


def _packed(
    request: Request, packer: Packer, file: FolderFile, wanted: str, policy: str
) -> Response:
    content = packer.packed(file, wanted)
    if content is None:
        return _stored(request, file, None, policy)
    headers = _headers(request, file, wanted, policy)
    if holds_tag(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    return BytesAnswer(content, headers)


def _stored(request: Request, file: FolderFile, coding: str | None, policy: str) -> Response:
    path, size_bytes = file.codings[coding] if coding else (file.path, file.size_bytes)
    headers = _headers(request, file, coding, policy)
    if holds_tag(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    part = _part(request, size_bytes, headers) if coding is None else None
    if part is not None:
        headers["content-range"] = f"bytes {part.start}-{part.end}/{size_bytes}"
    span = part or (Span(0, size_bytes - 1) if size_bytes else None)
    status_code = 200 if part is None else 206
    return FileAnswer(path, size_bytes, span, status_code=status_code, headers=headers)


def _part(request: Request, size_bytes: int, headers: dict[str, str]) -> Span | None:
    """Return the range to send of a map archive, which is too large to be sent whole."""
    if_range = request.headers.get("if-range")
    if headers["accept-ranges"] == "none" or request.method != "GET":
        return None
    if if_range is not None and if_range != headers["etag"]:
        return None
    try:
        return wanted_span(request.headers.get("range"), size_bytes)
    except UnsatisfiableError:
        raise Problem(
            416,
            "range-not-satisfiable",
            f"Expected a range within {size_bytes} bytes. Received one behind their end. "
            "Ask for an earlier one.",
            headers={"content-range": f"bytes */{size_bytes}"},
        ) from None


def _headers(request: Request, file: FolderFile, coding: str | None, policy: str) -> dict[str, str]:
    versioned = request.scope["query_string"].startswith(_VERSIONED)
    suffix = PurePosixPath(file.path.name).suffix
    headers = {
        "content-type": _TYPES.get(suffix, _BINARY),
        "etag": f'"{file.etag}{f"-{coding}" if coding else ""}"',
        "cache-control": IMMUTABLE if versioned else CHECKED,
        "content-security-policy": policy,
        "vary": "Accept-Encoding",
        # "none" says to the gate that it was made small when it was made, or never; parts must not
        # be made small at all, so that "bytes" says the same to it.
        "accept-ranges": "bytes" if suffix in _IN_PARTS else "none",
    }
    if coding is not None:
        headers["content-encoding"] = coding
    return headers
