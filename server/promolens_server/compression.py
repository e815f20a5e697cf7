"""Bodies made smaller on their way: which coding a client takes, and which bodies gain by it."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any, Literal

Coding = Literal["br", "gzip"]
# Below one packet there is nothing to gain.
LEAST_BYTES = 700
# Larger ones would keep everybody waiting: they are made small when they are made.
MOST_BYTES = 1_000_000
_GZIP_LEVEL = 5
_BROTLI_QUALITY = 4
_GZIP_WINDOW = 31
_TEXTS = (
    b"application/json",
    b"application/problem+json",
    b"text/",
    b"image/svg+xml",
    b"application/manifest+json",
)


@lru_cache(maxsize=1)
def _brotli() -> Any:
    try:
        import brotli
    except ImportError:
        return None
    return brotli


@lru_cache(maxsize=512)
def coding_for(accept_encoding: bytes) -> Coding | None:
    """Return the coding for a client: brotli where both can, else gzip; `None` where neither."""
    weights: dict[str, float] = {}
    for part in accept_encoding.decode("latin-1").lower().split(",")[:20]:
        name, _, parameter = part.partition(";")
        weights[name.strip()] = _weight(parameter)
    everything = weights.get("*", 0.0)
    brotli = weights.get("br", everything) if _brotli() else 0.0
    gzip = weights.get("gzip", weights.get("x-gzip", everything))
    if brotli > 0 and brotli >= gzip:
        return "br"
    return "gzip" if gzip > 0 else None


def _weight(parameter: str) -> float:
    name, equals, value = parameter.partition("=")
    if not equals or name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def gains(content_type: bytes, size_bytes: int) -> bool:
    """Return whether a body of this type and size is worth it."""
    return LEAST_BYTES <= size_bytes <= MOST_BYTES and content_type.startswith(_TEXTS)


def compressed(body: bytes, coding: Coding) -> bytes:
    """Return the body in a coding; the same bytes for the same body each time."""
    if coding == "br":
        return bytes(_brotli().compress(body, quality=_BROTLI_QUALITY))
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(body) + packer.flush()


def coded_tag(etag: bytes, coding: Coding) -> bytes:
    """Return the tag of the same answer in a coding: another representation, another tag."""
    return etag[:-1] + f'-{coding}"'.encode() if etag.endswith(b'"') else etag
