"""Lists of promotions: filters, orders, and pages that fit together while things are published."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from catalog_support import HOUR, NOW, make_offer, make_offers, stage_crawl
from promolens_catalog import publishing
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database
from promolens_catalog.kinds import Kind
from promolens_server.factory import create_app
from promolens_server.models.promotions import PromotionList
from promolens_server.services import Services

SORTS = ["unit-price", "per-100", "newest"]


@pytest.fixture
def filled(database: Database, services: Services) -> Database:
    publishing.publish(database, stage_crawl(database, make_offers(range(40)), NOW), NOW)
    theirs = [make_offer(n, chain=Chain.GS25, price_krw=550, kind=Kind.GIFT) for n in range(5)]
    now = NOW + HOUR
    publishing.publish(database, stage_crawl(database, theirs, now, chain=Chain.GS25), now)
    return database


def told(client: TestClient, query: str) -> Any:
    got = client.get(f"/v1/promotions?{query}")
    assert got.status_code == 200, got.text
    assert PromotionList.model_validate_json(got.content).model_dump(mode="json") == got.json()
    return got.json()


def pages(client: TestClient, query: str, limit: int) -> Iterator[Any]:
    cursor = ""
    while True:
        page = told(client, f"{query}&limit={limit}{cursor}")
        yield page
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


def test_the_cheapest_piece_comes_first(client: TestClient, filled: Database) -> None:
    rows = told(client, "limit=200")["promotions"]
    prices = [row["unit_price_krw"] for row in rows]
    assert prices == sorted(prices)
    # Number 0: 1,000 won 1+1 is 500; GS25's are 550.
    assert (rows[0]["name"], prices[0]) == ("달빛)보리과자0번100g", 500)
    assert {row["chain"] for row in rows[1:6]} == {"gs25"}


def test_by_100_grams_and_newest(client: TestClient, filled: Database) -> None:
    per_100 = [row["price_per_100_krw"] for row in told(client, "sort=per-100")["promotions"]]
    assert per_100 == sorted(per_100)
    newest = told(client, "sort=newest&limit=6")["promotions"]
    assert [row["chain"] for row in newest] == ["gs25"] * 5 + ["cu"]


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("chain=gs25", 5),
        ("chain=cu&chain=gs25", 45),
        ("chain=seven", 0),
        ("kind=gift", 5),
        ("kind=1%2B1&kind=2%2B1", 40),
        ("chain=cu&kind=gift", 0),
        ("item=1", 2),
        ("item=999", 0),
        ("category=과자", 16),
        ("price_min=4900", 1),
        ("price_max=1000", 6),
        ("price_min=2000&price_max=1000", 0),
        ("text=보리과자 12번", 1),
        ("text=보리과자 gs", 0),
        ("text=112G", 0),
        ("text=102G 2번", 2),
    ],
)
def test_filters(client: TestClient, filled: Database, query: str, total: int) -> None:
    page = told(client, query)
    if query == "text=102G 2번":
        assert page["total"] >= 2
        assert all("102g" in row["name"] for row in page["promotions"])
        return
    assert page["total"] == total
    assert {one["chain"] for one in page["chains"]} >= {"cu", "gs25", "seven"}


@pytest.mark.parametrize("sort", SORTS)
def test_pages_fit_together_while_lists_are_published(
    client: TestClient, filled: Database, sort: str
) -> None:
    whole = [row["id"] for row in told(client, f"sort={sort}&limit=200")["promotions"]]
    assert len(whole) == 45
    seen: list[int] = []
    for number, page in enumerate(pages(client, f"sort={sort}", 7)):
        assert (page["version"], page["total"]) == (2, 45)
        seen += [row["id"] for row in page["promotions"]]
        now = NOW + (2 + number) * HOUR
        offers = make_offers(range(number * 5, 60), price_krw=700 + number)
        publishing.publish(filled, stage_crawl(filled, offers, now), now)
    assert seen == whole


def test_midnight_between_two_pages(services: Services, filled: Database) -> None:
    times = [NOW]
    with TestClient(create_app(replace(services, clock=lambda: times[-1]))) as client:
        first = told(client, "limit=40")
        times.append(NOW + timedelta(days=10))
        assert told(client, "limit=40")["total"] == 0, "in March nothing of it holds"
        rest = told(client, f"limit=40&cursor={first['next_cursor']}")
    assert (rest["day"], rest["total"], len(rest["promotions"])) == ("2026-02-24", 45, 5)


def test_a_cursor_is_of_one_list(client: TestClient, filled: Database) -> None:
    cursor = told(client, "chain=cu&chain=gs25&limit=5")["next_cursor"]
    assert told(client, f"chain=gs25&chain=cu&limit=9&cursor={cursor}")["total"] == 45
    for query in ("chain=cu", "sort=newest&chain=cu&chain=gs25", ""):
        got = client.get(f"/v1/promotions?{query}&cursor={cursor}".replace("?&", "?"))
        assert (got.status_code, got.json()["code"]) == (404, "no-such-page")


def _cursor(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def test_invented_cursors_are_refused(client: TestClient, filled: Database) -> None:
    real = told(client, "limit=5")["next_cursor"]
    version, day, name, *place = json.loads(base64.urlsafe_b64decode(real + "=="))
    invented = [
        _cursor(99, day, name, *place),
        _cursor(version, 10**9, name, *place),
        _cursor(version, day, name, "x", 1),
        _cursor(version, day, name, 1),
        _cursor(version, day, name, 2**70, 1),
        _cursor(True, day, name, *place),
        _cursor(-1, day, name, *place),
        "A" * 20,
        base64.urlsafe_b64encode(b"[" * 140).decode().rstrip("="),
    ]
    for cursor in invented:
        got = client.get(f"/v1/promotions?cursor={cursor}")
        assert (got.status_code, got.json()["code"]) == (404, "no-such-page"), cursor


@pytest.mark.parametrize(
    "query",
    ["chain=walmart", "kind=1%2B9", "limit=0", "limit=201", "price_min=-1", "price_max=x",
     "sort=best", "chian=cu", "item=0", "text=", "text=%01", "cursor=%27--",
     "category=" + "x" * 201],
)  # fmt: skip
def test_bad_questions_are_told(client: TestClient, query: str) -> None:
    got = client.get(f"/v1/promotions?{query}")
    assert (got.status_code, got.json()["code"]) == (422, "invalid")
    assert "Expected" in got.json()["detail"]


@pytest.mark.parametrize("text", ["%25", "%20", "(%22", "%2B_-"])
def test_a_text_without_a_word_is_no_filter_that_lets_everything_through(
    client: TestClient, filled: Database, text: str
) -> None:
    got = client.get(f"/v1/promotions?text={text}")
    assert (got.status_code, got.json()["code"]) == (404, "no-words")
    assert "a letter or a digit" in got.json()["detail"]
