"""The file is locked, goes away, is replaced; the disk is full: readers are told, or nothing."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from catalog_support import HOUR, NOW, make_offer, make_offers, stage_crawl
from promolens_catalog.database import open_database
from promolens_catalog.publishing import publish
from promolens_server.config import DatabaseConfig, SyncConfig
from promolens_server.factory import create_app
from promolens_server.services import open_services
from server_support import assert_problem, config_for, serve_process

CODE = make_offer(3).barcode
# The quickest reader looks only so often whether its file is still there.
LOOKED_AGAIN_S = 0.3
PATHS = (
    f"/v1/products/by-barcode/{CODE}",
    "/v1/promotions?limit=5",
    "/v1/search?q=%EB%B3%B4%EB%A6%AC",
    "/v1/sync?since=0&limit=5",
    "/v1/products/1/history",
    "/v1/meta",
    "/readyz",
)


@pytest.fixture
def path(sqlite_url: str) -> Path:
    """A catalog with one list."""
    fill(Path(sqlite_url.removeprefix("sqlite:///")), range(20))
    return Path(sqlite_url.removeprefix("sqlite:///"))


def fill(path: Path, numbers: range, hours: int = 0) -> None:
    database = open_database(str(path))
    now = NOW + hours * HOUR
    publish(database, stage_crawl(database, make_offers(numbers), now), now)
    database.close()


@pytest.fixture
def client(path: Path, tmp_path: Path) -> Iterator[TestClient]:
    config = config_for(
        str(path), sync=SyncConfig(tmp_path / "files"), database=DatabaseConfig(pool_wait_s=0.2)
    )
    services = open_services(config, clock=lambda: NOW)
    with TestClient(create_app(services)) as opened:
        yield opened


def statuses(client: TestClient) -> set[int]:
    return {client.get(path).status_code for path in PATHS}


def test_a_writer_that_takes_its_time_is_not_noticed(client: TestClient, path: Path) -> None:
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE catalog_version SET version = 99")
    assert statuses(client) == {200}
    assert client.get("/readyz").json()["version"] == 1
    writer.execute("ROLLBACK")
    writer.close()


def test_a_file_that_is_locked_whole_is_told_and_then_well_again(
    client: TestClient, path: Path
) -> None:
    """Somebody switches the journal, or copies with a lock: no reader gets in."""
    assert statuses(client) == {200}
    services: Any = client.app.services  # type: ignore[attr-defined]
    services.versions.close()
    services.lookup.close()
    services.texts.close()
    services.catalog.engine.dispose()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    for address in PATHS:
        answer = client.get(address)
        assert_problem(answer, 503, "catalog-unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert client.get("/healthz").status_code == 200
    other.execute("ROLLBACK")
    other.execute("PRAGMA journal_mode = WAL")
    other.close()
    assert statuses(client) == {200}


def test_a_file_that_goes_away_and_comes_back(client: TestClient, path: Path) -> None:
    """Connections that are open would go on reading what is no longer there."""
    assert statuses(client) == {200}
    aside = path.rename(path.with_name("aside.db"))
    time.sleep(LOOKED_AGAIN_S)
    for address in PATHS:
        assert_problem(client.get(address), 503, "catalog-unavailable")
    assert not path.exists(), "a reader made an empty catalog"
    aside.rename(path)
    assert statuses(client) == {200}
    assert client.get("/readyz").json()["version"] == 1


def test_a_file_that_is_replaced_by_another_one(client: TestClient, path: Path) -> None:
    """As by a restored backup, with the service running: every answer is of the new one."""
    assert statuses(client) == {200}
    other = path.with_name("other.db")
    fill(other, range(5))
    fill(other, range(7), 1)
    # Closed, so that all of it is in the one file.
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    other.replace(path)
    time.sleep(LOOKED_AGAIN_S)
    assert client.get("/readyz").json()["version"] == 2
    assert client.get("/v1/promotions").json()["total"] == 7
    assert client.get(f"/v1/products/by-barcode/{CODE}").json()["status"] == "promotions"
    gone = client.get(f"/v1/products/by-barcode/{make_offer(15).barcode}").json()
    assert gone["status"] == "unknown-product"
    assert statuses(client) == {200}


def test_a_damaged_file_is_told_without_saying_where(client: TestClient, path: Path) -> None:
    other = path.with_name("other.db")
    other.write_bytes(b"SQLite format 3\0" + os.urandom(8_192))
    other.replace(path)
    time.sleep(LOOKED_AGAIN_S)
    for address in PATHS:
        said = assert_problem(client.get(address), 503, "catalog-unavailable")
        assert str(path) not in said["detail"]


def _no_more_bytes() -> None:
    # Every file may grow to 4 KiB: what a full disk says to writers, for this process alone.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, 4_096))


READER = """
import json, sys
from starlette.testclient import TestClient
from catalog_support import NOW
from promolens_server.config import SyncConfig
from promolens_server.factory import create_app
from promolens_server.services import open_services
from server_support import config_for
from pathlib import Path
config = config_for(sys.argv[1], sync=SyncConfig(Path(sys.argv[2])))
with TestClient(create_app(open_services(config, clock=lambda: NOW))) as client:
    got = {path: client.get(path) for path in [*sys.argv[3:], "/v1/sync/bootstrap"]}
    print(json.dumps({path: [one.status_code, one.headers["content-type"],
                             one.json().get("detail", "") if one.status_code > 399 else ""]
                      for path, one in got.items()}))
