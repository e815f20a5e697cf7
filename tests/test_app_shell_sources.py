"""Rules that the app's sources keep: no HTML from strings, nothing inline, no other host."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[1] / "app"
SOURCES = sorted((APP / "src").rglob("*.ts"))
STATIC = sorted(path for path in (APP / "static").rglob("*") if path.is_file())
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
    r"|srcdoc|\beval\(|new Function\(|style=|dangerously"
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(APP)))
def test_no_source_makes_html_or_code_out_of_text(path: Path) -> None:
    assert FORBIDDEN.findall(path.read_text("utf-8")) == []


def test_the_page_has_nothing_inline() -> None:
    page = (APP / "static/index.html").read_text("utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page) == []
    policy = (APP / "build_shell.mjs").read_text("utf-8")
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy


@pytest.mark.parametrize("path", STATIC, ids=lambda path: path.name)
def test_everything_is_addressed_relatively(path: Path) -> None:
    assert re.findall(r"https?://|[\"'(]//", path.read_text("utf-8")) == []


def test_the_web_manifest_stays_in_its_folder() -> None:
    manifest = json.loads((APP / "static/manifest.webmanifest").read_text("utf-8"))
    assert (manifest["start_url"], manifest["scope"], manifest["id"]) == ("./", "./", "./")
    sizes = {icon["sizes"] for icon in manifest["icons"]}
    assert {"192x192", "512x512"} <= sizes
    assert any(icon.get("purpose") == "maskable" for icon in manifest["icons"])


def test_dependencies_are_pinned_exactly() -> None:
    package = json.loads((APP / "package.json").read_text("utf-8"))
    versions = [*package["dependencies"].values(), *package["devDependencies"].values()]
    assert [version for version in versions if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
