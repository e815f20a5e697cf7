"""/docs and /openapi.json: whole, from this host only, without a script; and what is deployed."""

from __future__ import annotations

import ast
import base64
import configparser
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from promolens_cli.main import COMMANDS, command_parser
from promolens_server.docs_page import page
from server_support import PROBLEM

SERVER = Path(__file__).parent.parent / "server" / "promolens_server"
PAGES = Path(__file__).parent.parent / "docs"
# What they answer with is told where they are: they are rooms of their own.
ELSEWHERE = (
    "recognition/",
    "feedback/",
    "admin/",
    "routes/batches",
    "routes/feedback",
    "routes/app",
)
DEPLOY = Path(__file__).parent.parent / "deploy"


class Links(HTMLParser):
    """Everything that a page could load or send to, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href", "action", "srcset", "data"):
                self.addresses.append(value or "")
            if name.startswith("on") or name == "style":
                self.handlers.append(name)


@pytest.fixture
def docs(client: TestClient) -> str:
    return client.get("/docs").text


def test_the_page_loads_nothing_from_another_host_and_runs_nothing(docs: str) -> None:
    links = Links()
    links.feed(docs)
    assert "script" not in links.tags
    assert links.handlers == []
    assert links.addresses
    assert [one for one in links.addresses if ":" in one or one.startswith("/")] == []


def test_its_policy_lets_in_its_own_style_only(client: TestClient, docs: str) -> None:
    policy = client.get("/docs").headers["content-security-policy"]
    style = re.search(r"<style>(.*?)</style>", docs, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_every_address_of_the_document_is_on_the_page(client: TestClient, docs: str) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert "/healthz" in paths
    assert [path for path in paths if f"<code>{path}</code>" not in docs] == []


def test_problems_have_one_shape_in_the_document(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["components"]["schemas"]["Problem"]["required"]) == {
        "type", "title", "status", "code", "detail", "request_id",
    }  # fmt: skip
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if status.startswith(("4", "5")):
                    assert set(answer["content"]) == {PROBLEM}, (path, status)


def test_what_a_document_says_cannot_run() -> None:
    evil = "<script>alert(1)</script>\"'>"
    operation = {
        "summary": evil,
        "description": evil,
        "tags": [evil],
        "parameters": [
            {"name": evil, "in": "query", "required": True, "example": evil, "schema": {}}
        ],
        "responses": {
            "200": {
                "description": evil,
                "content": {"application/json": {"example": {evil: evil}}},
            }
        },
    }
    document = {"info": {"title": evil, "description": evil}, "paths": {evil: {"get": operation}}}
    links = Links()
    links.feed(page(document))
    assert "script" not in links.tags


def test_the_unit_calls_a_command_that_there_is() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.read_string((DEPLOY / "promolens-serve.service").read_text("utf-8"))
    program, name, *words = unit["Service"]["ExecStart"].split()
    assert program.endswith("/promolens")
    command = next(one for one in COMMANDS if one.name == name)
    assert command_parser(command)[0].parse_args(words).config == Path("/etc/promolens/server.toml")
    assert unit["Service"]["User"] == "promolens"
    assert unit["Service"]["NoNewPrivileges"] == "yes"
    assert unit["Service"]["ProtectSystem"] == "strict"


def test_the_image_is_not_root_and_takes_every_room_that_there_is() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    copied = set(re.findall(r"(?m)^COPY (\w+) \1$", text))
    project = (DEPLOY.parent / "pyproject.toml").read_text("utf-8")
    where = re.search(r"(?m)^where = \[(.*)\]$", project)
    assert where is not None
    rooms = set(re.findall(r'"(\w+)"', where[1]))
    assert copied == rooms
    let_in = (DEPLOY.parent / ".dockerignore").read_text("utf-8")
    assert rooms <= set(re.findall(r"(?m)^!(\w+)$", let_in))
    assert re.search(r"(?m)^USER 10001$", text)
    assert text.rstrip().splitlines()[-1].startswith("ENTRYPOINT")


def test_every_code_of_a_problem_is_on_a_page_for_whoever_writes_a_client() -> None:
    told = "".join(
        (PAGES / f"{name}.md").read_text("utf-8") for name in ("api", "bundle-delivery", "stores")
    )
    codes = set()
    for path in SERVER.rglob("*.py"):
        if not path.relative_to(SERVER).as_posix().startswith(ELSEWHERE):
            for call in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Problem":
                    found = ast.walk(call.args[1]) if len(call.args) > 1 else ()
                    codes |= {one.value for one in found if isinstance(one, ast.Constant)}
    codes = {code for code in codes if isinstance(code, str)}
    assert {"no-barcode", "key-needed", "no-words", "bad-install-id"} <= codes
    assert sorted(code for code in codes if f"`{code}`" not in told) == []