"""


def test_where_nothing_can_be_written_everything_is_still_read(path: Path, tmp_path: Path) -> None:
    """Only the bootstrap file, which has to be made first, has to wait: that is told."""
    fill(path, range(1_500), 1)
    # Another reader keeps the small file beside the catalog that readers share.
    with open_database(str(path)).read() as connection:
        connection.exec_driver_sql("SELECT 1 FROM catalog_version").all()
        done = subprocess.run(
            [sys.executable, "-c", READER, str(path), str(tmp_path / "files"), *PATHS],
            preexec_fn=_no_more_bytes,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    bootstrap = said.pop("/v1/sync/bootstrap")
    assert {status for status, *_ in said.values()} == {200}
    assert bootstrap[:2] == [503, "application/problem+json"]
    assert "Expected" in bootstrap[2]
    assert [one.name for one in (tmp_path / "files").glob("*.gz*")] == []


def test_on_a_disk_that_is_full(tmp_path: Path) -> None:
    """A real one, where we may mount it: publications fail whole, readers go on, room heals."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    try:
        _check_full_disk(disk)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _check_full_disk(disk: Path) -> None:
    fill(disk / "catalog.db", range(20))
    (disk / "server.toml").write_text(f'[sync]\nfolder = "{disk}/files"\n[rate]\nenabled = false\n')
    environment = {"PROMOLENS_DATABASE_URL": str(disk / "catalog.db"), "TMPDIR": str(disk)}
    words = ("--workers", "2", "--config", str(disk / "server.toml"))
    # Its log is on the full disk too.
    with serve_process(disk, *words, environment=environment) as server:
        import httpx

        with httpx.Client(base_url=server.url, timeout=60) as client:
            _wait_for(client)
            filler = disk / "filler"
            _fill_up(filler)
            with pytest.raises(Exception, match=r"room to write|disk"):
                fill(disk / "catalog.db", range(3_000), 1)
            for _ in range(20):
                assert {client.get(path).status_code for path in PATHS} == {200}
            assert client.get("/readyz").json()["version"] == 1
            full = client.get("/v1/sync/bootstrap")
            assert_problem(full, 503, "no-bootstrap")
            assert int(full.headers["retry-after"]) > 0
            filler.unlink()
            fill(disk / "catalog.db", range(30), 1)
            assert client.get("/readyz").json()["version"] == 2
            assert client.get("/v1/sync/bootstrap").status_code == 200
        assert "died" not in server.log.read_text("utf-8", "replace")


def _fill_up(filler: Path) -> None:
    descriptor = os.open(filler, os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, b"\0" * 4_096)
    os.close(descriptor)


def _wait_for(client: Any) -> None:
    import httpx

    deadline = time.monotonic() + 60
    while True:
        try:
            assert client.get("/readyz").status_code == 200
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_publications_and_reads_take_turns_for_long(client: TestClient, path: Path) -> None:
    """A writer that always writes starves no reader, and no reader stops it."""
    stop = threading.Event()
    published: list[int] = []

    def write() -> None:
        while not stop.is_set():
            fill(path, range(len(published), 20 + len(published)), len(published) + 1)
            published.append(1)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while len(published) < 5 and time.monotonic() < deadline:
        assert statuses(client) == {200}
    stop.set()
    thread.join()
    assert len(published) >= 5
