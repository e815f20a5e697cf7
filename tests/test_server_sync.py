"""Copies over HTTP: whatever happens meanwhile, a phone ends with what the server has."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select
from starlette.testclient import TestClient

from catalog_support import MONTH, NOW, empty_catalog, make_offer, make_offers, stage_crawl
from promolens_catalog import bootstrap, changes, publishing, staging
from promolens_catalog.chains import Chain
from promolens_catalog.copies import copied
from promolens_catalog.database import Database, open_database
from promolens_catalog.identity import renew_id
from promolens_catalog.schema import change
from promolens_runtime.errors import InputError
from promolens_server.config import SyncConfig
from promolens_server.factory import create_app
from promolens_server.models.meta import MetaAnswer
from promolens_server.models.sync import SyncPage
from promolens_server.services import Services, open_services
from promolens_server.versions import KEEP_S
from server_support import config_for

MINUTE = timedelta(minutes=1)
Rows = dict[tuple[str, str], Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bootstrap"


@pytest.fixture
def phone(services: Services, folder: Path) -> Iterator[TestClient]:
    config = replace(services.config, sync=SyncConfig(folder))
    with TestClient(create_app(replace(services, config=config))) as client:
        yield client


def publish(db: Database, numbers: range, minutes: int = 0) -> None:
    now = NOW + minutes * MINUTE
    publishing.publish(db, stage_crawl(db, make_offers(numbers), now), now)
    if db.path is None:  # the service may take a server's last version for the newest so long
        time.sleep(1.1 * KEEP_S)


def unpacked(body: bytes) -> tuple[dict[str, Any], Rows]:
    """Return head and rows of a bootstrap file, as a phone reads them."""
    head, *lines, end = map(json.loads, gzip.decompress(body).splitlines())
    assert head["format"] == "promolens-bootstrap"
    assert end == {"end": True, "rows": head["rows"]}
    assert len(lines) == head["rows"]
    return head, {(one["entity"], one["id"]): one["data"] for one in lines}


class Copy:
    """What a phone keeps, and how it takes pages."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.rows: Rows = {}
        self.since = "0"
        self.restarts = 0

    def page(self, limit: int, *, lost: bool = False) -> bool:
        """Take a page; a lost answer changes nothing. Return whether there is more."""
        got = self.client.get("/v1/sync", params={"since": self.since, "limit": limit})
        if lost:
            return True
        if got.status_code == 410:
            assert got.json()["code"] == "too-old"
            self.begin_with_file(got.json()["bootstrap_url"])
            return True
        assert got.status_code == 200, got.text
        page = SyncPage.model_validate_json(got.content)
        for one in page.changes:
            key = (one.entity, one.id)
            assert (one.data is None) == (one.op == "delete")
            if one.data is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = one.data
        self.since = page.next_since
        return page.more

    def begin_with_file(self, url: str = "/v1/sync/bootstrap") -> None:
        got = self.client.get(url)
        assert hashlib.sha256(got.content).hexdigest() == got.headers["promolens-sha256"]
        head, self.rows = unpacked(got.content)
        assert got.headers["promolens-version"] == str(head["version"])
        self.since = str(head["version"])
        self.restarts += 1

    def finish(self, limit: int) -> None:
        for _ in range(2_000):
            if not self.page(limit):
                return
        raise AssertionError("the pages never end")


def server_rows(db: Database) -> Rows:
    """Return what every copy should hold: the upserts of the log with their data of now."""
    with db.read() as connection:
        rows = {(one.entity, one.entity_id): copied(one) for one in changes.whole(connection)}
        log = connection.execute(select(change.c.entity).where(change.c.op == "upsert")).all()
    assert len(rows) == len(log)
    return {key: json.loads(json.dumps(value)) for key, value in rows.items()}


def test_a_phone_follows(phone: TestClient, database: Database) -> None:
    copy = Copy(phone)
    publish(database, range(30))
    copy.finish(7)
    assert copy.rows == server_rows(database)
    assert copy.since == "1"
    publish(database, range(10, 40), 1)
    copy.finish(1000)
    assert copy.rows == server_rows(database)
    assert len([key for key in copy.rows if key[0] == "promotion"]) == 30
    assert ("item", "1") in copy.rows, "a product without a promotion is still known"


def test_every_answer_names_the_catalog_and_another_one_has_another_tag(
    phone: TestClient, database: Database
) -> None:
    publish(database, range(5))
    found = []
    for _ in range(2):
        page = phone.get("/v1/sync?since=1")
        file = phone.get("/v1/sync/bootstrap")
        meta = phone.get("/v1/meta").json()
        head, _ = unpacked(file.content)
        assert meta["bootstrap"]["sha256"] == file.headers["promolens-sha256"]
        told = page.json()["catalog_id"]
        named = {head["catalog_id"], meta["catalog_id"], file.headers["promolens-catalog"]}
        assert named == {told}
        again = phone.get("/v1/sync?since=1", headers={"if-none-match": page.headers["etag"]})
        assert again.status_code == 304
        found.append((told, page.headers["etag"]))
        renewed = renew_id(database)
        time.sleep(KEEP_S)
        later = phone.get("/v1/sync?since=1", headers={"if-none-match": page.headers["etag"]})
        assert (later.status_code, later.json()["catalog_id"]) == (200, renewed)
        # The file of the catalog before is none of this one's.
        assert phone.get("/v1/meta").json()["bootstrap"] is None
    assert len({told for told, _ in found}) == len({tag for _, tag in found}) == 2


