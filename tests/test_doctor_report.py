"""What the doctor shows: lines, JSON and a page that is safe whatever the files are called."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from photo_folders import class_folders, save
from promolens_cli.main import main
from promolens_runtime.errors import InputError
from promolens_training.data.doctor import examine
from promolens_training.data.doctor_report import as_text, check_target, render_report

EVIL = "<img src=x onerror=alert(1)>\"'&"


class Page(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources.extend(value or "" for name, value in attrs if name in ("src", "href"))
        self.handlers.extend(name for name, _ in attrs if name.startswith("on"))


@pytest.fixture
def troubled(tmp_path: Path) -> Path:
    root = class_folders(tmp_path / "set", EVIL.replace("/", ""), "우유", count=10)
    shutil.copy(root / "우유" / "0.jpg", root / EVIL / "copy.jpg")
    (root / "우유" / "bad.jpg").write_text("no picture")
    return root


def test_page_escapes_names_and_loads_nothing(troubled: Path) -> None:
    page = Page(render_report(examine(troubled, fast=True)))
    assert "script" not in page.tags
    assert not page.handlers
    assert all(re.match(r"data:image/jpeg;base64,|#", source) for source in page.sources)
    assert sum(source.startswith("data:") for source in page.sources) >= 2


def test_command_writes_page_and_list(
    troubled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "doctor.html"
    status = main(["doctor", str(troubled), "--fast", "--json", "--report", str(out)])
    printed = json.loads(capsys.readouterr().out)
    assert status == 1
    assert printed == json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert printed["may_train"] is False
    by_code = {finding["code"]: finding for finding in printed["findings"]}
    assert by_code["unreadable"]["paths"] == ["우유/bad.jpg"]
    assert sorted(by_code["label-conflict"]["labels"]) == sorted(["우유", EVIL])
    assert "<!doctype html>" in out.read_text("utf-8")


def test_command_says_that_training_may_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = class_folders(tmp_path, "a", "b", count=10)
    save(root / "a" / "tiny.png", 3).write_bytes(save(root / "tmp.png", 3).read_bytes())
    (root / "tmp.png").unlink()
    assert main(["doctor", str(root), "--fast"]) == 0
    assert "Training may go on" in capsys.readouterr().out


def test_command_refuses_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(tmp_path / "none"), "--fast"]) == 2
    assert re.fullmatch(r"error: Expected [^\n]*absent[^\n]*\n", capsys.readouterr().err)


def test_lines_name_the_file_and_the_advice(troubled: Path) -> None:
    text = as_text(examine(troubled, fast=True))
    assert "우유/bad.jpg" in text
    assert "Save them again as JPEG or PNG" in text
    assert text.splitlines()[-1].startswith("Training may not go on: 2 errors")


def test_page_of_a_dataset_without_pictures(tmp_path: Path) -> None:
    page = render_report(examine(tmp_path, fast=True))
    assert "No picture found" in page


def test_report_needs_an_html_name(tmp_path: Path) -> None:
    for name in ("doctor.pdf", "."):
        with pytest.raises(InputError, match=r"\.html"):
            check_target(tmp_path / name)
