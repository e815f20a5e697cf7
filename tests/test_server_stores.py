"""/v1/stores/nearby with the stand-in map service over real HTTP, in every mode."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from catalog_support import NOW
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.store_distance import distance_m
from promolens_catalog.store_files import read_store_file
from promolens_catalog.store_imports import import_stores
from promolens_demo.maps.modes import MODES
from promolens_demo.maps.running import MapService
from promolens_demo.maps.stores import ATTRIBUTION, DemoStore, demo_stores, write_stores
from promolens_server.factory import create_app
from promolens_server.models.stores import NearbyAnswer
from promolens_server.services import open_services
from promolens_server.stores.config import KakaoConfig, OverpassConfig, StoresConfig
from server_support import config_for, running

STORES = demo_stores(count=400)
# Not on a cell's centre: what a provider learns must differ from it.
HERE = (37.56637, 126.97812)
NEAR = {"lat": str(HERE[0]), "lon": str(HERE[1]), "radius_m": "700"}
KEY = "0123456789abcdef"


@pytest.fixture(scope="module")
def maps() -> Iterator[MapService]:
    with MapService(STORES, now=lambda: NOW) as opened:
        yield opened


@pytest.fixture(autouse=True)
def working(maps: MapService) -> None:
    maps.set_mode("kakao", "")
    maps.set_mode("overpass", "")
    maps.forget()


@pytest.fixture(scope="module")
def filled(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog with the demo's stores."""
    folder = tmp_path_factory.mktemp("filled")
    path, listed = folder / "catalog.db", folder / "demo.csv"
    path.write_bytes(sqlite_template.read_bytes())
    write_stores(listed, STORES)
    database = open_database(str(path))
    import_stores(database, [read_store_file(listed)], NOW, attribution=ATTRIBUTION)
    database.close()
    return path


def stores_config(maps: MapService, **changes: Any) -> StoresConfig:
    timeout_s = changes.pop("timeout_s", 10.0)
    kakao = KakaoConfig(maps.kakao_url, timeout_s, 60.0, 10_000, 12)
    overpass = OverpassConfig(maps.overpass_url, timeout_s, 60.0, 10_000, 1, at_once=16)
    providers = ("kakao", "overpass", "local")
    return replace(StoresConfig(providers, kakao, overpass, failures=50), **changes)


def app_for(path: Path, config: StoresConfig, key: str | None = KEY) -> FastAPI:
    server = config_for(str(path), stores=config, kakao_key=key)
    return create_app(open_services(server, clock=lambda: NOW))


@contextlib.asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            yield client


def ask(app: FastAPI, *queries: dict[str, Any]) -> list[httpx.Response]:
    """Ask one after the other, in one event loop."""

    async def all_of() -> list[httpx.Response]:
        async with client_of(app) as client:
            return [await client.get("/v1/stores/nearby", params=one) for one in queries]

    return asyncio.run(all_of())


def expected(chains: tuple[Chain, ...] = (), radius_m: float = 700, limit: int = 15) -> list[str]:
    """Return the branches of the nearest stores, found by looking at each."""
    away = sorted(
        (distance_m(*HERE, one.latitude, one.longitude), one.branch)
        for one in STORES
        if not chains or one.chain in chains
    )
    return [branch for away_m, branch in away if away_m <= radius_m][:limit]


def branches(answer: dict[str, Any]) -> list[str]:
    return [one["branch"] for one in answer["stores"]]


def tried(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["provider"], one["outcome"]) for one in answer["tried"]]


def test_the_first_provider_answers_with_its_name_attribution_and_age(
    maps: MapService, filled: Path
) -> None:
    (response,) = ask(app_for(filled, stores_config(maps)), NEAR)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert "etag" not in response.headers
    answer = response.json()
    NearbyAnswer.model_validate(answer)
    assert (answer["status"], answer["provider"], answer["age_s"]) == ("stores", "kakao", 0)
    assert "카카오맵" in answer["attribution"]
    assert answer["complete"] is True
    assert len(expected()) > 5
    assert branches(answer) == expected()
    nearest = next(one for one in STORES if one.branch == expected()[0])
    shown = answer["stores"][0]
    assert shown["distance_m"] == round(distance_m(*HERE, nearest.latitude, nearest.longitude))
    assert (shown["chain"], shown["phone"]) == (str(nearest.chain), nearest.phone)


