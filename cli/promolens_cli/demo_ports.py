"""Taking a port, or saying what to do where it is taken."""

from __future__ import annotations

import errno
import socket

from promolens_runtime.errors import InputError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to a port of an IPv4 address; 0 for any free one.

    Raises:
        InputError: the port is taken, or not allowed.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        # Only who listens keeps the port from others; connections wait until they are accepted.
        listening.listen(1_024)
    except OSError as error:
        listening.close()
        raise _refused(port, error) from None
    return listening


def _refused(port: int, error: OSError) -> InputError:
    if error.errno == errno.EADDRINUSE:
        return InputError(
            f"Expected port {port} to be free. Received one that another program listens on "
            "(an earlier demo, perhaps). End that one, or choose another: "
            f"promolens demo --port {port + 1 if port < 65_535 else 0}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return InputError(
            f"Expected a port that this user may open. Received {port}. "
            "Choose one from 1024: promolens demo --port 8000"
        )
    return InputError(f"Expected to open port {port}. Received: {error}. Choose another: --port")
