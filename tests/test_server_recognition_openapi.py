"""The OpenAPI document of questions with pictures is what the service does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from catalog_support import NOW
from promolens_server.factory import create_app
from promolens_server.services import open_services
from recognition_support import Desk, desk
from server_support import running

__all__ = ["desk"]
EXAMPLES = 8
# Random bytes are a sound body of a kind "binary" and no picture, and few random names are those of
# a corpus: refusing them is what the document says.
SETTINGS = """
[[operations]]
include-path-regex = "/v1/(recognise|search/image|compare|batches.*)$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "415", "422"]
[[operations]]
exclude-path-regex = "/v1/(recognise|search/image|compare|batches.*|index/status)$"
enabled = false
"""
PATHS = {
    "/v1/recognise": "post",
    "/v1/search/image": "post",
    "/v1/compare": "post",
    "/v1/index/status": "get",
    "/v1/batches": "post",
    "/v1/batches/{batch_id}": "get",
    "/v1/batches/{batch_id}/cancel": "post",
}


def test_schemathesis_finds_nothing(desk: Desk, tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("schemathesis"))
    (tmp_path / "schemathesis.toml").write_text(SETTINGS, "utf-8")
    config = desk.server_config(desk.config())
    services = open_services(config, lambda: NOW)
    with running(create_app(services), config) as server:
        done = subprocess.run(
            [
                *(program, "run", f"{server.url}/openapi.json", "--checks", "all", "--no-color"),
                *("--max-examples", str(EXAMPLES), "--seed", "1"),
            ],
            capture_output=True,
            text=True,
            timeout=900,
            cwd=tmp_path,
            env=os.environ | {"NO_PROXY": "127.0.0.1"},
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "❌" not in done.stdout
    selected = re.findall(r"Selected: (\d+)/", done.stdout)[0]
    assert int(selected) == len(PATHS)
    assert f"Tested: {selected}" in done.stdout


@pytest.fixture
def document(desk: Desk) -> Any:
    services = open_services(desk.server_config(desk.config()), lambda: NOW)
    found = TestClient(create_app(services)).get("/openapi.json").json()
    services.close()
    return found


def test_every_operation_says_what_it_takes_and_gives(document: Any) -> None:
    for path, method in PATHS.items():
        operation = document["paths"][path][method]
        assert operation["description"], path
        assert {"400", "401", "413", "415", "422", "429", "503"} <= set(operation["responses"])
    body = document["paths"]["/v1/recognise"]["post"]["requestBody"]["content"]
    assert set(body) >= {"image/jpeg", "image/png", "image/webp", "image/bmp"}
    form = document["paths"]["/v1/compare"]["post"]["requestBody"]["content"]
    assert form["multipart/form-data"]["schema"]["required"] == ["one", "other"]
    models = document["components"]["schemas"]
    for name in ("RecogniseAnswer", "ImageSearchAnswer", "CompareAnswer", "BatchAnswer"):
        assert models[name]["additionalProperties"] is False
    assert models["RecognisedProduct"]["properties"]["address"]["examples"]
