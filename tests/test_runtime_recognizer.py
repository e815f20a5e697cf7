"""From a bundle and a picture to an answer, in the manifest's own terms."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bundle_files import ENTRY, tiny_golden, write_bundle
from promolens_runtime.errors import BundleError, ImageError, SignatureError
from promolens_runtime.golden import golden_json, golden_npz
from promolens_runtime.manifest import Manifest, TensorSpec, UnknownRule
from promolens_runtime.model_file import Network
from promolens_runtime.preprocess import preprocess
from promolens_runtime.recognizer import Recognizer, softmax, unknown_score


def opened(folder: Path, keys) -> Recognizer:
    return Recognizer.open(folder, public_key=keys.own.public, num_threads=1)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_file_bytes_and_pixels_get_the_same_answer(
    tiny_bundle: Path, keys, noise_photo: np.ndarray, tmp_path: Path
) -> None:
    recognizer = opened(tiny_bundle, keys)
    path = tmp_path / "photo.png"
    path.write_bytes(png(noise_photo))
    answers = [recognizer.predict(image) for image in (noise_photo, path.read_bytes(), path)]
    for answer in answers:
        assert np.array_equal(answer.logits, answers[0].logits)
        assert np.array_equal(answer.embedding, answers[0].embedding)
    assert answers[0].logits.dtype == np.float32
    assert (answers[0].logits.shape, answers[0].embedding.shape) == ((5,), (8,))


def test_answer_is_the_models_own(
    tiny_bundle: Path, keys, tiny_model_bytes: bytes, noise_photo: np.ndarray
) -> None:
    answer = opened(tiny_bundle, keys).predict(noise_photo, top=3)
    rule = opened(tiny_bundle, keys).manifest.preprocessing
    network = Network(tiny_model_bytes, ENTRY, num_threads=1)
    logits = network.run({"image": preprocess(noise_photo, rule)[None]})["logits"][0]
    assert np.array_equal(answer.logits, logits)
    assert [candidate.label.index for candidate in answer.top] == list(np.argsort(-logits)[:3])
    expected = np.exp(logits / 1.5) / np.exp(logits / 1.5).sum()
    assert answer.top[0].probability == pytest.approx(expected.max(), rel=1e-6)
    assert answer.top[0].label.name_ko.startswith("사이다")


def test_temperature_and_score_by_hand() -> None:
    logits = np.log(np.array([1, 2, 5], np.float32))
    assert softmax(logits, 1.0) == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert softmax(logits, 0.5) == pytest.approx([1 / 30, 4 / 30, 25 / 30])
    rule = UnknownRule("energy", 0.0, 0.95, None, 1, 0)
    assert unknown_score(logits, rule) == pytest.approx(np.log(8))
    assert unknown_score(logits, replace(rule, score="max_logit")) == pytest.approx(np.log(5))


@pytest.mark.parametrize("score", ["max_logit", "energy"])
def test_known_is_what_the_manifest_says(
    tmp_path: Path,
    tiny_manifest_template: Manifest,
    tiny_model_bytes: bytes,
    keys,
    noise_photo: np.ndarray,
    score: str,
) -> None:
    rule = UnknownRule(score, 0.0, 0.95, None, 10, 0)
    folder = tmp_path / score
    manifest = replace(tiny_manifest_template, unknown=rule)
    write_bundle(folder, manifest, tiny_model_bytes, keys.own)
    value = opened(folder, keys).predict(noise_photo).score
    for threshold, known in ((value, True), (np.nextafter(value, np.inf), False)):
        strict = replace(manifest, unknown=replace(rule, accept_at_least=float(threshold)))
        write_bundle(folder, strict, tiny_model_bytes, keys.own)
        assert opened(folder, keys).predict(noise_photo).known is known


def test_opens_the_folder_that_holds_the_bundle(tiny_bundle: Path, keys) -> None:
    assert opened(tiny_bundle.parent, keys).manifest.bundle_id == "tiny"


def test_refuses_what_is_not_signed_by_the_key(tiny_bundle: Path, keys) -> None:
    with pytest.raises(SignatureError, match="did not sign"):
        Recognizer.open(tiny_bundle, public_key=keys.other.public)
    with pytest.raises(SignatureError, match="Expected a public key"):
        Recognizer.open(tiny_bundle)
    with pytest.raises(SignatureError, match="did not sign"):
        Recognizer.open(tiny_bundle, public_key=keys.other.public, allow_unsigned=True)
    (tiny_bundle / "manifest.sig").unlink()
    with pytest.raises(SignatureError, match=r"no manifest\.sig"):
        Recognizer.open(tiny_bundle, public_key=keys.own.public)
    assert Recognizer.open(tiny_bundle, allow_unsigned=True).labels


def test_refuses_a_changed_model_and_runs_nothing_of_it(tiny_bundle: Path, keys) -> None:
    model = tiny_bundle / "model.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match=r"model\.tflite to be SHA-256"):
        opened(tiny_bundle, keys)


def test_refuses_golden_vectors_that_it_cannot_reproduce(
    tmp_path: Path, tiny_manifest_template: Manifest, tiny_model_bytes: bytes, keys
) -> None:
    golden = tiny_golden(tiny_model_bytes)
    tensors = dict(golden.tensors)
    tensors["logits"] = tensors["logits"] + np.float32(0.3)
    wrong = replace(golden, tensors=tensors)
    changes = {"golden.npz": golden_npz(wrong), "golden.json": golden_json(wrong)}
    write_bundle(tmp_path / "b", tiny_manifest_template, tiny_model_bytes, keys.own, changes)
    with pytest.raises(BundleError, match="logits of golden vector 0 within 0"):
        opened(tmp_path / "b", keys)


def test_refuses_a_signed_manifest_about_another_model(
    tmp_path: Path, tiny_manifest_template: Manifest, tiny_model_bytes: bytes, keys
) -> None:
    entry = replace(ENTRY, inputs=(TensorSpec("image", "uint8", (1, 48, 48, 3), 1.0, 0),))
    manifest = replace(tiny_manifest_template, models=(entry,))
    write_bundle(tmp_path / "b", manifest, tiny_model_bytes, keys.own)
    with pytest.raises(BundleError, match=r"Expected input 'image'"):
        opened(tmp_path / "b", keys)


def test_refuses_pictures_that_are_none(tiny_bundle: Path, keys) -> None:
    with pytest.raises(ImageError):
        opened(tiny_bundle, keys).predict(b"no picture")


def test_answers_do_not_change_with_later_calls_or_threads(
    tiny_bundle: Path, keys, noise_photo: np.ndarray
) -> None:
    recognizer = opened(tiny_bundle, keys)
    photos = [np.roll(noise_photo, 7 * i, axis=1) for i in range(12)]
    alone = [recognizer.predict(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(recognizer.predict, photos))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.logits, other.logits)
    assert any(not np.array_equal(alone[0].logits, later.logits) for later in alone[1:])


def test_the_runtime_never_imports_tensorflow(tiny_bundle: Path, keys) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from promolens_runtime.recognizer import Recognizer;"
        "import promolens_runtime.verify;"
        f"Recognizer.open(Path({str(tiny_bundle)!r}), public_key={keys.own.public!r});"
        "bad = {'tensorflow', 'keras', 'cv2', 'sklearn'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
