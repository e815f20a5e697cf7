"""Answers that browsers, phones and proxies may keep, and ask about again for almost nothing.

A tag is strong: it names the version of the catalog, the address asked for, and the coding of the
body. Who has the answer already gets 304 without a query.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import orjson
from starlette.requests import Request
from starlette.responses import Response

JSON = "application/json"
# Lists change a few times a day; an old list is better than none while the server is away.
LISTS = "public, max-age=300, stale-while-revalidate=86400, stale-if-error=604800"
NO_STORE = "no-store"
# Tags of the same answer in a content coding have one of these before the last quote.
CODED = ("-gzip", "-br")


def json_bytes(value: object) -> bytes:
    """Return a value as UTF-8 JSON without spaces."""
    return orjson.dumps(value)


def etag_of(*parts: object) -> str:
    """Return a strong tag of parts whose `repr` says all: numbers, texts, tuples, `None`."""
    return f'"{blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()}"'


def known_tag(if_none_match: str | None, etag: str) -> str | None:
    """Return which of the client's tags is this answer, in whatever coding; `None` for none."""
    if if_none_match is None:
        return None
    if if_none_match.strip() == "*":
        return etag
    stem = etag[:-1]
    same = {etag, *(f'{stem}{coded}"' for coded in CODED)}
    for one in if_none_match.split(","):
        tag = one.strip().removeprefix("W/")
        if tag in same:
            return tag
    return None


def cached_response(
    request: Request,
    version_parts: tuple[object, ...],
    build: Callable[[], bytes],
    *,
    policy: str = LISTS,
    media_type: str = JSON,
) -> Response:
    """Return the answer with its tag, or 304 where the client has it; then nothing is built.

    Args:
        version_parts: what the answer depends on besides the address: the catalog's version, and
            the day or minute where it depends on the time.
        build: makes the body; may raise `Problem`.
        policy: Cache-Control.
    """
    scope = request.scope
    etag = etag_of(version_parts, scope["path"], scope["query_string"])
    headers = {"etag": etag, "cache-control": policy, "vary": "Accept-Encoding"}
    known = known_tag(request.headers.get("if-none-match"), etag)
    if known is not None:
        return Response(status_code=304, headers=headers | {"etag": known})
    return Response(build(), headers=headers, media_type=media_type)
