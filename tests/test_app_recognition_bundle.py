"""The app reads bundles as Python does: what one accepts the other accepts."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app_support import NodeTool, needs_node
from bundle_files import tiny_golden, tiny_labels
from conftest import Keys
from promolens_runtime.canonical import canonical_json, parse_json
from promolens_runtime.errors import BundleError
from promolens_runtime.golden import golden_npz
from promolens_runtime.labels import labels_json
from promolens_runtime.manifest import Manifest, UnknownRule
from promolens_runtime.recognizer import softmax, unknown_score
from promolens_runtime.signing import sign

pytestmark = needs_node


@pytest.fixture(scope="module")
def node() -> Iterator[NodeTool]:
    tool = NodeTool()
    yield tool
    tool.close()


def refused(node: NodeTool, tool: str, data: bytes, **options: Any) -> str | None:
    """Return the code of the refusal, None when it was read."""
    facts, _ = node.ask(tool, data, **options)
    return facts.get("code") if isinstance(facts, dict) and "detail" in facts else None


@pytest.fixture
def manifest_json(tiny_manifest_template: Manifest) -> dict[str, Any]:
    return json.loads(tiny_manifest_template.to_bytes())


def test_manifest_is_read(node: NodeTool, tiny_manifest_template: Manifest) -> None:
    facts, _ = node.ask("manifest", tiny_manifest_template.to_bytes())
    assert facts == tiny_manifest_template.to_json()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        children = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in children:
            yield from places(child, (*path, key))


OTHER_VALUES: list[Any] = [
    None, True, 0, -1, 1, 2**53, 0.5, 1e-7, 1e22, "", "x", "1.0", "2.0", "classifier",
    "model.tflite", "../x", "a\n", "0" * 64, "ed25519:" + "A" * 43 + "=",
    [], [1], [0, 1, 2], {}, {"x": 1},
]  # fmt: skip


@given(data=st.data())
@settings(max_examples=200)
def test_changed_manifests_are_judged_as_python_judges_them(
    node: NodeTool, tiny_manifest_template: Manifest, data: st.DataObject
) -> None:
    value = copy.deepcopy(json.loads(tiny_manifest_template.to_bytes()))
    path = data.draw(st.sampled_from(list(places(value))[1:]))
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    action = data.draw(st.sampled_from(["set", "delete", "rename"]))
    if action == "set":
        parent[path[-1]] = data.draw(st.sampled_from(OTHER_VALUES))
    elif action == "delete":
        del parent[path[-1]]
    elif isinstance(parent, dict):
        parent["a later field"] = parent.pop(path[-1])
    text = canonical_json(value)
    try:
        Manifest.from_bytes(text)
        fits = True
    except BundleError:
        fits = False
    assert (refused(node, "manifest", text) is None) == fits, (path, action)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("format_version", "2.0", "manifest-version-unknown"),
        ("format_version", None, "manifest-version-unknown"),
        ("version", 0, "manifest-invalid"),
        ("temperature", "1", "manifest-invalid"),
    ],
)
def test_refusals_say_which(
    node: NodeTool, manifest_json: dict[str, Any], field: str, value: Any, code: str
) -> None:
    manifest_json[field] = value
    assert refused(node, "manifest", canonical_json(manifest_json)) == code


def test_unknown_role_rule_and_damage_have_codes_of_their_own(
    node: NodeTool, manifest_json: dict[str, Any]
) -> None:
    odd_role, odd_rule = copy.deepcopy(manifest_json), copy.deepcopy(manifest_json)
    odd_role["models"][0]["role"] = "oracle"
    odd_rule["preprocessing"]["resize"]["algorithm"] = "lanczos"
    data = canonical_json(manifest_json)
    assert refused(node, "manifest", canonical_json(odd_role)) == "model-role-unknown"
    assert refused(node, "manifest", canonical_json(odd_rule)) == "preprocessing-unknown"
    assert refused(node, "manifest", data[:-1]) == "manifest-damaged"
    assert refused(node, "manifest", data + b"\n") == "manifest-damaged"
    assert refused(node, "manifest", b"\xff" + data) == "manifest-damaged"
    twice = data.replace(b'"seed":7', b'"seed":7,"seed":7')
    assert refused(node, "manifest", twice) == "manifest-damaged"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def has_surrogates(data: Any) -> bool:
    return any(
        "\ud800" <= character <= "\udfff" for character in json.dumps(data, ensure_ascii=False)
    )


@given(value=JSON_VALUES.filter(lambda v: not has_surrogates(v)))
@settings(max_examples=300)
def test_canonical_json_of_python_is_accepted(node: NodeTool, value: Any) -> None:
    assert refused(node, "json", canonical_json(value), canonical=True) is None


@given(value=JSON_VALUES.filter(lambda v: not has_surrogates(v)), data=st.data())
@settings(max_examples=300)
def test_other_spellings_are_judged_as_python_judges_them(
    node: NodeTool, value: Any, data: st.DataObject
) -> None:
    text = canonical_json(value).decode()
    place = data.draw(st.integers(0, len(text)))
    extra = data.draw(
        st.sampled_from([" ", "\n", "0", "-", ".0", "e1", ",", '"', "\\u0041", "[", "NaN"])
    )
    changed = (text[:place] + extra + text[place:]).encode()
    try:
        parsed = parse_json(changed, "it")
        canonical: bool | None = canonical_json(parsed) == changed
    except (BundleError, ValueError):
        canonical = None
    assert (refused(node, "json", changed, canonical=True) is None) == bool(canonical), changed


@pytest.mark.parametrize("depth", [64, 65])
def test_depth_is_bounded_as_in_python(node: NodeTool, depth: int) -> None:
    text = b"[" * depth + b"]" * depth
    try:
        parse_json(text, "it")
        fits = True
    except BundleError:
        fits = False
    assert (refused(node, "json", text) is None) == fits == (depth == 64)


def test_labels_are_read(node: NodeTool) -> None:
    labels = tiny_labels()
    facts, _ = node.ask("labels", labels_json(labels), count=len(labels))
    assert [(label["item_id"], label["name_ko"]) for label in facts] == [
        (label.item_id, label.name_ko) for label in labels
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda classes: classes.pop(),
        lambda classes: classes.reverse(),
        lambda classes: classes[1].update(item_id="item-0"),
        lambda classes: classes[1].update(item_id=""),
        lambda classes: classes[1].update(barcodes=[1]),
        lambda classes: classes[1].update(parent=1),
        lambda classes: classes[1].pop("name_en"),
    ],
)
def test_damaged_labels_are_refused(node: NodeTool, change: Any) -> None:
    value = json.loads(labels_json(tiny_labels()))
    change(value["classes"])
    assert refused(node, "labels", canonical_json(value), count=5) == "labels-damaged"


def test_golden_vectors_are_read(node: NodeTool, tiny_model_bytes: bytes) -> None:
    golden = tiny_golden(tiny_model_bytes)
    facts, data = node.ask("golden", golden_npz(golden))
    names = sorted(golden.tensors)
    assert [entry["name"] for entry in facts] == names
    assert [entry["shape"] for entry in facts] == [list(golden.tensors[n].shape) for n in names]
    assert data == b"".join(golden.tensors[name].tobytes() for name in names)


@given(data=st.data())
@settings(max_examples=100)
def test_damaged_golden_vectors_end_with_a_code(
    node: NodeTool, tiny_model_bytes: bytes, data: st.DataObject
) -> None:
    content = bytearray(golden_npz(tiny_golden(tiny_model_bytes)))
    cut = data.draw(st.integers(0, len(content) - 1))
    assert refused(node, "golden", bytes(content[:cut])) == "golden-damaged"
    content[cut] ^= data.draw(st.integers(1, 255))
    assert refused(node, "golden", bytes(content)) in (None, "golden-damaged")


def test_signatures_are_checked(node: NodeTool, keys: Keys) -> None:
    message = b'{"x":1}'
    own, other = keys.own.public, keys.other.public
    good = sign(message, keys.own).decode()

    def code(message: bytes, signature: str, key: str) -> str | None:
        return refused(node, "signature", message, signature=signature, key=key)

    assert node.ask("signature", message, signature=good, key=own)[0] == own
    assert code(message, good, other) == "signature-wrong"
    assert code(message + b" ", good, own) == "signature-wrong"
    for spoiled in ("", good[:-1], good + "\n", " " + good, "A" + good[1:], good[:-2] + "\n"):
        assert code(message, spoiled, own) == "signature-wrong"
    assert code(message, good, own.removeprefix("ed25519:")) == "signature-wrong"


@given(message=st.binary(max_size=200), flip=st.integers(0, 511), spoil=st.booleans())
@settings(max_examples=60)
def test_both_ways_to_check_a_signature_agree(
    node: NodeTool, keys: Keys, message: bytes, flip: int, spoil: bool
) -> None:
    raw = bytearray(base64.b64decode(sign(message, keys.own)))
    raw[flip // 8] ^= (1 << flip % 8) if spoil else 0
    text = base64.b64encode(raw).decode()
    native, library = node.ask("signatures", message, raw=text, key=keys.own.public)[0]
    assert library == (not spoil)
    assert native in (library, None)


def test_a_signature_beyond_the_group_order_is_refused(node: NodeTool, keys: Keys) -> None:
    """RFC 8032 5.1.7: S must be below L, or anyone could make a second signature of the first."""
    order = 2**252 + 27742317777372353535851937790883648493
    raw = base64.b64decode(sign(b"m", keys.own))
    larger = int.from_bytes(raw[32:], "little") + order
    text = base64.b64encode(raw[:32] + larger.to_bytes(32, "little")).decode()
    native, library = node.ask("signatures", b"m", raw=text, key=keys.own.public)[0]
    assert not native
    assert not library


@given(
    logits=st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=30),
    temperature=st.floats(0.05, 20),
    score=st.sampled_from(["max_logit", "energy"]),
    threshold=st.floats(-60, 60),
)
@settings(max_examples=200)
def test_answers_are_the_recognizers(
    node: NodeTool, logits: list[float], temperature: float, score: str, threshold: float
) -> None:
    raw = np.array(logits, np.float32)
    rule = UnknownRule(score, threshold, 0.95, None, 1, 0)
    facts, _ = node.ask(
        "answer", raw.tobytes(), temperature=temperature,
        unknown={"score": score, "accept_at_least": threshold},
    )  # fmt: skip
    probabilities = softmax(raw, temperature)
    best = np.argsort(-probabilities, kind="stable")[:5]
    expected_score = unknown_score(raw, rule)
    assert facts["score"] == pytest.approx(expected_score, abs=1e-9)
    if abs(expected_score - threshold) > 1e-9:
        assert facts["known"] == (expected_score >= threshold)
    got = [candidate["probability"] for candidate in facts["top"]]
    assert got == pytest.approx([float(probabilities[i]) for i in best], abs=1e-12)
    assert facts["confidence"] == got[0]


def test_equal_logits_stay_in_output_order(node: NodeTool) -> None:
    raw = np.array([1, 2, 2, 0, 2, 1, 1], np.float32)
    unknown = {"score": "max_logit", "accept_at_least": 2}
    facts, _ = node.ask("answer", raw.tobytes(), temperature=1, unknown=unknown)
    assert [candidate["index"] for candidate in facts["top"]] == [1, 2, 4, 0, 5]
    assert facts["known"]


def test_schema_keywords_are_all_understood(node: NodeTool, tmp_path: Path) -> None:
    """A keyword that the app's small checker does not know would throw on every manifest."""
    assert refused(node, "manifest", b'{"format_version":"1.0"}') == "manifest-invalid"
