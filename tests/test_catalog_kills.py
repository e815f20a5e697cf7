"""kill -9 in the middle of a publication: afterwards the old list is live, or the new one, whole.

Real child processes are killed, at every named step and at single statements in between.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from typing import Any

import pytest
from sqlalchemy import event, select

from catalog_support import HOUR, NOW, make_offers, stage_crawl
from promolens_catalog import changes, publishing, snapshots, staging
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.maintenance import integrity_check
from promolens_catalog.offers import Offer
from promolens_catalog.publishing import STEPS
from promolens_catalog.rows import offer_of
from promolens_catalog.schema import promotion

FORK = multiprocessing.get_context("fork")
OLD, NEW = make_offers(range(120)), make_offers(range(60, 150))
ACTIONS = ("publish", "approve", "rollback")
# What the statement that is killed at does not depend on.
SOME_STATEMENTS = sorted(random.Random(7).sample(range(2, 45), 6))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _act(url: str, action: str, number: int, step: str | None, statement: int | None) -> None:
    db = open_database(url)
    seen = 0

    def count(*_anything: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            _die()

    def checkpoint(name: str) -> None:
        if name == step:
            _die()

    event.listen(db.engine, "before_cursor_execute", count)
    if action == "publish":
        publishing.publish(db, number, NOW + HOUR, checkpoint=checkpoint)
    elif action == "approve":
        publishing.approve(db, number, NOW + HOUR, checkpoint=checkpoint)
    else:
        publishing.rollback(db, Chain.CU, NOW + HOUR, checkpoint=checkpoint)
    if statement is None:
        _die()


def _prepare(url: str, action: str) -> int:
    """Publish the old list, get everything ready for the action; return what it acts on."""
    db = open_database(url)
    if action == "rollback":
        publishing.publish(db, stage_crawl(db, NEW, NOW - HOUR), NOW - HOUR)
    publishing.publish(db, stage_crawl(db, OLD, NOW), NOW)
    number = 0
    if action != "rollback":
        number = stage_crawl(db, NEW, NOW + HOUR)
    if action == "approve":
        number = publishing.hold(db, number, ["ask a person"], NOW + HOUR)
    db.close()
    return number


def _state(db: Database) -> tuple[set[Offer], int, int]:
    query = select(promotion).where(snapshots.live_at())
    with db.read() as connection:
        found = connection.execute(query).mappings().all()
    live = snapshots.published_snapshot(db, Chain.CU)
    assert live is not None
    assert len(found) == live.row_count
    offers = {offer_of(Chain.CU, row) for row in found}
    assert offers == set(snapshots.offers_of(db, live.id))
    return offers, changes.catalog_versions(db)[0], live.id


def _killed(url: str, action: str, number: int, **where: Any) -> int | None:
    arguments = (url, action, number, where.get("step"), where.get("statement"))
    child = FORK.Process(target=_act, args=arguments)
    child.start()
    child.join(120)
    return child.exitcode


def _check_old_list(url: str, before: tuple[set[Offer], int, int]) -> None:
    db = open_database(url)
    assert _state(db) == before
    assert before[0] == set(OLD)
    assert integrity_check(db) == []
    db.close()


def _check_done_over(url: str, action: str, number: int, version: int) -> None:
    """The same action again goes through, as if nothing had happened."""
    db = open_database(url)
    if action == "publish":
        done = publishing.publish(db, number, NOW + HOUR)
    elif action == "approve":
        done = publishing.approve(db, number, NOW + HOUR)
    else:
        done = publishing.rollback(db, Chain.CU, NOW + HOUR)
    assert done.version == version + 1
    assert _state(db)[0] == set(NEW)
    assert integrity_check(db) == []
    db.close()


def _before(url: str) -> tuple[set[Offer], int, int]:
    db = open_database(url)
    before = _state(db)
    db.close()
    return before


@pytest.mark.parametrize("action", ACTIONS)
def test_killed_at_every_step_the_old_list_stays_whole(database_url: str, action: str) -> None:
    number = _prepare(database_url, action)
    before = _before(database_url)
    for step in STEPS[:-1]:
        if action == "rollback" and step == "cleared":
            continue
        assert _killed(database_url, action, number, step=step) == -signal.SIGKILL, step
        _check_old_list(database_url, before)
    _check_done_over(database_url, action, number, before[1])


@pytest.mark.parametrize("action", ACTIONS)
def test_killed_after_the_commit_the_new_list_is_live(database_url: str, action: str) -> None:
    number = _prepare(database_url, action)
    before = _before(database_url)
    assert _killed(database_url, action, number, step="committed") == -signal.SIGKILL
    db = open_database(database_url)
    offers, version, _ = _state(db)
    assert (offers, version) == (set(NEW), before[1] + 1)
    assert integrity_check(db) == []
    db.close()


def test_killed_at_single_statements_the_old_list_stays_whole(database_url: str) -> None:
    number = _prepare(database_url, "publish")
    before = _before(database_url)
    for statement in SOME_STATEMENTS:
        exit_code = _killed(database_url, "publish", number, statement=statement)
        if exit_code == 0:
            pytest.fail(f"a publication has fewer than {statement} statements: kill earlier")
        _check_old_list(database_url, before)
    _check_done_over(database_url, "publish", number, before[1])


def _stage_forever(url: str, crawl_id: int, gate: Any) -> None:
    db = open_database(url)
    number = 0
    while True:
        number += 1
        offers = tuple(make_offers(range(number * 10, number * 10 + 10)))
        page = staging.StagedPage("all", number, "0" * 64, 10, None, False, offers)
        staging.stage_page(db, crawl_id, page)
        gate.set()


def test_killed_while_staging_pages_are_there_whole_or_not_at_all(database_url: str) -> None:
    db = open_database(database_url)
    crawl_id = staging.start_crawl(db, Chain.CU, "2026-02", "http", NOW)
    db.close()
    generator = random.Random(11)
    for _ in range(3):
        gate = FORK.Event()
        child = FORK.Process(target=_stage_forever, args=(database_url, crawl_id, gate))
        child.start()
        assert gate.wait(120), "a page is there"
        time.sleep(generator.uniform(0.05, 0.25))
        child.kill()
        child.join(30)
        db = open_database(database_url)
        assert staging.open_crawl(db, Chain.CU, "2026-02", "http") == crawl_id
        pages = staging.staged_pages(db, crawl_id)
        assert pages
        assert [page.number for page in pages] == list(range(1, len(pages) + 1))
        assert all(len(page.offers) == 10 for page in pages)
        assert integrity_check(db) == []
        db.close()
