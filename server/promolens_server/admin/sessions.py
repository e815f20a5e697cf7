"""Sessions as signed cookies: nothing is kept on the server, and every worker can read them.

A session ends after 30 minutes without a page, after 8 hours in any case, and when its token is no
longer in PROMOLENS_ADMIN_TOKEN.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from promolens_server.admin.tokens import AdminToken

IDLE_S = 30 * 60
LONGEST_S = 8 * 3600
# A cookie is made anew once it is so old, not with every page.
RENEW_S = 60
MAX_COOKIE_CHARACTERS = 1_000


@dataclass(frozen=True)
class Session:
    """Somebody who showed a token.

    Attributes:
        token: whose session it is.
        id: random; what form tokens are made of.
        began_s, seen_s: when it began and when its cookie was made, seconds since 1970.
    """

    token: AdminToken
    id: str
    began_s: int
    seen_s: int

    @property
    def form_token(self) -> str:
        """What every form carries, so that no other page can send it."""
        return hmac.new(self.token.key("form"), self.id.encode(), "sha256").hexdigest()

    def allows(self, form_token: str) -> bool:
        """Tell whether a form came from a page of this session."""
        return hmac.compare_digest(self.form_token.encode(), form_token.encode("utf-8", "replace"))

    def cookie(self) -> str:
        """Return the cookie's value."""
        fields = {"t": self.token.id, "i": self.id, "b": self.began_s, "s": self.seen_s}
        return seal(fields, self.token.key("session"))

    def renewed(self, now: datetime) -> Session | None:
        """Return the session with a younger cookie; `None` while the old one is young enough."""
        now_s = int(now.timestamp())
        return replace(self, seen_s=now_s) if abs(now_s - self.seen_s) >= RENEW_S else None


def begin_session(token: AdminToken, now: datetime) -> Session:
    """Return a new session."""
    now_s = int(now.timestamp())
    return Session(token, secrets.token_hex(16), now_s, now_s)


def read_session(cookie: str | None, tokens: Sequence[AdminToken], now: datetime) -> Session | None:
    """Return the session of a cookie; `None` where it is forged, damaged or over."""
    fields = peek(cookie)
    token = next((one for one in tokens if one.id == fields.get("t")), None)
    if token is None or unseal(cookie, token.key("session")) is None:
        return None
    session = Session(token, str(fields["i"]), int(fields["b"]), int(fields["s"]))
    now_s = now.timestamp()
    # A cookie from the future comes of a clock that was set back: it may be a little ahead.
    fresh = -IDLE_S <= now_s - session.seen_s <= IDLE_S
    return session if fresh and now_s - session.began_s <= LONGEST_S else None


def seal(fields: dict[str, Any], key: bytes) -> str:
    """Return fields and a signature over them as text for a cookie."""
    body = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")
    return f"{body}.{hmac.new(key, body.encode(), 'sha256').hexdigest()}"


def unseal(text: str | None, key: bytes) -> dict[str, Any] | None:
    """Return what `seal` was given; `None` for anything that it did not write with this key."""
    fields = peek(text)
    if not fields or text is None:
        return None
    body, _, signature = text.partition(".")
    right = hmac.new(key, body.encode(), "sha256").hexdigest()
    return fields if hmac.compare_digest(right.encode(), signature.encode()) else None


def peek(text: str | None) -> dict[str, Any]:
    """Return the fields of a sealed text without looking at its signature; empty for no such."""
    if not text or len(text) > MAX_COOKIE_CHARACTERS or not text.isascii():
        return {}
    body = text.partition(".")[0]
    try:
        fields = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
