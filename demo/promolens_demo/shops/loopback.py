"""Real HTTP servers on this machine's loopback address, in a thread: for all stand-ins."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime

import uvicorn
from starlette.types import ASGIApp

from promolens_runtime.errors import InputError

LOOPBACK = "127.0.0.1"
_START_WITHIN_S = 20.0
_STOP_WITHIN_S = 5.0


def utc_now() -> datetime:
    """Return the present instant, UTC."""
    return datetime.now(UTC)


def listen(port: int) -> socket.socket:
    """Return a socket bound to a port of the loopback address; 0 for any free one.

    Raises:
        OSError: the port is taken.
        OverflowError: it is no port.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
    except (OSError, OverflowError):
        listening.close()
        raise
    return listening


def address_of(listening: socket.socket) -> str:
    """Return `http://127.0.0.1:PORT`."""
    return f"http://{LOOPBACK}:{listening.getsockname()[1]}"


class LoopbackServer:
    """An application served on some sockets until `close`.

    Args:
        what: what it is, for messages: `the shops`.

    Raises:
        InputError: it does not start.
    """

    def __init__(self, app: ASGIApp, sockets: list[socket.socket], what: str) -> None:
        self._what = what
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=(sockets,), name=f"stand-in: {what}", daemon=True
        )
        self._thread.start()
        self._wait_for_start()

    def close(self) -> None:
        """Stop serving; open connections are broken after a moment."""
        self._server.should_exit = True
        self._thread.join(_STOP_WITHIN_S)

    def _wait_for_start(self) -> None:
        deadline_s = time.monotonic() + _START_WITHIN_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline_s:
                raise InputError(
                    f"Expected {self._what} to open on loopback. Received no answer from the "
                    "server. Check whether this machine allows listening on 127.0.0.1."
                )
            time.sleep(0.005)
