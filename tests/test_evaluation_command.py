"""`promolens evaluate` on a real small bundle, whose answers are known beforehand."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bundle_files import write_bundle
from promolens_cli.main import main
from promolens_runtime.intervals import wilson
from promolens_runtime.manifest import CalibrationImage, Manifest
from promolens_runtime.recognizer import Recognizer

Answers = list[tuple[Path, str]]


@pytest.fixture
def pictures(tmp_path: Path, tiny_bundle: Path, keys) -> Answers:
    """Ten pictures and what the bundle calls each."""
    recognizer = Recognizer.open(tiny_bundle, public_key=keys.own.public, num_threads=1)
    rng = np.random.default_rng(2)
    found = []
    for index in range(10):
        path = tmp_path / f"{index}.png"
        colour = rng.integers(0, 256, 3)
        pixels = np.clip(colour + rng.integers(-40, 40, (40, 40, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        found.append((path, recognizer.predict(path).top[0].label.label))
    return found


def other(label: str) -> str:
    return "drink_0" if label != "drink_0" else "drink_1"


def write_csv(folder: Path, pictures: Answers, wrong: int, split: str = "") -> Path:
    """List the pictures under the bundle's own answers, the first `wrong` of them falsified."""
    lines = ["path,label,split"]
    for index, (path, answer) in enumerate(pictures):
        lines.append(f"{path.name},{other(answer) if index < wrong else answer},{split}")
    (folder / "photos.csv").write_text("\n".join(lines), "utf-8")
    return folder / "photos.csv"


def command(bundle: Path, data: Path, keys, *more: str) -> list[str]:
    return ["evaluate", str(bundle), str(data), "--public-key", keys.own.public, *more]


def test_the_figures_are_the_phones_own(
    tmp_path: Path, tiny_bundle: Path, pictures: Answers, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_csv(tmp_path, pictures, wrong=2)
    assert main(command(tiny_bundle, data, keys, "--json", "--threads", "1")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n"], found["top1"], found["split"]) == (10, 0.8, "all")
    assert found["top1_interval"] == pytest.approx(wilson(8, 10))
    # All five drinks share a parent, so the family is always right.
    assert (found["coarse_top1"], found["top5"]) == (1.0, 1.0)
    assert found["top1"] <= found["top3"] <= found["top5"]
    # The bundle's threshold is -1000: nothing is refused.
    assert (found["accepted_rate"], found["top1_of_accepted"]) == (1.0, 0.8)
    assert found["unknown"] is None
    assert {"ece", "ece_after_temperature", "interval_method", "seconds"} <= set(found)
    assert sum(one["n"] for one in found["per_class"]) == 10


def test_photos_that_were_trained_on_are_named(
    tmp_path: Path,
    tiny_model_bytes: bytes,
    tiny_manifest_template: Manifest,
    pictures: Answers,
    keys,
    capsys: pytest.CaptureFixture[str],
) -> None:
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path, _ in pictures[:3]]
    images = tuple(CalibrationImage(f"other name {d[:4]}.png", d) for d in digests)
    manifest = replace(tiny_manifest_template, calibration_images=images)
    bundle = write_bundle(tmp_path / "seen", manifest, tiny_model_bytes, keys.own)
    report = tmp_path / "report.html"
    arguments = command(bundle, write_csv(tmp_path, pictures, wrong=0), keys, "--json")
    assert main([*arguments, "--report", str(report)]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["overlap_with_calibration"] == 3
    warning = "3 of the 10 photos are among the bundle's calibration images"
    assert [warning in line for line in shown.err.splitlines() if "warning:" in line] == [True]
    assert "3 of the 10 photos are among" in report.read_text("utf-8")
    # The same bundle on photos that it never saw is no cause for a warning.
    assert main(command(bundle, write_csv(tmp_path, pictures[3:], wrong=0), keys, "--json")) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["overlap_with_calibration"] == 0
    assert "warning" not in shown.err


def test_a_person_gets_a_table(
    tmp_path: Path, tiny_bundle: Path, pictures: Answers, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_csv(tmp_path, pictures, wrong=2, split="test")
    assert main(command(tiny_bundle, data, keys)) == 0
    shown = capsys.readouterr().out
    assert 'tiny version 1: 10 photos (split "test") from 10 sources' in shown
    assert "top-1             80.0 %   49.0 to 94.3 %" in shown
    assert "mostly taken for 사이다" in shown


def test_unknown_objects_are_counted_apart(
    tmp_path: Path, tiny_bundle: Path, pictures: Answers, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    for path, _ in pictures[:3]:
        path.rename(strangers / path.name)
    data = write_csv(tmp_path, pictures[3:], wrong=0)
    more = ("--json", "--unknown", str(strangers))
    assert main(command(tiny_bundle, data, keys, *more)) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n"], found["top1"]) == (7, 1.0)
    assert (found["unknown"]["n"], found["unknown"]["accepted_rate"]) == (3, 1.0)


def test_labels_of_nobody_are_an_error_until_allowed(
    tmp_path: Path, tiny_bundle: Path, pictures: Answers, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_csv(tmp_path, pictures, wrong=0)
    text = data.read_text("utf-8")
    data.write_text(text.replace(f"0.png,{pictures[0][1]}", "0.png,참치 캔"), "utf-8")
    assert main(command(tiny_bundle, data, keys)) == 2
    shown = capsys.readouterr().err
    assert "'참치 캔'" in shown
    assert "--unmatched-as-unknown" in shown
    assert main(command(tiny_bundle, data, keys, "--json", "--unmatched-as-unknown")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n"], found["unknown"]["n"]) == (9, 1)


def test_aliases_and_item_ids_of_the_bundle_are_understood(
    tmp_path: Path, tiny_bundle: Path, pictures: Answers, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_csv(tmp_path, pictures, wrong=0)
    # drink_3 is item-3 and has the alias 3.
    data.write_text(data.read_text("utf-8").replace(",drink_", ","), "utf-8")
    assert main(command(tiny_bundle, data, keys, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == 1.0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--split", "val"), 'Expected photos of the split "val"'),
        (("--unknown", "nowhere"), "Expected a folder with pictures of unknown objects"),
        (("--only", "zzz*"), "Expected a pattern that matches a class"),
    ],
)
def test_nothing_to_measure_is_one_line(
    tmp_path: Path,
    tiny_bundle: Path,
    pictures: Answers,
    keys,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    message: str,
) -> None:
    data = write_csv(tmp_path, pictures, wrong=0, split="test")
    assert main(command(tiny_bundle, data, keys, *more)) == 2
    shown = capsys.readouterr().err.strip()
    assert message in shown
    assert "\n" not in shown


def test_an_edited_bundle_is_not_measured(
    tmp_path: Path, tiny_bundle: Path, pictures: Answers, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tiny_bundle / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"version":1', b'"version":2'))
    assert main(command(tiny_bundle, write_csv(tmp_path, pictures, 0), keys)) == 3
    assert "Expected manifest.json signed by" in capsys.readouterr().err


def test_tensorflow_is_not_needed(
    tmp_path: Path, tiny_bundle: Path, pictures: Answers, keys
) -> None:
    report = tmp_path / "report.html"
    arguments = command(
        tiny_bundle, write_csv(tmp_path, pictures, 1), keys, "--json", "--report", str(report)
    )
    program = (
        "import sys; from promolens_cli.main import main; "
        f"assert main({arguments!r}) == 0; "
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["top1"] == 0.9
    page = report.read_text("utf-8")
    assert "사이다" in page
    assert "90.0\N{NO-BREAK SPACE}%" in page
