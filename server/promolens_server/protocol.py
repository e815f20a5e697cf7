"""HTTP on one connection, with the limits that uvicorn leaves to a proxy.

Missing there, and here: a time limit for headers (slowloris), a limit on their size, one on
requests that are sent ahead without waiting for answers, an end of connections whose reader stands
still, and a refusal in the shape of a problem. For what is in a request see `limits.py`.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import socket
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from promolens_server.config import LimitsConfig
from promolens_server.problems import MEDIA_TYPE, Problem, problem_body

# Requests sent ahead on one connection; browsers send none.
_MOST_AHEAD = 16


class GuardedProtocol(HttpToolsProtocol):
    """One connection of a client that is not trusted."""

    def __init__(self, *arguments: Any, limits: LimitsConfig, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._rest_timer: asyncio.TimerHandle | None = None
        self._refusal: Problem | None = None
        self._unsent_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many connections already."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._refuse(Problem(503, "busy", _BUSY, headers={"retry-after": "1"}))
            return
        _end_dead_peers(transport, self._limits.keep_alive_s)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timers."""
        self._stop_timer()
        self._stop_rest_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within the limits of the head of a request."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.header_bytes:
                self._refuse(_head_too_large(self._limits))
            elif self._head_timer is None:
                self._await_head()

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._in_head = False
        self._stop_timer()
        if len(self.pipeline) >= _MOST_AHEAD:
            self._refusal = Problem(400, "too-far-ahead", _AHEAD)
            raise ValueError(_AHEAD)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note the end of a body."""
        self._stop_rest_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on; who got an answer before the end of their body has so long to send the rest."""
        super().on_response_complete()
        cycle = self.cycle
        if cycle.response_complete and cycle.more_body and not self.transport.is_closing():
            self._stop_rest_timer()
            # Every byte of it puts off the end of an idle connection.
            self._rest_timer = self.loop.call_later(self._limits.body_s, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or was refused above."""
        self._refuse(self._refusal or Problem(400, "bad-request", _NO_REQUEST))

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; look again at one whose last answer is still being read."""
        if self.transport.is_closing():
            return
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0:
            self.transport.close()
        elif unsent == self._unsent_bytes:
            self.transport.abort()
        else:
            self._unsent_bytes = unsent
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _count(self, size: int) -> None:
        # A whole head may come in one piece, and never be counted in `data_received`.
        self._head_bytes += size
        if self._head_bytes > self._limits.header_bytes:
            self._refusal = _head_too_large(self._limits)
            raise ValueError(self._refusal.detail)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self._limits.header_s, self._head_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_rest_timer(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(
                Problem(
                    408,
                    "headers-too-slow",
                    f"Expected the headers within {self._limits.header_s:g} s. Received less. "
                    "Send them at once.",
                )
            )

    def _may_answer(self) -> bool:
        """Return whether a refusal would not be taken for the answer to another request."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return True
        if cycle.more_body and not cycle.response_started and not self.pipeline:
            # The body itself is broken: the application has nobody to answer any more.
            cycle.disconnected = True
            cycle.message_event.set()
            return True
        return False

    def _refuse(self, problem: Problem) -> None:
        """Answer without the application, and close."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self._may_answer():
            body = problem_body(problem, secrets.token_hex(10))
            lines = [
                STATUS_LINE[problem.status],
                b"content-type: ",
                MEDIA_TYPE.encode("ascii"),
                b"\r\ncontent-length: ",
                str(len(body)).encode("ascii"),
                b"\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n",
                b"connection: close\r\n",
                *(f"{name}: {value}\r\n".encode() for name, value in problem.headers.items()),
                b"\r\n",
                body,
            ]
            self.transport.write(b"".join(lines))
        # Else an answer is on its way: another one in the middle of it would be taken for its end.
        self.transport.close()


def guarded_protocol(limits: LimitsConfig) -> type[asyncio.Protocol]:
    """Return what uvicorn makes a connection of; can be sent to other processes."""
    return cast("type[asyncio.Protocol]", functools.partial(GuardedProtocol, limits=limits))


_BUSY = "Expected room for a connection. Received too many. Connect again soon."
_AHEAD = f"Expected at most {_MOST_AHEAD} requests ahead. Received more. Wait for answers."
_NO_REQUEST = "Expected an HTTP/1.1 request. Received something else. Check the client."


def _head_too_large(limits: LimitsConfig) -> Problem:
    return Problem(
        431,
        "headers-too-large",
        f"Expected request line and headers of at most {limits.header_bytes} bytes. Received more. "
        "Send less.",
    )


def _end_dead_peers(transport: asyncio.Transport, limit_s: float) -> None:
    """Let the kernel end a connection whose other end takes nothing for so long."""
    connected = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if connected is None or option is None or connected.family == getattr(socket, "AF_UNIX", None):
        return
    connected.setsockopt(socket.IPPROTO_TCP, option, int(limit_s * 1000))
