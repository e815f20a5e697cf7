"""The parts of the chain of providers, each by itself: breaker, quota, single flight, areas."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_support import NOW
from promolens_catalog.chains import Chain
from promolens_catalog.store_distance import distance_m
from promolens_demo.maps import kakao as standin
from promolens_demo.maps.stores import DemoStore, demo_stores
from promolens_runtime.errors import InputError
from promolens_server.config import load_config
from promolens_server.stores.breaker import MAX_REST_S, Breaker
from promolens_server.stores.config import StoresConfig
from promolens_server.stores.failures import Outcome, ProviderError
from promolens_server.stores.fetching import retry_after_s
from promolens_server.stores.kakao import Kakao, page_of
from promolens_server.stores.overpass import found_in
from promolens_server.stores.questions import (
    CELL_M,
    Area,
    Found,
    FoundStore,
    answer_of,
    area_of,
    question_of,
)
from promolens_server.stores.quota import DailyQuota
from promolens_server.stores.single_flight import SingleFlight


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_try() -> None:
    clock = Clock()
    breaker = Breaker(3, 30, clock)
    for _ in range(2):
        assert breaker.enter()
        breaker.failed()
    breaker.succeeded()
    for _ in range(3):
        assert breaker.enter()
        breaker.failed()
    assert not breaker.enter()
    assert breaker.resting_s() == 30
    clock.now_s += 30
    assert breaker.enter()
    assert not breaker.enter(), "one tries, the others wait"
    breaker.failed()
    assert breaker.resting_s() == 60
    clock.now_s += 60
    assert breaker.enter()
    breaker.left()
    assert breaker.enter(), "a question that says nothing leaves the try to the next one"
    breaker.succeeded()
    assert breaker.enter()
    assert breaker.enter()


def test_a_breaker_rests_as_long_as_the_provider_asks() -> None:
    clock = Clock()
    breaker = Breaker(3, 30, clock)
    assert breaker.enter()
    breaker.failed(rest_s=120)
    assert breaker.resting_s() == 120
    clock.now_s += 119
    assert not breaker.enter()
    clock.now_s += 1
    assert breaker.enter()
    breaker.failed(rest_s=1e9)
    assert breaker.resting_s() == MAX_REST_S


def test_a_quota_is_of_a_korean_day() -> None:
    now = [datetime(2026, 2, 28, 14, 59, tzinfo=UTC)]  # 23:59 in Seoul
    quota = DailyQuota(2, lambda: now[0])
    assert [quota.take() for _ in range(3)] == [True, True, False]
    now[0] += timedelta(minutes=1)
    assert quota.take()
    now[0] -= timedelta(days=3)  # the clock is set back
    assert [quota.take() for _ in range(2)] == [True, False]


def test_equal_questions_at_once_are_asked_once_even_if_the_first_goes_away() -> None:
    calls = 0
    flights: SingleFlight[str, int] = SingleFlight()

    async def ask() -> list[Any]:
        go_on = asyncio.Event()

        async def call() -> int:
            nonlocal calls
            calls += 1
            await go_on.wait()
            return calls

        first = asyncio.create_task(flights.run("k", call))
        await asyncio.sleep(0)
        others = [asyncio.create_task(flights.run("k", call)) for _ in range(20)]
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        go_on.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, *others = asyncio.run(ask())
    assert isinstance(first, asyncio.CancelledError)
    assert others == [1] * 20
    assert calls == 1
    assert len(flights) == 0


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", 7.0),
        (None, 60.0),
        ("", 60.0),
        ("-3", 60.0),
        ("nan", 60.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 60.0),
        ("1e99", 86_400.0),
    ],
)
def test_retry_after(header: str | None, expected: float) -> None:
    assert retry_after_s(header, 60.0) == expected


@given(st.floats(-89, 89), st.floats(-180, 180), st.floats(0.1, 20_000), st.integers(1, 100))
def test_an_area_holds_its_questions_and_tells_less_than_they_do(
    latitude: float, longitude: float, radius_m: float, limit: int
) -> None:
    area = area_of(question_of(latitude, longitude, radius_m, [Chain.CU], limit), by_chain=True)
    away_m = distance_m(latitude, longitude, area.latitude, area.longitude)
    assert away_m < CELL_M
    assert area.radius_m >= min(radius_m + away_m, 20_000)
    assert area.wanted >= limit
    # Three decimals.
    assert area.latitude * 1000 == pytest.approx(round(area.latitude * 1000), abs=1e-6)


def test_ministop_is_asked_for_as_seven_eleven() -> None:
    assert question_of(0, 0, 1, [Chain.MINISTOP], 1).chains == {Chain.SEVEN}


def found_store(number: int, latitude: float, longitude: float) -> FoundStore:
    return FoundStore(str(number), Chain.CU, "CU", None, None, None, latitude, longitude)


def test_an_answer_says_when_the_provider_may_know_more() -> None:
    question = question_of(37.5, 127.0, 500, [], 2)
    area = area_of(question, by_chain=True)
    # 111 m, 222 m and 334 m north.
    stores = tuple(found_store(n, 37.5 + n / 1000, 127.0) for n in (1, 2, 3))
    for complete_m, complete in ((580.0, True), (230.0, True), (200.0, False)):
        found = Found(stores, complete_m, NOW)
        answer = answer_of(question, area, found, provider="x", attribution="y", certain=True)
        assert [one.id for one, _ in answer.stores] == ["1", "2"]
        assert answer.complete is complete
    # None found, and not all known: no "none" for certain.
    nothing = answer_of(
        question, area, Found((), 200.0, NOW), provider="x", attribution="y", certain=True
    )
    assert not nothing.certain


class FakelessFetcher:
    """Asks the stand-in's own functions, without a network, and counts."""

    def __init__(self, stores: tuple[DemoStore, ...]) -> None:
        self.stores, self.requests = stores, 0

    async def json(
        self, _method: str, url: str, *, query: dict[str, str], headers: dict[str, str]
    ) -> dict[str, Any]:
        self.requests += 1
        kind = standin.keyword_answer if "keyword" in url else standin.category_answer
        return kind(self.stores, query)


