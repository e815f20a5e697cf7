"""Catalogue pictures get the offset that the bundle's manifest names; shoppers' photos do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundle_files import write_bundle
from conftest import Keys
from promolens_cli.main import main
from promolens_runtime.bundle import read_bundle
from promolens_runtime.embedder import Embedder
from promolens_runtime.errors import BundleError
from promolens_runtime.gallery.gallery import read_gallery
from promolens_runtime.gallery.vectors import unit
from promolens_runtime.manifest import FileEntry, Manifest
from promolens_runtime.manifest_embedding import EmbeddingSpec, offset_file
from promolens_runtime.verify import verify_bundle
from test_evaluation_retrieval import command, data, picture

__all__ = ["data"]  # a fixture
FILE = "catalogue_offset.bin"
OFFSET = np.array([5, -3, 0, 0, 2, 0, 0, -1], np.float32)
MakeBundle = Callable[..., Path]


def told(manifest: Manifest, spec: EmbeddingSpec | None) -> Manifest:
    """Return the manifest with `spec` said of its one model."""
    return replace(manifest, models=(replace(manifest.models[0], embedding=spec),))


SPEC = EmbeddingSpec(False, (4, 8), FILE)


@pytest.fixture
def make_bundle(
    tmp_path: Path, tiny_model_bytes: bytes, tiny_manifest_template: Manifest, keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> MakeBundle:  # fmt: skip
    """Write `assets/bundle` with some bytes as the offset; None writes one that has none."""
    monkeypatch.setenv("PROMOLENS_PUBLIC_KEY", keys.own.public)
    monkeypatch.setenv("PROMOLENS_DATABASE_URL", str(tmp_path / "promotions.db"))
    monkeypatch.setenv("PROMOLENS_GALLERY_SIGNING_KEY", keys.own.to_text())

    def make(content: bytes | None = offset_file(OFFSET), name: str = "assets") -> Path:
        keyed = replace(tiny_manifest_template, delegated_keys={"gallery": keys.own.public})
        manifest = told(keyed, None if content is None else SPEC)
        files = {} if content is None else {FILE: content}
        folder = tmp_path / name / "bundle"
        return write_bundle(folder, manifest, tiny_model_bytes, keys.own, files).parent

    return make


class TestTheManifest:
    def test_says_what_the_embedding_is_and_survives_the_way_to_bytes(
        self, tiny_manifest_template: Manifest
    ) -> None:
        files = {**tiny_manifest_template.files, FILE: FileEntry("0" * 64, 32)}
        manifest = replace(told(tiny_manifest_template, SPEC), files=files)
        assert Manifest.from_bytes(manifest.to_bytes()) == manifest
        assert manifest.to_json()["models"][0]["embedding"] == {
            "normalised": False,
            "prefixes": [4, 8],
            "catalogue_offset_file": FILE,
        }

    def test_of_an_older_bundle_says_nothing_and_keeps_its_bytes(
        self, tiny_manifest_template: Manifest
    ) -> None:
        old = tiny_manifest_template.to_bytes()
        assert b'"embedding":{' not in old
        found = Manifest.from_bytes(old)
        assert found.models[0].embedding is None
        assert found.to_bytes() == old

    @pytest.mark.parametrize("prefixes", [(4,), (8, 4), (4, 4, 8), (4, 16)])
    def test_refuses_prefixes_that_do_not_rise_to_the_width(
        self, tiny_manifest_template: Manifest, prefixes: tuple[int, ...]
    ) -> None:
        with pytest.raises(BundleError, match="rise to 8"):
            told(tiny_manifest_template, EmbeddingSpec(False, prefixes))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"normalised": 1},
            {"prefixes": []},
            {"catalogue_offset_file": "../a.bin"},
            {"catalogue_offset_file": "other.bin"},
            {"prefixes": None},
        ],
    )
    def test_refuses_what_it_cannot_mean(
        self, tiny_manifest_template: Manifest, wrong: dict[str, Any]
    ) -> None:
        value = told(tiny_manifest_template, EmbeddingSpec(False, (4, 8))).to_json()
        value["models"][0]["embedding"] |= wrong
        with pytest.raises(BundleError, match=r"embedding|other\.bin"):
            Manifest.from_json(value)


class TestTheEmbedder:
    def test_adds_it_to_catalogue_pictures_alone(self, make_bundle: MakeBundle, keys: Keys) -> None:
        embedder = Embedder.open(make_bundle(), public_key=keys.own.public)
        shown = np.asarray(picture(1, 0, 0))
        np.testing.assert_array_equal(
            embedder.embed_catalogue(shown), embedder.embed(shown) + OFFSET
        )

    def test_of_a_bundle_without_one_adds_nothing(
        self, make_bundle: MakeBundle, keys: Keys
    ) -> None:
        embedder = Embedder.open(make_bundle(None), public_key=keys.own.public)
        shown = np.asarray(picture(1, 0, 0))
        np.testing.assert_array_equal(embedder.embed_catalogue(shown), embedder.embed(shown))

    @pytest.mark.parametrize(
        "content", [b"12345678", offset_file(OFFSET * np.nan), offset_file(np.ones(9))]
    )
    def test_refuses_numbers_that_are_no_offset(
        self, make_bundle: MakeBundle, keys: Keys, content: bytes
    ) -> None:
        folder = make_bundle(content)
        with pytest.raises(BundleError, match="8 finite float32 numbers"):
            Embedder.open(folder, public_key=keys.own.public)
        report = verify_bundle(folder, keys.own.public)
        assert len(report.findings) == 1
        assert "catalogue offset" in report.findings[0]

    def test_verification_passes_a_sound_one(self, make_bundle: MakeBundle, keys: Keys) -> None:
        assert verify_bundle(make_bundle(), keys.own.public).findings == ()


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    for number in range(3):
        picture(number, 0, 0).resize((96, 96), 0).save(folder / f"new-{number}.png")
    return folder


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def built(catalogue: Path, assets: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return said(["gallery", "build", str(catalogue), "--bundle", str(assets)], capsys)


class TestAGallery:
    def test_holds_catalogue_pictures_with_it_and_added_photos_without(
        self, make_bundle: MakeBundle, catalogue: Path, tmp_path: Path, keys: Keys,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        assets = make_bundle()
        built(catalogue, assets, capsys)
        shelf = tmp_path / "shelf.png"
        picture(7, 0, 0).resize((96, 96), 0).save(shelf)
        words = ["gallery", "add", str(shelf), "--product", "new-2", "--bundle", str(assets)]
        assert said(words, capsys)["vectors"] == 4
        bundle = read_bundle(assets, keys.own.public)
        embedder, gallery = Embedder(bundle), read_gallery(assets / "gallery", bundle)
        vectors = gallery.vectors.codes * gallery.vectors.scales[:, None]
        for place, path in ((0, catalogue / "new-0.png"), (1, catalogue / "new-1.png")):
            wanted = unit(embedder.embed(path) + OFFSET)
            np.testing.assert_allclose(vectors[place], wanted, atol=0.01)
        own = {tuple(np.round(row, 1)) for row in vectors[2:]}
        plain, moved = unit(embedder.embed(shelf)), unit(embedder.embed(shelf) + OFFSET)
        assert np.abs(plain - moved).max() > 0.1, "the two can be told apart"
        assert min(np.abs(row - plain).max() for row in vectors[2:]) < 0.01
        assert len(own) == 2

    def test_is_embedded_anew_where_the_offset_has_changed(
        self, make_bundle: MakeBundle, catalogue: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        """The model is the same, so the space is: its vectors without the offset must not stay."""
        old, new = make_bundle(None, "old"), make_bundle(name="new")
        assert built(catalogue, old, capsys)["embedded"] == 3
        shelf = tmp_path / "shelf.png"
        picture(7, 0, 0).resize((96, 96), 0).save(shelf)
        said(["gallery", "add", str(shelf), "--product", "new-2", "--bundle", str(old)], capsys)
        again = built(catalogue, new, capsys)
        assert (again["embedded"], again["kept"], again["vectors"]) == (3, 0, 4)
        assert built(catalogue, new, capsys)["kept"] == 3


def test_retrieval_is_measured_with_it(
    make_bundle: MakeBundle, data: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    """An offset that is far larger than any embedding makes all gallery pictures alike: then no
    photo finds its own but by chance, while without one each does."""
    plain = make_bundle(None, "plain")
    assert main(command(plain, data, keys, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["recall"]["1"]["value"] == 1.0
    drowned = make_bundle(offset_file(OFFSET * 1e8), "drowned")
    assert main(command(drowned, data, keys, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["recall"]["1"]["value"] < 0.6
