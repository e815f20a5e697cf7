"""The way from a trained run to a bundle, with the real converter."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export_tiny import COLOURS, COUNTS, SIDE_PX, noise
from promolens_cli.commands.export import summary
from promolens_export.check_ops import check_int8, inspect
from promolens_export.convert import VARIANTS, convert
from promolens_export.options import ExportOptions
from promolens_export.pipeline import ExportResult, bundle_id, export_run, report_or_warning
from promolens_export.table import text_table
from promolens_runtime.errors import GateError, InputError, PromolensError
from promolens_runtime.recognizer import Recognizer
from promolens_runtime.signing import PRIVATE_VARIABLE, SigningKey
from promolens_runtime.verify import verify_bundle
from promolens_training.evaluation.predictions import TfliteModel

pytestmark = pytest.mark.slow
KEY = SigningKey(bytes(range(32)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    program = Path(__file__).with_name("export_tiny.py")
    done = subprocess.run(
        [sys.executable, str(program), str(folder)], capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def files(tiny: Path) -> dict[str, bytes]:
    return convert(tiny / "net.keras", grey_pictures())


def grey_pictures() -> np.ndarray:
    """Pictures without a black or a white pixel: the input's scale must become 1 all the same."""
    return np.clip(noise(20), 90, 160)


def exported(tiny: Path, out: Path, run: str = "run", **options: object) -> ExportResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PRIVATE_VARIABLE, KEY.to_text())
        settings = ExportOptions(
            variants=("int8",), max_loss_points=30, calibration_images=20, grad_cam=False
        )
        return export_run(tiny / run, out, replace(settings, **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def result(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return exported(
        tiny, tmp_path_factory.mktemp("assets"), tasks=True, unknown=tiny / "photos/test/blue"
    )


def test_every_variant_has_fixed_shapes_named_ports_and_no_custom_operator(
    files: dict[str, bytes],
) -> None:
    assert tuple(files) == VARIANTS
    for data in files.values():
        report = inspect(data)
        assert report.signature == "classify"
        assert [port.shape for port in report.inputs] == [(1, SIDE_PX, SIDE_PX, 3)]
        assert {port.name for port in report.outputs} == {"logits", "embedding"}
        assert not report.custom


def test_float32_file_computes_what_keras_computes(tiny: Path, files: dict[str, bytes]) -> None:
    model, expected = TfliteModel(files["float32"]), np.load(tiny / "net.npz")
    for index, picture in enumerate(noise(4)):
        answer = model(picture)
        for name in ("logits", "embedding"):
            np.testing.assert_allclose(answer[name], expected[name][index], rtol=0, atol=1e-4)


def test_int8_file_is_all_integer_and_a_float_file_is_refused(files: dict[str, bytes]) -> None:
    report = check_int8(files["int8"], SIDE_PX)
    assert report.dtypes["float32"] == 2  # the two dequantised outputs, nothing else
    assert report.dtypes["uint8"] == 1
    with pytest.raises(GateError, match="Received float in"):
        check_int8(files["float32"], SIDE_PX)
    with pytest.raises(GateError, match="shape=\\(1, 64, 64, 3\\)"):
        check_int8(files["int8"], 64)


def test_converting_twice_gives_the_same_bytes(tiny: Path, files: dict[str, bytes]) -> None:
    again = convert(tiny / "net.keras", grey_pictures(), ("weight_only", "int8"))
    assert {name for name in again if again[name] != files[name]} == set()


def test_a_failing_converter_names_its_log(tmp_path: Path) -> None:
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"not a network")
    with pytest.raises(PromolensError, match=r"What it said is in (\S+)") as caught:
        convert(broken, noise(2), ("int8",))
    log = Path(str(caught.value).split("What it said is in ")[1].split(";")[0])
    assert "broken.keras" in log.read_text("utf-8")
    log.unlink()


def test_a_stopped_converter_leaves_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)

    def stop(name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(tiny / "net.keras", noise(2), ("float32", "int8"), done=stop)
    assert list(tmp_path.iterdir()) == []


def test_wrong_calibration_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="uint8"):
        convert(tmp_path, noise(2).astype(np.float32), ("int8",))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="int4"):
        convert(tmp_path, noise(2), ("int4",))


def test_exported_bundle_verifies_and_recognises_a_photo(tiny: Path, result: ExportResult) -> None:
    report = verify_bundle(result.bundle.folder, KEY.public)
    assert report.findings == ()
    recognizer = Recognizer.open(result.bundle.folder, public_key=KEY.public)
    answer = recognizer.predict(tiny / "photos/test/빨강 red/0.png")
    assert answer.top[0].label.name_ko == "빨강 red"


