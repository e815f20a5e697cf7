"""The gallery of `promolens demo`: what is offered, once, and what leaves it out."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app_shell_support import shop_bundle
from conftest import Keys
from demo_support import mosaics
from promolens_cli.demo_gallery import signing_key_of
from promolens_cli.demo_steps import Steps
from promolens_demo.catalogue import Product, make_catalogue
from promolens_demo.newcomers import COUNT, newcomers
from promolens_demo.sheet.pictures import SheetPictures
from promolens_demo.shops.assortment import SHOPS, Assortment, list_of
from promolens_demo.strangers import look_alikes, others
from promolens_runtime.bundle import Bundle, read_bundle
from promolens_runtime.embedder import Embedder
from promolens_runtime.errors import BundleError
from promolens_runtime.gallery.gallery import read_gallery
from promolens_runtime.manifest import Manifest
from promolens_runtime.signing import generate_key
from promolens_server.bundles.store import GALLERIES, ArtefactStore

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Desk:
    """A demo whose bundle is offered, with pictures of six newcomers."""

    steps: Steps
    bundle: Bundle
    products: tuple[Product, ...]
    pictures: SheetPictures

    @property
    def store(self) -> ArtefactStore:
        return ArtefactStore(self.steps.state / "bundles", GALLERIES)

    def offer(self) -> bool:
        """Run the step; tells whether the gallery names them."""
        return tuple(self.steps.gallery(self.bundle, self.products, self.pictures)) == self.products


@pytest.fixture
def desk(
    tmp_path: Path,
    keys: Keys,
    tiny_model_bytes: bytes,
    tiny_manifest_template: Manifest,
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    key = generate_key()
    monkeypatch.setenv("PROMOLENS_GALLERY_SIGNING_KEY", key.to_text())
    manifest = replace(tiny_manifest_template, delegated_keys={"gallery": key.public})
    folder = shop_bundle(tmp_path / "assets/bundle", tiny_model_bytes, manifest, keys.own)
    bundle = read_bundle(folder, keys.own.public)
    steps = Steps(tmp_path / "assets", tmp_path / "state", NOW)
    steps.offer(bundle)
    products = newcomers(240)[:6]
    pictures = tmp_path / "state/pictures"
    pictures.mkdir()
    mosaics(pictures, products)
    return Desk(steps, bundle, products, SheetPictures(pictures))


def test_it_is_offered_once_and_names_its_products(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.offer()
    assert "version 1, 6 products from one picture each" in capsys.readouterr().err
    channel = desk.store.channel("stable")
    assert channel.current is not None
    gallery = read_gallery(desk.steps.state / "gallery", desk.bundle)
    embedder = Embedder(desk.bundle)
    for product in desk.products:
        best = gallery.search(embedder.embed(desk.pictures.file(product)))[0].product
        assert (best.item_id, best.barcodes) == (product.item_id, (product.barcode,))
        assert best.name_ko == product.name_ko
    assert desk.offer()
    assert "6 products, to all phones already" in capsys.readouterr().err
    assert desk.store.channel("stable").deeds == channel.deeds, "nothing was published again"


def test_a_new_start_of_the_demo_offers_the_same_gallery(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.offer()
    desk.steps.forget()
    desk.steps.offer(desk.bundle)
    assert desk.offer()
    # Phones that have version 1 would refuse another version 1.
    assert "version 1, 6 products" in capsys.readouterr().err


def test_other_products_are_a_newer_version(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.offer()
    assert replace(desk, products=desk.products[:5]).offer()
    assert "version 2, 5 products" in capsys.readouterr().err


def test_a_gallery_that_somebody_publishes_there_stays(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    from promolens_cli.main import main

    named = desk.steps.state / "mine"
    named.mkdir()
    for product in desk.products:
        (named / f"{product.barcode}.png").write_bytes(desk.pictures.png(product))
    database = str(desk.steps.state / "mine.db")
    store = str(desk.steps.state / "bundles")
    assets = str(desk.steps.assets)
    checked = ["--public-key", str(desk.bundle.signed_by)]
    words = ["gallery", "build", str(named), "--bundle", assets, "--database", database]
    assert main([*words, *checked]) == 0
    assert main(["gallery", "publish", f"{assets}/gallery", "--store", store, *checked]) == 0
    capsys.readouterr()
    assert not desk.offer()
    assert "not offered: Expected" in capsys.readouterr().err
    assert desk.store.channel("stable").name == "default"


def test_a_damaged_gallery_is_made_anew(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.offer()
    vectors = desk.steps.state / "gallery/vectors.bin"
    vectors.write_bytes(vectors.read_bytes()[:-1])
    assert desk.offer()
    read_gallery(desk.steps.state / "gallery", desk.bundle)
    assert "version 2, 6 products" in capsys.readouterr().err


def test_a_bundle_that_trusts_another_gallery_key_has_none_in_one_line(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROMOLENS_GALLERY_SIGNING_KEY", generate_key().to_text())
    assert desk.steps.newcomers(desk.bundle) == ()
    (line,) = capsys.readouterr().err.splitlines()
    assert "left out: Expected a bundle that lets this machine's key sign galleries" in line
    assert desk.steps.gallery(desk.bundle, (), desk.pictures) == ()
    assert not (desk.steps.state / "gallery").exists()


def test_a_bundle_that_makes_no_embeddings_has_none(desk: Desk) -> None:
    assert signing_key_of(desk.bundle).public == desk.bundle.manifest.delegated_keys["gallery"]
    bare = replace(desk.bundle, manifest=replace(desk.bundle.manifest, models=()))
    with pytest.raises(BundleError, match="an embedder or a classifier"):
        signing_key_of(bare)


def test_newcomers_are_sold_and_were_shown_to_nobody() -> None:
    new = newcomers(240)
    ids = {one.item_id for one in new}
    assert len(ids) == COUNT == 24
    shown = {one.item_id for one in make_catalogue()}
    for half in (0, 1):
        shown |= {one.product.item_id for one in (*look_alikes(half), *others(half))}
    assert not ids & shown
    for month in ("2026-11", "2026-12"):
        sold = {row.barcode for chain in SHOPS for row in list_of(Assortment(), chain, month)}
        assert len(sold & {one.barcode for one in new}) >= 18, "most have a promotion"


def test_what_the_bundle_was_taught_is_no_newcomer(desk: Desk) -> None:
    first = newcomers(240)[0]
    assert first not in newcomers(240, {first.barcode})
    labels = (desk.bundle.folder / "labels.json").read_text("utf-8")
    taught = {code for one in json.loads(labels)["classes"] for code in one["barcodes"]}
    assert taught
    assert not taught & {one.barcode for one in desk.steps.newcomers(desk.bundle)}
