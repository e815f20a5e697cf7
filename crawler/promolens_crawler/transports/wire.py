"""One request over plain HTTP, with hard limits on what comes back. No manners here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin

import requests
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,  # noqa: A004 - its own name in requests
    ContentDecodingError,
    RequestException,
    Timeout,
)
from urllib3.exceptions import HTTPError, ReadTimeoutError

from promolens_crawler.backoff import RETRIED_STATUS, TransientError, retry_after_s
from promolens_crawler.errors import FetchFailedError, SourceGoneError
from promolens_crawler.limits import Limits
from promolens_crawler.manners import Turn, same_host
from promolens_crawler.pages import Request
from promolens_crawler.transports.body import (
    CutOffError,
    TooLargeError,
    UnknownEncodingError,
    unpacked,
)
from promolens_crawler.transports.deadline import DeadlineAdapter

_CHUNK_BYTES = 65_536
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD = frozenset({307, 308})
# What a list can come as. An image, a font or a film is never read, whatever the address promised.
_TEXT_TYPES = ("text/", "application/json", "application/xhtml+xml", "application/xml")
# What a catalogue picture can come as (`pictures.py`); a crawl never asks for these.
PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp")
# Other encodings would need libraries whose reading has no limit.
_HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/json;q=0.9,text/*;q=0.8",
    "Accept-Encoding": "gzip, deflate",
    "Accept-Language": "ko-KR,ko;q=0.9",
}


@dataclass(frozen=True)
class Reply:
    """What came back in the end.

    Attributes:
        url: the address that answered, after redirects.
        headers: names in lower case.
        body: decompressed; empty where the status is not 200.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A client with its own cookies; one request at a time."""

    def __init__(
        self,
        agent: str,
        limits: Limits,
        now: Callable[[], datetime],
        types: tuple[str, ...] = _TEXT_TYPES,
    ) -> None:
        """Open no connection yet.

        Args:
            agent: the user agent.
            now: what a `Retry-After` date is compared with.
            types: beginnings of the content types that are read.
        """
        self._limits, self._now, self._types = limits, now, types
        self._session = requests.Session()
        # Neither proxies nor .netrc of the environment: we come as who we are.
        self._session.trust_env = False
        self._session.headers.clear()
        self._session.headers.update(_HEADERS | {"User-Agent": agent})
        if types is not _TEXT_TYPES:
            self._session.headers["Accept"] = ",".join(types)
        self._adapter = DeadlineAdapter()
        self._session.mount("http://", self._adapter)
        self._session.mount("https://", self._adapter)

    def follow(
        self,
        request: Request,
        take_turn: Callable[[str], Turn],
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request, follow redirects within its host, and return the last answer.

        Args:
            take_turn: called with each address before it is asked: manners.
            headers: further ones.

        Raises:
            TransientError: status 429, 500, 502, 503 or 504, a timeout, a broken connection.
            FetchFailedError: a limit is broken: size, time, redirects, content type.
            SourceGoneError: a redirect leads to another host; it is not followed.
        """
        first = request
        for _ in range(self._limits.max_redirects + 1):
            turn = take_turn(request.url)
            # Connecting takes its time: what counts is when the request is on the wire.
            self._adapter.sent = turn.started
            try:
                reply = self._once(request, headers or {})
            finally:
                turn.started()
            target = reply.headers.get("location", "")
            if reply.status not in _REDIRECTS or not target:
                return reply
            request = _redirected(request, reply.status, target)
            if not same_host(request.url, first.url):
                raise left_home(first.url, request.url)
        raise too_many_redirects(first.url, self._limits.max_redirects)

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def _once(self, request: Request, headers: Mapping[str, str]) -> Reply:
        limit_s = self._limits.total_timeout_s
        with self._adapter.deadline(limit_s) as expired:
            try:
                reply = self._exchange(request, headers)
            except Exception as error:
                if expired():
                    raise too_slow(request.url, limit_s) from error
                if isinstance(error, RequestException | HTTPError | OSError):
                    raise self._failed(request, error) from error
                raise
            # Headers that were broken off look like an answer without a body.
            if expired():
                raise too_slow(request.url, limit_s)
            return reply

    def _exchange(self, request: Request, headers: Mapping[str, str]) -> Reply:
        with self._session.request(
            "GET" if request.form is None else "POST",
            request.url,
            data=None if request.form is None else dict(request.form),
            headers={**request.headers, **headers},
            timeout=(self._limits.connect_timeout_s, self._limits.read_timeout_s),
            allow_redirects=False,
            stream=True,
        ) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            if answer.status_code in RETRIED_STATUS:
                wait_s = retry_after_s(found.get("retry-after"), self._now())
                raise TransientError(f"status {answer.status_code}", wait_s)
            body = b""
            if answer.status_code == 200:
                self._check_type(request.url, found.get("content-type", ""))
                body = self._read(answer, request.url)
            return Reply(request.url, answer.status_code, found, body)

    def _check_type(self, url: str, content_type: str) -> None:
        kind = content_type.partition(";")[0].strip().lower()
        if kind and not kind.startswith(self._types):
            lists = self._types is _TEXT_TYPES
            expected, things = (
                ("text, HTML or JSON", "lists") if lists else ("a JPEG, PNG or WebP", "pictures")
            )
            raise FetchFailedError(
                f"Expected {expected} at {url}. Received content type {kind[:60]!r}. "
                f"Look at the address: {things} are never of that type."
            )

    def _read(self, answer: requests.Response, url: str) -> bytes:
        limit = self._limits.max_body_bytes
        declared = answer.headers.get("Content-Length", "")
        encoding = answer.headers.get("Content-Encoding", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
            raise too_large(url, limit)
        if not declared and not encoding and not answer.raw.chunked:
            raise FetchFailedError(
                f"Expected an answer to {url[:200]} that says where it ends. Received one without "
                "a length: half a list would look like a whole one. Use the browser."
            )
        try:
            parts = answer.raw.stream(_CHUNK_BYTES, decode_content=False)
            return unpacked(parts, encoding, limit)
        except TooLargeError:
            raise too_large(url, limit) from None
        except CutOffError:
            raise TransientError("a body that broke off") from None
        except UnknownEncodingError as error:
            raise FetchFailedError(
                f"Expected gzip, deflate or plain text at {url[:200]}. Received content encoding "
                f"{str(error)[:40]!r}. Look at the address in a browser."
            ) from None

    def _failed(self, request: Request, error: Exception) -> Exception:
        if isinstance(error, Timeout | TimeoutError | ReadTimeoutError):
            return TransientError(f"nothing for {self._limits.read_timeout_s:g} s")
        if isinstance(error, ChunkedEncodingError | ContentDecodingError | HTTPError):
            return TransientError("a body that broke off")
        if isinstance(error, ConnectionError | OSError) and not isinstance(error, ValueError):
            return TransientError("a broken connection")
        return FetchFailedError(
            f"Expected an answer to {request.url[:200]}. Received {type(error).__name__}. "
            "Look at the address of the source."
        )


def _redirected(request: Request, status: int, target: str) -> Request:
    url = urljoin(request.url, target)
    if status in _KEEP_METHOD:
        return Request(url, request.form, request.headers)
    return Request(url, headers=request.headers)


def left_home(url: str, target: str) -> SourceGoneError:
    """Return the error for a list that sends its readers to another host."""
    return SourceGoneError(
        f"Expected a list at {url[:200]}. Received a redirect to {target[:200]}. The list is "
        "no longer where it was: look at the shop's site, then switch the source off, or change "
        "its home."
    )


def too_many_redirects(url: str, limit: int) -> FetchFailedError:
    """Return the error for redirects without end."""
    return FetchFailedError(
        f"Expected at most {limit} redirects from {url[:200]}. Received more. "
        "Look at the address in a browser."
    )


def too_slow(url: str, limit_s: float) -> FetchFailedError:
    """Return the error for an answer that drips."""
    return FetchFailedError(
        f"Expected a whole answer to {url[:200]} within {limit_s:g} s. Received a part of it. "
        "Run the crawl again later, or raise total_timeout_s in [crawler.limits]."
    )


def too_large(url: str, limit: int) -> FetchFailedError:
    """Return the error for an answer without end."""
    return FetchFailedError(
        f"Expected at most {limit} bytes at {url[:200]}, decompressed. Received more. "
        "Look at the address; the limit is max_body_bytes in [crawler.limits]."
    )
