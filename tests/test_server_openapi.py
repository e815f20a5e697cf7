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
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jsonschema
import pytest
from starlette.testclient import TestClient

from catalog_support import NOW, make_offer, make_offers, stage_crawl
from promolens_catalog import changes, items, publishing
from promolens_catalog.chains import Chain
from promolens_catalog.database import open_database
from promolens_catalog.store_files import read_stores
from promolens_catalog.store_imports import import_stores
from promolens_server.bundles.publishing import Artefact, Facts, Order, publish
from promolens_server.bundles.store import BUNDLES, GALLERIES, ArtefactStore
from promolens_server.config import BundlesConfig, SyncConfig
from promolens_server.factory import create_app
from promolens_server.limits import REPEATABLE
from promolens_server.routes.delivery import MANIFEST_FILE, SIGNATURE_FILE
from promolens_server.services import Services, open_services
from server_support import PROBLEM, config_for, running

EXAMPLES = 10
SIGNED = (MANIFEST_FILE, SIGNATURE_FILE)
# Far from every list of stores no provider can answer here, and 503 is what the document says then.
SETTINGS = """
[[operations]]
include-path = "/v1/stores/nearby"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""


def publish_files(root: Path, kind: str) -> None:
    """Offer a release to all phones; what it is made of does not matter to who delivers it."""
    made = root.with_name(f"made-{kind}")
    made.mkdir()
    for name in (MANIFEST_FILE, SIGNATURE_FILE, "labels.json", "MODEL_CARD.md", "model.tflite"):
        (made / name).write_bytes(b'{"a": "' + 200 * b"b" + b'"}')
    files = ("labels.json", "MODEL_CARD.md", "model.tflite")
    facts = Facts("small", 7, "ed25519:none", files, "0.1.0", 64 * "a")
    artefact = Artefact(lambda path: path, lambda _data: files, lambda _folder: facts)
    publish(ArtefactStore(root, kind), artefact, made, Order("stable", 100, "min"), NOW)


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
    for kind in (BUNDLES, GALLERIES):
        publish_files(folder / "store", kind)
    config = config_for(
        str(folder / "catalog.db"),
        sync=SyncConfig(folder / "bootstrap"),
        bundles=BundlesConfig(folder / "store"),
    )
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


def contents(document: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every answer that has a body: where, its media type, and what the document says of it."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                for media_type, content in answer.get("content", {}).items():
                    yield f"{method} {path} {status}", media_type, content


def resolved(document: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Put all models of the document where a validator finds them."""
    return schema | {"components": document["components"]}


def test_every_parameter_has_an_example_that_its_schema_allows(document: Any) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", []):
                where = f"{method} {path} {parameter['name']}"
                assert "example" in parameter, where
                jsonschema.validate(parameter["example"], resolved(document, parameter["schema"]))


def test_what_may_be_repeated_is_what_the_document_calls_a_list(document: Any) -> None:
    lists = {
        parameter["name"].encode()
        for operations in document["paths"].values()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and parameter["schema"].get("type") == "array"
    }
    assert lists == REPEATABLE


def test_every_answer_has_an_example_that_its_schema_allows(document: Any) -> None:
    for where, media_type, content in contents(document):
        if content["schema"].get("format") == "binary":
            continue
        assert "example" in content, where
        jsonschema.validate(content["example"], resolved(document, content["schema"]))
        if media_type == PROBLEM:
            assert content["example"]["status"] == int(where.split()[-1])


def test_the_examples_of_problems_are_what_is_said(api_services: Services, document: Any) -> None:
    client = TestClient(create_app(api_services))
    asked = {
        400: "/v1/search?q=%00",
        405: None,
        409: "/v1/sync?since=99",
        410: "/v1/sync?since=1",
        414: "/v1/search?q=" + 9_000 * "a",
        422: "/v1/promotions?limit=0",
        503: "/v1/stores/nearby?lat=1&lon=1",
    }
    for status, address in asked.items():
        said = (client.post("/v1/search") if address is None else client.get(address)).json()
        path = "/v1/search" if address is None else address.partition("?")[0]
        answers = document["paths"][path]["get"]["responses"]
        shown = answers[str(status)]["content"][PROBLEM]["example"]
        assert (said["status"], said["code"]) == (status, shown["code"])
        assert set(said) == set(shown), "the same members"
        sentence = shown["detail"].partition(" ")[0], shown["detail"].rpartition(". ")[2]
        assert (said["detail"].partition(" ")[0], said["detail"].rpartition(". ")[2]) == sentence


def test_the_page_shows_the_examples(api_services: Services) -> None:
    page = TestClient(create_app(api_services)).get("/docs").text
    assert "&quot;unit_price_krw&quot;: 1150" in page
    assert "<a href='v1/products/by-barcode/8801056150013'>" in page
    assert "placeholder='콜라'" in page


class Offers(HTMLParser):
    """What can be asked from a page: the links into the service, and its forms as they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self._fields: list[tuple[str, str]] | None = None
        self._action = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "a":
            self.addresses.append(told["href"] or "")
        elif tag == "form":
            self._action, self._fields = told["action"] or "", []
        elif tag == "input" and self._fields is not None:
            self._fields.append((told["name"] or "", told["value"] or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._fields is not None:
            self.addresses.append(f"{self._action}?{urlencode(self._fields)}")
            self._fields = None


def test_everything_that_the_page_offers_to_ask_is_answered(api_services: Services) -> None:
    client = TestClient(create_app(api_services))
    offers = Offers()
    offers.feed(client.get("/docs").text)
    asked = [one for one in offers.addresses if one.startswith("v1/")]
    assert any(one.startswith("v1/promotions?chain=cu&kind=") for one in asked)
    for address in asked:
        # Files of the release in the examples, which nobody has, are 404.
        expected = {404} if "/files/" in address else {200}
        assert client.get(f"/{address}").status_code in expected, address


def test_files_have_the_types_that_the_document_says(api_services: Services, document: Any) -> None:
    client = TestClient(create_app(api_services))
    for kind in (BUNDLES, GALLERIES):
        offered = client.get(f"/v1/{kind}/stable").json()
        asked = [(f"/v1/{kind}/{{channel}}/{name}", f"/v1/{kind}/stable/{name}") for name in SIGNED]
        asked += [(f"/v1/{kind}/files/{{sha256}}/{{name}}", one["url"]) for one in offered["files"]]
        assert len(asked) == 2 + 5
        for path, address in asked:
            answer = client.get(address)
            assert answer.status_code == 200, address
            told = document["paths"][path]["get"]["responses"]["200"]["content"]
            assert answer.headers["content-type"].partition(";")[0] in told, address
