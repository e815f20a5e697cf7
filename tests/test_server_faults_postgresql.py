"""PostgreSQL goes away and comes back, a replica lags, a pooler stands between, engines change."""

from __future__ import annotations

import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from catalog_support import HOUR, NOW, make_offer, make_offers, stage_crawl
from postgres_cluster import Cluster, pooler_before, primary, replica_of
from postgres_server import NoPostgresError
from promolens_catalog.copying import copy_catalog
from promolens_catalog.database import Database, Pool, open_database
from promolens_catalog.publishing import publish
from promolens_runtime.errors import InputError
from promolens_server.config import DatabaseConfig, SyncConfig
from promolens_server.factory import create_app
from promolens_server.services import open_services
from server_support import PROBLEM, Running, assert_problem, config_for, running, serve_process
from stores_support import put, seeded_rows

WITHIN_S = 60.0
CODE = make_offer(3).barcode


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server of this file's own: others would not like it to stop."""
    try:
        with primary() as started:
            yield started
    except NoPostgresError as error:
        pytest.skip(str(error))


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """The address of a catalog with one list."""
    if not cluster.running:
        cluster.start()
    name = f"catalog_{time.monotonic_ns()}"
    cluster.execute(f"CREATE DATABASE {name}")
    database = open_database(cluster.url(name))
    publish_list(database, 0, 20)
    database.close()
    yield cluster.url(name)
    if not cluster.running:
        cluster.start()
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


def publish_list(database: Database, first: int, end: int, hours: int = 0) -> None:
    now = NOW + hours * HOUR
    publish(database, stage_crawl(database, make_offers(range(first, end)), now), now)


