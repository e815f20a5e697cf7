"""Workers are killed under load, and nothing that was asked stays unanswered."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from catalog_support import NOW, make_offer, make_offers, stage_crawl
from promolens_catalog.database import open_database
from promolens_catalog.publishing import publish
from server_support import START_WITHIN_S, Running, serve_process

ROWS = 20
CLIENTS = 6
# How often a client asks again, with 50 ms between: phones wait longer.
MOST_TRIES = 1_000


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    """What a service on a catalog with one list needs; on each engine."""
    database = open_database(database_url)
    publish(database, stage_crawl(database, make_offers(range(ROWS))), NOW)
    database.close()
    (tmp_path / "server.toml").write_text("[rate]\nenabled = false\n[database]\npool_size = 2\n")
    return {
        "PROMOLENS_DATABASE_URL": database_url,
        "PROMOLENS_SERVER_CONFIG": str(tmp_path / "server.toml"),
    }


def workers_of(process: subprocess.Popen[bytes]) -> dict[int, psutil.Process]:
    """Return the workers of a service that live, by number."""
    found = {}
    for one in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(one.cmdline()):
                found[one.pid] = one
    return found


class Clients:
    """Clients that ask for one product after the other, each until there is a right answer."""

    def __init__(self, server: Running) -> None:
        self._port = server.port
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self.answered: set[int] = set()
        self.broken = 0
        self.wrong: list[Any] = []
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.is_set():
            number = next(self._numbers)
            for _ in range(MOST_TRIES):
                try:
                    self._ask_once(connection, number)
                    break
                except (OSError, http.client.HTTPException):
                    self.broken += 1
                    connection.close()
                    time.sleep(0.05)
            else:
                self.wrong.append(("never answered", number))
        connection.close()

    def _ask_once(self, connection: http.client.HTTPConnection, number: int) -> None:
        offer = make_offer(number % ROWS)
        connection.request("GET", f"/v1/products/by-barcode/{offer.barcode}")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or offer.name.encode() not in body or not body.endswith(b"}"):
            self.wrong.append((number, answer.status, body[:200]))
        self.answered.add(number)

    def wait_for_more(self, count: int = 100) -> None:
        goal, deadline = len(self.answered) + count, time.monotonic() + START_WITHIN_S
        while len(self.answered) < goal:
            assert time.monotonic() < deadline, (len(self.answered), self.wrong[:2])
            time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(START_WITHIN_S)


def test_every_worker_is_killed_in_turn(environment: dict[str, str], tmp_path: Path) -> None:
    with serve_process(tmp_path, "--workers", "3", environment=environment) as server:
        clients = Clients(server)
        clients.wait_for_more()
        first = set(workers_of(server.process))
        assert len(first) == 3
        for number in first:
            workers_of(server.process)[number].kill()
            wait_for_workers(server.process, 3, without=number)
            clients.wait_for_more()
        clients.stop()
        assert workers_of(server.process).keys().isdisjoint(first)
    assert clients.wrong == []
    # Nothing was left out: each number that was begun has its answer.
    assert clients.answered == set(range(max(clients.answered) + 1))


def test_all_at_once_are_killed(environment: dict[str, str], tmp_path: Path) -> None:
    """As by the kernel when memory runs out: connections wait for the new ones."""
    with serve_process(tmp_path, "--workers", "2", environment=environment) as server:
        clients = Clients(server)
        clients.wait_for_more()
        for one in workers_of(server.process).values():
            one.kill()
        clients.wait_for_more()
        wait_for_workers(server.process, 2)
        clients.stop()
    assert clients.wrong == []
    assert clients.answered == set(range(max(clients.answered) + 1))


def wait_for_workers(process: subprocess.Popen[bytes], count: int, without: int = 0) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        found = workers_of(process).keys()
        if len(found) == count and without not in found:
            return
        assert time.monotonic() < deadline, "a worker was not replaced"
        time.sleep(0.05)


@pytest.fixture
def plain(tmp_path: Path, sqlite_url: str) -> Iterator[tuple[Running, Path]]:
    """The application under uvicorn as somebody else starts it, with uvicorn's own log."""
    log = tmp_path / "uvicorn.log"
    words = [sys.executable, "-m", "uvicorn", "promolens_server.app:app", "--port", "0"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            words,
            stdout=stream,
            stderr=stream,
            env=os.environ | {"PROMOLENS_DATABASE_URL": sqlite_url},
        )
    try:
        deadline = time.monotonic() + START_WITHIN_S
        while not (found := re.search(r"running on http://[^:]+:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Running(int(found[1])), log
    finally:
        process.terminate()
        process.wait()


def test_no_log_of_uvicorns_says_where_somebody_is(plain: tuple[Running, Path]) -> None:
    server, log = plain
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for path in ("/v1/stores/nearby?lat=37.498123&lon=127.027456", "/v1/search?q=secret", "/x?y=z"):
        connection.request("GET", path, headers={"x-api-key": "secret"})
        connection.getresponse().read()
    connection.close()
    deadline = time.monotonic() + START_WITHIN_S
    while log.read_text().count('"event":"request"') < 3:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    text = log.read_text()
    assert not re.search(r"37\.49|127\.02|secret|GET /", text), text


def test_a_worker_on_a_catalog_that_is_there_loads_no_numbers_or_pictures(sqlite_url: str) -> None:
    """numpy and Pillow would be 30 MB of each worker. Making a new catalog is another matter."""
    program = (
        "import sys, promolens_server.app as place\nplace.app\n"
        "heavy = {'numpy', 'PIL', 'tensorflow', 'keras', 'ai_edge_litert', 'cv2', 'pandas', "
        "'sqlite_utils', 'alembic', 'sklearn', 'selenium'}\n"
        "print(*heavy & {name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PROMOLENS_DATABASE_URL": sqlite_url},
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