@pytest.mark.parametrize("chains", [(Chain.CU,), (Chain.GS25, Chain.EMART24), (Chain.CSPACE,)])
@pytest.mark.parametrize("provider", ["kakao", "local"])
def test_chains_are_chosen_and_both_sources_agree(
    maps: MapService, filled: Path, chains: tuple[Chain, ...], provider: str
) -> None:
    app = app_for(filled, stores_config(maps, providers=(provider,)))
    query = NEAR | {"chain": [str(chain) for chain in chains], "radius_m": "3000", "limit": "40"}
    (response,) = ask(app, query)
    answer = response.json()
    NearbyAnswer.model_validate(answer)
    assert branches(answer) == expected(chains, 3000, 40)
    assert answer["provider"] == provider


def test_overpass_knows_all_stores_and_the_maps_age(maps: MapService, filled: Path) -> None:
    app = app_for(filled, stores_config(maps, providers=("overpass",)))
    (response,) = ask(app, NEAR)
    answer = response.json()
    NearbyAnswer.model_validate(answer)
    assert answer["attribution"] == "© OpenStreetMap contributors (ODbL)"
    assert answer["age_s"] == 2 * 3600
    ids = {f"{'way' if one.number % 10 == 0 else 'node'}/{one.number}" for one in STORES}
    assert {one["id"] for one in answer["stores"]} <= ids
    assert len(answer["stores"]) == len(expected())
    by_number = {one.number: one for one in STORES}
    for one in answer["stores"]:
        store = by_number[int(one["id"].partition("/")[2])]
        assert one["chain"] == str(store.chain)


FAILURES = {
    "400": "garbage",
    "401": "refused",
    "403": "refused",
    "429": "throttled",
    "500": "down",
    "503": "down",
    "504": "down",
    "over-limit": "throttled",
    "remark": "down",
    "slow": "slow",
    "drip": "slow",
    "drop": "down",
    "html": "garbage",
    "cut": "garbage",
    "fields": "garbage",
    "types": "garbage",
    "array": "garbage",
    "deep": "garbage",
    "huge": "garbage",
    "packed": "garbage",
    "redirect": "garbage",
}


def test_every_mode_of_the_stand_in_is_tested() -> None:
    assert set(FAILURES) | {"empty"} == set(MODES)


@pytest.mark.parametrize("mode", FAILURES)
@pytest.mark.parametrize("provider", ["kakao", "overpass"])
def test_a_provider_that_fails_leads_to_the_next(
    maps: MapService, filled: Path, provider: str, mode: str
) -> None:
    if provider not in MODES[mode].of:
        pytest.skip(f"{provider} has no such mode")
    maps.set_mode(provider, mode)
    # Both hold an answer back for longer than anybody waits.
    timeout_s = 0.5 if FAILURES[mode] == "slow" else 10.0
    config = stores_config(maps, providers=(provider, "local"), timeout_s=timeout_s)
    app = app_for(filled, config)
    (response,) = ask(app, NEAR)
    assert response.status_code == 200
    answer = response.json()
    NearbyAnswer.model_validate(answer)
    assert tried(answer) == [(provider, FAILURES[mode]), ("local", "answered")]
    assert answer["attribution"] == ATTRIBUTION
    assert branches(answer) == expected()


def test_nothing_at_overpass_means_nothing_but_at_kakao_it_does(
    maps: MapService, filled: Path
) -> None:
    maps.set_mode("overpass", "empty")
    maps.set_mode("kakao", "empty")
    (response,) = ask(app_for(filled, stores_config(maps, providers=("overpass", "local"))), NEAR)
    assert tried(response.json()) == [("overpass", "nothing"), ("local", "answered")]
    (response,) = ask(app_for(filled, stores_config(maps)), NEAR)
    answer = response.json()
    NearbyAnswer.model_validate(answer)
    assert tried(answer) == [("kakao", "nothing")]
    assert (answer["status"], answer["stores"], answer["complete"]) == ("no-stores", [], True)


