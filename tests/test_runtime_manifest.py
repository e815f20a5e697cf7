"""The manifest survives the way to bytes and back, and foreign ones are refused."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bundle_files import FIGURES
from promolens_runtime.canonical import canonical_json, parse_json
from promolens_runtime.errors import BundleError
from promolens_runtime.labels import labels_json, read_labels
from promolens_runtime.manifest import FORMAT_VERSION, Manifest, UnknownRule, schema_text

RATES = st.floats(0, 1)
TEXTS = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e9, 1e9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.integers(1, 2**50),
    temperature=st.floats(0.01, 100),
    threshold=st.floats(-1e6, 1e6),
    rate=st.none() | RATES,
    top1=RATES,
    recipe=st.dictionaries(TEXTS, JSON, max_size=4),
    tools=st.dictionaries(TEXTS, TEXTS, max_size=3),
)
def test_round_trip(
    tiny_manifest_template: Manifest,
    version: int,
    temperature: float,
    threshold: float,
    rate: float | None,
    top1: float,
    recipe: dict[str, Any],
    tools: dict[str, str],
) -> None:
    manifest = replace(
        tiny_manifest_template,
        version=version,
        temperature=temperature,
        unknown=UnknownRule("energy", threshold, 0.95, rate, 10, 10),
        metrics=replace(tiny_manifest_template.metrics, shipped=replace(FIGURES, top1=top1)),
        recipe=recipe,
        tools=tools,
    )
    data = manifest.to_bytes()
    assert Manifest.from_bytes(data) == manifest
    assert Manifest.from_bytes(data).to_bytes() == data


def changed(manifest: Manifest, path: str, value: Any) -> dict[str, Any]:
    whole = copy.deepcopy(manifest.to_json())
    *outer, last = path.split("/")
    place: Any = whole
    for part in outer:
        place = place[int(part) if isinstance(place, list) else part]
    if value is ...:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return whole


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("format_version", "2.0", "format 1.x"),
        ("format_version", 1, "format 1.x"),
        ("format_version", ..., "format 1.x"),
        ("version", 0, "at version"),
        ("temperature", 0, "at temperature"),
        ("temperature", "1", "at temperature"),
        ("metrics/shipped/top1", 1.5, "at metrics/shipped/top1"),
        ("metrics/shipped", ..., "'shipped' is a required property"),
        ("models", [], "at models"),
        ("models/0/role", "oracle", "Received 'oracle'"),
        ("models/0/labels_file", None, "labels_file"),
        ("models/0/labels_file", "other.json", "not there"),
        ("models/0/outputs", [{"name": "logits", "dtype": "float32", "shape": [1, 5]}], "outputs"),
        ("models/0/inputs/0/shape", [-1, 32, 32, 3], "at models/0/inputs/0/shape/0"),
        ("models/0/inputs/0/dtype", "int8", "at models/0/inputs/0/dtype"),
        ("models/0/file", "../model.tflite", "at models/0/file"),
        ("preprocessing/resize/algorithm", "lanczos", "triangle-int22"),
        ("preprocessing/crop/kind", "letterbox", "center-square"),
        ("unknown/score", "softmax", "at unknown/score"),
        ("signing_key", "rsa:abc", "at signing_key"),
    ],
)
def test_wrong_fields_are_named(
    tiny_manifest_template: Manifest, path: str, value: Any, words: str
) -> None:
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(changed(tiny_manifest_template, path, value))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["../up.json", "/etc/passwd", "a/b.json", "a\\b.json", "..", ".hidden", "manifest.json",
     "MANIFEST.sig", "c:x.json", "nul\0.json", "", "라벨.json", "x.json\n"],
)  # fmt: skip
def test_path_tricks_in_file_names_are_refused(tiny_manifest_template: Manifest, name: str) -> None:
    whole = tiny_manifest_template.to_json()
    whole["files"][name] = {"sha256": "0" * 64, "size_bytes": 1}
    with pytest.raises(BundleError, match="at files"):
        Manifest.from_json(whole)


def test_names_that_differ_by_case_only_are_refused(tiny_manifest_template: Manifest) -> None:
    whole = tiny_manifest_template.to_json()
    whole["files"]["Labels.json"] = {"sha256": "0" * 64, "size_bytes": 1}
    with pytest.raises(BundleError, match="more than case"):
        Manifest.from_json(whole)


def test_fields_of_a_later_minor_version_are_ignored(tiny_manifest_template: Manifest) -> None:
    whole = tiny_manifest_template.to_json() | {"format_version": "1.7", "later": True}
    whole["unknown"]["per_class"] = [1, 2]
    manifest = Manifest.from_json(whole)
    assert manifest == replace(tiny_manifest_template, format_version="1.7")


def test_two_spellings_are_refused(tiny_manifest_template: Manifest) -> None:
    data = tiny_manifest_template.to_bytes()
    for other in (data + b"\n", json.dumps(json.loads(data)).encode(), b'{"a":1,"a":1}'):
        with pytest.raises(BundleError):
            Manifest.from_bytes(other)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff\xfe", b"NaN", b'{"a":NaN}', b'{"a":1,"a":2}', b"[" * 5000 + b"]" * 5000,
     b"[" * 70 + b"]" * 70],
)  # fmt: skip
def test_parser_refuses_what_json_leaves_open(data: bytes) -> None:
    with pytest.raises(BundleError, match="Expected x to be JSON"):
        parse_json(data, "x")


@given(JSON)
def test_canonical_json_round_trip(value: Any) -> None:
    data = canonical_json(value)
    assert canonical_json(parse_json(data, "x")) == data


def test_schema_covers_every_field(tiny_manifest_template: Manifest) -> None:
    schema = json.loads(schema_text())
    assert set(schema["required"]) == set(tiny_manifest_template.to_json())
    assert FORMAT_VERSION.split(".")[0] in schema["$id"]


def test_labels_round_trip_and_refusals() -> None:
    from bundle_files import tiny_labels

    labels = tiny_labels()
    assert read_labels(labels_json(labels)) == labels
    wrong = [
        ((labels[1], labels[0]), "index 0 at place 0"),
        ((labels[0], replace(labels[1], item_id="item-0")), "every item_id once"),
        ((labels[0], replace(labels[1], label="drink_0")), "every label once"),
        ((replace(labels[0], item_id=""),), "item_id"),
        ((replace(labels[0], barcodes=(5,)),), "barcodes"),  # type: ignore[arg-type]
        ((), "classes"),
    ]
    for spoiled, words in wrong:
        with pytest.raises(BundleError, match=words):
            labels_json(spoiled)
