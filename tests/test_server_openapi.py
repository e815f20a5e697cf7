"""The OpenAPI document is what the service does: schemathesis, with all its checks, finds nothing.

Schemathesis reads the document and sends requests that it allows and requests that it does not, to
a real server on loopback, for every operation; it looks at each answer: status, media type,
headers, shape, bad data refused, good data taken, no 5xx.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from catalog_support import NOW, make_offer, make_offers, stage_crawl
from promolens_catalog import changes, items, publishing
from promolens_catalog.chains import Chain
from promolens_catalog.database import open_database
from promolens_catalog.store_files import read_stores
from promolens_catalog.store_imports import import_stores
from promolens_server.config import SyncConfig
from promolens_server.factory import create_app
from promolens_server.services import Services, open_services
from server_support import config_for, running

EXAMPLES = 10
# Far from every list of stores no provider can answer here, and 503 is what the document says then.
SETTINGS = """
[[operations]]
include-path = "/v1/stores/nearby"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""


@pytest.fixture(scope="module")
def api_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services on a catalog with something of everything in it."""
    folder: Path = tmp_path_factory.mktemp("api")
    database = open_database(str(folder / "catalog.db"))
    for minutes in range(3):
        offers = make_offers(range(minutes, 30 + minutes))
        publishing.publish(database, stage_crawl(database, offers, NOW), NOW)
    gs25 = [make_offer(number, chain=Chain.GS25, price_krw=900) for number in range(5)]
    publishing.publish(database, stage_crawl(database, gs25, NOW, chain=Chain.GS25), NOW)
    changes.prune(database, 2)
    with database.write() as connection:
        items.add_key(connection, 1, items.ItemKey(items.CLASS, "0"), "import")
    lines = (
        "id,name,latitude,longitude\n1,CU 예시점,37.4979,127.0276\n2,GS25 예시점,37.4981,127.0280\n"
    )
    import_stores(database, [read_stores(BytesIO(lines.encode()), "stores.csv")], NOW)
    database.close()
    config = config_for(str(folder / "catalog.db"), sync=SyncConfig(folder / "bootstrap"))
    services = open_services(config, clock=lambda: NOW)
    yield services
    services.close()


def test_schemathesis_finds_nothing(api_services: Services, tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("schemathesis"))
    (tmp_path / "schemathesis.toml").write_text(SETTINGS, "utf-8")
    with running(create_app(api_services)) as server:
        done = subprocess.run(
            [
                *(program, "run", f"{server.url}/openapi.json", "--checks", "all", "--no-color"),
                *("--max-examples", str(EXAMPLES), "--seed", "1"),
            ],
            capture_output=True,
            text=True,
            timeout=600,
            cwd=tmp_path,
            env=os.environ | {"NO_PROXY": "127.0.0.1"},
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "❌" not in done.stdout
    selected, all_of_them = re.findall(r"Selected: (\d+)/(\d+)", done.stdout)[0]
    assert selected == all_of_them
    assert f"Tested: {selected}" in done.stdout


@pytest.fixture(scope="module")
def document(api_services: Services) -> Any:
    return TestClient(create_app(api_services)).get("/openapi.json").json()


def test_every_operation_and_parameter_is_described(document: Any) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            told = operation.get("description") or operation.get("summary")
            assert told, f"{method} {path}"
            for parameter in operation.get("parameters", []):
                assert parameter["schema"], f"{method} {path} {parameter['name']}"


def test_answers_have_models_with_examples(document: Any) -> None:
    models = document["components"]["schemas"]
    for name in ("ProductAnswer", "PromotionList", "SearchAnswer", "MetaAnswer", "SyncPage"):
        assert name in models
        assert models[name]["additionalProperties"] is False
    offered = models["PromotionModel"]["properties"]
    assert offered["unit_price_krw"]["examples"] == [1150]
    assert offered["kind"]["enum"] == ["1+1", "2+1", "3+1", "gift", "discount", "pick"]
