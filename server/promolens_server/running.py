"""Run the service with uvicorn: one process, or several that share a port."""

from __future__ import annotations

import math
import os
import shutil
import socket
import tempfile
from collections.abc import MutableMapping

import uvicorn

from promolens_runtime.errors import InputError
from promolens_server.config import DATABASE_VARIABLE, READ_VARIABLE, ServerConfig
from promolens_server.logs import log_settings
from promolens_server.metrics import SHARED_VARIABLE
from promolens_server.protocol import guarded_protocol

APP = "promolens_server.app:app"
_BACKLOG = 1_024
# Of TLS 1.2; 1.3 has nothing weak to leave out.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
# Workers write their figures through mapped memory: on a disk that is full, that would kill them.
_MEMORY_FOLDER = "/dev/shm"  # noqa: S108 - a folder of its own is made in it


def uvicorn_config(
    config: ServerConfig, app: object = APP, *, set_up_logs: bool = True
) -> uvicorn.Config:
    """Return uvicorn's settings for a configuration.

    Args:
        app: the application; by default the one that each worker makes of the environment.
        set_up_logs: JSON lines for all of the process; `False` where somebody else decides.
    """
    limits, tls = config.limits, config.tls
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=config.host,
        port=config.port,
        workers=config.workers,
        http=guarded_protocol(limits),
        ws="none",
        lifespan="on",
        access_log=False,
        # The gate knows which proxies are trusted.
        proxy_headers=False,
        server_header=False,
        log_config=log_settings() if set_up_logs else None,
        backlog=_BACKLOG,
        timeout_keep_alive=math.ceil(limits.keep_alive_s),
        timeout_graceful_shutdown=math.ceil(limits.stop_s),
        ssl_certfile=tls.certificate,
        ssl_keyfile=tls.key,
        ssl_ciphers=_CIPHERS,
    )


def check_free(host: str, port: int) -> None:
    """Try whether somebody can listen there, before anything takes long; port 0 is always free.

    Raises:
        InputError: the port is taken or not allowed, or this machine has no such address.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        raise InputError(
            f"Expected to listen on port {port} of {host}. Received: {error.strerror or error}. "
            "Stop what is there, or choose others with --port and --host."
        ) from error


def serve(config: ServerConfig, environment: MutableMapping[str, str] | None = None) -> int:
    """Run until SIGTERM or Ctrl-C; running requests are answered first. Return the exit status.

    Args:
        environment: of this process and its workers, who read their configuration from it.
    """
    given = os.environ if environment is None else environment
    given[DATABASE_VARIABLE] = config.database_url
    if config.read_url:
        given[READ_VARIABLE] = config.read_url
    settings = uvicorn_config(config)
    if config.workers == 1:
        server = uvicorn.Server(settings)
        server.run()
        return 0 if server.started else 1
    return _serve_many(settings, given)


def _serve_many(settings: uvicorn.Config, environment: MutableMapping[str, str]) -> int:
    from uvicorn.supervisors import Multiprocess

    within = _MEMORY_FOLDER if os.access(_MEMORY_FOLDER, os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="promolens-metrics-", dir=within)
    environment[SHARED_VARIABLE] = folder
    try:
        Multiprocess(settings, sockets=[settings.bind_socket()]).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0
