"""Transactions of PostgreSQL that conflict: run again where that helps, told where it does not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from catalog_support import NOW, PostgresServer, make_offers, stage_crawl
from promolens_catalog import changes, conflicts, publishing
from promolens_catalog.chains import Chain
from promolens_catalog.conflicts import retried
from promolens_catalog.database import Database, open_database
from promolens_catalog.maintenance import integrity_check
from promolens_runtime.errors import InputError
from promolens_server.failures import problem_of

WITHIN_S = 60.0


@pytest.fixture
def url(postgresql_server: PostgresServer) -> Iterator[str]:
    """The address of a catalog of this test's own."""
    postgresql_server.execute("CREATE DATABASE conflicts")
    yield postgresql_server.url("conflicts")
    postgresql_server.execute("DROP DATABASE conflicts WITH (FORCE)")


class Stranger(threading.Thread):
    """A session that locks `source`, then wants the version's row, which a publication holds.

    It waits for 30 s before it looks for a deadlock, so that PostgreSQL ends the publication.
    """

    def __init__(self, url: str, times: int) -> None:
        super().__init__(daemon=True)
        self.url, self.times, self.met = url, times, 0
        self.begun, self.ready, self.going_on = (threading.Event() for _ in range(3))

    def run(self) -> None:
        with contextlib.closing(psycopg.connect(self.url, autocommit=True)) as session:
            session.execute("SET deadlock_timeout = '30s'")
            for _ in range(self.times):
                assert self.begun.wait(WITHIN_S)
                self.begun.clear()
                session.execute("BEGIN")
                session.execute("LOCK TABLE source IN EXCLUSIVE MODE")
                self.ready.set()
                assert self.going_on.wait(WITHIN_S)
                self.going_on.clear()
                session.execute("UPDATE catalog_version SET floor = floor")
                self.met += 1
                session.execute("ROLLBACK")

    def meet(self, step: str) -> None:
        """Let the publication, which holds the version's row, go on when we have our lock."""
        if step == "begun" and self.met < self.times:
            self.begun.set()
            assert self.ready.wait(WITHIN_S)
            self.ready.clear()
            self.going_on.set()


def test_a_deadlock_is_tried_again(url: str) -> None:
    database = open_database(url)
    crawl_id = stage_crawl(database, make_offers(range(5)))
    stranger = Stranger(url, times=1)
    stranger.start()
    done = publishing.publish(database, crawl_id, NOW, checkpoint=stranger.meet)
    stranger.join(WITHIN_S)
    assert (stranger.met, done.version, done.added) == (1, 1, 5)
    assert changes.catalog_versions(database) == (1, 0)
    assert integrity_check(database) == []
    database.close()


def test_a_deadlock_at_every_try_is_told_and_changes_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conflicts, "TRIES", 2)
    database = open_database(url)
    crawl_id = stage_crawl(database, make_offers(range(5)))
    stranger = Stranger(url, times=2)
    stranger.start()
    with pytest.raises(InputError, match=r"deadlock detected.*Nothing was changed") as caught:
        publishing.publish(database, crawl_id, NOW, checkpoint=stranger.meet)
    stranger.join(WITHIN_S)
    assert stranger.met == 2
    assert changes.catalog_versions(database) == (0, 0)
    # What a client of the service would see.
    problem = problem_of(caught.value)
    assert problem is not None
    assert (problem.status, problem.code) == (503, "catalog-unavailable")
    assert int(problem.headers["retry-after"]) > 0
    assert publishing.publish(database, crawl_id, NOW).version == 1
    database.close()


def test_writers_take_turns_whatever_the_roles_isolation(
    url: str, postgresql_server: PostgresServer
) -> None:
    open_database(url).close()
    postgresql_server.execute(
        "ALTER DATABASE conflicts SET default_transaction_isolation = 'serializable'"
    )
    first, second = open_database(url), open_database(url)
    crawls = [
        stage_crawl(first, make_offers(range(5), chain=chain), chain=chain)
        for chain in (Chain.CU, Chain.GS25)
    ]
    inside, waited = threading.Event(), threading.Event()
    results: list[Any] = []

    def publish_slowly() -> None:
        def pause(step: str) -> None:
            if step == "rows":
                inside.set()
                assert waited.wait(WITHIN_S)

        results.append(publishing.publish(first, crawls[0], NOW, checkpoint=pause).version)

    def publish_behind() -> None:
        # Once only: a conflict would be raised.
        results.append(publishing.publish.__wrapped__(second, crawls[1], NOW).version)  # type: ignore[attr-defined]

    threads = [threading.Thread(target=one) for one in (publish_slowly, publish_behind)]
    threads[0].start()
    assert inside.wait(WITHIN_S)
    threads[1].start()
    _wait_for_waiter(url)
    waited.set()
    for thread in threads:
        thread.join(WITHIN_S)
    assert results == [1, 2]
    for database in (first, second):
        database.close()


def _wait_for_waiter(url: str) -> None:
    with contextlib.closing(psycopg.connect(url, autocommit=True)) as session:
        for _ in range(600):
            query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            row = session.execute(query).fetchone()
            if row is not None and row[0]:
                return
            threading.Event().wait(0.05)
    raise AssertionError("nobody waits for the writer")


def test_a_serialisation_failure_is_tried_again(url: str) -> None:
    """Two transactions that read the same row, and then both change it."""
    database = open_database(url)
    tries: list[int] = []

    @retried
    def count_up() -> None:
        with serializable(database) as connection:
            version = connection.execute(text("SELECT version FROM catalog_version")).scalar_one()
            if not tries:
                with serializable(database) as other:
                    other.execute(text("UPDATE catalog_version SET version = version + 10"))
            tries.append(version)
            connection.execute(
                text("UPDATE catalog_version SET version = :next"), {"next": version + 1}
            )

    count_up()
    assert tries == [0, 10]
    assert changes.catalog_versions(database)[0] == 11
    database.close()


@contextlib.contextmanager
def serializable(database: Database) -> Iterator[Any]:
    with database.clear_errors(), database.engine.connect() as connection:
        connection.execution_options(isolation_level="SERIALIZABLE")
        with connection.begin():
            yield connection


def test_another_error_is_not_tried_again(database: Database) -> None:
    calls: list[int] = []

    @retried
    def refuse() -> None:
        calls.append(1)
        raise InputError("Expected another. Received this. Change it.")

    with pytest.raises(InputError, match="Expected another"):
        refuse()
    assert calls == [1]
    with pytest.raises(InputError, match="crawl"):
        publishing.publish(database, 12345, NOW)
