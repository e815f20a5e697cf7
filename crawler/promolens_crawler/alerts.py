"""Tells somebody when a crawl was held or failed, or its source is gone: a webhook, never a worry.

One POST of a small JSON object for each run with something to tell. With a secret in the
environment the body is signed (`X-Promolens-Signature: sha256=<hex of HMAC-SHA256>`), so that the
receiver can tell who sent it. Whatever goes wrong with an alert is a warning in the log.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from promolens_crawler.results import ChainResult, Outcome

log = logging.getLogger(__name__)

URL_VARIABLE = "PROMOLENS_ALERT_URL"
SECRET_VARIABLE = "PROMOLENS_ALERT_SECRET"  # noqa: S105 - the name of a variable
SIGNATURE_HEADER = "X-Promolens-Signature"
TELLS = (Outcome.HELD, Outcome.FAILED, Outcome.GONE)
MAX_MESSAGE_CHARACTERS = 2_000
MAX_ANSWER_BYTES = 4_096
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class AlertTarget:
    """Where alerts go.

    Attributes:
        url: https, or http on this machine; may hold a token, so it is never logged whole.
        secret: signs the body; `None` sends it unsigned.
        timeout_s: for connecting and for each wait on the answer.
    """

    url: str
    secret: str | None = None
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not (parts.scheme == "https" or plain) or not parts.hostname:
            raise ValueError("an alert address must be https://..., or http on this machine")
        if not 0 < self.timeout_s <= 60:
            raise ValueError(f"timeout_s must be within 0..60, not {self.timeout_s}")

    @property
    def host(self) -> str:
        """What logs may show of the address."""
        return urlsplit(self.url).hostname or ""


def alert_target(url: str | None, environment: Mapping[str, str]) -> AlertTarget | None:
    """Return the target; the environment's address goes before the configured one.

    Raises:
        ValueError: the address cannot be used.
    """
    address = environment.get(URL_VARIABLE) or url
    if not address:
        return None
    return AlertTarget(address, environment.get(SECRET_VARIABLE) or None)


def alert_body(results: Sequence[ChainResult], now: datetime) -> dict[str, Any] | None:
    """Return what there is to tell about a run; `None` if all is well."""
    told = [result for result in results if result.outcome in TELLS]
    if not told:
        return None
    lines = [f"{one.chain} {one.month}: {one.outcome} ({one.reason})" for one in told]
    return {
        "text": "promolens: " + "; ".join(lines),
        "at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "crawls": [
            {
                "chain": str(one.chain),
                "month": one.month,
                "outcome": str(one.outcome),
                "reason": one.reason,
                "message": one.message[:MAX_MESSAGE_CHARACTERS],
                "crawl": one.crawl_id,
                "held_snapshot": one.snapshot_id,
            }
            for one in told
        ],
    }


def signature(secret: str, body: bytes) -> str:
    """Return the value of the signature header."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def send_alert(target: AlertTarget, body: Mapping[str, Any]) -> bool:
    """Post the body and return whether the receiver took it (status 2xx). Never raises."""
    try:
        status = _post(target, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
    except Exception as error:
        # Not the error's own words: those of requests hold the whole address.
        log.warning("alert to %s failed: %s", target.host, type(error).__name__)
        return False
    if not 200 <= status < 300:
        log.warning("alert to %s was answered with status %d", target.host, status)
        return False
    log.info("alert sent to %s", target.host)
    return True


def _post(target: AlertTarget, data: bytes) -> int:
    import requests

    headers = {"Content-Type": "application/json", "User-Agent": "promolens-crawl"}
    if target.secret is not None:
        headers[SIGNATURE_HEADER] = signature(target.secret, data)
    with requests.Session() as session:
        # Neither proxies nor .netrc of the environment; a redirect would carry the body elsewhere.
        session.trust_env = False
        with session.post(
            target.url,
            data=data,
            headers=headers,
            timeout=target.timeout_s,
            allow_redirects=False,
            stream=True,
        ) as answer:
            return answer.status_code
