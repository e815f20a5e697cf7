"""Whole trainings of a real network on tiny photos: resume after kill -9, same seed same result."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

# Trains Lite0 at 32 px on the folder argv[1] into argv[2], saving a checkpoint at every step.
PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from promolens_training import finetune
from promolens_training.recipes import FAST, Phase
from promolens_training.train import TrainOptions, train
finetune.CHECKPOINT_INTERVAL_S = 0.0
phases = (Phase(2, 32, 1e-3, mixup_alpha=0.2), Phase(2, 48, 5e-4))
recipe = replace(FAST, image_px=48, batch=4, probe_first=True, phases=phases)
train(TrainOptions(Path(sys.argv[1]), Path(sys.argv[2]), recipe, resume=True, refit=False))
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 8 noisy one-colour pictures, half of them for the exam."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 3)):
        for label, colour in (("빨간 캔", (200, 40, 40)), ("파란 캔", (40, 40, 200))):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                noise = rng.normal(0, 30, (64, 64, 3))
                pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def _command(photos: Path, out: Path) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(photos), str(out)]


def _run(photos: Path, out: Path) -> None:
    done = subprocess.run(_command(photos, out), capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def unbroken(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "run"
    _run(photos, out)
    return out


def _weights(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / "model.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def _assert_same(first: Path, second: Path) -> None:
    one, two = _weights(first), _weights(second)
    assert one.keys() == two.keys()
    different = [name for name in one if not np.array_equal(one[name], two[name])]
    assert not different
    columns = slice(0, 5)  # the rest is time
    histories = [
        [line.split(",")[columns] for line in (run / "history.csv").read_text().splitlines()]
        for run in (first, second)
    ]
    assert histories[0] == histories[1]


def test_a_finished_run_learned_and_can_be_opened(unbroken: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from promolens_training.ablation import predict_float
    from promolens_training.evaluation.predictions import class_indices
    from promolens_training.runs import open_run

    run = open_run(unbroken)
    held = run.in_split("test")
    assert len(held) == 6
    assert not (unbroken / "checkpoint.npz").exists()
    right = predict_float(run).argmax(1) == class_indices(held, run.classes)
    assert right.all()


def _saved_at(checkpoint: Path) -> int:
    return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0


def _stop(photos: Path, out: Path, signal_number: signal.Signals) -> None:
    """Train or go on, and be stopped as soon as a step more is saved."""
    checkpoint = out / "checkpoint.npz"
    before = _saved_at(checkpoint)
    process = subprocess.Popen(_command(photos, out), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 1200
    while _saved_at(checkpoint) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal_number)
    try:
        process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode != 0
    assert _saved_at(checkpoint) > before
    assert not (out / "run.json").exists()


def test_a_training_that_was_stopped_twice_resumes_to_the_very_same_weights(
    photos: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    _stop(photos, out, signal.SIGKILL)
    _stop(photos, out, signal.SIGINT)
    _run(photos, out)
    _assert_same(unbroken, out)


def test_a_run_folder_of_other_photos_is_refused(unbroken: Path, tmp_path: Path) -> None:
    from promolens_runtime.errors import InputError
    from promolens_training.data.photos import PhotoSet
    from promolens_training.fit import make_job, train_one
    from promolens_training.recipes import CARD
    from promolens_training.runs import open_run

    run = open_run(unbroken)
    photo_set = PhotoSet(run.data_root, "class-folders", run.photos[1:], run.classes)
    job = make_job(unbroken, replace(CARD, image_px=48), photo_set)
    with pytest.raises(InputError, match="another run"):
        train_one(job, resume=True)
    assert open_run(unbroken).recipe == run.recipe


def _train(photos: Path, out: Path, *, resume: bool = False) -> None:
    from promolens_training.recipes import CARD
    from promolens_training.train import TrainOptions, train

    train(TrainOptions(photos, out, replace(CARD, image_px=48), resume=resume, refit=False))


def test_one_broken_test_picture_stops_training_before_it_starts(
    photos: Path, tmp_path: Path
) -> None:
    from promolens_runtime.errors import InputError

    spoilt = tmp_path / "photos"
    shutil.copytree(photos, spoilt)
    picture = next((spoilt / "test").rglob("*.png"))
    picture.write_bytes(picture.read_bytes()[:200])
    with pytest.raises(InputError, match="1 of 22 pictures cannot be used") as error:
        _train(spoilt, tmp_path / "run")
    assert picture.name in str(error.value)
    assert not (tmp_path / "run").exists()


def test_missing_weights_leave_no_folder_behind(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promolens_runtime.errors import MissingError
    from promolens_training.backbones import weights

    absent = ("no_such_weights_package", "ModelFile")
    monkeypatch.setitem(weights._WHEELS, "efficientnet_lite0", absent)
    with pytest.raises(MissingError, match="no-such-weights-package"):
        _train(photos, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_photos_and_the_same_command_keep_the_old_run_beside_the_new(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from promolens_runtime.errors import InputError
    from promolens_training.runs import open_run

    mine = tmp_path / "photos"
    shutil.copytree(photos, mine)
    _train(mine, tmp_path / "run")
    first = next((mine / "train").rglob("*.png"))
    Image.open(first).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(first.with_name("new.png"))
    with pytest.raises(InputError, match="other photos"):
        _train(mine, tmp_path / "run")
    _train(mine, tmp_path / "run", resume=True)
    assert len(open_run(tmp_path / "run").photos) == 23
    assert len(open_run(tmp_path / "run.old-1").photos) == 22
    assert "run.old-1" in capsys.readouterr().err


def test_a_run_among_the_photos_is_refused(photos: Path) -> None:
    from promolens_runtime.errors import InputError

    with pytest.raises(InputError, match="apart from the photos"):
        _train(photos, photos)
