"""The app's gallery against Python's: the same codes to the bit, order, answers and refusals."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from app_support import APP, NodeTool, needs_node
from bundle_files import manifest_of
from gallery_files import RULE, gallery_bytes, gallery_manifest, new_products
from promolens_runtime.canonical import canonical_json
from promolens_runtime.errors import BundleError, InputError
from promolens_runtime.gallery.fusion import fuse
from promolens_runtime.gallery.gallery import Gallery, Hit, gallery_of
from promolens_runtime.gallery.manifest import AnswerRule, GalleryManifest
from promolens_runtime.gallery.vectors import quantise, unit
from promolens_runtime.labels import Label
from promolens_runtime.manifest import FileEntry

pytestmark = needs_node
EXAMPLES = 60
ODD: list[Any] = [
    None, True, 0, 1, 1.0, -1, 2.5, 2**53, 4097, "", "classifier", "A" * 65, "2.0", [], {},
    "ed25519:x", "0" * 64, {"sha256": "0" * 64, "size_bytes": 1.0},
]  # fmt: skip
FLOATS = st.floats(-1e6, 1e6, width=32)


@pytest.fixture(scope="module")
def node() -> Iterator[NodeTool]:
    tool = NodeTool()
    yield tool
    tool.close()


def vectors(dimensions: int) -> st.SearchStrategy[NDArray[np.float32]]:
    return arrays.arrays(np.float32, dimensions, elements=FLOATS)


class TestQueries:
    @settings(max_examples=4 * EXAMPLES, deadline=None)
    @given(data=st.data(), dimensions=st.integers(1, 300), centred=st.booleans())
    def test_codes_and_scale_are_equal_to_the_bit(
        self, node: NodeTool, data: st.DataObject, dimensions: int, centred: bool
    ) -> None:
        embedding = data.draw(vectors(dimensions))
        centre = data.draw(vectors(dimensions)) if centred else None
        same_query(node, embedding, centre)

    @pytest.mark.parametrize("dimensions", [1, 7, 8, 9, 127, 128, 129, 136, 256, 1000, 1280, 4096])
    def test_long_ones_too(self, node: NodeTool, dimensions: int) -> None:
        """Lengths on both sides of each step of NumPy's way to add."""
        random = np.random.default_rng(dimensions)
        for scale in (1e-30, 1.0, 1e30):
            embedding = (random.normal(size=dimensions) * scale).astype(np.float32)
            same_query(node, embedding, None)
            same_query(node, embedding, random.normal(size=dimensions).astype(np.float32) * 0.1)

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
    def test_what_points_nowhere_has_no_answer(self, node: NodeTool, wrong: float) -> None:
        same_query(node, np.full(8, wrong, np.float32), None)


def same_query(
    node: NodeTool, embedding: NDArray[np.float32], centre: NDArray[np.float32] | None
) -> None:
    parts = [embedding] if centre is None else [embedding, centre]
    data = np.concatenate(parts).astype("<f4").tobytes()
    scale, codes = node.ask("galleryQuery", data, centred=centre is not None)
    try:
        expected = quantise(unit(embedding, centre)[None])
    except InputError:
        assert scale is None
        return
    assert np.frombuffer(codes, np.int8).tolist() == expected.codes[0].tolist()
    assert np.float32(scale) == expected.scales[0]


def gallery(files: dict[str, bytes], **changes: Any) -> Gallery:
    """Return Python's gallery of such files for the tiny model."""
    value = manifest_value(files, **changes)
    return gallery_of(GalleryManifest.from_bytes(canonical_json(value)), files)


def manifest_value(files: dict[str, bytes], **changes: Any) -> dict[str, Any]:
    bundle = manifest_of({"model.tflite": FileEntry("a" * 64, 1)})
    return gallery_manifest(bundle, files, None, **changes)


def app_cosines(
    node: NodeTool,
    made: Gallery,
    files: dict[str, bytes],
    embedding: NDArray[np.float32],
    dots: str,
) -> NDArray[np.float64]:
    manifest = made.manifest
    data = files["vectors.bin"] + files.get("centre.bin", b"") + embedding.tobytes()
    facts = {
        "count": manifest.count,
        "dimensions": manifest.dimensions,
        "products": manifest.products,
        "centred": manifest.centred,
    }
    there, found = node.ask(
        "galleryCosines", data, manifest=facts, vectors_size=len(files["vectors.bin"]), dots=dots
    )
    assert there, "the embedding points somewhere"
    return np.frombuffer(found, "<f8")


