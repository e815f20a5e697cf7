"""A gallery: vectors in eight bits, files that are believed only when signed, and its answers."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bundle_files import manifest_of, tiny_labels
from promolens_runtime.bundle import Bundle
from promolens_runtime.canonical import canonical_json
from promolens_runtime.errors import BundleError, InputError, SignatureError
from promolens_runtime.gallery.fusion import Fused, fuse
from promolens_runtime.gallery.gallery import Hit, products_file, read_gallery, vectors_file
from promolens_runtime.gallery.manifest import AnswerRule, GalleryManifest
from promolens_runtime.gallery.vectors import Quantised, cosines, quantise, unit
from promolens_runtime.manifest import FileEntry
from promolens_runtime.signing import SigningKey, generate_key, sign

DIMENSIONS = 8
RULE = AnswerRule(0.6, 0.05, 0.1, 0.95, 0.02, 100, 100)
vectors_of_numbers = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 16)),
    elements=st.floats(-1000, 1000, width=32),
).filter(lambda rows: bool((np.abs(rows).max(axis=1) > 1e-3).all()))


class TestVectors:
    @given(vectors_of_numbers)
    def test_unit_vectors_have_length_1(self, rows: np.ndarray) -> None:
        assert np.linalg.norm(unit(rows), axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-6)

    @given(vectors_of_numbers)
    def test_eight_bits_are_off_by_half_a_step_at_most(self, rows: np.ndarray) -> None:
        small = quantise(rows)
        restored = small.codes * small.scales[:, None].astype(np.float64)
        assert (np.abs(restored - rows) <= small.scales[:, None] * 0.5001).all()
        assert small.codes.min() >= -127

    @given(vectors_of_numbers)
    def test_a_cosine_is_about_what_it_was(self, rows: np.ndarray) -> None:
        units = unit(rows)
        got = cosines(units[0], quantise(units))
        assert got == pytest.approx(units @ units[0], abs=0.02)
        assert got[0] == pytest.approx(1, abs=0.02)

    def test_by_hand(self) -> None:
        # .6 and .8 over .8/127: 95.25 and 127. Dot with itself: 95² + 127² = 25154.
        small = quantise(unit(np.array([[3.0, 4.0]])))
        assert small.codes.tolist() == [[95, 127]]
        scale = float(np.float32(np.float64(np.float32(0.8)) / 127))
        assert cosines(unit(np.array([3.0, 4.0])), small)[0] == 25154 * (scale * scale)

    def test_halves_round_up_also_below_zero(self) -> None:
        # 127 / 127 is the scale 1; -0.5 becomes 0 and 0.5 becomes 1, as floor(x + 0.5) says.
        small = quantise(np.array([[127.0, -0.5, 0.5, -1.5]], np.float32))
        assert small.codes.tolist() == [[127, 0, 1, -1]]

    @settings(max_examples=20)
    @given(st.integers(0, 10_000))
    def test_long_vectors_are_exact_too(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        codes = rng.integers(-127, 128, (3, 4096)).astype(np.int8)
        query = rng.normal(size=4096).astype(np.float32)
        whole = quantise(unit(query)[None])
        got = cosines(unit(query), Quantised(codes, np.ones(3, np.float32)))
        dots = codes.astype(np.int64) @ whole.codes[0].astype(np.int64)
        assert got.tolist() == [int(dot) * float(whole.scales[0]) for dot in dots]

    def test_a_centre_is_taken_off(self) -> None:
        centred = unit(np.array([2.0, 0.0]), np.array([0.5, 0.5], np.float32))
        assert centred == pytest.approx(np.array([0.5, -0.5]) / np.sqrt(0.5))

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ([np.nan, 1.0], "NaN or infinity"),
            ([np.inf, 1.0], "NaN or infinity"),
            ([0.0, 0.0], "length 0"),
            ([], "1 to 4096"),
            (np.ones(4097), "1 to 4096"),
        ],
    )
    def test_what_is_no_vector_is_refused(self, rows: list[float], words: str) -> None:
        with pytest.raises(InputError, match=words):
            unit(np.array(rows))

    def test_other_lengths_are_refused(self) -> None:
        with pytest.raises(InputError, match="gallery was made with"):
            cosines(np.ones(3, np.float32), quantise(np.ones((2, 4), np.float32)))
        with pytest.raises(InputError, match="as the centre has"):
            unit(np.ones(3), np.ones(4, np.float32))


MODEL = b"the model's bytes"


def bundle_of(key: SigningKey | None, *, signed: bool = True) -> Bundle:
    """A bundle as `read_bundle` returns it, which is all that a gallery looks at."""
    files = {"model.tflite": FileEntry(hashlib.sha256(MODEL).hexdigest(), len(MODEL))}
    keys = {"gallery": key.public if key else None}
    manifest = replace(manifest_of(files), delegated_keys=keys)
    return Bundle(Path("bundle"), manifest, {"model.tflite": MODEL}, "ed25519:" if signed else None)


def parts(seed: int = 0) -> tuple[GalleryManifest, dict[str, bytes]]:
    """Three products; the second has two pictures."""
    rng = np.random.default_rng(seed)
    vectors = quantise(unit(rng.normal(size=(4, DIMENSIONS))))
    files = {
        "vectors.bin": vectors_file(vectors, np.array([0, 1, 1, 2])),
        "products.json": products_file(tiny_labels(3)),
    }
    manifest = GalleryManifest(
        gallery_id="demo", version=3, model_sha256=hashlib.sha256(MODEL).hexdigest(),
        role="classifier", dimensions=DIMENSIONS, count=4, products=3, centred=False, answer=RULE,
        files=_entries(files), signing_key=None,
    )  # fmt: skip
    return manifest, files


def _entries(files: dict[str, bytes]) -> dict[str, FileEntry]:
    return {name: FileEntry(hashlib.sha256(it).hexdigest(), len(it)) for name, it in files.items()}


def write(
    folder: Path, manifest: GalleryManifest, files: dict[str, bytes], key: SigningKey | None
) -> Path:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    data = manifest.to_bytes()
    (folder / "manifest.json").write_bytes(data)
    if key is not None:
        (folder / "manifest.sig").write_bytes(sign(data, key))
    return folder


@pytest.fixture
def key() -> SigningKey:
    return generate_key()


@pytest.fixture
def folder(tmp_path: Path, key: SigningKey) -> Path:
    return write(tmp_path / "gallery", *parts(), key)


class TestReading:
    def test_what_was_written_is_read(self, folder: Path, key: SigningKey) -> None:
        gallery = read_gallery(folder, bundle_of(key))
        manifest, files = parts()
        assert gallery.manifest == manifest
        assert vectors_file(gallery.vectors, gallery.owners) == files["vectors.bin"]
        assert [product.item_id for product in gallery.products] == ["item-0", "item-1", "item-2"]

    def test_a_picture_finds_its_product(self, folder: Path, key: SigningKey) -> None:
        gallery = read_gallery(folder, bundle_of(key))
        for place, owner in enumerate(gallery.owners):
            own = gallery.vectors.codes[place].astype(np.float32) * 7.5
            hits = gallery.search(own)
            assert hits[0].product.index == owner
            assert hits[0].cosine == pytest.approx(1, abs=0.01)
            assert gallery.cosine_of(own, hits[0].product.item_id) == hits[0].cosine
            assert gallery.cosine_of(own, "item-9") is None
            assert [hit.cosine for hit in hits] == sorted((h.cosine for h in hits), reverse=True)
            assert len({hit.product.item_id for hit in hits}) == 3

    def test_another_key_is_refused(self, folder: Path) -> None:
        with pytest.raises(SignatureError):
            read_gallery(folder, bundle_of(generate_key()))

    def test_a_bundle_that_delegates_no_key_takes_no_gallery(self, folder: Path) -> None:
        with pytest.raises(SignatureError, match="delegates none"):
            read_gallery(folder, bundle_of(None))

    def test_an_unsigned_gallery_goes_only_with_an_unsigned_bundle(
        self, tmp_path: Path, key: SigningKey
    ) -> None:
        unsigned = write(tmp_path / "unsigned", *parts(), None)
        with pytest.raises(SignatureError, match="no signature"):
            read_gallery(unsigned, bundle_of(key))
        assert read_gallery(unsigned, bundle_of(None, signed=False)).manifest.version == 3

    def test_a_foreign_model_is_refused(self, tmp_path: Path, key: SigningKey) -> None:
        manifest, files = parts()
        other = write(tmp_path / "o", replace(manifest, model_sha256="f" * 64), files, key)
        with pytest.raises(BundleError, match="of the model"):
            read_gallery(other, bundle_of(key))

    def test_a_downgrade_is_refused(self, folder: Path, key: SigningKey) -> None:
        assert read_gallery(folder, bundle_of(key), installed_version=3).manifest.version == 3
        with pytest.raises(BundleError, match="version 4 or later"):
            read_gallery(folder, bundle_of(key), installed_version=4)

    @pytest.mark.parametrize("name", ["vectors.bin", "products.json", "manifest.json"])
    def test_any_changed_byte_is_refused(self, folder: Path, key: SigningKey, name: str) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)
        with pytest.raises(BundleError):
            read_gallery(folder, bundle_of(key))

    def test_a_torn_file_and_a_stray_one_are_refused(self, folder: Path, key: SigningKey) -> None:
        (folder / "more.txt").write_text("x")
        with pytest.raises(BundleError, match=r"more\.txt"):
            read_gallery(folder, bundle_of(key))
        (folder / "vectors.bin").write_bytes(b"")
        with pytest.raises(BundleError, match="bytes"):
            read_gallery(folder, bundle_of(key))

    @pytest.mark.parametrize(
        "owners", [[0, 0, 0, 0], [0, 2, 1, 1], [1, 1, 2, 2], [0, 1, 1, 3], [0, 0, 2, 2]]
    )
    def test_owners_that_are_no_products_are_refused(
        self, tmp_path: Path, key: SigningKey, owners: list[int]
    ) -> None:
        manifest, files = parts()
        codes = quantise(unit(np.random.default_rng(1).normal(size=(4, DIMENSIONS))))
        files["vectors.bin"] = vectors_file(codes, np.array(owners))
        bad = write(tmp_path / "bad", replace(manifest, files=_entries(files)), files, key)
        with pytest.raises(BundleError, match="in their order"):
            read_gallery(bad, bundle_of(key))

    @pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -1.0])
    def test_scales_that_are_none_are_refused(
        self, tmp_path: Path, key: SigningKey, scale: float
    ) -> None:
        manifest, files = parts()
        vectors = quantise(unit(np.random.default_rng(1).normal(size=(4, DIMENSIONS))))
        broken = Quantised(vectors.codes, np.array([1, 1, scale, 1], np.float32))
        files["vectors.bin"] = vectors_file(broken, np.array([0, 1, 1, 2]))
        bad = write(tmp_path / "bad", replace(manifest, files=_entries(files)), files, key)
        with pytest.raises(BundleError, match="finite scales"):
            read_gallery(bad, bundle_of(key))


class TestManifest:
    @given(
        st.dictionaries(
            st.sampled_from(["kind", "version", "answer", "files", "count", "centred", "role"]),
            st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just({})),
            min_size=1,
        )
    )
    def test_garbage_is_refused_or_read_as_it_is(self, changes: dict[str, object]) -> None:
        data = canonical_json(json.loads(parts()[0].to_bytes()) | changes)
        with contextlib.suppress(BundleError):
            assert GalleryManifest.from_bytes(data).to_bytes() == data

    def test_another_major_version_is_refused(self) -> None:
        manifest, _ = parts()
        with pytest.raises(BundleError, match=r"format 1\.x"):
            replace(manifest, format_version="2.0").to_bytes()


def hits(*cosines_: float) -> list[Hit]:
    return [Hit(label, cosine) for label, cosine in zip(tiny_labels(), cosines_, strict=False)]


class TestFusion:
    FIRST, SECOND = tiny_labels()[:2]

    def test_agreement(self) -> None:
        assert fuse(self.FIRST, 0.9, hits(0.9, 0.2), RULE) == Fused(self.FIRST, "classifier")

    def test_a_product_that_the_classifier_never_saw(self) -> None:
        assert fuse(None, None, hits(0.9, 0.2), RULE) == Fused(self.FIRST, "gallery")

    def test_nobody_knows(self) -> None:
        assert fuse(None, None, hits(0.59, 0.2), RULE) == Fused(None, "nobody")
        assert fuse(None, None, hits(0.9, 0.86), RULE) == Fused(None, "nobody")
        assert fuse(None, None, [], RULE) == Fused(None, "nobody")

    def test_a_look_alike_that_is_clearly_more_similar_wins(self) -> None:
        assert fuse(self.SECOND, 0.79, hits(0.9, 0.79), RULE) == Fused(self.FIRST, "gallery")

    def test_a_small_lead_leaves_the_classifier_its_answer(self) -> None:
        assert fuse(self.SECOND, 0.81, hits(0.9, 0.81), RULE) == Fused(self.SECOND, "classifier")
        assert fuse(self.SECOND, None, hits(0.9, 0.2), RULE) == Fused(self.SECOND, "classifier")
        assert fuse(self.SECOND, 0.1, hits(0.5, 0.1), RULE) == Fused(self.SECOND, "classifier")

    def test_one_product_has_no_rival(self) -> None:
        assert fuse(None, None, hits(0.7), RULE) == Fused(self.FIRST, "gallery")
