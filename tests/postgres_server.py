"""A PostgreSQL of one's own: made in a temporary folder, reachable over a socket in it only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_WITHIN_S = 60.0
# For tests: a power cut in the middle of one would not matter.
UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class NoPostgresError(Exception):
    """PostgreSQL cannot be started here; the text says why."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server; `folder` holds its socket."""

    folder: Path

    def url(self, name: str) -> str:
        """Return the address of a database."""
        return f"postgresql://promolens@/{name}?host={self.folder}"

    def execute(self, statement: str) -> None:
        """Run a statement that no transaction may hold, such as CREATE DATABASE."""
        import psycopg

        with psycopg.connect(
            host=str(self.folder), user="promolens", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def postgres_server(
    *, safe: bool = False, programs: Path | None = None
) -> Iterator[PostgresServer]:
    """Start a server, and stop it at the end.

    Args:
        safe: write as carefully as PostgreSQL does by itself; slower.
        programs: the folder with its programs; the newest installed ones where none is given.

    Raises:
        NoPostgresError: it is not installed, or we are root and nobody else is there to run it.
    """
    programs = programs or _programs()
    who = _unprivileged()
    # Not under pytest's own folder: a socket's path has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="promolens-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if who:
            os.chown(folder, who["user"], who["group"])
        run: dict[str, Any] = {"cwd": folder, "env": {"PATH": "/usr/bin:/bin"}, **who}
        initdb = [programs / "initdb", "-D", "data", "-U", "promolens", "-A", "trust", "--no-sync"]
        initdb += ["-E", "UTF8", "--locale=C"]
        subprocess.run(initdb, check=True, capture_output=True, **run)
        log = folder / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                _command(programs, folder, safe), stdout=stream, stderr=stream, **run
            )
        try:
            server = PostgresServer(folder)
            _wait_until_ready(server, process, log)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # ends open sessions, then the server
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _programs() -> Path:
    """Return the folder of the newest installed server."""
    found = shutil.which("initdb")
    if found and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    # Debian keeps servers out of the search path, one folder for each version.
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if not folders:
        raise NoPostgresError("PostgreSQL is not installed (Debian: apt-get install postgresql-15)")
    return max(folders, key=lambda folder: float(folder.parent.name))


def _unprivileged() -> dict[str, Any]:
    """Return whom to run the server as: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoPostgresError("PostgreSQL refuses root, and there is no user postgres or nobody")


def _command(programs: Path, folder: Path, safe: bool) -> list[str]:
    options = ["listen_addresses=", f"unix_socket_directories={folder}"]
    options += ["shared_buffers=64MB", "max_connections=60"]
    if not safe:
        options += UNSAFE
    words = [word for option in options for word in ("-c", option)]
    return [str(programs / "postgres"), "-D", "data", *words]


def _wait_until_ready(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + START_WITHIN_S
    while True:
        try:
            server.execute("SELECT 1")
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start: {log.read_text()}") from None
            time.sleep(0.05)