@pytest.mark.parametrize("dots", ["plain", "wasm"])
class TestSearch:
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        dimensions=st.integers(1, 70),
        pictures=st.lists(st.integers(1, 4), min_size=1, max_size=12),
        centred=st.booleans(),
    )
    def test_cosines_and_order_are_pythons(
        self, node: NodeTool, dots: str, seed: int, dimensions: int, pictures: list[int],
        centred: bool,
    ) -> None:  # fmt: skip
        random = np.random.default_rng(seed)
        owners = np.repeat(np.arange(len(pictures)), pictures)
        # Few different pictures: equal cosines must be told apart the same way.
        embeddings = random.normal(size=(3, dimensions))[random.integers(0, 3, len(owners))]
        centre = 0.1 * random.normal(size=dimensions).astype(np.float32) if centred else None
        files = gallery_bytes(embeddings, owners.tolist(), centre)
        made = gallery(files, dimensions=dimensions, count=len(owners))
        query = random.normal(size=dimensions).astype(np.float32)
        found = app_cosines(node, made, files, query, dots)
        expected = made.product_cosines(query)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        told, _ = node.ask("fuse", found.tobytes(), named=None, top=5, rule=RULE)
        hits = made.search(query, top=5)
        assert [one["index"] for one in told["hits"]] == [hit.product.index for hit in hits]
        assert [one["cosine"] for one in told["hits"]] == [hit.cosine for hit in hits]

    def test_the_largest_vectors_do_not_overflow(self, node: NodeTool, dots: str) -> None:
        embeddings = np.vstack([np.ones(4096), -np.ones(4096)])
        files = gallery_bytes(embeddings)
        made = gallery(files, dimensions=4096, count=2)
        found = app_cosines(node, made, files, np.ones(4096, np.float32), dots)
        np.testing.assert_allclose(found, [1, -1], atol=1e-6)
        assert found.tolist() == made.product_cosines(np.ones(4096, np.float32)).tolist()


class TestFusion:
    @settings(max_examples=3 * EXAMPLES, deadline=None)
    @given(data=st.data())
    def test_whose_answer_counts(self, node: NodeTool, data: st.DataObject) -> None:
        coarse = st.integers(-4, 4).map(lambda step: step / 4)
        cosines = np.array(data.draw(st.lists(coarse, min_size=1, max_size=6)))
        products = new_products(len(cosines))
        names = ("accept_at_least", "margin_at_least", "override_margin")
        rule: dict[str, Any] = RULE | {name: data.draw(coarse) for name in names}
        order = np.argsort(-cosines, kind="stable")
        hits = [Hit(products[i], float(cosines[i])) for i in order]
        place = data.draw(st.sampled_from([None, "elsewhere", *range(len(cosines))]))
        named = None if place is None else Label(0, "trained", "trained")
        if isinstance(place, int):
            named = products[place]
        own = float(cosines[place]) if isinstance(place, int) else None
        expected = fuse(named, own, hits, AnswerRule(**rule))
        told, _ = node.ask("fuse", cosines.tobytes(), named=place, top=5, rule=rule)
        assert told["by"] == expected.by

    def test_a_gallery_product_has_a_place_behind_the_classifiers(self, node: NodeTool) -> None:
        labels = [{"item_id": "item-0"}, {"item_id": "new-1"}]
        products = [{"item_id": f"new-{i}"} for i in range(3)]
        known = {"labels": labels, "gallery": {"products": products, "rule": RULE}}
        answer = {
            "top": [{"index": 0, "probability": 0.9}, {"index": 1, "probability": 0.1}],
            "known": False,
            "score": 1.0,
            "confidence": 0.9,
        }

        def ask(cosines: list[float], *, is_known: bool = False) -> dict[str, Any]:
            data = np.array(cosines).tobytes()
            said = answer | {"known": is_known}
            told, _ = node.ask("fusedAnswer", data, known=known, answer=said)
            found: dict[str, Any] = told
            return found

        sure = ask([0.1, 0.2, 0.95])
        assert (sure["by"], sure["known"], sure["top"][0]["index"]) == ("gallery", True, 4)
        trained = ask([0.1, 0.2, 0.95], is_known=True)
        assert (trained["by"], trained["top"][0]["index"]) == ("classifier", 0)
        nobody = ask([0.1, 0.8, 0.2])
        assert (nobody["by"], nobody["known"]) == ("nobody", False)
        # Of both in turns, and what both know (item new-1, place 1 and 3) once.
        assert [one["index"] for one in nobody["top"]] == [0, 3, 4, 2]


