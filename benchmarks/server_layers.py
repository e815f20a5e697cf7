"""What do the layers around every route cost?

One hello route, three times on the same uvicorn with one worker each: bare Starlette; ours with the
gate around the very same plain route (request id, limits, rate limit, security headers, time limit,
metrics, log); and ours with a route of FastAPI that has a response model. A second process sends
requests over kept connections, in rounds that take turns. Throughput depends on what else the
machine does; the CPU time of a server for one request hardly does, so that both are told, and the
ratio of CPU times is the one to trust on a busy machine. The gate's budget is half of the bare
route's throughput.

examples:
  python benchmarks/server_layers.py
  python benchmarks/server_layers.py --requests 40000 --rounds 7 --out layers.json
  python benchmarks/server_layers.py --profile gate
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

NAMES = ("bare", "gate", "typed")
BUDGET = 0.5
_REQUEST = (
    b"GET /hello HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: promolens-bench\r\n"
    b"accept: application/json\r\naccept-encoding: gzip, br\r\n\r\n"
)


@dataclass(frozen=True)
class Figure:
    """Medians over the rounds.

    Attributes:
        per_s: answers a second.
        cpu_us: CPU time of the server for one answer, microseconds.
        p50_ms, p99_ms: from sending to the whole answer.
    """

    name: str
    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


class Connection(asyncio.Protocol):
    """Sends a request, waits for the whole answer, sends the next."""

    def __init__(self, budget: list[int], taken_s: list[float], done: asyncio.Event) -> None:
        self._budget = budget
        self._taken_s = taken_s
        self._done = done
        self._buffer = b""
        self._sent_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport: Any = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"not 200: {head[:60]!r}")
        self._buffer = body[length:]
        self._taken_s.append(time.perf_counter() - self._sent_s)
        self._next()

    def _next(self) -> None:
        if self._budget[0] <= 0:
            if not self._transport.is_closing():
                self._transport.close()
            self._done.set()
            return
        self._budget[0] -= 1
        self._sent_s = time.perf_counter()
        self._transport.write(_REQUEST)


async def send(port: int, requests: int, connections: int) -> list[float]:
    """Send requests over so many connections; return how long each took, seconds."""
    budget, taken_s, done = [requests], list[float](), asyncio.Event()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(budget, taken_s, done), "127.0.0.1", port)
    while len(taken_s) < requests:
        done.clear()
        await done.wait()
        await asyncio.sleep(0.001)
    return taken_s


def application(name: str, database: str) -> Any:
    """Return one of the three applications."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def hello(_request: Any) -> JSONResponse:
        return JSONResponse({"hello": "world"})

    route = Route("/hello", hello)
    if name == "bare":
        return Starlette(routes=[route])
    from promolens_server.config import RateConfig, ServerConfig
    from promolens_server.factory import create_app
    from promolens_server.services import open_services

    rate = RateConfig(per_s=1e6, burst=1_000_000)
    app = create_app(open_services(ServerConfig(database_url=database, rate=rate)))
    if name == "typed":
        _add_typed(app)
    else:
        app.router.routes.insert(0, route)
    return app


def _add_typed(app: Any) -> None:
    from pydantic import BaseModel

    class Hello(BaseModel):
        hello: str

    async def typed() -> Any:
        return {"hello": "world"}

    app.get("/hello", response_model=Hello)(typed)
    app.router.routes.insert(0, app.router.routes.pop())


def run_server(name: str, port: int, database: str, profile: str | None) -> None:
    """Serve one application until SIGTERM; with a profile of it in a file."""
    from dataclasses import replace

    import uvicorn

    from promolens_server.config import ServerConfig
    from promolens_server.running import uvicorn_config

    app = application(name, database)
    if name == "bare":
        settings = uvicorn.Config(app, port=port, log_level="warning", access_log=False)
    else:
        settings = uvicorn_config(replace(ServerConfig(), port=port), app)
    server = uvicorn.Server(settings)
    if profile is None:
        server.run()
        return
    import cProfile

    profiler = cProfile.Profile()
    # uvicorn raises the signal once more when it is done.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        profiler.runcall(server.run)
    finally:
        profiler.dump_stats(profile)


def _start(stack: ExitStack, name: str, port: int, folder: Path, profile: bool) -> psutil.Process:
    words = [sys.executable, __file__, "--serve", name, "--port", str(port)]
    words += ["--database", str(folder / "hello.db")]
    words += ["--profile-file", str(folder / name)] if profile else []
    log = stack.enter_context((folder / f"{name}.log").open("wb"))
    process = subprocess.Popen(words, stderr=log)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return psutil.Process(process.pid)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit((folder / f"{name}.log").read_text()) from None
            time.sleep(0.05)


def measure(names: Sequence[str], options: argparse.Namespace) -> list[Figure]:
    """Return the figures of some applications, measured in rounds that take turns."""
    rounds: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = {
            name: _start(stack, name, options.port + i, Path(folder), options.profile is not None)
            for i, name in enumerate(names)
        }
        for turn in range(options.rounds + 1):
            for i, name in enumerate(names):
                figures = _round(servers[name], options.port + i, options)
                if turn:  # the first one warms up
                    rounds[name].append(figures)
        if options.profile:
            stack.close()
            _show_profile(Path(folder) / options.profile)
    return [
        Figure(name, *(round(median(column), 3) for column in zip(*rows, strict=True)))
        for name, rows in rounds.items()
    ]


def _round(
    server: psutil.Process, port: int, options: argparse.Namespace
) -> tuple[float, float, float, float]:
    before, began_s = sum(server.cpu_times()[:2]), time.perf_counter()
    taken_s = sorted(asyncio.run(send(port, options.requests, options.connections)))
    seconds = time.perf_counter() - began_s
    cpu_s = sum(server.cpu_times()[:2]) - before
    n = len(taken_s)
    return (
        n / seconds,
        cpu_s / n * 1e6,
        taken_s[n // 2] * 1000,
        taken_s[int(n * 0.99)] * 1000,
    )


def _show_profile(path: Path) -> None:
    import pstats

    pstats.Stats(str(path)).sort_stats("tottime").print_stats(45)


def main() -> None:
    """Measure, print a Markdown table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000, help="of one round (10000)")
    parser.add_argument("--rounds", type=int, default=5, help="of each application (5)")
    parser.add_argument("--connections", type=int, default=16, help="at once (16)")
    parser.add_argument("--port", type=int, default=8790, help="the first of three (8790)")
    parser.add_argument("--profile", choices=NAMES, help="show where one application's time goes")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--serve", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--database", default="", help=argparse.SUPPRESS)
    parser.add_argument("--profile-file", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        run_server(options.serve, options.port, options.database, options.profile_file)
        return
    figures = measure([options.profile] if options.profile else NAMES, options)
    bare = figures[0]
    print("| application | requests/s | of bare | CPU µs | of bare | p50 ms | p99 ms |")
    print("|---|---|---|---|---|---|---|")
    for one in figures:
        print(
            f"| {one.name} | {one.per_s:.0f} | {one.per_s / bare.per_s:.2f} | {one.cpu_us:.0f} "
            f"| {bare.cpu_us / one.cpu_us:.2f} | {one.p50_ms:.2f} | {one.p99_ms:.2f} |"
        )
    load = os.getloadavg()[0]
    print(f"\nload average {load:.1f} on {os.cpu_count()} cores; budget of the gate {BUDGET}")
    if options.out:
        rows = [asdict(one) for one in figures]
        options.out.write_text(json.dumps({"load": load, "figures": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