def test_what_a_row_says(phone: TestClient, database: Database) -> None:
    offer = make_offer(2, regular_price_krw=2_000)
    publishing.publish(database, stage_crawl(database, [offer], NOW), NOW)
    page = phone.get("/v1/sync").json()
    rows = {one["entity"]: one["data"] for one in page["changes"]}
    assert rows["promotion"] == {
        "chain": "cu",
        "item_id": 1,
        "kind": "1+1",
        "name": "달빛)보리과자2번102g",
        "price_krw": 1_200,
        "regular_price_krw": 2_000,
        "barcode": "2000000000022",
        "image_url": "https://images.example/product/2.jpg",
        "valid_from": "2026-02-01",
        "valid_until": "2026-02-28",
        "valid_until_inferred": True,
    }
    assert rows["item"]["keys"] == {"barcode": ["2000000000022"]}
    assert rows["source"] == {"state": "ok", "since": "2026-02-24T03:00:00Z"}


def test_a_page_is_the_same_when_it_is_asked_for_again(
    phone: TestClient, database: Database
) -> None:
    publish(database, range(20))
    url = "/v1/sync?since=0&limit=9"
    first, again = phone.get(url), phone.get(url)
    assert (first.content, first.headers["etag"]) == (again.content, again.headers["etag"])
    known = phone.get(url, headers={"if-none-match": first.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert "max-age=60" in known.headers["cache-control"]


def test_too_old_and_from_the_future(phone: TestClient, database: Database) -> None:
    for minutes in range(4):
        publish(database, range(minutes, minutes + 5), minutes)
    changes.prune(database, 3)
    old = phone.get("/v1/sync?since=1")
    assert (old.status_code, old.json()["floor"]) == (410, 3)
    assert old.json()["bootstrap_url"] == "/v1/sync/bootstrap"
    ahead = phone.get("/v1/sync?since=99")
    assert (ahead.status_code, ahead.json()["code"]) == (409, "position-ahead")
    assert (ahead.json()["newest"], ahead.json()["bootstrap_url"]) == (4, "/v1/sync/bootstrap")


@pytest.mark.parametrize(
    "query",
    ["since=x", "since=-1", "since=1.", "since=", "limit=0", "limit=2001", "limit=x", "sins=1",
     "since=" + "9" * 100],
)  # fmt: skip
def test_bad_questions_are_told(phone: TestClient, query: str) -> None:
    got = phone.get(f"/v1/sync?{query}")
    assert got.status_code == 422
    assert "Expected" in got.json()["detail"]


def test_the_file_is_made_once_a_version(
    phone: TestClient, database: Database, folder: Path
) -> None:
    publish(database, range(30))
    assert phone.get("/v1/meta").json()["bootstrap"] is None
    first = phone.get("/v1/sync/bootstrap")
    (file,) = folder.glob("*.gz")
    made_ns = file.stat().st_mtime_ns
    head, rows = unpacked(first.content)
    assert (head["version"], rows) == (1, server_rows(database))
    again = phone.get("/v1/sync/bootstrap", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, file.stat().st_mtime_ns) == (304, made_ns)
    meta = phone.get("/v1/meta")
    assert MetaAnswer.model_validate_json(meta.content).model_dump(mode="json") == meta.json()
    assert meta.json()["bootstrap"] == {
        "url": "/v1/sync/bootstrap",
        "version": 1,
        "rows": int(first.headers["promolens-rows"]),
        "size_bytes": len(first.content),
        "sha256": hashlib.sha256(first.content).hexdigest(),
    }


def test_the_folder_stays_small(phone: TestClient, database: Database, folder: Path) -> None:
    for minutes in range(6):
        publish(database, range(minutes, minutes + 5), minutes)
        head, _ = unpacked(phone.get("/v1/sync/bootstrap").content)
        assert head["version"] == minutes + 1
    assert len(list(folder.glob("*.gz"))) == bootstrap.KEPT_FILES
    assert len(list(folder.glob("*.json"))) == bootstrap.KEPT_FILES


def test_a_file_that_was_cut_off_is_made_again(
    phone: TestClient, database: Database, folder: Path
) -> None:
    publish(database, range(10))
    whole = phone.get("/v1/sync/bootstrap").content
    (file,) = folder.glob("*.gz")
    file.write_bytes(whole[:100])
    (folder / ".bootstrap-000000000009-dead.jsonl.gz.part").write_bytes(b"left by a killed process")
    assert phone.get("/v1/sync/bootstrap").content == whole, "the same version, the same bytes"
    assert not list(folder.glob("*.part"))


def test_many_want_the_file_at_once(database: Database, tmp_path: Path) -> None:
    publish(database, range(200))
    made: list[bootstrap.Bootstrap] = []
    threads = [
        threading.Thread(target=lambda: made.append(bootstrap.make(database, tmp_path / "b")))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len({(one.path, one.sha256, one.rows) for one in made}) == 1


def test_a_folder_that_cannot_be_is_told(services: Services, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = replace(services.config, sync=SyncConfig(tmp_path / "file"))
    with TestClient(create_app(replace(services, config=config))) as client:
        got = client.get("/v1/sync/bootstrap")
        assert (got.status_code, got.json()["code"]) == (503, "no-bootstrap")
        assert client.get("/v1/meta").json()["bootstrap"] is None


LISTS = st.frozensets(st.tuples(st.integers(0, 5), st.integers(1, 3)), min_size=1, max_size=7)
CHAINS = st.sampled_from([Chain.CU, Chain.GS25])


class Interleaving(RuleBasedStateMachine):
    """Publications, roll backs, prunings, pages and lost answers in any order; two phones."""

    client: TestClient
    database: Database
    folder: Path

    @initialize()
    def begin(self) -> None:
        with self.database.write() as connection:
            empty_catalog(connection)
        # What is emptied and filled anew is another catalog.
        for path in self.folder.glob("*.gz"):
            path.unlink()
        self.minutes = 0
        self.copies = [Copy(self.client), Copy(self.client)]

    @rule(chain=CHAINS, variants=LISTS)
    def publish(self, chain: Chain, variants: frozenset[tuple[int, int]]) -> None:
        now = self._later()
        offers = tuple(
            make_offer(key, chain=chain, price_krw=1_000 + price) for key, price in sorted(variants)
        )
        crawl_id = staging.start_crawl(self.database, chain, MONTH, "http", now)
        page = staging.StagedPage("all", 1, "0" * 64, len(offers), None, True, offers)
        staging.stage_page(self.database, crawl_id, page)
        publishing.publish(self.database, crawl_id, now)

    @rule(chain=CHAINS)
    def roll_back(self, chain: Chain) -> None:
        with contextlib.suppress(InputError):  # there may be nothing to go back to
            publishing.rollback(self.database, chain, self._later())

    @rule(behind=st.integers(0, 3))
    def prune(self, behind: int) -> None:
        version = changes.catalog_versions(self.database)[0]
        changes.prune(self.database, max(0, version - behind))

    @rule(chain=CHAINS, state=st.sampled_from(["stale", "gone"]))
    def lose_a_source(self, chain: Chain, state: str) -> None:
        publishing.mark_source(self.database, chain, state, self._later(), "a test")

    @rule(which=st.integers(0, 1), limit=st.integers(1, 6), lost=st.booleans())
    def page(self, which: int, limit: int, lost: bool) -> None:
        self.copies[which].page(limit, lost=lost)

    @rule(which=st.integers(0, 1))
    def begin_anew(self, which: int) -> None:
        self.copies[which].begin_with_file()

    @invariant()
    def what_is_finished_is_right(self) -> None:
        newest = str(changes.catalog_versions(self.database)[0])
        for copy in self.copies:
            if copy.since == newest:
                assert copy.rows == server_rows(self.database)

    def teardown(self) -> None:
        if hasattr(self, "copies"):
            for copy in self.copies:
                copy.finish(4)
                assert copy.rows == server_rows(self.database)

    def _later(self) -> Any:
        self.minutes += 1
        return NOW + self.minutes * MINUTE


@pytest.mark.parametrize(("engine", "examples", "steps"), [("sqlite", 25, 25), ("pg", 5, 15)])
def test_any_interleaving_ends_right(
    engine: str, examples: int, steps: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if engine == "sqlite":
        url = str(tmp_path / "catalog.db")
    else:
        url = request.getfixturevalue("postgresql_catalog")
    opened = open_database(url)
    config = config_for(url, sync=SyncConfig(tmp_path / "bootstrap"))
    served = open_services(config, clock=lambda: NOW)
    # The number is kept for a moment on PostgreSQL; here versions even begin anew.
    if served.catalog.path is None:
        object.__setattr__(served, "versions", _Fresh(served.catalog))
    with TestClient(create_app(served)) as phone:

        class Ours(Interleaving):
            client = phone
            database = opened
            folder = tmp_path / "bootstrap"

        Ours.TestCase.settings = settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        Ours.TestCase().runTest()
    opened.close()


class _Fresh:
    """The newest version, asked for each time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.catalog_id = ""

    def current(self) -> int:
        return changes.catalog_versions(self._database)[0]

    def peek(self) -> int | None:
        return self.current()

    def close(self) -> None:
        return None


def test_the_newest_file_is_of_the_catalog_that_is_asked_for(
    database: Database, folder: Path
) -> None:
    publish(database, range(3))
    made = [bootstrap.make(database, folder)]
    for _ in range(bootstrap.KEPT_FILES - 1):
        renew_id(database)
        made.append(bootstrap.make(database, folder))
    assert {one.version for one in made} == {1}
    assert [bootstrap.newest(folder, one.catalog_id, 1) for one in made] == made
    assert bootstrap.newest(folder, made[0].catalog_id, 0) is None
    assert bootstrap.newest(folder, 32 * "0", 1) is None
