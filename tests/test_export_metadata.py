"""TFLite Metadata and the variant for task libraries, on the small int8 model."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import flatbuffers
import numpy as np
import pytest

from promolens_export.check_ops import check_int8
from promolens_export.flatbuffer import pack, unpack
from promolens_export.metadata import BUFFER_NAME, Description, LabelFile, with_metadata
from promolens_export.tasks_model import tasks_model
from promolens_runtime.errors import BundleError
from promolens_training.evaluation.predictions import TfliteModel

SIDE_PX = 32
NAMES = tuple(f"drink {i}" for i in range(5))
KOREAN = tuple(f"사이다 {i}호" for i in range(5))
LABELS = (LabelFile("labels.txt", "", NAMES), LabelFile("labels_ko.txt", "ko", KOREAN))
MEDIAPIPE_PYTHON = "PROMOLENS_MEDIAPIPE_PYTHON"
CLASSIFY = """
import json, sys
import numpy as np, mediapipe as mp
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageClassifierOptions(
    base_options=BaseOptions(model_asset_path=sys.argv[1]), display_names_locale="ko")
answers = []
with vision.ImageClassifier.create_from_options(options) as classifier:
    for picture in np.load(sys.argv[2]):
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        top = classifier.classify(image).classifications[0].categories[0]
        answers.append([top.index, top.score, top.category_name, top.display_name])
print(json.dumps(answers))
"""


def description(output: str) -> Description:
    return Description("tiny", "Names drinks.", "1", "MIT", LABELS, output)


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, SIDE_PX, SIDE_PX, 3), np.uint8)


def field(table: flatbuffers.table.Table, slot: int) -> int:
    """Return the position of a field's value in a flatbuffer table, 0 where it is absent."""
    offset = table.Offset(4 + 2 * slot)
    return table.Pos + offset if offset else 0


def child(table: flatbuffers.table.Table, position: int) -> flatbuffers.table.Table:
    return flatbuffers.table.Table(table.Bytes, table.Indirect(position))


def elements(table: flatbuffers.table.Table, slot: int) -> list[flatbuffers.table.Table]:
    offset = table.Offset(4 + 2 * slot)
    return [
        child(table, table.Vector(offset) + 4 * index) for index in range(table.VectorLen(offset))
    ]


def string(table: flatbuffers.table.Table, slot: int) -> str:
    return table.String(field(table, slot)).decode()


def metadata_root(model_bytes: bytes) -> flatbuffers.table.Table:
    model = unpack(model_bytes)
    (entry,) = [each for each in model.metadata if each.name == BUFFER_NAME]
    data = bytes(model.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    return flatbuffers.table.Table(data, int.from_bytes(data[:4], "little"))


def test_metadata_holds_texts_and_label_files(tiny_model_bytes: bytes) -> None:
    file = with_metadata(tiny_model_bytes, description("logits"))
    root = metadata_root(file)
    assert [string(root, slot) for slot in (0, 1, 2, 5)] == ["tiny", "Names drinks.", "1", "MIT"]
    (graph,) = elements(root, 3)
    assert [string(tensor, 0) for tensor in elements(graph, 2)] == ["image"]
    outputs = {string(tensor, 0): tensor for tensor in elements(graph, 3)}
    assert set(outputs) == {"logits", "embedding"}
    listed = elements(outputs["logits"], 6)
    assert [string(each, 0) for each in listed] == ["labels.txt", "labels_ko.txt"]
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        assert archive.read("labels_ko.txt").decode().splitlines() == list(KOREAN)


def test_metadata_leaves_the_arithmetic_alone(tiny_model_bytes: bytes) -> None:
    file = with_metadata(tiny_model_bytes, description("logits"))
    check_int8(file, SIDE_PX)
    plain, described = TfliteModel(tiny_model_bytes), TfliteModel(file)
    for picture in pictures(8):
        before, after = plain(picture), described(picture)
        assert all(np.array_equal(before[name], after[name]) for name in before)


def test_same_metadata_gives_the_same_bytes(tiny_model_bytes: bytes) -> None:
    once = with_metadata(tiny_model_bytes, description("logits"))
    assert with_metadata(tiny_model_bytes, description("logits")) == once


def test_packing_keeps_weights_aligned(tiny_model_bytes: bytes) -> None:
    file = pack(unpack(tiny_model_bytes))
    base = np.frombuffer(file, np.uint8).ctypes.data
    buffers = [each.data for each in unpack(file).buffers if each.data is not None]
    assert buffers
    assert {(data.ctypes.data - base) % 16 for data in buffers} == {0}


def test_a_label_stays_one_line() -> None:
    assert LabelFile("labels.txt", "", ("two\nlines",)).data() == b"two lines\n"


def test_other_files_are_refused() -> None:
    with pytest.raises(BundleError, match=r"Expected a \.tflite file"):
        with_metadata(b"PK\x03\x04 something else", description("logits"))


def mediapipe_python() -> str:
    given = os.environ.get(MEDIAPIPE_PYTHON)
    if given:
        return given
    if find_spec("mediapipe") is None:
        pytest.skip(
            f"MediaPipe is not installed; pip install 'promolens[tasks]', or name a Python that "
            f"has it in {MEDIAPIPE_PYTHON}"
        )
    return sys.executable


def test_mediapipe_gives_the_same_first_answer(tiny_model_bytes: bytes, tmp_path: Path) -> None:
    python = mediapipe_python()
    file = with_metadata(tasks_model(tiny_model_bytes, 1.7), description("probability"))
    model, images = TfliteModel(file), pictures(20)
    (tmp_path / "model_tasks.tflite").write_bytes(file)
    np.save(tmp_path / "pictures.npy", images)
    done = subprocess.run(
        [python, "-c", CLASSIFY, str(tmp_path / "model_tasks.tflite"),
         str(tmp_path / "pictures.npy")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout.strip().splitlines()[-1])
    for picture, (index, score, name, korean) in zip(images, answers, strict=True):
        expected = model(picture)["probability"]
        # int8 logits can tie: then either class is the first answer.
        assert expected[index] == expected.max() == pytest.approx(score, abs=1e-6)
        assert (name, korean) == (NAMES[index], KOREAN[index])
