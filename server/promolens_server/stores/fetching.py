"""One request to a provider: within its quota, of bounded size, as JSON or as a clear failure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import httpx

from promolens_server.stores.failures import Outcome, ProviderError
from promolens_server.stores.quota import DailyQuota

MAX_REST_S = 86_400.0
_THROTTLED_REST_S = 60.0
# A wrong key does not get better by asking: a person has to look.
_REFUSED_REST_S = 600.0


class Fetcher:
    """Sends requests of one provider."""

    def __init__(self, client: httpx.AsyncClient, quota: DailyQuota, max_bytes: int) -> None:
        self._client, self._quota, self._max_bytes = client, quota, max_bytes

    async def json(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return the object that the provider answers with.

        Raises:
            ProviderError: whatever else happens.
        """
        if not self._quota.take():
            raise ProviderError(Outcome.SPENT, "no request is left today")
        try:
            async with self._client.stream(
                method, url, params=query, data=form, headers=headers
            ) as response:
                body = await self._body(response)
        except httpx.TimeoutException as error:
            raise ProviderError(Outcome.SLOW, type(error).__name__) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise ProviderError(Outcome.DOWN, type(error).__name__) from None
        _check_status(response, body)
        return _object(body)

    async def _body(self, response: httpx.Response) -> bytes:
        # We ask for no coding: a small packed answer could grow without end.
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ProviderError(Outcome.GARBAGE, "a coding that was not asked for")
        body = bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) > self._max_bytes:
                raise ProviderError(Outcome.GARBAGE, f"more than {self._max_bytes} bytes")
        return bytes(body)


def _check_status(response: httpx.Response, body: bytes) -> None:
    status = response.status_code
    if status == 429 or (status >= 400 and b'"code":-10' in body.replace(b" ", b"")):
        rest_s = retry_after_s(response.headers.get("retry-after"), _THROTTLED_REST_S)
        raise ProviderError(Outcome.THROTTLED, f"status {status}", rest_s)
    if status in (401, 403):
        raise ProviderError(Outcome.REFUSED, f"status {status}", _REFUSED_REST_S)
    if status >= 500:
        rest_s = retry_after_s(response.headers.get("retry-after"), 0.0)
        raise ProviderError(Outcome.DOWN, f"status {status}", rest_s)
    if status != 200:
        raise ProviderError(Outcome.GARBAGE, f"status {status}")


def retry_after_s(header: str | None, default_s: float) -> float:
    """Return what Retry-After asks for in seconds; dates and nonsense give the default."""
    try:
        asked_s = float(header or "")
    except ValueError:
        return default_s
    return min(asked_s, MAX_REST_S) if math.isfinite(asked_s) and asked_s >= 0 else default_s


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ProviderError(Outcome.GARBAGE, "no JSON") from None
    if not isinstance(found, dict):
        raise ProviderError(Outcome.GARBAGE, "no JSON object")
    return found
