"""Free text over HTTP: ranked candidates, typing, and texts that want to be code."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.testclient import TestClient

from catalog_support import NOW, make_offer, make_offers, stage_crawl
from promolens_catalog import publishing
from promolens_catalog.completion import Typed, complete, read_typed
from promolens_catalog.database import Database
from promolens_runtime.errors import InputError
from promolens_server.models.search import CompletionAnswer, SearchAnswer
from promolens_server.services import Services

NAMES = (
    "롯데)초코파이12입",
    "오리온)초코칩쿠키",
    "칠성)펩시콜라355ml",
    "코카)콜라제로500ml",
    "해태)차차차",
)


@pytest.fixture
def filled(database: Database, services: Services) -> Database:
    offers = [make_offer(n, name=name) for n, name in enumerate(NAMES)]
    offers += make_offers(range(10, 30))
    publishing.publish(database, stage_crawl(database, offers, NOW), NOW)
    return database


def told(client: TestClient, path: str, model: type[BaseModel], **query: Any) -> Any:
    got = client.get(path, params=query)
    assert got.status_code == 200, got.text
    assert model.model_validate_json(got.content).model_dump(mode="json") == got.json()
    return got.json()


def names(client: TestClient, q: str) -> list[str]:
    answer = told(client, "/v1/autocomplete", CompletionAnswer, q=q)
    return [one["name"] for one in answer["completions"]]


def test_two_characters_are_enough(client: TestClient, filled: Database) -> None:
    answer = told(client, "/v1/search", SearchAnswer, q="콜라")
    assert {one["name"] for one in answer["matches"]} == {NAMES[2], NAMES[3]}
    scores = [one["score"] for one in answer["matches"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0.5 < score <= 1 for score in scores)
    assert answer["status"] == "promotions"
    assert answer["matches"][0]["promotions"][0]["chain"] == "cu"


def test_nothing_alike_is_unknown(client: TestClient, filled: Database) -> None:
    answer = told(client, "/v1/search", SearchAnswer, q="zzzqqq")
    assert (answer["status"], answer["matches"]) == ("unknown-product", [])


def test_filters_of_promotions(client: TestClient, filled: Database) -> None:
    answer = told(client, "/v1/search", SearchAnswer, q="콜라", chain="gs25")
    assert [one["promotions"] for one in answer["matches"]] == [[], []]
    assert len(told(client, "/v1/search", SearchAnswer, q="보리", limit=3)["matches"]) == 3


# Without a letter or a digit; as a filter that would be one that lets everything through.
WORDLESS = ('"', "*", "%_%", "();--", "\\", "👩‍👩‍👧", "\ufffd")


@pytest.mark.parametrize(
    "text",
    ['"', "*", "' OR 1=1 --", 'NEAR("a" "b", 5)', "a AND NOT b", "names:콜라", "^콜라", "콜라*",
     "%_%", "{콜라}", "();--", "\\", "콜라\u202e", "👩‍👩‍👧", "ﷺ", "가\u0300", "x" * 200,
     "ㅋㅋ", "\ufffd"],
)  # fmt: skip
def test_syntax_means_nothing(client: TestClient, filled: Database, text: str) -> None:
    told(client, "/v1/search", SearchAnswer, q=text)
    listed = client.get("/v1/promotions", params={"text": text[:100]})
    assert listed.status_code == (404 if text in WORDLESS else 200), listed.text
    assert client.get("/v1/autocomplete", params={"q": text[:100]}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/search", "/v1/autocomplete"])
@pytest.mark.parametrize(
    ("query", "status", "problem"),
    [
        ("q=%00", 400, "nul-character"),
        ("q=%ED%A0%80", 400, "not-utf-8"),
        ("q=%FF", 400, "not-utf-8"),
        ("q=" + "x" * 10_000, 414, "address-too-long"),
        ("q=" + "x" * 201, 422, "invalid"),
        ("q=", 422, "invalid"),
        ("", 422, "invalid"),
        ("q=%0A", 422, "invalid"),
        ("q=a&limit=0", 422, "invalid"),
        ("q=a&limit=51", 422, "invalid"),
        ("q=a&offset=1", 422, "invalid"),
    ],
)
def test_bad_questions_are_told(
    client: TestClient, path: str, query: str, status: int, problem: str
) -> None:
    got = client.get(f"{path}?{query}")
    assert (got.status_code, got.json()["code"]) == (status, problem)
    assert "Expected" in got.json()["detail"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=60))
def test_any_text_gets_an_answer(client: TestClient, filled: Database, text: str) -> None:
    for path in ("/v1/search", "/v1/autocomplete"):
        assert client.get(path, params={"q": text}).status_code == 200


def test_names_that_begin_with_it_come_first(client: TestClient, filled: Database) -> None:
    # Without the maker's prefix, 초코칩쿠키 and 초코파이 begin with it.
    assert set(names(client, "초코")) == {NAMES[0], NAMES[1]}
    assert names(client, "콜라")[0] == NAMES[3], "콜라제로 begins with it, 펩시콜라 does not"
    assert names(client, "차") == [NAMES[4]]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ㅊ", {0, 1, 4, 2}),
        ("초ㅋ", {0, 1}),
        ("초코ㅍ", {0}),
        ("초코ㅊ", {1}),
        ("콜ㄹ", {2, 3}),
        ("펩시콜ㄹ", {2}),
        ("초ㅎ", set()),
        ("ㄳ", set()),
        ("ㅏ", set()),
        (" ", set()),
        (")", set()),
    ],
)
def test_letters_on_their_way_to_a_syllable(
    client: TestClient, filled: Database, typed: str, found: set[int]
) -> None:
    assert set(names(client, typed)) == {NAMES[number] for number in found}


def test_what_was_typed_is_read() -> None:
    assert read_typed("초ㅋ") == Typed("초", ("카", "킿"))
    assert read_typed("ㅎ") == Typed("", ("하", "힣"))
    assert read_typed("Coca cola") == Typed("cocacola", None)
    assert read_typed("초코") == Typed("초코", None)
    assert read_typed("ㅏ").following is None


def test_limits_of_completion(filled: Database) -> None:
    for typed, limit in (("x" * 101, 8), ("x", 0), ("x", 51)):
        with pytest.raises(InputError, match="at most 100 characters"):
            complete(filled, typed, limit=limit)
    assert len(complete(filled, "달빛", limit=3)) == 3
