"""The machine's clock jumps: a day back, a year on, and to where it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from admin_support import ANA, TOKENS, Browser
from catalog_support import NOW, make_offer, make_offers, stage_crawl
from promolens_catalog.database import open_database
from promolens_catalog.publishing import publish
from promolens_server.config import KeysConfig, RateConfig, SyncConfig
from promolens_server.factory import create_app
from promolens_server.keys import add_key
from promolens_server.services import open_services
from promolens_server.stores.quota import DailyQuota
from server_support import assert_problem, config_for
from stores_support import put, seeded_rows

DAY = timedelta(days=1)
JUMPS = (timedelta(), -DAY, timedelta(days=366), timedelta())
CODE = make_offer(3).barcode
PATHS = (
    f"/v1/products/by-barcode/{CODE}",
    "/v1/products/1/history",
    "/v1/promotions?limit=5",
    "/v1/search?q=%EB%B3%B4%EB%A6%AC",
    "/v1/autocomplete?q=%EB%8B%AC",
    "/v1/sync?since=0",
    "/v1/sync/bootstrap",
    "/v1/meta",
    "/v1/stores/nearby?lat=37.5&lon=127.0",
    "/readyz",
)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(sqlite_url: str, tmp_path: Path, clock: Clock) -> Iterator[Any]:
    """Makes a client of the service on one list and some stores."""
    database = open_database(sqlite_url)
    publish(database, stage_crawl(database, make_offers(range(20))), NOW)
    put(database, seeded_rows(50))
    database.close()
    services = open_services(config_for(sqlite_url, sync=SyncConfig(tmp_path / "b")), clock=clock)

    def make(**changes: Any) -> TestClient:
        config = replace(services.config, **changes)
        return TestClient(create_app(replace(services, config=config)))

    yield make
    services.close()


def test_every_answer_is_sound_after_every_jump(opened: Any, clock: Clock) -> None:
    """And when the clock is right again, so are the answers: nothing of the future is kept."""
    client: TestClient = opened()
    said = []
    for jump in JUMPS:
        clock.now = NOW + jump
        said.append({path: client.get(path) for path in PATHS})
        assert {one.status_code for one in said[-1].values()} == {200}
    first, back, on, again = said
    for path in PATHS:
        assert again[path].content == first[path].content, path
        assert again[path].headers.get("etag") == first[path].headers.get("etag")
    # A list of February says nothing about the February after.
    assert first[PATHS[0]].json()["status"] == "promotions"
    assert on[PATHS[0]].json()["status"] == "source-unavailable"
    assert back[PATHS[0]].json()["promotions"] != []
    assert back["/v1/stores/nearby?lat=37.5&lon=127.0"].json()["age_s"] == 0


def test_a_tag_is_good_on_its_day_only(opened: Any, clock: Clock) -> None:
    client: TestClient = opened()
    path = PATHS[0]
    tag = client.get(path).headers["etag"]
    for jump, status in zip(JUMPS, (304, 200, 200, 304), strict=True):
        clock.now = NOW + jump
        assert client.get(path, headers={"if-none-match": tag}).status_code == status


def test_rates_do_not_look_at_the_clock_on_the_wall(opened: Any, clock: Clock) -> None:
    client: TestClient = opened(rate=RateConfig(per_s=0.01, burst=3))
    assert [client.get(PATHS[0]).status_code for _ in range(4)] == [200, 200, 200, 429]
    for jump in JUMPS:
        clock.now = NOW + jump
        refused = client.get(PATHS[0])
        assert_problem(refused, 429, "too-many-requests")
        # Nobody is locked out for a year.
        assert 1 <= int(refused.headers["retry-after"]) <= 100


def test_a_key_that_ends_counts_by_the_day_that_it_is(
    sqlite_url: str, tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "keys.json"
    text = add_key(path, "app", NOW, expires_at=NOW + 90 * DAY)[1]
    config = config_for(sqlite_url, keys=KeysConfig(path, required=True))
    services = open_services(config, clock=clock)
    with TestClient(create_app(services)) as client:
        for jump, status in zip(JUMPS, (200, 200, 401, 200), strict=True):
            clock.now = NOW + jump
            assert client.get("/v1/meta", headers={"x-api-key": text}).status_code == status


def test_a_session_ends_and_another_can_begin(
    sqlite_url: str, tmp_path: Path, clock: Clock
) -> None:
    services = open_services(config_for(sqlite_url, admin_token=TOKENS), clock=clock)
    with TestClient(create_app(services), base_url="http://localhost") as client:
        browser = Browser(client)
        for jump in JUMPS:
            clock.now = NOW + jump
            # Nobody is let in by what an earlier clock wrote, and nobody is kept out.
            assert browser.get("/admin").history
            assert browser.log_in(ANA).status_code == 303
            assert not browser.get("/admin").history


def test_a_wrong_year_does_not_spend_a_providers_quota_for_a_year() -> None:
    clock = Clock()
    quota = DailyQuota(2, clock)
    clock.now = NOW + timedelta(days=366)
    assert [quota.take() for _ in range(3)] == [True, True, False]
    clock.now = NOW
    assert [quota.take() for _ in range(3)] == [True, True, False]
    # Some seconds back over midnight give nothing back.
    clock.now = NOW - DAY
    assert quota.take() is False
    clock.now = NOW
    assert quota.take() is False
