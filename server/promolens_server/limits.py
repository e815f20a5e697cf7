"""What a request may look like before anybody reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from promolens_server.config import LimitsConfig
from promolens_server.problems import Problem

# Parameters that may be given several times; of any other, one would be passed over in silence.
REPEATABLE = frozenset({b"chain", b"kind"})


def check_address(scope: Mapping[str, Any], limits: LimitsConfig) -> None:
    """Check path and query.

    Raises:
        Problem: 414 too long; 400 too many parameters, one of them twice, not UTF-8, or a NUL.
    """
    path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    query: bytes = scope["query_string"]
    if len(path) + len(query) > limits.url_bytes:
        raise Problem(
            414,
            "address-too-long",
            f"Expected an address of at most {limits.url_bytes} bytes. Received "
            f"{len(path) + len(query)}. Shorten it.",
        )
    if query:
        _check_query(query, limits)
    if b"%" in path or not path.isascii():
        _check_text(unquote_to_bytes(path), "path")


def declared_length(headers: Mapping[bytes, bytes], limits: LimitsConfig) -> int | None:
    """Return the declared size of the body, bytes; `None` for no body, -1 for one of unknown size.

    Raises:
        Problem: 413 if it is over the limit; 400 if it is no number.
    """
    length = headers.get(b"content-length")
    if length is None:
        return -1 if b"transfer-encoding" in headers else None
    if not length.isdigit() or len(length) > 15:
        raise Problem(
            400, "bad-length", "Expected Content-Length to be a number. Received none. Correct it."
        )
    if int(length) > limits.body_bytes:
        raise body_too_large(limits)
    return int(length) or None


def body_too_large(limits: LimitsConfig) -> Problem:
    """Return the problem of a body over the limit; the connection is closed with it."""
    return Problem(
        413,
        "body-too-large",
        f"Expected a body of at most {limits.body_bytes} bytes. Received more. Send less.",
        headers={"connection": "close"},
    )


def _check_query(query: bytes, limits: LimitsConfig) -> None:
    count = query.count(b"&") + 1
    if count > limits.query_parameters:
        raise Problem(
            400,
            "too-many-parameters",
            f"Expected at most {limits.query_parameters} query parameters. Received {count}. "
            "Send fewer.",
        )
    if count > 1:
        _check_once(query)
    if b"%" in query or not query.isascii() or b"\0" in query:
        _check_text(unquote_to_bytes(query.replace(b"+", b" ")), "query")


def _check_once(query: bytes) -> None:
    seen: set[bytes] = set()
    for pair in query.split(b"&"):
        name = unquote_to_bytes(pair.partition(b"=")[0])
        if name in seen and name not in REPEATABLE:
            raise Problem(
                400,
                "repeated-parameter",
                f"Expected each parameter once, but for chain and kind. Received "
                f"{name[:40].decode('ascii', 'replace')!r} twice. Send one.",
            )
        if name:
            seen.add(name)


def _check_text(data: bytes, where: str) -> None:
    if b"\0" in data:
        raise Problem(
            400,
            "nul-character",
            f"Expected a {where} without the character NUL. Received one. Leave it out.",
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(
            400,
            "not-utf-8",
            f"Expected a {where} in UTF-8. Received other bytes. Encode it as UTF-8, then "
            "percent-encode it.",
        ) from None
