"""Which bytes of a file a client asks for, and in which content coding. Pure (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

MAX_HEADER_CHARACTERS = 200
_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)
_WEIGHT = re.compile(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", re.IGNORECASE)
# The best first: brotli is a little smaller.
PREFERRED = ("br", "gzip")


@dataclass(frozen=True)
class Span:
    """Bytes `start` to `end`, both included, counted from 0."""

    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """How many these are."""
        return self.end - self.start + 1


class UnsatisfiableError(Exception):
    """The range begins behind the end of the file, or asks for its last 0 bytes."""


def wanted_span(header: str | None, size_bytes: int) -> Span | None:
    """Return the one range that a Range header asks for; `None` for the whole file.

    What is no single sound range of bytes is ignored, several ranges too: RFC 9110 lets a server
    answer with the whole file, and what nobody needs cannot be misused.

    Raises:
        UnsatisfiableError: nothing of the file is in it.
    """
    if header is None or len(header) > MAX_HEADER_CHARACTERS:
        return None
    found = _ONE_RANGE.fullmatch(header)
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        start, end = size_bytes - min(int(found[2]), size_bytes), size_bytes - 1
    else:
        start = int(found[1])
        end = int(found[2]) if found[2] else size_bytes - 1
        if end < start and found[2]:
            return None
        end = min(end, size_bytes - 1)
    if start > end:
        raise UnsatisfiableError
    return Span(start, end)


def accepted_coding(header: str | None, codings: Collection[str]) -> str | None:
    """Return the coding of `codings` to send; `None` for the file as it is.

    A coding is sent only where the client names it, or `*`, with a weight above 0 and not below
    that of the plain file.
    """
    if not header or len(header) > MAX_HEADER_CHARACTERS:
        return None
    weights = _weights(header)
    plain = weights.get("identity", 0.0)
    rest = weights.get("*", 0.0)
    best, best_weight = None, 0.0
    for coding in PREFERRED:
        weight = weights.get(coding, rest)
        if coding in codings and weight > best_weight and weight >= plain:
            best, best_weight = coding, weight
    return best


def _weights(header: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        name, *parameters = part.split(";")
        weight = 1.0
        for parameter in parameters:
            found = _WEIGHT.fullmatch(parameter)
            weight = min(float(found[1]), 1.0) if found else 0.0
        if name.strip():
            weights[name.strip()] = weight
    return weights


def holds_tag(header: str | None, tag: str) -> bool:
    """Tell whether If-None-Match names a tag (weak comparison)."""
    if header is None or len(header) > 40 * MAX_HEADER_CHARACTERS:
        return False
    if header.strip() == "*":
        return True
    return any(one.strip().removeprefix("W/") == tag for one in header.split(","))
