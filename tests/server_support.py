"""What the tests of the server share: the application on a fresh catalog of each engine.

`client` calls it in this process. `running` puts an application behind a real uvicorn on a free
port, with the limits of a configuration; `serve_process` is the program itself, to be killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from catalog_support import NOW
from promolens_server.config import LogConfig, RateConfig, ServerConfig
from promolens_server.factory import create_app
from promolens_server.running import uvicorn_config
from promolens_server.services import Services, open_services

START_WITHIN_S = 120.0
PROBLEM = "application/problem+json"


def config_for(database_url: str, **changes: Any) -> ServerConfig:
    """Return a configuration for a test: no rate limit and no log, unless it asks for them."""
    config = ServerConfig(
        database_url=database_url, rate=RateConfig(enabled=False), logs=LogConfig(requests=False)
    )
    return replace(config, **changes)


@pytest.fixture
def services(database_url: str) -> Iterator[Services]:
    """Services on a fresh catalog of each engine, at `NOW`."""
    opened = open_services(config_for(database_url), clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    """A client of the application in this process."""
    with TestClient(create_app(services)) as opened:
        yield opened


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The address of a fresh catalog in SQLite, for what does not depend on the engine."""
    path = tmp_path / "catalog.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


def assert_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem of the one shape; return its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    members: dict[str, Any] = json.loads(answer.content)
    assert list(members)[:6] == ["type", "title", "status", "code", "detail", "request_id"]
    assert members["type"] == "about:blank"
    assert (members["status"], members["code"]) == (status, code)
    # Expected, received, what to do; on one line.
    assert re.fullmatch(r"Expected [^\n]+ Received[^\n]+\.", members["detail"]), members["detail"]
    assert members["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    return members


@dataclass(frozen=True)
class Running:
    """A service on loopback."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def running(app: FastAPI, config: ServerConfig | None = None, **options: Any) -> Iterator[Running]:
    """Run an application in a thread as `promolens serve` does; `options` are uvicorn's."""
    settings = uvicorn_config(replace(config or ServerConfig(), port=0), app, set_up_logs=False)
    for name, value in options.items():
        setattr(settings, name, value)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_WITHIN_S
    while not server.started:
        assert thread.is_alive(), "the server ended"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield Running(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=START_WITHIN_S)
        assert not thread.is_alive(), "the server did not end"


@dataclass(frozen=True)
class ServeProcess(Running):
    """`promolens serve` in a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines that it wrote so far."""
        lines = self.log.read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextlib.contextmanager
def serve_process(
    folder: Path, *arguments: str, port: int = 0, environment: Mapping[str, str] | None = None
) -> Iterator[ServeProcess]:
    """Run `promolens serve` until the end of the block; ready when the block begins."""
    log = folder / f"serve-{time.monotonic_ns()}.log"
    words = [sys.executable, "-m", "promolens_cli.main", "serve", "--port", str(port), *arguments]
    clean = {name: value for name, value in os.environ.items() if "PROMOLENS" not in name}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            words, stderr=stream, cwd=folder, env=clean | dict(environment or {})
        )
    try:
        yield ServeProcess(_port_of(process, log), process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=START_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        found = re.search(r"running on http://[^:]+:(\d+)", log.read_text("utf-8"))
        if found:
            return int(found[1])
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"promolens serve did not start: {log.read_text('utf-8')}")
        time.sleep(0.02)