def ask(url: str, timeout_s: float = 30.0) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.status, dict(answer.headers.items()), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def wait_until_reachable(server: Running) -> None:
    """Wait for the first of several workers; their supervisor says early that it runs."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            assert ask(server.url + "/readyz")[0] == 200
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


class Readers:
    """Clients that ask one address after the other and keep what went wrong."""

    PATHS = (
        f"/v1/products/by-barcode/{CODE}",
        "/v1/promotions?limit=5",
        "/v1/search?q=%EB%B3%B4%EB%A6%AC",
        "/v1/sync?since=0&limit=5",
        "/v1/products/1/history",
        "/v1/meta",
        "/readyz",
    )

    def __init__(self, server: Running) -> None:
        self.good = 0
        self.unavailable = 0
        self.wrong: list[Any] = []
        self._stop = threading.Event()
        self._url = server.url
        self._threads = [
            threading.Thread(target=self._read, args=(n,), daemon=True) for n in range(4)
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, number: int) -> None:
        while not self._stop.is_set():
            number += 1
            path = self.PATHS[number % len(self.PATHS)]
            status, headers, body = ask(self._url + path)
            if status == 200:
                self.good += 1
            elif _is_sound_refusal(status, headers, body):
                self.unavailable += 1
            else:
                self.wrong.append((path, status, headers, body[:300]))

    def wait_for(self, name: str, more: int) -> None:
        goal, deadline = getattr(self, name) + more, time.monotonic() + WITHIN_S
        while getattr(self, name) < goal:
            assert time.monotonic() < deadline, (name, self.wrong[:2])
            time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(WITHIN_S)


def _is_sound_refusal(status: int, headers: dict[str, str], body: bytes) -> bool:
    return (
        status == 503
        and headers["content-type"] == PROBLEM
        and int(headers["retry-after"]) > 0
        and json.loads(body)["code"] == "catalog-unavailable"
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_server_that_stops_and_starts_again(
    url: str, cluster: Cluster, how: signal.Signals
) -> None:
    """Readers are told to come back, then served again: nobody restarts anything."""
    app = create_app(open_services(config_for(url), clock=lambda: NOW))
    with running(app) as server:
        readers = Readers(server)
        readers.wait_for("good", 30)
        cluster.stop(how)
        readers.wait_for("unavailable", 30)
        assert ask(server.url + "/healthz")[0] == 200
        cluster.start()
        readers.wait_for("good", 60)
        deadline = time.monotonic() + WITHIN_S
        while (said := [ask(server.url + path)[0] for path in Readers.PATHS]) != [200] * 7:
            assert time.monotonic() < deadline, (said, readers.wrong[:3])
        readers.stop()
    assert readers.wrong == []


def test_workers_find_a_server_that_comes_back(url: str, cluster: Cluster, tmp_path: Path) -> None:
    """The same with processes: none of them dies, none has to be started again."""
    environment = {"PROMOLENS_DATABASE_URL": url}
    config = tmp_path / "server.toml"
    config.write_text("[rate]\nenabled = false\n[database]\npool_size = 2\npool_overflow = 1\n")
    words = ("--workers", "2", "--config", str(config))
    with serve_process(tmp_path, *words, environment=environment) as server:
        wait_until_reachable(server)
        readers = Readers(server)
        readers.wait_for("good", 30)
        cluster.stop()
        readers.wait_for("unavailable", 30)
        cluster.start()
        readers.wait_for("good", 60)
        readers.stop()
        log = server.log.read_text("utf-8")
    assert readers.wrong == []
    assert "died" not in log
    assert "Traceback" not in log


def test_a_replica_that_lags(url: str, cluster: Cluster, tmp_path: Path) -> None:
    """Reads come from the replica; what it has not got yet is no reason to begin anew."""
    with replica_of(cluster) as follower:
        read_url = url.replace(str(cluster.folder), str(follower.folder))
        database = open_database(url)
        config = config_for(url, read_url=read_url, sync=SyncConfig(tmp_path))
        services = open_services(config, clock=lambda: NOW)
        with TestClient(create_app(services)) as client:
            wait_for_version(client, 1)
            follower.execute("SELECT pg_wal_replay_pause()")
            publish_list(database, 5, 25, 1)
            assert client.get("/readyz").json()["version"] == 1
            # A phone that another replica, or the primary, told of version 2.
            behind = client.get("/v1/sync?since=2")
            assert_problem(behind, 503, "replica-behind")
            assert behind.headers["retry-after"] == "1"
            assert_problem(client.get("/v1/sync?since=999"), 409, "position-ahead")
            follower.execute("SELECT pg_wal_replay_resume()")
            wait_for_version(client, 2)
            assert client.get("/v1/sync?since=2").json()["changes"] == []
            pages_across_replicas(client, database, follower)
            follower.stop()
            time.sleep(0.3)
            assert_problem(client.get("/readyz"), 503, "catalog-unavailable")
            follower.start()
            wait_for_version(client, 3)
        database.close()


def pages_across_replicas(client: TestClient, database: Database, follower: Cluster) -> None:
    """A cursor of a version that the replica lacks waits too."""
    follower.execute("SELECT pg_wal_replay_pause()")
    publish_list(database, 7, 27, 2)
    with TestClient(create_app(open_services(config_for(place_of(database)), lambda: NOW))) as own:
        cursor = own.get("/v1/promotions?limit=5").json()["next_cursor"]
    assert_problem(client.get(f"/v1/promotions?limit=5&cursor={cursor}"), 503, "replica-behind")
    follower.execute("SELECT pg_wal_replay_resume()")
    wait_for_version(client, 3)
    assert client.get(f"/v1/promotions?limit=5&cursor={cursor}").status_code == 200


def place_of(database: Database) -> str:
    return database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def wait_for_version(client: TestClient, version: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while client.get("/readyz").json().get("version") != version:
        assert time.monotonic() < deadline, client.get("/readyz").json()
        time.sleep(0.05)


def test_a_pooler_in_transaction_mode(url: str, cluster: Cluster) -> None:
    """Two sessions for everybody: statements of one are met by another, which must not matter."""
    try:
        with pooler_before(cluster) as pooler:
            through = url.replace(str(cluster.folder), str(pooler.folder))
            with pytest.raises(InputError, match="startup parameter"):
                open_database(through, migrate=False, pool=Pool(statement_s=5.0))
            config = config_for(through, database=DatabaseConfig(pooler=True))
            app = create_app(open_services(config, clock=lambda: NOW))
            with running(app) as server:
                readers = Readers(server)
                # More often than the driver would wait before it prepares a statement.
                readers.wait_for("good", 300)
                database = open_database(through, pool=Pool(pooler=True))
                publish_list(database, 5, 25, 1)
                database.close()
                readers.wait_for("good", 100)
                readers.stop()
            assert (readers.wrong, readers.unavailable) == ([], 0)
    except NoPostgresError as error:
        pytest.skip(str(error))


ADDRESSES = (
    *Readers.PATHS[:-1],
    "/v1/promotions?limit=3&sort=per-100",
    "/v1/promotions?chain=cu&kind=1%2B1&sort=newest&price_max=3000",
    "/v1/promotions?text=%EB%B3%B4%EB%A6%AC",
    "/v1/products/1",
    "/v1/products/by-barcode/8801056150013",
    "/v1/products/by-label/%EB%B3%B4%EB%A6%AC%EA%B3%BC%EC%9E%90",
    "/v1/search?q=%EA%B3%BC%EC%9E%90&offered=true",
    "/v1/search?q=1%EB%B2%88",
    "/v1/autocomplete?q=%EB%8B%AC",
    "/v1/autocomplete?q=59",
    "/v1/sync?since=1&limit=2000",
    "/v1/sync?since=2.promotion.3",
    "/v1/sync/bootstrap",
    "/v1/stores/nearby?lat=37.5&lon=127.0&radius_m=5000&limit=50",
    "/v1/stores/nearby?lat=37.27&lon=127.02&radius_m=20000&chain=cu",
    "/v1/stores/nearby?lat=37.27&lon=127.02&radius_m=100",
)


def test_both_engines_say_the_same_bytes(cluster: Cluster, tmp_path: Path) -> None:
    """A catalog moves to PostgreSQL and back; each answers from it, tags and bodies alike."""
    first = open_database(str(tmp_path / "first.db"))
    publish_list(first, 0, 60)
    publish_list(first, 20, 80, 1)
    put(first, seeded_rows(600))
    cluster.execute("CREATE DATABASE moved")
    second = open_database(cluster.url("moved"))
    last = open_database(str(tmp_path / "last.db"))
    copy_catalog(first, second)
    copy_catalog(second, last)
    said = [
        answers(str(tmp_path / "first.db"), tmp_path / "a"),
        answers(place_of(second), tmp_path / "b"),
        answers(str(tmp_path / "last.db"), tmp_path / "c"),
    ]
    for database in (first, second, last):
        database.close()
    cluster.execute("DROP DATABASE moved WITH (FORCE)")
    for address in ADDRESSES:
        assert said[1][address] == said[0][address], address
        assert said[2][address] == said[0][address], address
    assert {status for status, _, _ in said[0].values()} == {200}
    bodies = [body for _, body, _ in said[0].values()]
    assert [a for a, b in zip(ADDRESSES, bodies, strict=True) if bodies.count(b) > 1] == []


def answers(url: str, folder: Path) -> dict[str, tuple[int, bytes, str | None]]:
    services = open_services(config_for(url, sync=SyncConfig(folder)), clock=lambda: NOW)
    with TestClient(create_app(services)) as client:
        got = {address: client.get(address) for address in ADDRESSES}
        return {
            address: (one.status_code, one.content, one.headers.get("etag"))
            for address, one in got.items()
        }
