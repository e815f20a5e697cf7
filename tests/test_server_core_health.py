"""Whether the service lives, whether it can answer, and what it says when it cannot."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

from starlette.testclient import TestClient

from catalog_support import NOW, make_offers, stage_crawl
from promolens_catalog.database import open_database
from promolens_catalog.publishing import publish
from promolens_server.factory import create_app
from promolens_server.services import Services, open_services
from promolens_server.versions import KEEP_S
from server_support import assert_problem, config_for


def test_it_lives_and_is_ready(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok", "version": 0}


def test_the_version_is_the_newest_one(client: TestClient, database_url: str) -> None:
    client.get("/readyz")
    writer = open_database(database_url)
    publish(writer, stage_crawl(writer, make_offers(range(3))), NOW)
    writer.close()
    time.sleep(KEEP_S)
    assert client.get("/readyz").json()["version"] == 1


def test_a_database_that_is_gone_and_comes_back(sqlite_url: str, tmp_path: Path) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    services = open_services(config_for(sqlite_url), clock=lambda: NOW)
    with TestClient(create_app(services)) as client:
        services.versions.close()
        aside = path.rename(tmp_path / "aside.db")
        path.mkdir()
        gone = assert_problem(client.get("/readyz"), 503, "catalog-unavailable")
        assert str(path) not in gone["detail"]
        assert client.get("/healthz").status_code == 200
        path.rmdir()
        aside.rename(path)
        assert client.get("/readyz").status_code == 200


def test_figures_are_shown_to_the_addresses_that_may_see_them(services: Services) -> None:
    with TestClient(create_app(services), client=("127.0.0.1", 1)) as client:
        client.get("/healthz")
        client.get("/no/such/address")
        text = client.get("/metrics").text
    assert 'promolens_requests_total{method="GET",route="/healthz",status="200"} 1.0' in text
    assert 'promolens_requests_total{method="GET",route="(none)",status="404"} 1.0' in text
    assert 'promolens_request_seconds_count{route="/healthz"} 1.0' in text
    assert "process_resident_memory_bytes" in text


def test_figures_are_hidden_from_other_addresses(sqlite_url: str) -> None:
    services = open_services(config_for(sqlite_url))
    with TestClient(create_app(services), client=("203.0.113.9", 1)) as client:
        assert_problem(client.get("/metrics"), 404, "not-found")
        spoofed = client.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"})
        assert_problem(spoofed, 404, "not-found")


def test_nothing_a_client_sends_becomes_a_label(sqlite_url: str) -> None:
    services = open_services(config_for(sqlite_url))
    with TestClient(create_app(services), client=("127.0.0.1", 1)) as client:
        client.get("/metrics")
        for number in range(50):
            client.get(f"/never-{number}")
            client.request(f"VERB{number}", "/healthz")
        text = client.get("/metrics").text
    labels = set(re.findall(r'(route|method)="([^"]*)"', text))
    assert labels == {
        *(("route", route) for route in ("/metrics", "/healthz", "(none)")),
        *(("method", method) for method in ("GET", "(other)")),
    }


def test_docs_can_be_switched_off(sqlite_url: str) -> None:
    config = replace(config_for(sqlite_url), docs=False)
    with TestClient(create_app(open_services(config))) as client:
        assert client.get("/docs").status_code == 404
        assert client.get("/openapi.json").status_code == 404
