"""Headers that every answer has, and those that let pages of other origins read it."""

from __future__ import annotations

from promolens_server.config import CorsConfig

Header = tuple[bytes, bytes]

CSP = b"content-security-policy"
# An answer is data: whoever opens it as a page gets nothing that runs or frames.
DEFAULT_CSP: Header = (CSP, b"default-src 'none'; frame-ancestors 'none'")
ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_EXPOSED = b"ETag, Retry-After, RateLimit, RateLimit-Policy, X-Request-ID, Content-Range"
_METHODS = b"GET, HEAD, POST, OPTIONS"
_ALLOWED = (
    b"X-API-Key, X-Request-ID, Promolens-Install, If-None-Match, If-Range, Range, Content-Type"
)


class Cors:
    """What a browser is told about pages of other origins; for addresses under /v1 only."""

    def __init__(self, config: CorsConfig) -> None:
        self._all = "*" in config.origins
        self._origins = frozenset(origin.encode("ascii") for origin in config.origins)
        self._max_age = str(config.max_age_s).encode("ascii")
        self.enabled = bool(config.origins)

    def answer(self, origin: bytes | None) -> list[Header]:
        """Return the headers of an answer to a page of an origin, or to no page (`None`)."""
        if self._all:
            allowed: bytes | None = b"*"
            varies: list[Header] = []
        else:
            allowed = origin if origin in self._origins else None
            # Also without an origin: the answer may be kept and shown to one.
            varies = [(b"vary", b"Origin")]
        if origin is None or allowed is None:
            return varies
        return [
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", _EXPOSED),
            *varies,
        ]

    def preflight(self, origin: bytes) -> list[Header]:
        """Return the headers that say what a page of this origin may send."""
        headers = self.answer(origin)
        if len(headers) < 2:
            return headers
        return [
            *headers,
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", self._max_age),
        ]
