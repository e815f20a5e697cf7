"""A valid bundle passes; whatever is changed in it is noticed and named."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundle_files import ENTRY, tiny_files, tiny_golden, tiny_labels, write_bundle
from promolens_runtime import folder as folder_module
from promolens_runtime.bundle import read_bundle
from promolens_runtime.canonical import canonical_json
from promolens_runtime.errors import BundleError
from promolens_runtime.golden import Golden, golden_json, golden_npz
from promolens_runtime.labels import labels_json
from promolens_runtime.manifest import Manifest, TensorSpec
from promolens_runtime.model_file import operator_problems
from promolens_runtime.verify import verify_bundle

FILES = (
    "manifest.json", "manifest.sig", "model.tflite", "labels.json", "golden.npz", "golden.json",
    "MODEL_CARD.md",
)  # fmt: skip


def findings(folder: Path, keys: Any) -> tuple[str, ...]:
    """What `verify_bundle` says, always in single lines."""
    report = verify_bundle(folder, keys.own.public)
    assert report.ok == (not report.findings)
    assert not any("\n" in line for line in report.findings)
    return report.findings


def only(folder: Path, keys: Any, *words: str) -> None:
    """Exactly one finding, with these words."""
    found = findings(folder, keys)
    assert len(found) == 1, found
    assert all(word in found[0] for word in ("Expected", "Received", *words)), found[0]


def test_valid_bundle_passes(tiny_bundle: Path, keys) -> None:
    assert {path.name for path in tiny_bundle.iterdir()} == set(FILES)
    for path in (tiny_bundle, tiny_bundle.parent):
        report = verify_bundle(path, keys.own.public)
        assert (report.findings, report.notes) == ((), ())
        assert report.signed_by == keys.own.public
        assert report.manifest is not None


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_in_any_file_is_noticed(
    tiny_bundle: Path, keys, name: str, where: float, bit: int
) -> None:
    path = tiny_bundle / name
    good = path.read_bytes()
    spoiled = bytearray(good)
    spoiled[int(where * len(good))] ^= 1 << bit
    path.write_bytes(spoiled)
    try:
        assert findings(tiny_bundle, keys)
        with pytest.raises(BundleError):
            read_bundle(tiny_bundle, keys.own.public)
    finally:
        path.write_bytes(good)


def test_bytes_all_over_manifest_and_signature_count(tiny_bundle: Path, keys) -> None:
    for name in ("manifest.json", "manifest.sig"):
        path = tiny_bundle / name
        good = path.read_bytes()
        for at in range(0, len(good), 1 if name == "manifest.sig" else 5):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            with pytest.raises(BundleError):
                read_bundle(tiny_bundle, keys.own.public)
        path.write_bytes(good)
    assert read_bundle(tiny_bundle, keys.own.public)


def test_edited_manifest(tiny_bundle: Path, keys) -> None:
    path = tiny_bundle / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    only(tiny_bundle, keys, "manifest.json signed by", "did not sign")


def test_wrong_key_stops_before_the_model(tiny_bundle: Path, keys) -> None:
    report = verify_bundle(tiny_bundle, keys.other.public)
    assert len(report.findings) == 1
    assert "did not sign" in report.findings[0]
    assert "not opened" in report.notes[0]


def test_unsigned_only_when_allowed(tiny_bundle: Path, keys) -> None:
    (tiny_bundle / "manifest.sig").unlink()
    only(tiny_bundle, keys, "no manifest.sig")
    report = verify_bundle(tiny_bundle, None, allow_unsigned=True)
    assert report.ok
    assert report.signed_by is None
    assert "not checked" in report.notes[0]


def test_a_wrong_signature_is_wrong_even_where_unsigned_is_allowed(tiny_bundle: Path, keys) -> None:
    assert not verify_bundle(tiny_bundle, keys.other.public, allow_unsigned=True).ok


def test_swapped_labels_file(tiny_bundle: Path, keys) -> None:
    labels = tiny_labels()
    swapped = [replace(labels[1], index=0), replace(labels[0], index=1), *labels[2:]]
    (tiny_bundle / "labels.json").write_bytes(labels_json(swapped))
    only(tiny_bundle, keys, "labels.json", "SHA-256")


def test_truncated_model(tiny_bundle: Path, keys) -> None:
    path = tiny_bundle / "model.tflite"
    path.write_bytes(path.read_bytes()[:-100])
    only(tiny_bundle, keys, "model.tflite", "bytes")


def test_extra_and_missing_files(tiny_bundle: Path, keys) -> None:
    (tiny_bundle / "notes.txt").write_text("x")
    (tiny_bundle / "more").mkdir()
    with pytest.raises(BundleError, match="'more'"):
        read_bundle(tiny_bundle, keys.own.public)
    (tiny_bundle / "MODEL_CARD.md").unlink()
    found = findings(tiny_bundle, keys)
    assert len(found) == 3
    assert "MODEL_CARD.md" in found[0]
    assert "No such file" in found[0]
    assert "'more'" in found[1]
    assert "'notes.txt'" in found[2]


@pytest.mark.parametrize("name", FILES)
def test_links_are_refused(tiny_bundle: Path, keys, name: str, tmp_path: Path) -> None:
    real = tmp_path / "real"
    shutil.move(tiny_bundle / name, real)
    (tiny_bundle / name).symlink_to(real)
    assert any(name in line and "a link" in line for line in findings(tiny_bundle, keys))


def test_a_pipe_in_place_of_a_file_does_not_hang(tiny_bundle: Path, keys) -> None:
    (tiny_bundle / "labels.json").unlink()
    os.mkfifo(tiny_bundle / "labels.json")
    only(tiny_bundle, keys, "labels.json", "plain file")


def test_every_file_has_a_size_limit(
    tiny_bundle: Path, keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(folder_module.MAX_BYTES, ".tflite", 100)
    only(tiny_bundle, keys, "model.tflite", "at most 100 bytes")


def test_no_bundle_at_all(tmp_path: Path, keys) -> None:
    only(tmp_path, keys, "bundle folder", "a folder without it")
    only(tmp_path / "absent", keys, "nothing")


def resigned(folder: Path, manifest: Manifest, model: bytes, keys: Any, **changes: bytes) -> Path:
    """A bundle whose signature and hashes are right, so that only what is inside can be wrong."""
    named = {name.replace("__", "."): data for name, data in changes.items()}
    return write_bundle(folder / "bundle", manifest, model, keys.own, named)


@pytest.fixture
def make(tmp_path: Path, tiny_manifest_template: Manifest, tiny_model_bytes: bytes, keys):
    def build(manifest: Manifest = tiny_manifest_template, **changes: bytes) -> Path:
        return resigned(tmp_path, manifest, tiny_model_bytes, keys, **changes)

    return build


def with_entry(manifest: Manifest, **changes: Any) -> Manifest:
    return replace(manifest, models=(replace(ENTRY, **changes),))


def test_signed_truncated_model(make, keys, tiny_model_bytes: bytes) -> None:
    only(make(model__tflite=tiny_model_bytes[:-100]), keys, "model.tflite", "damage")


def test_signed_labels_of_another_length(make, keys) -> None:
    only(make(labels__json=labels_json(tiny_labels(4))), keys, "5 classes", "Received 4")


def test_signed_labels_with_an_item_twice(make, keys) -> None:
    labels = [replace(label, item_id="same") for label in tiny_labels()]
    data = canonical_json({"classes": [vars(label) for label in labels]})
    only(make(labels__json=data), keys, "every item_id once")


def test_other_input_size(make, keys, tiny_manifest_template: Manifest) -> None:
    spec = TensorSpec("image", "uint8", (1, 64, 64, 3), 1.0, 0)
    found = findings(make(with_entry(tiny_manifest_template, inputs=(spec,))), keys)
    assert any("[1, 64, 64, 3]" in line and "[1, 32, 32, 3]" in line for line in found)


def test_preprocessing_of_another_size(make, keys, tiny_manifest_template: Manifest) -> None:
    rule = type(tiny_manifest_template.preprocessing).square(64)
    only(make(replace(tiny_manifest_template, preprocessing=rule)), keys, "as the preprocessing")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signature": "serve"}, "signature 'serve'"),
        ({"inputs": (replace(ENTRY.inputs[0], name="picture"),)}, "inputs ['picture']"),
        ({"inputs": (replace(ENTRY.inputs[0], scale=0.5),)}, "scale 0.5"),
        ({"inputs": (replace(ENTRY.inputs[0], zero_point=3),)}, "zero point 3"),
        ({"outputs": (ENTRY.outputs[0], replace(ENTRY.outputs[1], shape=(1, 9)))}, "[1, 9]"),
        ({"outputs": (*ENTRY.outputs, TensorSpec("more", "float32", (1, 2)))}, "'more'"),
    ],
)
def test_model_that_is_not_what_the_manifest_says(
    make, keys, tiny_manifest_template: Manifest, changes: dict[str, Any], words: str
) -> None:
    found = findings(make(with_entry(tiny_manifest_template, **changes)), keys)
    assert any(words in line for line in found), found


def test_swapped_output_names(make, keys, tiny_manifest_template: Manifest) -> None:
    logits, embedding = ENTRY.outputs
    swapped = (replace(logits, name="embedding"), replace(embedding, name="logits"))
    found = findings(make(with_entry(tiny_manifest_template, outputs=swapped)), keys)
    assert any("output 'logits'" in line for line in found)


def test_golden_vectors_of_another_model(make, keys, tiny_model_bytes: bytes) -> None:
    tensors = dict(tiny_golden(tiny_model_bytes).tensors)
    tensors["embedding"] = tensors["embedding"] + np.float32(0.06)
    other = Golden(tensors)
    bundle = make(golden__npz=golden_npz(other), golden__json=golden_json(other))
    found = findings(bundle, keys)
    assert len(found) == 3
    assert all("embedding of golden vector" in line for line in found)


def test_golden_vectors_that_are_not_numbers(make, keys, tiny_model_bytes: bytes) -> None:
    tensors = dict(tiny_golden(tiny_model_bytes).tensors)
    tensors["logits"] = np.full_like(tensors["logits"], np.nan)
    other = Golden(tensors)
    bundle = make(golden__npz=golden_npz(other), golden__json=golden_json(other))
    assert len(findings(bundle, keys)) == 3


def test_golden_json_that_differs_from_the_npz(make, keys, tiny_model_bytes: bytes) -> None:
    tensors = dict(tiny_golden(tiny_model_bytes).tensors)
    tensors["image"] = tensors["image"] ^ 1
    only(make(golden__json=golden_json(Golden(tensors))), keys, "golden.json", "golden.npz")


def test_golden_vectors_without_the_embedding(make, keys, tiny_model_bytes: bytes) -> None:
    tensors = dict(tiny_golden(tiny_model_bytes).tensors)
    del tensors["embedding"]
    few = Golden(tensors)
    only(make(golden__npz=golden_npz(few), golden__json=golden_json(few)), keys, "golden.npz")


def test_a_signing_key_field_that_lies(tiny_bundle: Path, keys) -> None:
    from promolens_runtime.signing import sign

    path = tiny_bundle / "manifest.json"
    data = path.read_bytes().replace(keys.own.public.encode(), keys.other.public.encode())
    path.write_bytes(data)
    (tiny_bundle / "manifest.sig").write_bytes(sign(data, keys.own))
    only(tiny_bundle, keys, "signing_key")


def test_every_schema_problem_is_listed(
    tmp_path: Path, tiny_bundle: Path, keys, tiny_manifest_template: Manifest
) -> None:
    from promolens_runtime.signing import sign

    whole = tiny_manifest_template.to_json() | {"temperature": -1, "seed": "x", "version": 0}
    data = canonical_json(whole)
    (tiny_bundle / "manifest.json").write_bytes(data)
    (tiny_bundle / "manifest.sig").write_bytes(sign(data, keys.own))
    found = findings(tiny_bundle, keys)
    assert len(found) == 3
    for place in ("temperature", "seed", "version"):
        assert any(f"at {place}" in line for line in found)


def test_files_are_the_five_that_the_contract_names(tiny_model_bytes: bytes) -> None:
    assert {*tiny_files(tiny_model_bytes), "manifest.json", "manifest.sig"} == set(FILES)


def test_int8_model_has_only_int8_ops(tiny_model_bytes: bytes) -> None:
    assert operator_problems(tiny_model_bytes, ENTRY) == []


def test_float_ops_are_named(make, keys, tiny_manifest_template, tiny_float_model_bytes) -> None:
    spec = TensorSpec("image", "float32", (1, 32, 32, 3))
    manifest = with_entry(tiny_manifest_template, inputs=(spec,))
    found = findings(make(manifest, model__tflite=tiny_float_model_bytes), keys)
    assert any("FLOAT32 tensor" in line and "only builtin int8 ops" in line for line in found)
    assert any("to be uint8" in line for line in found)


def test_custom_ops_are_named(make, keys, tiny_model_bytes: bytes) -> None:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tiny_model_bytes, 0))
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.MEAN:
            code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
            code.customCode = b"FlexMean"
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    content = bytes(builder.Output())
    (problem,) = operator_problems(content, ENTRY)
    assert "the custom op FlexMean" in problem
    found = findings(make(model__tflite=content), keys)
    assert found[0] == problem
    assert "LiteRT refuses" in found[1]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=64), st.floats(0, 1))
def test_damaged_model_bytes_are_refused_not_crashed_on(
    tiny_model_bytes: bytes, noise: bytes, where: float
) -> None:
    at = int(where * len(tiny_model_bytes))
    with contextlib.suppress(BundleError):  # anything else fails the test
        assert isinstance(operator_problems(tiny_model_bytes[:at] + noise, ENTRY), list)
