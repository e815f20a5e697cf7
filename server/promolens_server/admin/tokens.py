"""Who may open the pages: tokens from the environment, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from promolens_runtime.errors import InputError

MIN_TOKEN_CHARACTERS = 24
MAX_TOKEN_CHARACTERS = 256
MAX_TOKENS = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


@dataclass(frozen=True)
class AdminToken:
    """One person's token.

    Attributes:
        id: what the log says of who did something: the name, or 8 digits of the token's hash.
    """

    id: str
    secret: str = field(repr=False)

    def key(self, purpose: str) -> bytes:
        """Return 32 bytes for signing; others for each purpose, and none that tell the token."""
        return hmac.digest(self.secret.encode(), f"promolens admin {purpose}".encode(), "sha256")


def read_tokens(text: str) -> tuple[AdminToken, ...]:
    """Read PROMOLENS_ADMIN_TOKEN: one token, or several `name:token` separated by commas.

    Raises:
        InputError: a token is too short to be safe, or a name is given twice.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    tokens = tuple(_read_token(part) for part in parts)
    unique = len({one.id for one in tokens}) == len({one.secret for one in tokens}) == len(tokens)
    if not unique or not 1 <= len(tokens) <= MAX_TOKENS:
        raise InputError(
            f"Expected 1 to {MAX_TOKENS} admin tokens, each name and token once. Received "
            f"{len(tokens)}. Correct PROMOLENS_ADMIN_TOKEN."
        )
    return tokens


def find_token(tokens: Sequence[AdminToken], given: str) -> AdminToken | None:
    """Return whose token this is. Takes the same time for every wrong one."""
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
    found = None
    for token in tokens:
        if hmac.compare_digest(hashlib.sha256(token.secret.encode()).digest(), digest):
            found = token
    return found


def _read_token(part: str) -> AdminToken:
    name, colon, secret = part.partition(":")
    if not colon:
        name, secret = "", part
    sound = secret.isascii() and secret.isprintable() and " " not in secret
    long_enough = MIN_TOKEN_CHARACTERS <= len(secret) <= MAX_TOKEN_CHARACTERS
    if not sound or not long_enough or (colon and not _NAME.fullmatch(name)):
        # Without what was given: it is a secret.
        raise InputError(
            f"Expected a token of {MIN_TOKEN_CHARACTERS} to {MAX_TOKEN_CHARACTERS} characters, "
            "with a short name and a colon before it where there are several, in "
            "PROMOLENS_ADMIN_TOKEN. Received something else. Make one with: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return AdminToken(name or f"token-{hashlib.sha256(secret.encode()).hexdigest()[:8]}", secret)
