"""The service of `promolens demo`: in this process, on a port that is open already."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_server.config import ServerConfig


def serve(config: ServerConfig, listening: socket.socket, announce: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; `announce` is called once requests are answered.

    Raises:
        KeyboardInterrupt: it was ended with Ctrl-C, after running requests were answered.
        InputError: it did not start.
    """
    import uvicorn

    from promolens_runtime.errors import InputError
    from promolens_server.factory import create_app
    from promolens_server.running import uvicorn_config
    from promolens_server.services import open_services

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce()

    # People look at this terminal: what is wrong is written, that all is well is not.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    app = create_app(open_services(config))
    server = Announcing(uvicorn_config(config, app, set_up_logs=False))
    server.run(sockets=[listening])
    if not server.started:
        raise InputError(
            "Expected the service to start. Received no start; the lines above say why."
        )
