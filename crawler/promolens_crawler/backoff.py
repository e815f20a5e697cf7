"""Trying again: exponential waits with full jitter, and what a shop asks for in `Retry-After`."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base, wait_random_exponential

from promolens_crawler.errors import FetchFailedError
from promolens_crawler.limits import Limits

T = TypeVar("T")
RETRIED_STATUS = frozenset({429, 500, 502, 503, 504})


class TransientError(Exception):
    """An answer that may be better the next time.

    Attributes:
        received: what came, as the second sentence of an error says it: `status 503`.
        retry_after_s: the wait that the shop asks for; `None` if it asks for none.
    """

    def __init__(self, received: str, retry_after_s: float | None = None) -> None:
        """Keep what came."""
        super().__init__(received)
        self.received, self.retry_after_s = received, retry_after_s


class _PoliteWait(wait_base):
    """What the shop asks for at least, and a random part of a growing time."""

    def __init__(self, limits: Limits) -> None:
        self._jitter = wait_random_exponential(
            multiplier=limits.backoff_s, max=limits.max_backoff_s
        )

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return seconds."""
        wait_s = self._jitter(retry_state)
        failed = retry_state.outcome.exception() if retry_state.outcome else None
        asked_s = failed.retry_after_s if isinstance(failed, TransientError) else None
        return wait_s if asked_s is None else asked_s + wait_s


def try_again(
    call: Callable[[], T], what: str, limits: Limits, sleep: Callable[[float], None]
) -> T:
    """Return what `call` returns, after up to `limits.tries` tries.

    Args:
        call: raises TransientError where another try may help; other errors pass through.
        what: the thing that is fetched, for the error's text.

    Raises:
        FetchFailedError: it failed each time, or the shop asks for a wait that is too long.
    """

    def checked() -> T:
        try:
            return call()
        except TransientError as error:
            if (error.retry_after_s or 0.0) > limits.max_backoff_s:
                raise FetchFailedError(
                    f"Expected to try {what} again within {limits.max_backoff_s:g} s. Received "
                    f"{error.received} and a wish for {error.retry_after_s:.0f} s. Run the crawl "
                    "again later."
                ) from error
            raise

    retrying = Retrying(
        stop=stop_after_attempt(limits.tries),
        wait=_PoliteWait(limits),
        retry=retry_if_exception_type(TransientError),
        sleep=sleep,
        reraise=True,
    )
    try:
        return retrying(checked)
    except TransientError as error:
        times = "once" if limits.tries == 1 else f"{limits.tries} times"
        raise FetchFailedError(
            f"Expected an answer to {what}. Received {error.received}, {times}. "
            "Run the crawl again later."
        ) from error


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Read a `Retry-After` header: seconds, or a date; `None` where it says nothing readable.

    >>> retry_after_s("120", datetime(2026, 11, 1, tzinfo=UTC))
    120.0
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    seconds = (date - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
