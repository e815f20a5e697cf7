"""Galleries from catalogue pictures: built, built again, added to, signed, and used to answer."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bundle_files import write_bundle
from conftest import Keys
from promolens_cli.main import main
from promolens_retrieval.gallery.pictures import find_pictures
from promolens_retrieval.gallery.products import Product, read_products
from promolens_retrieval.gallery.rule import UNFITTED, ask, fit_rule
from promolens_runtime.bundle import read_bundle
from promolens_runtime.errors import BundleError, InputError
from promolens_runtime.gallery.gallery import read_gallery
from promolens_runtime.gallery.recognizer import GalleryRecognizer
from promolens_runtime.manifest import Manifest
from promolens_runtime.quality import quality_problem
from promolens_runtime.signing import SigningKey, generate_key

NEW = tuple(f"new-{number}" for number in range(6))


def pattern(number: int, noise: int = 0, seed: int = 0) -> Image.Image:
    """A product's front: large squares of its own colours, with the noise of one photo."""
    colours = np.random.default_rng(1000 + number).integers(0, 256, (3, 3, 3))
    pixels = np.kron(colours, np.ones((24, 24, 1)))
    pixels += np.random.default_rng(seed).integers(-noise, noise + 1, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture
def gallery_key() -> SigningKey:
    return generate_key()


@pytest.fixture
def assets(
    tmp_path: Path, tiny_model_bytes: bytes, tiny_manifest_template: Manifest, keys: Keys,
    gallery_key: SigningKey, monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A folder with a bundle that knows none of the new products and delegates the gallery key."""
    unknown = replace(tiny_manifest_template.unknown, accept_at_least=1e6)
    manifest = replace(
        tiny_manifest_template, unknown=unknown, delegated_keys={"gallery": gallery_key.public}
    )
    write_bundle(tmp_path / "assets" / "bundle", manifest, tiny_model_bytes, keys.own)
    monkeypatch.setenv("PROMOLENS_PUBLIC_KEY", keys.own.public)
    monkeypatch.setenv("PROMOLENS_GALLERY_SIGNING_KEY", gallery_key.to_text())
    monkeypatch.setenv("PROMOLENS_DATABASE_URL", str(tmp_path / "promotions.db"))
    return tmp_path / "assets"


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    lines = ["label,item_id,barcodes,name_ko,name_en,parent"]
    for number, label in enumerate(NEW):
        pattern(number).save(folder / f"{label}.png")
        lines.append(f"{label},item-{number},880000000000{number},새 음료 {number},New {number},")
    (folder / "products.csv").write_text("\n".join(lines), "utf-8")
    return folder


def build(catalogue: Path, assets: Path, *more: str) -> list[str]:
    return ["gallery", "build", str(catalogue), "--bundle", str(assets), *more]


def built(
    catalogue: Path, assets: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> dict[str, object]:
    assert main(build(catalogue, assets, "--json", *more)) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


class TestBuilding:
    def test_one_picture_a_product_names_products_that_were_never_trained_on(
        self, catalogue: Path, assets: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = built(catalogue, assets, capsys)
        assert (found["embedded"], found["products"], found["version"]) == (6, 6, 1)
        bundle = read_bundle(assets, keys.own.public)
        recognizer = GalleryRecognizer(bundle, read_gallery(assets / "gallery", bundle))
        for number in range(6):
            answer = recognizer.predict(np.asarray(pattern(number, noise=10, seed=number)))
            assert answer.hits[0].product.item_id == f"item-{number}"
            assert answer.hits[0].product.barcodes == (f"880000000000{number}",)
            assert not answer.classifier.known

    def test_a_second_build_embeds_only_what_is_new(
        self, catalogue: Path, assets: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        built(catalogue, assets, capsys)
        before = (assets / "gallery" / "manifest.json").read_bytes()
        again = built(catalogue, assets, capsys)
        assert (again["embedded"], again["kept"], again["unchanged"]) == (0, 6, True)
        assert (assets / "gallery" / "manifest.json").read_bytes() == before
        pattern(99).save(catalogue / "new-0.png")
        (catalogue / "new-5.png").unlink()
        third = built(catalogue, assets, capsys)
        assert (third["embedded"], third["kept"], third["removed"]) == (1, 4, 2)
        assert (third["products"], third["version"]) == (5, 2)

    def test_photos_that_were_added_stay(
        self, catalogue: Path, assets: Path, keys: Keys, tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        built(catalogue, assets, capsys)
        pattern(50).save(tmp_path / "shelf.png")
        words = ["gallery", "add", str(tmp_path / "shelf.png"), "--bundle", str(assets), "--json"]
        assert main([*words, "--product", "8800000000003"]) == 0
        added = json.loads(capsys.readouterr().out)
        assert (added["embedded"], added["vectors"], added["products"]) == (1, 7, 6)
        assert built(catalogue, assets, capsys)["vectors"] == 7
        bundle = read_bundle(assets, keys.own.public)
        gallery = read_gallery(assets / "gallery", bundle)
        recognizer = GalleryRecognizer(bundle, gallery)
        hit = recognizer.predict(np.asarray(pattern(50, noise=5))).hits[0]
        assert hit.product.item_id == "item-3"
        assert main([*words, "--product", "nothing"]) == 2
        assert "Expected the id, label or barcode" in capsys.readouterr().err

    def test_pictures_that_show_too_little_are_named_and_left_out(
        self, catalogue: Path, assets: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Image.new("RGB", (80, 80), "white").save(catalogue / "new-0.png")
        Image.new("RGB", (20, 20), "red").save(catalogue / "new-1.png")
        (catalogue / "new-2.png").write_bytes(b"no picture")
        frames = [pattern(1), pattern(2)]
        frames[0].save(catalogue / "new-3.png", save_all=True, append_images=frames[1:])
        found = built(catalogue, assets, capsys)
        refused = found["refused"]
        assert isinstance(refused, list)
        reasons = {Path(one["path"]).name: one["reason"] for one in refused}
        assert "too simple to match" in reasons["new-0.png"]
        assert "too small" in reasons["new-1.png"]
        assert set(reasons) == {f"new-{number}.png" for number in range(4)}
        assert found["products"] == 2

    def test_look_alikes_are_named(
        self, catalogue: Path, assets: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pattern(1).save(catalogue / "new-0.png", compress_level=1)
        assert main(build(catalogue, assets)) == 0
        assert "item-0 and item-1 look alike" in capsys.readouterr().err

    def test_nothing_usable_writes_nothing(
        self, catalogue: Path, assets: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for path in catalogue.glob("*.png"):
            Image.new("RGB", (80, 80), "white").save(path)
        assert main(build(catalogue, assets)) == 2
        assert "at least one picture that can be used" in capsys.readouterr().err
        assert not (assets / "gallery").exists()

    def test_the_rule_is_set_by_photos(
        self, catalogue: Path, assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lines = ["path,label,source_id"]
        for number, label in enumerate(NEW):
            for shot in range(6):
                name = f"photo-{number}-{shot}.png"
                pattern(number, noise=30, seed=100 * number + shot).save(tmp_path / name)
                lines.append(f"{name},{label},visit-{shot}")
        (tmp_path / "photos.csv").write_text("\n".join(lines), "utf-8")
        found = built(catalogue, assets, capsys, "--photos", str(tmp_path / "photos.csv"))
        assert found["true_accept_rate"] is not None
        assert float(str(found["true_accept_rate"])) > 0.8
        # A later build without photos keeps it.
        assert built(catalogue, assets, capsys)["accept_at_least"] == found["accept_at_least"]


class TestSigning:
    def test_a_key_that_the_bundle_does_not_delegate_is_refused(
        self, catalogue: Path, assets: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        monkeypatch.setenv("PROMOLENS_GALLERY_SIGNING_KEY", generate_key().to_text())
        assert main(build(catalogue, assets)) == 3
        assert "that the bundle delegates" in capsys.readouterr().err
        assert not (assets / "gallery").exists()

    def test_verify(
        self, catalogue: Path, assets: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        verify = ["gallery", "verify", "--bundle", str(assets)]
        assert main(verify) == 3
        assert "Expected a gallery at" in capsys.readouterr().err
        built(catalogue, assets, capsys)
        assert main(verify) == 0
        assert "version 1 fits the bundle; 6 products" in capsys.readouterr().out
        vectors = assets / "gallery" / "vectors.bin"
        vectors.write_bytes(vectors.read_bytes()[:-1] + b"\7")
        assert main(verify) == 3
        assert "SHA-256" in capsys.readouterr().err

    def test_another_gallery_does_not_take_its_place(
        self, catalogue: Path, assets: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        built(catalogue, assets, capsys)
        assert main(build(catalogue, assets, "--id", "other")) == 3
        assert "whose versions would go on" in capsys.readouterr().err

    def test_a_full_disk_leaves_the_old_gallery(
        self, catalogue: Path, assets: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        built(catalogue, assets, capsys)
        before = {path.name: path.read_bytes() for path in (assets / "gallery").iterdir()}
        pattern(99).save(catalogue / "new-0.png")

        def full(descriptor: int) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr("promolens_runtime.whole_folder.os.fsync", full)
        assert main(build(catalogue, assets)) == 1
        assert "full disk" in capsys.readouterr().err
        monkeypatch.undo()
        assert {p.name: p.read_bytes() for p in (assets / "gallery").iterdir()} == before


class TestFolders:
    def test_names_decide(self, tmp_path: Path) -> None:
        products = {"a": Product("a", "1", ("8801234567893",)), "b": Product("b", "2")}
        for name in ("a.png", "8801234567893.jpg", "2.webp", "b/front.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
        (tmp_path / "notes.txt").write_text("not a picture")
        found = {
            picture.path.name: picture.product.item_id
            for picture in find_pictures(tmp_path, products)
        }
        assert found == {
            "a.png": "1", "8801234567893.jpg": "1", "2.webp": "2", "front.png": "2"
        }  # fmt: skip
        (tmp_path / "c.png").write_bytes(b"x")
        with pytest.raises(InputError, match=r"c\.png"):
            find_pictures(tmp_path, products)
        assert len(find_pictures(tmp_path, {})) == 5

    def test_empty_and_missing_folders(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="holds none"):
            find_pictures(tmp_path, {})
        with pytest.raises(InputError, match="is none"):
            find_pictures(tmp_path / "absent", {})

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("name\nx\n", "column label"),
            ("label\na\na\n", "once"),
            ("label,item_id\na,1\nb,1\n", "once"),
            ("label,barcodes\na,12x\n", "4 to 14 digits"),
            ("label,item_id\n,1\n", "a label"),
        ],
    )
    def test_bad_lists_are_refused(self, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "products.csv").write_text(text)
        with pytest.raises(InputError, match=words):
            read_products(tmp_path / "products.csv")


class TestQuality:
    def test_a_front_passes(self) -> None:
        assert quality_problem(np.asarray(pattern(1))) is None

    def test_what_shows_nothing_does_not(self) -> None:
        wall = np.random.default_rng(0).integers(118, 122, (200, 200, 3)).astype(np.uint8)
        sky = np.tile(np.linspace(60, 200, 200)[:, None, None], (1, 200, 3)).astype(np.uint8)
        assert "one colour" in str(quality_problem(wall))
        assert "gradient" in str(quality_problem(sky))
        assert "too long" in str(quality_problem(np.zeros((50, 400, 3), np.uint8)))


class TestRule:
    def test_by_hand(self) -> None:
        # 20 photos of three products. Own .9, the next .5: alone, a stranger has .5 with no lead.
        scores = np.tile([0.9, 0.5, 0.5], (20, 1))
        asked = ask(scores, np.zeros(20, int), [f"v{n}" for n in range(20)])
        assert asked.right.all()
        assert asked.lead == pytest.approx(np.full(20, 0.4))
        assert asked.stranger_cosine == pytest.approx(np.full(20, 0.5))
        rule = fit_rule(asked)
        assert rule.accept_at_least == pytest.approx(0.9)
        assert (rule.true_accept_rate, rule.false_accept_rate) == (1.0, 0.0)
        assert rule.override_margin == UNFITTED.override_margin

    def test_the_classifier_keeps_what_it_knows(self) -> None:
        # In one of 20 photos another product is .03 more similar: it must not overrule.
        scores = np.tile([0.9, 0.5, 0.5], (20, 1))
        scores[3] = [0.9, 0.93, 0.5]
        asked = ask(scores, np.zeros(20, int), [""] * 20)
        rule = fit_rule(asked, np.ones(20, bool))
        assert 0.03 < rule.override_margin < 0.0301

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 10_000))
    def test_at_least_95_percent_of_the_photos_are_accepted(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        scores = rng.uniform(-1, 1, (40, 5))
        asked = ask(scores, rng.integers(0, 5, 40), [""] * 40)
        rule = fit_rule(asked)
        accepted = (asked.cosine >= rule.accept_at_least) & (asked.lead >= rule.margin_at_least)
        assert accepted.mean() >= 0.95

    def test_too_little_to_say_anything(self) -> None:
        with pytest.raises(InputError, match="at least 20 photos"):
            fit_rule(ask(np.ones((5, 3)), np.zeros(5, int), [""] * 5))
        with pytest.raises(InputError, match="at least 3 products"):
            ask(np.ones((30, 2)), np.zeros(30, int), [""] * 30)


def test_a_gallery_of_another_bundle_is_refused(
    catalogue: Path, assets: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    built(catalogue, assets, capsys)
    bundle = read_bundle(assets, keys.own.public)
    files = dict(bundle.manifest.files)
    files["model.tflite"] = replace(files["model.tflite"], sha256="f" * 64)
    other = replace(bundle, manifest=replace(bundle.manifest, files=files))
    with pytest.raises(BundleError, match="of the model"):
        read_gallery(assets / "gallery", other)


def test_predict_says_who_answers(
    catalogue: Path, assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built(catalogue, assets, capsys)
    photo, broken = tmp_path / "photo.png", tmp_path / "broken.png"
    pattern(4, noise=10).save(photo)
    broken.write_bytes(b"x")
    words = ["predict", "--gallery", str(assets / "gallery"), str(assets), str(photo)]
    assert main([*words, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["gallery"][0]["item_id"] == "item-4"
    assert answer["known"] is (answer["by"] == "gallery")
    assert main([*words, str(broken)]) == 2
    shown = capsys.readouterr()
    assert "새 음료 4" in shown.out
    assert shown.err.count("error:") == 1