def ask_kakao(stores: tuple[DemoStore, ...], area: Area, per_question: int) -> tuple[Found, int]:
    fetcher = FakelessFetcher(stores)
    kakao = Kakao(fetcher, "http://kakao", "key", per_question, lambda: NOW)  # type: ignore[arg-type]
    return asyncio.run(kakao.find(area)), fetcher.requests


TOWN = (37.5665, 126.9780)


@pytest.mark.parametrize("chains", [(), (Chain.EMART24,), (Chain.CU, Chain.SEVEN)])
def test_more_than_45_stores_are_found_by_cutting_the_square(chains: tuple[Chain, ...]) -> None:
    """Whatever it says to have whole, it has whole; with leave to ask, that is all of it."""
    stores = demo_stores(count=3000)
    area = Area(*TOWN, 2_000, chains, 100)
    expected = {
        one.number: distance_m(*TOWN, one.latitude, one.longitude)
        for one in stores
        if not chains or one.chain in chains
    }
    for per_question in (1, 3, 12, 400):
        found, requests = ask_kakao(stores, area, per_question)
        assert requests <= per_question
        known = {int(one.id) - 10_000_000 for one in found.stores}
        assert {n for n, away_m in expected.items() if away_m <= found.complete_m} <= known
    assert sum(away_m <= found.complete_m for away_m in expected.values()) >= min(
        100, sum(away_m <= 2_000 for away_m in expected.values())
    )


