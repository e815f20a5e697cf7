"""Products over HTTP: the four answers, by every way to ask, and what they look like."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from catalog_support import HOUR, NOW, make_offer, make_offers, stage_crawl
from promolens_catalog import items, publishing
from promolens_catalog.chains import Chain
from promolens_catalog.data_declarations import DataSource, Field, FieldType
from promolens_catalog.data_sources import load
from promolens_catalog.database import Database
from promolens_catalog.items import BARCODE, CLASS, ItemKey
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Gift, Offer
from promolens_catalog.records import Record, RecordFile
from promolens_server.factory import create_app
from promolens_server.models.products import HistoryAnswer, ProductAnswer
from promolens_server.models.search import LabelAnswer
from promolens_server.services import Services

DAY = timedelta(days=1)


def publish(db: Database, offers: list[Offer], hours: int = 0, chain: Chain = Chain.CU) -> None:
    now = NOW + hours * HOUR
    publishing.publish(db, stage_crawl(db, offers, now, chain=chain), now)


def code(number: int) -> str:
    return str(make_offer(number).barcode)


@pytest.fixture
def filled(database: Database, services: Services) -> Database:
    """CU had 0 to 9 and now has 4 to 13; GS25 sells 5 to 7 with a gift, for less."""
    gift = Gift("달빛 컵", 500)
    theirs = [
        make_offer(n, chain=Chain.GS25, price_krw=600 + n, kind=Kind.GIFT, gift=gift)
        for n in range(5, 8)
    ]
    publish(database, make_offers(range(10)))
    publish(database, make_offers(range(4, 14)), 1)
    publish(database, theirs, 1, Chain.GS25)
    with database.write() as connection:
        items.add_key(connection, 5, ItemKey(CLASS, "Moon/barley snack"), "import")
    return database


def told(client: TestClient, url: str, model: type[BaseModel]) -> Any:
    """Return an answer that is exactly what its model says."""
    got = client.get(url)
    assert got.status_code == 200, got.text
    assert model.model_validate_json(got.content).model_dump(mode="json") == got.json()
    return got.json()


def test_best_deal_across_chains_first(client: TestClient, filled: Database) -> None:
    answer = told(client, f"/v1/products/by-barcode/{code(6)}", ProductAnswer)
    assert answer["status"] == "promotions"
    assert answer["product"]["barcodes"] == [code(6)]
    # Number 6: 1,600 won 1+1 is 800 a piece at CU; 606 with a gift at GS25.
    assert [(p["chain"], p["unit_price_krw"]) for p in answer["promotions"]] == [
        ("gs25", 606),
        ("cu", 800),
    ]
    best, other = answer["promotions"]
    assert best["gift"] == {"name": "달빛 컵", "price_krw": 500, "barcode": None, "image_url": None}
    # 106 g for 606 won: 571.7 for 100 g; 800 won: 754.7.
    assert (best["price_per_100_krw"], other["price_per_100_krw"]) == (572, 755)
    assert (other["pieces"], other["saving_percent"]) == (2, 50)


def test_no_promotion_says_which_lists_say_so(client: TestClient, filled: Database) -> None:
    answer = told(client, f"/v1/products/by-barcode/{code(1)}", ProductAnswer)
    assert (answer["status"], answer["promotions"]) == ("no-promotion", [])
    chains = {one["chain"]: one for one in answer["chains"]}
    assert chains["cu"]["snapshot_at"] == "2026-02-24T04:00:00Z"
    assert chains["cu"]["month"] == "2026-02"
    assert chains["cu"]["speaks_for_today"]
    assert chains["seven"]["state"] == "never"


def test_unknown_is_not_no(client: TestClient, filled: Database) -> None:
    answer = told(client, f"/v1/products/by-barcode/{code(999)}", ProductAnswer)
    assert (answer["status"], answer["product"]) == ("unknown-product", None)


def test_a_source_that_went_is_told_with_since_when(client: TestClient, filled: Database) -> None:
    publishing.mark_source(filled, Chain.GS25, "gone", NOW + 5 * HOUR, "secret path /etc/x")
    answer = told(client, f"/v1/products/by-barcode/{code(1)}", ProductAnswer)
    assert answer["status"] == "source-unavailable"
    gs25 = next(one for one in answer["chains"] if one["chain"] == "gs25")
    assert (gs25["state"], gs25["since"]) == ("gone", "2026-02-24T08:00:00Z")
    assert gs25["snapshot_at"] == "2026-02-24T04:00:00Z"
    assert "secret" not in str(answer), "reasons are for those who run the service"


def test_last_months_rows_are_never_a_yes(services: Services, filled: Database) -> None:
    march = replace(services, clock=lambda: NOW + 10 * DAY)
    with TestClient(create_app(march)) as client:
        answer = told(client, f"/v1/products/by-barcode/{code(6)}", ProductAnswer)
    assert (answer["status"], answer["promotions"]) == ("source-unavailable", [])
    assert [row["chain"] for row in answer["expired"]] == ["gs25", "cu"]


def test_the_quick_way_and_the_route_say_the_same(client: TestClient, filled: Database) -> None:
    for number in range(16):
        url = f"/v1/products/by-barcode/{code(number)}"
        # With a query, which means nothing here, the request goes to the route.
        quick, plain = client.get(url), client.get(f"{url}?x=1")
        assert quick.content == plain.content
        assert ProductAnswer.model_validate_json(quick.content)
        same = ("cache-control", "content-type", "vary", "content-length")
        assert [quick.headers.get(n) for n in same] == [plain.headers.get(n) for n in same]
        item = quick.json()["product"]
        if item:
            assert client.get(f"/v1/products/{item['id']}").content == quick.content


@pytest.mark.parametrize("text", ["2 000000 000060", "2000000-000060", "02000000000060"])
def test_spellings_of_a_barcode(client: TestClient, filled: Database, text: str) -> None:
    assert code(6) == "2000000000060"
    assert told(client, f"/v1/products/by-barcode/{text}", ProductAnswer)["product"]["id"] == 7


@pytest.mark.parametrize(
    ("text", "status", "problem"),
    [
        ("2000000000061", 404, "no-barcode"),
        ("123", 422, "invalid"),
        ("abc", 422, "invalid"),
        ("1" * 100, 422, "invalid"),
        ("２０００００００００００６０", 422, "invalid"),
        ("%00000000000", 400, "nul-character"),
        ("%FF%FE0000000", 400, "not-utf-8"),
        ("' OR 1=1 --", 422, "invalid"),
        ("", 404, "not-found"),
    ],
)
def test_what_is_no_barcode_is_told(
    client: TestClient, text: str, status: int, problem: str
) -> None:
    got = client.get(f"/v1/products/by-barcode/{text}")
    assert (got.status_code, got.json()["code"]) == (status, problem)
    assert got.headers["content-type"] == "application/problem+json"
    assert "Expected" in got.json()["detail"]


def test_a_label_that_a_product_has_as_key(client: TestClient, filled: Database) -> None:
    for url in ("Moon/barley snack", "Moon%2Fbarley%20snack"):
        answer = told(client, f"/v1/products/by-label/{url}", LabelAnswer)
        assert (answer["matched_by"], answer["matches"]) == ("class", [])
        assert (answer["label"], answer["product"]["id"]) == ("Moon/barley snack", 5)
        assert answer["status"] == "promotions"


def test_a_label_that_is_only_like_a_name(client: TestClient, filled: Database) -> None:
    answer = told(client, "/v1/products/by-label/보리과자7번", LabelAnswer)
    assert (answer["matched_by"], answer["product"]) == ("text", None)
    assert answer["matches"][0]["name"] == "달빛)보리과자7번100g"
    assert answer["status"] == "promotions"
    nothing = told(client, "/v1/products/by-label/zzqq", LabelAnswer)
    assert (nothing["matched_by"], nothing["status"]) == ("nothing", "unknown-product")


def test_was_this_one_plus_one_before(services: Services, filled: Database) -> None:
    later = NOW + 20 * DAY
    march = [
        make_offer(
            6,
            price_krw=1_500,
            kind=Kind.TWO_PLUS_ONE,
            valid_from=later.date().replace(day=1),
            valid_until=later.date().replace(day=31),
        )
    ]
    publishing.publish(filled, stage_crawl(filled, march, later, month="2026-03"), later)
    with TestClient(create_app(replace(services, clock=lambda: later))) as client:
        answer = told(client, "/v1/products/7/history", HistoryAnswer)
    assert [(one["kind"], one["chain"], one["live"]) for one in answer["entries"]] == [
        ("2+1", "cu", True),
        ("1+1", "cu", False),
        ("gift", "gs25", True),
    ]
    before = {one["kind"]: one for one in answer["last_times"]}
    assert before["1+1"]["months"] == ["2026-02"]
    assert before["1+1"]["valid_until"] == "2026-02-28"
    assert "2+1" not in before, "it is of this month"


def test_facts_of_other_sources_are_joined(client: TestClient, filled: Database) -> None:
    fields = (
        Field("kcal", FieldType.NUMBER, "열량", "kcal"),
        Field("vegan", FieldType.BOOLEAN, "비건"),
        Field("note", FieldType.TEXT),
    )
    source = DataSource("nutrition", BARCODE, fields, 30, title="영양 성분", attribution="식약처")
    rows = (Record(1, {"barcode": code(6), "kcal": "120.5", "vegan": "true"}),)
    columns = ("barcode", "kcal", "vegan")
    load(filled, source, RecordFile("n.csv", "0" * 64, "utf-8", columns, rows), NOW)
    (fact,) = told(client, f"/v1/products/by-barcode/{code(6)}", ProductAnswer)["facts"]
    assert fact["fields"] == [
        {"name": "kcal", "title": "열량", "unit": "kcal", "type": "number", "value": 120.5},
        {"name": "vegan", "title": "비건", "unit": "", "type": "boolean", "value": True},
    ]
    assert (fact["source"], fact["attribution"], fact["stale"]) == ("nutrition", "식약처", False)
    assert told(client, f"/v1/products/by-barcode/{code(7)}", ProductAnswer)["facts"] == []


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", str(2**63), "9" * 400])
def test_what_is_no_id_is_told(client: TestClient, number: str) -> None:
    for url in (f"/v1/products/{number}", f"/v1/products/{number}/history"):
        got = client.get(url)
        assert got.status_code in (404, 422)
        assert got.headers["content-type"] == "application/problem+json"


def test_an_id_that_nothing_has(client: TestClient, filled: Database) -> None:
    for url in ("/v1/products/999", "/v1/products/999/history"):
        assert client.get(url).json()["code"] == "no-such-product"


def test_304_needs_no_more_than_the_version(
    client: TestClient, services: Services, filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [
        f"/v1/products/by-barcode/{code(6)}",
        "/v1/products/7",
        "/v1/products/7/history",
        "/v1/products/by-label/보리과자7번",
        "/v1/promotions?chain=cu&sort=per-100",
        "/v1/search?q=보리",
        "/v1/autocomplete?q=달빛",
        "/v1/sync?since=1",
    ]
    tags = {url: client.get(url).headers["etag"] for url in urls}
    assert len(set(tags.values())) == len(urls)

    def never(*_arguments: object, **_options: object) -> None:
        raise AssertionError("asked for more than the version")

    services.versions.current()  # on PostgreSQL it is known for a moment
    for name in ("read", "write"):
        monkeypatch.setattr(services.catalog, name, never)
    monkeypatch.setattr(services.lookup, "_consistent", never)
    monkeypatch.setattr(services.versions, "peek", lambda: 3)
    for url, tag in tags.items():
        for sent in (tag, f'"other", W/{tag}'):
            got = client.get(url, headers={"if-none-match": sent})
            assert (got.status_code, got.content) == (304, b""), url
            assert got.headers["etag"] == tag
            assert "public" in got.headers["cache-control"]


def test_a_new_version_has_another_tag(client: TestClient, filled: Database) -> None:
    url = f"/v1/products/by-barcode/{code(6)}"
    tag = client.get(url).headers["etag"]
    publish(filled, make_offers(range(4, 15)), 3)
    time.sleep(0.3)  # on PostgreSQL the version is kept for a quarter of a second
    got = client.get(url, headers={"if-none-match": tag})
    assert (got.status_code, got.json()["version"]) == (200, 4)
