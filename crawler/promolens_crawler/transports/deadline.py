"""A limit on the time of one whole exchange, which requests and urllib3 do not have.

Their timeouts hold for each wait on the socket: a shop that sends one byte a second, of headers or
of a body, keeps a reader for ever. Here a timer shuts the socket down when the time is over.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class DeadlineAdapter(HTTPAdapter):
    """Sends one request at a time, and can break it off from another thread.

    Attributes:
        sent: called when a request is on the wire.
    """

    def __init__(self) -> None:
        """Keep no connection yet."""
        self.sent: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._expired = False
        super().__init__(pool_connections=2, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make pools whose connections tell this adapter their sockets."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._connected, lambda: self.sent())

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[Callable[[], bool]]:
        """Break off what runs inside after `seconds`; gives a function that says whether it did."""
        self._expired = False
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield lambda: self._expired
        finally:
            timer.cancel()

    def _connected(self, opened: socket.socket) -> None:
        with self._lock:
            self._socket = opened
            if self._expired:
                _shut(opened)

    def _expire(self) -> None:
        with self._lock:
            self._expired = True
            if self._socket is not None:
                _shut(self._socket)


def _shut(opened: socket.socket) -> None:
    # Not the method of an SSL socket, which takes the encryption away from under its reader.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)


def _pools(
    connected: Callable[[socket.socket], None], sent: Callable[[], None]
) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            connected(self.sock)

        def request(self, *args: Any, **kwargs: Any) -> None:
            super().request(*args, **kwargs)
            sent()

    class Encrypted(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            connected(self.sock)

        def request(self, *args: Any, **kwargs: Any) -> None:
            super().request(*args, **kwargs)
            sent()

    # Made by hand: urllib3 declares the attribute as a protocol that its own classes do not meet.
    return {
        "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain}),
        "https": type("EncryptedPool", (HTTPSConnectionPool,), {"ConnectionCls": Encrypted}),
    }