def test_the_nearest_few_cost_few_requests() -> None:
    """Fifteen a page; whoever asks may stand at the cell's edge, so that one page is too few."""
    stores = demo_stores(count=300)
    found, requests = ask_kakao(stores, Area(*TOWN, 20_000, (), 15), 12)
    assert requests <= 3
    assert len(found.stores) == 15 * requests


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"meta": None, "documents": []},
        {"meta": {}, "documents": []},
        {"meta": {"total_count": "5", "pageable_count": 5}, "documents": []},
        {"meta": {"total_count": -1, "pageable_count": -1}, "documents": []},
        {"meta": {"total_count": 5, "pageable_count": 5}, "documents": {}},
        {"meta": {"total_count": 5, "pageable_count": 5}, "documents": [1, 2, 3]},
        {"meta": {"total_count": 5, "pageable_count": 5}, "documents": [{"id": "1"}] * 3},
        {"meta": {"total_count": 5, "pageable_count": 5}, "documents": [{}] * 1000},
    ],
)
def test_an_answer_of_another_form_is_garbage(answer: dict[str, Any]) -> None:
    with pytest.raises(ProviderError) as caught:
        page_of(answer)
    assert caught.value.outcome is Outcome.GARBAGE


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
DOCUMENT = st.fixed_dictionaries(
    dict.fromkeys(
        ("id", "place_name", "category_name", "x", "y", "phone", "place_url"), JSON_VALUES
    )
)


@settings(max_examples=40)
@given(st.lists(DOCUMENT | JSON_VALUES, max_size=4), JSON_VALUES, JSON_VALUES)
def test_no_answer_of_kakaos_is_a_defect(rows: list[Any], total: Any, end: Any) -> None:
    meta = {"total_count": total, "pageable_count": total, "is_end": end}
    _read_or_garbage(lambda: page_of({"meta": meta, "documents": rows}))


@settings(max_examples=40)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "type": st.sampled_from(["node", "way"]) | JSON_VALUES,
                "id": JSON_VALUES,
                "lat": JSON_VALUES,
                "lon": JSON_VALUES,
                "center": JSON_VALUES,
                "tags": st.dictionaries(
                    st.sampled_from(["name", "brand", "brand:wikidata"]), JSON_VALUES
                ),
            }
        )
        | JSON_VALUES,
        max_size=4,
    ),
    JSON_VALUES,
)
def test_no_answer_of_overpass_is_a_defect(rows: list[Any], about: Any) -> None:
    area = Area(*TOWN, 500, (), 0)
    _read_or_garbage(
        lambda: found_in({"elements": rows, "osm3s": {"timestamp_osm_base": about}}, area, NOW)
    )


def _read_or_garbage(read: Any) -> None:
    outcome = Outcome.GARBAGE
    try:
        read()
    except ProviderError as error:
        outcome = error.outcome
    assert outcome is Outcome.GARBAGE


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("2026-02-24T01:00:00Z", datetime(2026, 2, 24, 1, tzinfo=UTC)),
        ("2031-01-01T00:00:00Z", NOW),  # in the future
        ("yesterday", NOW),
        (None, NOW),
        ("0001-01-01T00:00:00+14:00", NOW),
        ("2026-02-24T01:00:00", NOW),
    ],
)
def test_the_age_of_the_map(stated: object, expected: datetime) -> None:
    answer = {"elements": [], "osm3s": {"timestamp_osm_base": stated}}
    assert found_in(answer, Area(*TOWN, 500, (), 0), NOW).as_of == expected


def test_the_configuration_of_stores_is_checked(tmp_path: Any) -> None:
    path = tmp_path / "server.toml"

    def load(text: str, environment: dict[str, str] | None = None) -> Any:
        path.write_text(text)
        return load_config(path, environment or {})

    config = load('[stores]\nproviders = ["overpass", "local"]\n', {"KAKAO_REST_API_KEY": "k3y"})
    assert config.stores == StoresConfig(providers=("overpass", "local"))
    assert config.kakao_key == "k3y"
    assert "k3y" not in repr(config)
    for text, said in (
        ('[stores]\nproviders = ["google"]\n', "providers are"),
        ("[stores]\nproviders = []\n", "providers are"),
        ('[stores]\nproviders = ["local", "local"]\n', "providers are"),
        ("[stores]\nfailures = 0\n", "failures is 0"),
        ('kakao_key = "k3y"\n', "KAKAO_REST_API_KEY"),
        ('[stores.kakao]\nurl = "file:///x"\n', "not https://host/path"),
        ("[stores.overpass]\ntimeout_s = -1\n", "timeout_s is -1"),
    ):
        with pytest.raises(InputError, match=said):
            load(text)
