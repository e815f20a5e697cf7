"""A PostgreSQL that a test may stop and start, a replica that follows it, and a pooler before it.

Everything is in temporary folders and reachable over sockets in them only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from postgres_server import NoPostgresError, PostgresServer, _programs, _unprivileged

WITHIN_S = 60.0
# What is committed survives that the server is killed, though not a real power cut.
_QUICK = ("fsync=off", "full_page_writes=off")
_SMALL = ("shared_buffers=32MB", "max_connections=60", "max_wal_senders=3", "wal_keep_size=64MB")


class Cluster(PostgresServer):
    """A server whose folder stays when it is stopped."""

    def start(self) -> None:
        """Start it, and wait until it lets somebody in."""
        options = ["listen_addresses=", f"unix_socket_directories={self.folder}", *_SMALL, *_QUICK]
        words = [word for option in options for word in ("-c", option)]
        with (self.folder / "log").open("ab") as stream:
            process = subprocess.Popen(
                [str(_programs() / "postgres"), "-D", "data", *words],
                stdout=stream,
                stderr=stream,
                **_run_in(self.folder),
            )
        _processes[self.folder] = process
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                self.execute("SELECT 1")
                return
            except Exception as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text()
                    raise AssertionError(f"PostgreSQL did not start: {log}") from error
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends all sessions, SIGQUIT is a crash."""
        process = _processes.pop(self.folder)
        process.send_signal(how)
        process.wait(timeout=WITHIN_S)

    @property
    def running(self) -> bool:
        """Tell whether it was started and not stopped."""
        return self.folder in _processes


_processes: dict[Path, subprocess.Popen[Any]] = {}


def _run_in(folder: Path) -> dict[str, Any]:
    return {"cwd": folder, "env": {"PATH": "/usr/bin:/bin"}, **_unprivileged()}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    who = _unprivileged()
    with tempfile.TemporaryDirectory(prefix="promolens-pg-", ignore_cleanup_errors=True) as name:
        if who:
            os.chown(name, who["user"], who["group"])
        yield Path(name)


@contextlib.contextmanager
def _started(cluster: Cluster) -> Iterator[Cluster]:
    cluster.start()
    try:
        yield cluster
    finally:
        if cluster.running:
            cluster.stop()


@contextlib.contextmanager
def primary() -> Iterator[Cluster]:
    """Make and start a server; raises NoPostgresError where that cannot be."""
    programs = _programs()
    with _folder() as folder:
        initdb = [programs / "initdb", "-D", "data", "-U", "promolens", "-A", "trust", "--no-sync"]
        initdb += ["-E", "UTF8", "--locale=C"]
        subprocess.run(initdb, check=True, capture_output=True, **_run_in(folder))
        with _started(Cluster(folder)) as cluster:
            yield cluster


@contextlib.contextmanager
def replica_of(cluster: Cluster) -> Iterator[Cluster]:
    """Copy a server and let the copy follow it (streaming replication)."""
    with _folder() as folder:
        words = ["-h", cluster.folder, "-U", "promolens", "-D", "data", "-R", "-c", "fast"]
        backup = [_programs() / "pg_basebackup", *words, "--no-sync"]
        subprocess.run(backup, check=True, capture_output=True, **_run_in(folder))
        with _started(Cluster(folder)) as follower:
            yield follower


@contextlib.contextmanager
def pooler_before(cluster: Cluster) -> Iterator[PostgresServer]:
    """Start PgBouncer in transaction mode; raises NoPostgresError where it is not installed."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise NoPostgresError("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    with _folder() as folder:
        (folder / "users").write_text('"promolens" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={cluster.folder} port=5432\n[pgbouncer]\n"
            f"unix_socket_dir = {folder}\nlisten_port = 5432\nauth_type = trust\n"
            "auth_file = users\npool_mode = transaction\ndefault_pool_size = 2\n"
        )
        with (folder / "log").open("wb") as stream:
            process = subprocess.Popen(
                [program, "pgbouncer.ini"], stdout=stream, stderr=stream, **_run_in(folder)
            )
        try:
            pooler = PostgresServer(folder)
            _wait_for(pooler, process, folder)
            yield pooler
        finally:
            process.kill()
            process.wait()


def _wait_for(pooler: PostgresServer, process: subprocess.Popen[Any], folder: Path) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not (folder / ".s.PGSQL.5432").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"PgBouncer did not start: {(folder / 'log').read_text()}")
        time.sleep(0.05)
    pooler.execute("SELECT 1")
