"""One request and its answer on their way through the gate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from starlette.types import Message, Receive, Send

from promolens_server.compression import Coding, coded_tag, compressed, gains
from promolens_server.config import LimitsConfig
from promolens_server.headers import CSP, DEFAULT_CSP, Header
from promolens_server.limits import body_too_large
from promolens_server.problems import MEDIA_TYPE, Problem, problem_body

_VARY_CODING: Header = (b"vary", b"Accept-Encoding")


class Exchange:
    """What is known of one request, and the way its answer takes.

    Attributes:
        request_id: its name.
        extra: headers that the answer gets besides its own.
        coding: what the client takes bodies in; `None` for as they are.
        who: whom its rate is counted for, a key or an address; empty before it is counted.
        deadline_s: when it is ended (`time.monotonic`); each step of the answer moves it on.
        status: of the answer; 0 before it began.
        size: bytes of the body sent so far.
    """

    __slots__ = (
        "_held",
        "_limits",
        "_receive",
        "_received",
        "_send",
        "answered",
        "coding",
        "deadline_s",
        "extra",
        "key_id",
        "overdue",
        "request_id",
        "size",
        "status",
        "task",
        "who",
    )

    def __init__(
        self,
        request_id: str,
        limits: LimitsConfig,
        receive: Receive,
        send: Send,
        extra: list[Header],
    ) -> None:
        self.request_id = request_id
        self.extra = extra
        self.coding: Coding | None = None
        self.key_id: str | None = None
        self.who = ""
        self.deadline_s = time.monotonic() + limits.request_s
        self.task: asyncio.Task[object] | None = None
        self.overdue = False
        self.status = 0
        self.size = 0
        # The gate itself answered: what the application still says goes nowhere.
        self.answered = False
        self._limits = limits
        self._receive = receive
        self._received = 0
        self._send = send
        self._held: Message | None = None

    async def send(self, message: Message) -> None:
        """Send a part of the application's answer on."""
        if self.answered:
            return
        self.deadline_s = time.monotonic() + self._limits.request_s
        if message["type"] == "http.response.start":
            self.status = message["status"]
            await self._start(message)
        elif self._held is not None:
            await self._first_body(self._held, message)
        else:
            self.size += len(message.get("body", b""))
            await self._send(message)

    async def receive(self) -> Message:
        """Receive a part of the body, up to its limit; then the request is answered with 413."""
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        self._received += len(message.get("body", b""))
        if self._received > self._limits.body_bytes:
            await self.refuse(body_too_large(self._limits))
            return {"type": "http.disconnect"}
        if not message.get("more_body", False):
            self.deadline_s = time.monotonic() + self._limits.request_s
        return message

    @property
    def limits(self) -> LimitsConfig:
        """What this request may cost."""
        return self._limits

    def allow(self, seconds: float) -> None:
        """Give this request so long to the start of its answer, from now on."""
        self.deadline_s = time.monotonic() + seconds

    async def refuse(self, problem: Problem, extra: Iterable[Header] = ()) -> None:
        """Answer with a problem, unless an answer has begun."""
        if self.status:
            return
        self.answered = True
        body = problem_body(problem, self.request_id)
        headers = [
            (b"content-type", MEDIA_TYPE.encode("ascii")),
            (b"content-length", str(len(body)).encode("ascii")),
            (b"cache-control", b"no-store"),
            *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
            *extra,
        ]
        await self.answer(problem.status, headers, body)

    async def answer(self, status: int, headers: Iterable[Header], body: bytes = b"") -> None:
        """Answer at once, without the application."""
        self.answered = True
        self.status, self.size = status, len(body)
        lines = [*headers, *self.extra, DEFAULT_CSP]
        await self._send({"type": "http.response.start", "status": status, "headers": lines})
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, message: Message) -> None:
        own: list[Header] = message.get("headers", [])
        names = {name for name, _ in own}
        headers = [*own, *self.extra]
        if CSP not in names:
            headers.append(DEFAULT_CSP)
        start = {**message, "headers": headers}
        if self.coding is not None and self.status == 200 and _may_be_coded(own, names):
            self._held = start
            return
        await self._send(start)

    async def _first_body(self, start: Message, message: Message) -> None:
        self._held = None
        body = message.get("body", b"")
        if self.coding is not None and not message.get("more_body", False):
            body = compressed(body, self.coding)
            start["headers"] = _coded(start["headers"], self.coding, len(body))
            message = {**message, "body": body}
        self.size += len(body)
        await self._send(start)
        await self._send(message)


def _may_be_coded(headers: list[Header], names: set[bytes]) -> bool:
    # What has ranges or a digest has been made small when it was made, or never.
    if not names.isdisjoint((b"content-encoding", b"content-range", b"accept-ranges")):
        return False
    table: dict[bytes, Any] = dict(headers)
    size = table.get(b"content-length", b"")
    return size.isdigit() and gains(table.get(b"content-type", b""), int(size))


def _coded(headers: list[Header], coding: Coding, size: int) -> list[Header]:
    changed: list[Header] = []
    varies = False
    for name, value in headers:
        if name == b"content-length":
            value = str(size).encode("ascii")
        elif name == b"etag":
            value = coded_tag(value, coding)
        varies = varies or (name == b"vary" and b"accept-encoding" in value.lower())
        changed.append((name, value))
    changed.append((b"content-encoding", coding.encode("ascii")))
    return changed if varies else [*changed, _VARY_CODING]