@pytest.fixture
def files() -> dict[str, bytes]:
    return gallery_bytes(np.random.default_rng(5).normal(size=(4, 8)), [0, 0, 1, 2])


def is_refused(node: NodeTool, data: bytes) -> bool:
    told, _ = node.ask("galleryManifest", data)
    return "code" in told


class TestManifest:
    def test_a_sound_one_is_read(self, node: NodeTool, files: dict[str, bytes]) -> None:
        value = manifest_value(files)
        told, _ = node.ask("galleryManifest", canonical_json(value))
        assert told == value

    @settings(max_examples=4 * EXAMPLES, deadline=None)
    @given(data=st.data())
    def test_what_python_refuses_the_app_refuses(self, node: NodeTool, data: st.DataObject) -> None:
        files = gallery_bytes(np.ones((1, 8)))
        value = manifest_value(files)
        inner = data.draw(st.sampled_from([value, value["answer"], value["files"]]))
        key = data.draw(st.sampled_from(sorted(inner)))
        if data.draw(st.booleans()):
            del inner[key]
        else:
            inner[key] = data.draw(st.sampled_from(ODD))
        raw = canonical_json(value)
        try:
            GalleryManifest.from_bytes(raw)
        except BundleError:
            assert is_refused(node, raw), raw
        else:
            assert not is_refused(node, raw), raw

    def test_another_spelling_is_refused(self, node: NodeTool, files: dict[str, bytes]) -> None:
        assert is_refused(node, json.dumps(manifest_value(files)).encode())


class TestVectorsFile:
    @pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -1.0])
    def test_unsound_scales(self, node: NodeTool, files: dict[str, bytes], scale: float) -> None:
        data = bytearray(files["vectors.bin"])
        data[32:36] = struct.pack("<f", scale)
        assert code_of(node, bytes(data)) == "gallery-damaged"

    @pytest.mark.parametrize("owners", [[1, 1, 1, 2], [0, 0, 2, 2], [0, 1, 0, 2], [0, 0, 1, 1]])
    def test_owners_out_of_order(
        self, node: NodeTool, files: dict[str, bytes], owners: list[int]
    ) -> None:
        data = files["vectors.bin"][:-16] + np.array(owners, "<u4").tobytes()
        assert code_of(node, data) == "gallery-damaged"

    def test_torn_and_the_code_that_does_not_exist(
        self, node: NodeTool, files: dict[str, bytes]
    ) -> None:
        whole = files["vectors.bin"]
        assert code_of(node, whole) is None
        assert code_of(node, whole[:-1]) == "gallery-damaged"
        assert code_of(node, whole + b"\0") == "gallery-damaged"
        assert code_of(node, b"\x80" + whole[1:]) == "gallery-damaged"


def code_of(node: NodeTool, vectors: bytes) -> str | None:
    """Return why the app refuses a vectors.bin of 4 vectors of 8 numbers; None if it does not."""
    manifest = {"count": 4, "dimensions": 8, "products": 3, "centred": False}
    data = vectors + np.ones(8, "<f4").tobytes()
    told, _ = node.ask(
        "galleryCosines", data, manifest=manifest, vectors_size=len(vectors), dots="plain"
    )
    return told["code"] if isinstance(told, dict) else None


def test_the_committed_search_is_what_its_source_assembles_to() -> None:
    import subprocess

    script = "import('./build_resize.mjs').then(async (m) => console.log(await m.searchBytes()))"
    done = subprocess.run(
        ["node", "-e", script], cwd=APP, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    committed = (APP / "src" / "gallery" / "search_bytes.ts").read_text("utf-8")
    assert done.stdout.strip() == committed.strip()
