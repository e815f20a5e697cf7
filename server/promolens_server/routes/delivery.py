"""What a channel offers and the files of a release, for any kind of artefact."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from pydantic import BaseModel
from starlette.responses import Response

from promolens_runtime.errors import InputError
from promolens_server.bundles.channels import CHANNELS
from promolens_server.bundles.ranges import (
    Span,
    UnsatisfiableError,
    accepted_coding,
    holds_tag,
    wanted_span,
)
from promolens_server.bundles.releases import Release, ReleaseFile, Stored
from promolens_server.bundles.sending import FileAnswer, unreadable
from promolens_server.bundles.store import ArtefactStore, NoReleaseError
from promolens_server.caching import JSON, LISTS, json_bytes, known_tag
from promolens_server.models.bundles import EXAMPLE_SHA256
from promolens_server.problems import Problem, shown

# As in `promolens_runtime.manifest` (a test says so), which would bring NumPy into every worker.
MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "manifest.sig"
# A header and no part of the address: addresses end up in the logs of proxies.
INSTALL_HEADER = "Promolens-Install"
_INSTALL_ID = re.compile(r"[A-Za-z0-9_-]{8,128}")
IMMUTABLE = "public, max-age=31536000, immutable, no-transform"
PRIVATE = "private, max-age=300, stale-if-error=604800"
_MEDIA_TYPES = {
    ".json": JSON,
    ".md": "text/markdown; charset=utf-8",
    ".sig": "text/plain; charset=us-ascii",
}

ChannelName = Annotated[
    str,
    Path(
        description="which channel",
        json_schema_extra={"enum": list(CHANNELS)},
        examples=[CHANNELS[0]],
    ),
]
InstallId = Annotated[
    str | None,
    Header(
        alias=INSTALL_HEADER,
        description=(
            "a random id that the app made for itself (8 to 128 letters, digits, `_`, `-`); "
            "decides whether the phone is among the first of a roll-out, and is never kept"
        ),
        examples=["k3J9x_2mQ-71"],
        # The pattern is checked below, where it gives a problem of its own.
        json_schema_extra={"pattern": f"^{_INSTALL_ID.pattern}$"},
    ),
]
_OTHER_TYPE = "application/octet-stream"
# What the document says of a file's content, by its type.
_CONTENT: dict[str, dict[str, Any]] = {
    JSON: {"schema": {}, "example": {"version": 7, "files": {"model.tflite": {}}}},
    "text/markdown": {"schema": {"type": "string"}, "example": "# demo-fast version 7"},
    "text/plain": {"schema": {"type": "string"}, "example": f"{85 * 'A'}==\n"},
    _OTHER_TYPE: {"schema": {"type": "string", "format": "binary"}},
}


def _file_responses(*media_types: str) -> dict[int | str, dict[str, Any]]:
    plain = [media_type.partition(";")[0] for media_type in media_types]
    content = {media_type: _CONTENT[media_type] for media_type in plain}
    return {
        200: {"content": content, "description": "the whole file"},
        206: {"content": content, "description": "one range of it"},
        304: {"description": "the client has it"},
        416: {"description": "the range begins behind the file's end"},
    }


@dataclass(frozen=True)
class Line:
    """One kind of artefact as phones are offered it.

    Attributes:
        prefix: of its addresses, `/v1/bundles`.
        store: where it is; `None` where the server has no store.
        offer: the model of what a channel offers.
        own: the fields of that model that only this kind has.
        otherwise: what a phone without an offer does, a sentence.
    """

    prefix: str
    store: ArtefactStore | None
    offer: type[BaseModel]
    own: Callable[[Release], dict[str, Any]]
    otherwise: str


def delivery_router(line: Line) -> APIRouter:
    """Return the routes of a line."""
    routes = APIRouter(prefix=line.prefix, tags=[line.prefix.removeprefix("/v1/")])

    def offered(request: Request, channel: ChannelName, install: InstallId = None) -> Response:
        """Return the release that this phone is to have, with the addresses of its files."""
        release, early = _offered(line, channel, install)
        headers = {
            "etag": f'"{release.id[:32]}-{channel}{"-early" if early else ""}"',
            **_channel_headers(install),
        }
        known = known_tag(request.headers.get("if-none-match"), headers["etag"])
        if known is not None:
            return Response(status_code=304, headers=headers | {"etag": known})
        body = json_bytes(offered_json(line, channel, release, early=early))
        return Response(body, media_type=JSON, headers=headers)

    def manifest(request: Request, channel: ChannelName, install: InstallId = None) -> Response:
        """Return manifest.json of the release that this phone is to have."""
        return _of_channel(request, channel, install, MANIFEST_FILE)

    def signature(request: Request, channel: ChannelName, install: InstallId = None) -> Response:
        """Return manifest.sig of the release that this phone is to have."""
        return _of_channel(request, channel, install, SIGNATURE_FILE)

    def file(
        request: Request,
        sha256: Annotated[
            str,
            Path(description="SHA-256 of the release's manifest.json", examples=[EXAMPLE_SHA256]),
        ],
        name: Annotated[
            str, Path(description="as the manifest lists it", examples=[MANIFEST_FILE])
        ],
    ) -> Response:
        """Return a file of a release; never anything else under this address."""
        store = _store(line)
        return _file_answer(request, store, _release(store, sha256), name, IMMUTABLE)

    def _of_channel(request: Request, channel: str, install: str | None, name: str) -> Response:
        release, _ = _offered(line, channel, install)
        headers = _channel_headers(install)
        policy = headers.pop("cache-control")
        answer = _file_answer(request, _store(line), release, name, policy)
        answer.headers["vary"] = headers["vary"]
        answer.headers["content-location"] = _url(line, release, name)
        return answer

    _add(routes, "/{channel}", offered, {200: {"model": line.offer}}, "What a channel offers")
    _add(routes, f"/{{channel}}/{MANIFEST_FILE}", manifest, _file_responses(JSON), "Its manifest")
    signed = _file_responses(_MEDIA_TYPES[".sig"])
    _add(routes, f"/{{channel}}/{SIGNATURE_FILE}", signature, signed, "Its signature")
    any_file = _file_responses(_OTHER_TYPE, *_MEDIA_TYPES.values())
    _add(routes, "/files/{sha256}/{name}", file, any_file, "A file of a release")
    return routes


def offered_json(line: Line, channel: str, release: Release, *, early: bool) -> dict[str, Any]:
    """Return `line.offer` as JSON."""
    return line.own(release) | {
        "channel": channel,
        "version": release.version,
        "manifest_sha256": release.id,
        "size_bytes": release.size_bytes,
        "early": early,
        "added_at": release.added_at.isoformat(),
        "manifest_url": _url(line, release, MANIFEST_FILE),
        "signature_url": _url(line, release, SIGNATURE_FILE),
        "files": [
            _file_json(_url(line, release, name), name, file)
            for name, file in sorted(release.files.items())
        ],
    }


def _add(
    routes: APIRouter,
    path: str,
    endpoint: Any,
    responses: dict[int | str, dict[str, Any]],
    summary: str,
) -> None:
    known: dict[int | str, dict[str, Any]] = {404: {"description": "there is no such thing"}}
    routes.add_api_route(
        path, endpoint, responses=known | responses, summary=summary, response_class=Response
    )


def _url(line: Line, release: Release, name: str) -> str:
    return f"{line.prefix}/files/{release.id}/{name}"


def _file_json(url: str, name: str, file: ReleaseFile) -> dict[str, Any]:
    return {
        "name": name,
        "url": url,
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
        "encoded": {
            coding: {"size_bytes": stored.size_bytes} for coding, stored in file.encoded.items()
        },
    }


def _store(line: Line) -> ArtefactStore:
    if line.store is None:
        raise Problem(
            404,
            "no-bundles",
            "Expected a server with a bundle store. Received one without. "
            "Set PROMOLENS_BUNDLE_STORE there.",
        )
    return line.store


def _offered(line: Line, channel: str, install: str | None) -> tuple[Release, bool]:
    """Return what a phone is offered, and whether it is before the others."""
    store = _store(line)
    if channel not in CHANNELS:
        raise Problem(
            404,
            "unknown-channel",
            f"Expected a channel among {', '.join(CHANNELS)}. Received {shown(channel)}. "
            "Use one of these.",
        )
    if install is not None and not _INSTALL_ID.fullmatch(install):
        raise Problem(
            400,
            "bad-install-id",
            f"Expected 8 to 128 letters, digits, _ or - in {INSTALL_HEADER}. Received something "
            "else. Make a random one.",
        )
    try:
        state = store.channel(channel)
        chosen = state.offered_to(install)
        if chosen is not None:
            return store.release(chosen.id), chosen == state.candidate
    except (InputError, OSError) as error:
        raise unreadable(f"the channel {channel}") from error
    raise Problem(
        404,
        "no-release",
        f"Expected a release on the channel {channel}. Received none for this phone. "
        f"{line.otherwise}, and ask again another day.",
    )


def _release(store: ArtefactStore, sha256: str) -> Release:
    try:
        return store.release(sha256)
    except NoReleaseError as error:
        raise Problem(
            404,
            "unknown-release",
            "Expected a release that is kept here. Received another one. Ask the channel which "
            "one is offered now.",
        ) from error
    except (InputError, OSError) as error:
        raise unreadable("this release") from error


def _channel_headers(install: str | None) -> dict[str, str]:
    """What one phone is offered is kept by that phone alone."""
    policy = LISTS if install is None else PRIVATE
    return {"cache-control": policy, "vary": f"Accept-Encoding, {INSTALL_HEADER}"}


def _file_answer(
    request: Request, store: ArtefactStore, release: Release, name: str, policy: str
) -> Response:
    file = release.files.get(name)
    if file is None:
        known = ", ".join(sorted(release.files))
        raise Problem(
            404,
            "unknown-file",
            f"Expected one of {known}. Received {shown(name)}. Use a name of the manifest.",
        )
    coding = accepted_coding(request.headers.get("accept-encoding"), file.encoded)
    stored = file.encoded[coding] if coding else Stored(file.sha256, file.size_bytes)
    headers = _file_headers(name, file, coding, stored, policy)
    if holds_tag(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    span = _span(request, stored, headers)
    if span is not None:
        headers["content-range"] = f"bytes {span.start}-{span.end}/{stored.size_bytes}"
    whole = Span(0, stored.size_bytes - 1) if stored.size_bytes else None
    return FileAnswer(
        store.path_of(release, name, coding),
        stored.size_bytes,
        span or whole,
        status_code=206 if span else 200,
        headers=headers,
    )


def _file_headers(
    name: str, file: ReleaseFile, coding: str | None, stored: Stored, policy: str
) -> dict[str, str]:
    suffix = PurePosixPath(name).suffix
    digest = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
    headers = {
        "content-type": _MEDIA_TYPES.get(suffix, _OTHER_TYPE),
        "etag": f'"{file.sha256}{f"-{coding}" if coding else ""}"',
        "repr-digest": f"sha-256=:{digest}:",
        "cache-control": policy,
        "accept-ranges": "bytes",
        "vary": "Accept-Encoding",
    }
    return headers | ({"content-encoding": coding} if coding else {})


def _span(request: Request, stored: Stored, headers: dict[str, str]) -> Span | None:
    """Return the range to send; If-Range lets it count only for the very same bytes."""
    if_range = request.headers.get("if-range")
    if request.method != "GET" or (if_range is not None and if_range != headers["etag"]):
        return None
    try:
        return wanted_span(request.headers.get("range"), stored.size_bytes)
    except UnsatisfiableError:
        size_bytes = stored.size_bytes
        raise Problem(
            416,
            "range-not-satisfiable",
            f"Expected a range within {size_bytes} bytes. Received one behind their end. "
            "Ask for the whole file.",
            headers={"content-range": f"bytes */{size_bytes}"},
        ) from None
