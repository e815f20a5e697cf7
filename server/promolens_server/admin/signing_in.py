"""The door: who is let in, where they go then, and what they carry."""

from __future__ import annotations

import hmac
import math
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from promolens_server.addresses import counted_as, forwarded, one_of, peer_of
from promolens_server.admin.sessions import (
    LONGEST_S,
    Session,
    begin_session,
    read_session,
    seal,
    unseal,
)
from promolens_server.admin.tokens import AdminToken, find_token
from promolens_server.admin.tries import Tries

ROOT = "/admin"
LOGIN_FORM_S = 3600
NOTICE_S = 60
SESSION, KNOCK, NOTICE, LANGUAGE = "session", "knock", "notice", "language"
_INSIDE = re.compile(r"/admin(?:/[A-Za-z0-9._-]+)*(?:\?[A-Za-z0-9._=&-]*)?")


@dataclass(frozen=True)
class Refusal:
    """Why somebody is not let in: a key of the texts, and how long to wait."""

    key: str
    status: int
    wait_s: int = 0


class Door:
    """Checks tokens and cookies.

    Args:
        tokens: of everybody who may come in.
        trusted: addresses of proxies whose X-Forwarded-For and -Proto are believed.
    """

    def __init__(
        self, tokens: Sequence[AdminToken], trusted: tuple[str, ...], tries: Tries | None = None
    ) -> None:
        self._tokens = tokens
        self._is_trusted = one_of(trusted)
        self._tries = tries or Tries()
        self._knock_key = sha256(b"".join(one.key("knock") for one in tokens)).digest()

    def let_in(self, request: Request, given: str, now: datetime) -> Session | Refusal:
        """Return a session for a right token."""
        address = self.address(request)
        wait_s = self._tries.wait_s(address)
        if wait_s > 0:
            return Refusal("wait", 429, math.ceil(wait_s))
        token = find_token(self._tokens, given.strip())
        if token is None:
            self._tries.wrong(address)
            return Refusal("wrong_token", 403)
        self._tries.right(address)
        return begin_session(token, now)

    def session(self, request: Request, now: datetime) -> Session | None:
        """Return the session that a request carries."""
        return read_session(self.cookie(request, SESSION), self._tokens, now)

    def knock(self, request: Request) -> str:
        """Return a number for a login form: the browser's, or a new one."""
        return self.cookie(request, KNOCK) or secrets.token_hex(16)

    def knock_token(self, knock: str) -> str:
        """Return what the login form carries, so that no other page can send it."""
        return hmac.new(self._knock_key, knock.encode("utf-8", "replace"), "sha256").hexdigest()

    def knocked(self, request: Request, form_token: str) -> bool:
        """Tell whether a login form came from our page in this browser."""
        knock = self.cookie(request, KNOCK)
        given = form_token.encode("utf-8", "replace")
        return knock is not None and hmac.compare_digest(self.knock_token(knock).encode(), given)

    # ---- cookies

    def cookie(self, request: Request, name: str) -> str | None:
        """Return one of our cookies."""
        return request.cookies.get(self._name(request, name))

    def set_cookie(
        self, request: Request, response: Response, name: str, value: str, max_age_s: int
    ) -> None:
        """Give the browser a cookie that no script and no other site can use; 0 s takes it away."""
        response.set_cookie(
            self._name(request, name),
            value,
            max_age=max_age_s,
            path=ROOT,
            secure=self.is_secret(request),
            httponly=True,
            samesite="strict",
        )

    def keep_session(self, request: Request, response: Response, session: Session) -> None:
        """Give the browser its session."""
        self.set_cookie(request, response, SESSION, session.cookie(), LONGEST_S)

    def leave_notice(
        self, request: Request, response: Response, session: Session, notice: dict[str, object]
    ) -> None:
        """Keep what the next page is to say."""
        self.set_cookie(
            request, response, NOTICE, seal(notice, session.token.key("notice")), NOTICE_S
        )

    def take_notice(self, request: Request, session: Session) -> dict[str, object] | None:
        """Return what was left for this page."""
        return unseal(self.cookie(request, NOTICE), session.token.key("notice"))

    def _name(self, request: Request, name: str) -> str:
        # With this prefix browsers refuse a cookie that was set over an open connection.
        return f"{'__Secure-' if self.is_secret(request) else ''}promolens-{name}"

    # ---- the connection

    def address(self, request: Request) -> str:
        """Return the name under which tries of a client are counted."""
        peer = peer_of(request.scope.get("client"))
        header = request.headers.get("x-forwarded-for")
        sent = header.encode("latin-1") if header else None
        return counted_as(forwarded(peer, sent, self._is_trusted))

    def is_secret(self, request: Request) -> bool:
        """Tell whether the client came over https."""
        if request.url.scheme == "https":
            return True
        peer = peer_of(request.scope.get("client"))
        return request.headers.get("x-forwarded-proto") == "https" and self._is_trusted(peer)

    def is_exposed(self, request: Request) -> bool:
        """Tell whether a token would cross a network in the clear."""
        near = request.url.hostname in ("localhost", "127.0.0.1", "::1", "testserver")
        return not near and not self.is_secret(request)


def inside(address: str | None) -> str:
    """Return where to go after logging in: only ever a page under /admin."""
    return address if address and _INSIDE.fullmatch(address) else ROOT