def test_a_provider_that_nobody_knows_better_than_is_believed(
    maps: MapService, sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "empty.db"
    path.write_bytes(sqlite_template.read_bytes())
    maps.set_mode("overpass", "empty")
    (response,) = ask(app_for(path, stores_config(maps, providers=("overpass", "local"))), NEAR)
    answer = response.json()
    assert tried(answer) == [("overpass", "nothing"), ("local", "no-list")]
    assert (answer["status"], answer["provider"]) == ("no-stores", "overpass")


def test_when_nobody_answers_the_answer_says_why(
    maps: MapService, sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "empty.db"
    path.write_bytes(sqlite_template.read_bytes())
    maps.set_mode("kakao", "403")
    maps.set_mode("overpass", "remark")
    (response,) = ask(app_for(path, stores_config(maps)), NEAR)
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "30"
    assert response.headers["cache-control"] == "no-store"
    problem = response.json()
    assert problem["code"] == "stores-unavailable"
    assert tried(problem) == [("kakao", "refused"), ("overpass", "down"), ("local", "no-list")]


def test_a_place_that_no_list_reaches_is_not_one_without_stores(
    maps: MapService, filled: Path
) -> None:
    far = {"lat": "33.4", "lon": "126.5"}
    (response,) = ask(app_for(filled, stores_config(maps, providers=("local",))), far)
    assert response.status_code == 503
    assert tried(response.json()) == [("local", "not-covered")]
    # A kilometre and a half outside the town: covered, and none within 50 m.
    near = {"lat": "37.53", "lon": "126.978", "radius_m": "50"}
    (response,) = ask(app_for(filled, stores_config(maps, providers=("local",))), near)
    assert response.json()["status"] == "no-stores"


def test_without_a_key_kakao_is_passed_over(maps: MapService, filled: Path) -> None:
    app = app_for(filled, stores_config(maps, providers=("kakao", "local")), key=None)
    (response,) = ask(app, NEAR)
    assert tried(response.json()) == [("local", "answered")]
    assert maps.asked("kakao") == []


def test_a_wrong_key_is_refused_and_then_left_alone(maps: MapService, filled: Path) -> None:
    app = app_for(filled, stores_config(maps, providers=("kakao", "local")), key="wrong")
    moved = NEAR | {"lat": "37.57"}
    first, second = ask(app, NEAR, moved)
    assert tried(first.json())[0] == ("kakao", "refused")
    assert tried(second.json())[0] == ("kakao", "resting")
    assert len(maps.asked("kakao")) == 1


def test_the_circuit_opens_after_failures_in_a_row(maps: MapService, filled: Path) -> None:
    maps.set_mode("overpass", "504")
    config = stores_config(maps, providers=("overpass", "local"), failures=3)
    places = [NEAR | {"lat": f"37.5{n}"} for n in range(5)]
    outcomes = [tried(one.json())[0][1] for one in ask(app_for(filled, config), *places)]
    assert outcomes == ["down", "down", "down", "resting", "resting"]
    assert len(maps.asked("overpass")) == 3


def test_the_daily_quota_is_kept(maps: MapService, filled: Path) -> None:
    config = stores_config(maps, providers=("overpass", "local"))
    config = replace(config, overpass=replace(config.overpass, per_day=2))
    places = [NEAR | {"lat": f"37.5{n}"} for n in range(4)]
    outcomes = [tried(one.json())[0][1] for one in ask(app_for(filled, config), *places)]
    assert outcomes[2:] == ["quota-spent", "quota-spent"]
    assert len(maps.asked("overpass")) == 2


def test_neighbours_share_an_answer_and_each_gets_their_own_distances(
    maps: MapService, filled: Path
) -> None:
    app = app_for(filled, stores_config(maps, providers=("overpass",)))
    # Some 20 m to the side: the same cell.
    beside = NEAR | {"lon": str(HERE[1] - 0.0002), "radius_m": "650", "limit": "3"}
    first, second = ask(app, NEAR, beside)
    assert len(maps.asked("overpass")) == 1
    mine, theirs = first.json()["stores"][0], second.json()["stores"][0]
    assert mine["distance_m"] != theirs["distance_m"]
    assert len(second.json()["stores"]) == 3


def test_what_is_kept_is_forgotten_in_time(maps: MapService, filled: Path) -> None:
    config = stores_config(maps, providers=("overpass",))
    config = replace(config, overpass=replace(config.overpass, keep_s=0.2))
    app = app_for(filled, config)

    async def twice() -> None:
        async with client_of(app) as client:
            await client.get("/v1/stores/nearby", params=NEAR)
            await asyncio.sleep(0.3)
            await client.get("/v1/stores/nearby", params=NEAR)

    asyncio.run(twice())
    assert len(maps.asked("overpass")) == 2


def test_what_is_kept_has_a_bound(maps: MapService, filled: Path) -> None:
    wide = NEAR | {"radius_m": "20000"}
    app = app_for(filled, stores_config(maps, providers=("overpass",), kept_stores=20))
    ask(app, wide, wide)
    assert len(maps.asked("overpass")) == 2, "too many stores to be kept"
    maps.forget()
    app = app_for(filled, stores_config(maps, providers=("overpass",), kept_stores=5_000))
    ask(app, wide, wide)
    assert len(maps.asked("overpass")) == 1


def test_equal_questions_at_once_cost_one_request(maps: MapService, filled: Path) -> None:
    maps.set_mode("overpass", "slow:0.3")
    app = app_for(filled, stores_config(maps, providers=("overpass",)))

    async def together() -> list[httpx.Response]:
        async with client_of(app) as client:
            asked = [client.get("/v1/stores/nearby", params=NEAR) for _ in range(30)]
            return await asyncio.gather(*asked)

    answers = asyncio.run(together())
    assert {one.status_code for one in answers} == {200}
    assert len({one.text for one in answers}) == 1
    assert len(maps.asked("overpass")) == 1


def test_too_many_questions_at_once_go_to_the_next_provider(maps: MapService, filled: Path) -> None:
    maps.set_mode("overpass", "slow:2")
    config = stores_config(maps, providers=("overpass", "local"))
    config = replace(config, overpass=replace(config.overpass, at_once=2))
    app = app_for(filled, config)

    async def together() -> list[httpx.Response]:
        async with client_of(app) as client:
            places = [NEAR | {"lat": f"37.5{n}"} for n in range(5)]
            asked = [client.get("/v1/stores/nearby", params=one) for one in places]
            return await asyncio.gather(*asked)

    outcomes = [tried(one.json())[0][1] for one in asyncio.run(together())]
    assert outcomes.count("busy") == 3


def test_a_slow_provider_does_not_hold_others_up(maps: MapService, filled: Path) -> None:
    """A real server: while forty questions hang, another address answers at once."""
    maps.set_mode("kakao", "slow:1")
    config = stores_config(maps, providers=("kakao", "local"))
    config = replace(config, kakao=replace(config.kakao, at_once=50, timeout_s=5.0))
    with running(app_for(filled, config)) as server, ThreadPoolExecutor(40) as threads:
        url = f"{server.url}/v1/stores/nearby"
        httpx.get(f"{server.url}/healthz", trust_env=False)
        places = [NEAR | {"lat": f"37.5{n:02}"} for n in range(40)]
        waiting = [
            threads.submit(httpx.get, url, params=one, timeout=30, trust_env=False)
            for one in places
        ]
        while len(maps.asked("kakao")) < 20:
            time.sleep(0.01)
        assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        assert sum(one.done() for one in waiting) < 40, "the questions still hang"
        assert {one.result().status_code for one in waiting} == {200}


def test_nobody_learns_where_somebody_is(
    maps: MapService, filled: Path, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    maps.set_mode("overpass", "504")
    exact = {"lat": "37.5663712", "lon": "126.9781234", "radius_m": "1234.5"}
    ask(app_for(filled, stores_config(maps)), exact)
    ask(app_for(filled, stores_config(maps, providers=("overpass", "local"))), exact)
    asked = [*maps.asked("kakao"), *maps.asked("overpass")]
    assert len(asked) >= 2
    # All but what this test's own client says of itself.
    logged = [one.getMessage() for one in caplog.records if "http://x/" not in one.getMessage()]
    told = [json.dumps(dict(one.query)) for one in asked]
    said = "\n".join([*told, *logged, *capfd.readouterr()])
    assert "37.566" in said, "the cell"
    for secret in ("37.5663", "126.9781", "1234.5"):
        assert secret not in said
    assert KEY not in caplog.text
    assert all("promolens" in one.headers["user-agent"] for one in asked)


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({"lat": "nan", "lon": "127"}, "lat"),
        ({"lat": "inf", "lon": "127"}, "lat"),
        ({"lat": "91", "lon": "127"}, "lat"),
        ({"lat": "37", "lon": "180.1"}, "lon"),
        ({"lat": "37"}, "lon"),
        ({"lat": "37,5", "lon": "127"}, "lat"),
        ({"lat": "37", "lon": "127", "radius_m": "0"}, "radius_m"),
        ({"lat": "37", "lon": "127", "radius_m": "-5"}, "radius_m"),
        ({"lat": "37", "lon": "127", "radius_m": "1e9"}, "radius_m"),
        ({"lat": "37", "lon": "127", "radius_m": "nan"}, "radius_m"),
        ({"lat": "37", "lon": "127", "limit": "0"}, "limit"),
        ({"lat": "37", "lon": "127", "limit": "101"}, "limit"),
        ({"lat": "37", "lon": "127", "chain": "aldi"}, "chain"),
        ({"lat": "37", "lon": "127", "chain": ["cu"] * 7}, "chain"),
        ({"lat": "37", "lon": "127", "radius": "100"}, "radius"),
        ({"lat": "37\0", "lon": "127"}, "NUL"),
    ],
)
def test_bad_questions_get_a_clear_4xx(
    maps: MapService, filled: Path, query: dict[str, Any], where: str
) -> None:
    (response,) = ask(app_for(filled, stores_config(maps, providers=("local",))), query)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"
    assert where in response.text
    assert maps.asked("kakao") == []


def test_the_edges_of_what_may_be_asked(maps: MapService, filled: Path) -> None:
    app = app_for(filled, stores_config(maps))
    queries = [
        {"lat": lat, "lon": lon, "radius_m": radius_m, "limit": "100"}
        for lat in ("90", "-90", "0", "-0.0", "37.5665")
        for lon in ("180", "-180", "126.978")
        for radius_m in ("1e-9", "20000")
    ]
    for response in ask(app, *queries):
        assert response.status_code in (200, 503), response.text
        if response.status_code == 200:
            NearbyAnswer.model_validate(response.json())


def test_the_catalog_that_goes_away_is_a_failure_of_its_provider(
    maps: MapService, sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(sqlite_template.read_bytes())
    app = app_for(path, stores_config(maps, providers=("local",)))
    database: Database = app.services.catalog  # type: ignore[attr-defined]
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE store_source")
        connection.exec_driver_sql("CREATE TABLE store_source (name TEXT)")
    (response,) = ask(app, NEAR)
    assert response.status_code == 503
    assert tried(response.json())[0][0] == "local"


def test_figures_count_what_came_of_each_provider(maps: MapService, filled: Path) -> None:
    maps.set_mode("kakao", "429")
    app = app_for(filled, stores_config(maps, providers=("kakao", "local")))
    ask(app, NEAR)
    text = app.services.metrics.text().decode()  # type: ignore[attr-defined]
    name = "promolens_store_provider_questions_total"
    assert f'{name}{{outcome="throttled",provider="kakao"}} 1.0' in text
    assert f'{name}{{outcome="answered",provider="local"}} 1.0' in text


def test_the_demo_stores_are_the_same_everywhere() -> None:
    assert demo_stores(count=50) == STORES[:50]
    assert demo_stores(seed=1, count=50) != STORES[:50]
    assert {one.chain for one in demo_stores(count=2000)} == set(Chain) - {Chain.MINISTOP}
    assert isinstance(STORES[0], DemoStore)