def test_manifest_states_what_was_measured(result: ExportResult) -> None:
    manifest, n = result.bundle.manifest, COUNTS["test"] * len(COLOURS)
    assert manifest.metrics.shipped.n == manifest.unknown.n_known == n
    assert manifest.unknown.n_unknown == COUNTS["test"]
    assert manifest.unknown.true_accept_rate >= 0.95
    assert len(manifest.calibration_images) == 20
    assert all(image.path.startswith("train/") for image in manifest.calibration_images)
    rows = {row.variant: row for row in result.evidence.rows}
    assert manifest.metrics.shipped.top1 == rows["int8"].top1
    assert rows["float32"].agreement == 1.0
    assert "int8" in text_table(result.evidence.rows)


def test_exporting_again_gives_the_same_bytes_and_version(tiny: Path, result: ExportResult) -> None:
    before = {path.name: path.read_bytes() for path in result.bundle.folder.iterdir()}
    again = exported(
        tiny, result.bundle.folder.parent, tasks=True, unknown=tiny / "photos/test/blue"
    )
    assert again.bundle.unchanged
    assert before == {path.name: path.read_bytes() for path in again.bundle.folder.iterdir()}


def test_a_report_that_cannot_be_written_is_a_warning(
    result: ExportResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.html").mkdir()  # no file can take the place of a folder
    evidence = replace(result.evidence, run=replace(result.evidence.run, folder=tmp_path))
    elsewhere = replace(result, evidence=evidence)
    assert report_or_warning(elsewhere, ExportOptions(grad_cam=False)) is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: Expected to write the report {tmp_path / 'report.html'}.")
    assert f"{result.bundle.folder} is complete" in line
    assert replace(result, report=None).to_json()["report"] is None
    assert "Report:" not in summary(replace(result, report=None))
    # A fault of the program is not hidden.
    broken = replace(elsewhere, evidence=replace(evidence, rows=()))
    with pytest.raises(StopIteration):
        report_or_warning(broken, ExportOptions(grad_cam=False))


def test_report_and_figures_are_left_in_the_run(result: ExportResult) -> None:
    assert result.report is not None
    page = result.report.read_text("utf-8")
    assert "빨강 red" in page
    # One calibration error after scaling: in the accuracy table, the calibration and the manifest.
    honest = f"{result.bundle.manifest.metrics.shipped.ece:.3f}"
    assert f" → {honest}</td>" in page
    assert f"After, cross-fitted <small>ECE {honest}</small>" in page
    assert "cross-fitted" in result.bundle.manifest.metrics.evaluated_on
    figures = json.loads((result.report.parent / "export.json").read_text("utf-8"))
    assert figures["metrics"]["shipped"]["n"] == COUNTS["test"] * len(COLOURS)


def test_tasks_variant_says_the_calibrated_probabilities(result: ExportResult) -> None:
    shipped = TfliteModel((result.bundle.folder / "model.tflite").read_bytes())
    tasks = TfliteModel(result.variants["model_tasks.tflite"].read_bytes())
    temperature = result.bundle.manifest.temperature
    for picture in result.evidence.pixels[:5]:
        scaled = shipped(picture)["logits"].astype(np.float64) / temperature
        expected = np.exp(scaled) / np.exp(scaled).sum()
        np.testing.assert_allclose(tasks(picture)["probability"], expected, atol=1e-5)


def test_a_folder_without_pictures_is_refused_before_anything_is_written(
    tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="Expected a folder with pictures"):
        exported(tiny, tmp_path / "assets", unknown=tmp_path)
    assert not (tmp_path / "assets/bundle").exists()


def test_bundle_id_is_a_plain_name() -> None:
    assert bundle_id(Path("/data/내 모델 (v2)")) == "v2"
    assert bundle_id(Path("/data/모델")) == "bundle"


def test_without_an_exam_figures_come_from_the_hold_out_and_the_file_from_all_photos(
    tiny: Path, tmp_path: Path
) -> None:
    from promolens_training.runs import open_run

    run = open_run(tiny / "unsplit")
    assert run.holdout is not None
    held = run.holdout.in_split("test")
    manifest = exported(tiny, tmp_path, "unsplit").bundle.manifest
    assert 0 < len(held) < len(run.photos)
    assert manifest.metrics.shipped.n == len(held)
    assert len(run.in_split("train")) == len(run.photos) == 3 * COUNTS["train"]
    assert manifest.fingerprints.dataset == run.info["fingerprints"]["dataset"]
    assert verify_bundle(tmp_path / "bundle", KEY.public).ok
