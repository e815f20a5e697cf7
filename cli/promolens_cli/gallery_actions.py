"""Actions of `promolens gallery`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promolens_cli.crawl_places import opened_database
from promolens_runtime.errors import BundleError, InputError

if TYPE_CHECKING:
    from promolens_retrieval.gallery.artefact import Draft, WrittenGallery
    from promolens_retrieval.gallery.build import BuildReport, Read, Refused
    from promolens_retrieval.gallery.pictures import CataloguePicture
    from promolens_retrieval.gallery.products import Product
    from promolens_retrieval.index import VectorIndex
    from promolens_runtime.bundle import Bundle
    from promolens_runtime.embedder import Embedder
    from promolens_runtime.gallery.manifest import AnswerRule

PRODUCTS_FILE = "products.csv"
_SHOWN = 10


def build(args: argparse.Namespace) -> int:
    """Embed catalogue pictures and write the gallery."""
    from promolens_retrieval.gallery import build as building
    from promolens_training.progress import progress

    bundle, embedder = _opened(args)
    with _found(args, bundle) as found, _index(args, embedder) as index:
        with progress("Embedding", len(found.pictures)) as bar:
            report = building.build(
                index, embedder, found.pictures, read=found.read, done=bar.advance
            )
        report = replace(report, refused=(*found.missing, *report.refused))
        pairs = building.alike(index)
        written = _write(args, index, bundle, embedder)
    for one, other, cosine in pairs[:_SHOWN]:
        print(
            f"warning: {one} and {other} look alike to this model (cosine {cosine:.3f}): it cannot "
            "tell them apart",
            file=sys.stderr,
        )
    return _answer(args, report, written)


def add(args: argparse.Namespace) -> int:
    """Add photos of one product and write the gallery."""
    from promolens_retrieval.gallery import build as building

    bundle, embedder = _opened(args)
    with _index(args, embedder) as index:
        product = _named(index, bundle, args.product)
        report = building.add(index, embedder, args.photos, product)
        written = _write(args, index, bundle, embedder)
    return _answer(args, report, written)


def verify(args: argparse.Namespace) -> int:
    """Check a gallery as phones do."""
    from promolens_runtime.gallery.gallery import read_gallery

    bundle, _ = _opened(args)
    folder = args.gallery or _assets(args.bundle) / "gallery"
    if not folder.is_dir():
        raise BundleError(
            f"Expected a gallery at {folder}. Received no folder. Make one: promolens gallery build"
        )
    manifest = read_gallery(folder, bundle).manifest
    facts = {
        "gallery_id": manifest.gallery_id,
        "version": manifest.version,
        "products": manifest.products,
        "vectors": manifest.count,
        "signed": manifest.signing_key is not None,
    }
    if args.json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
    else:
        print(
            f"{folder}: gallery {manifest.gallery_id!r} version {manifest.version} fits the "
            f"bundle; {manifest.products} products, {manifest.count} pictures"
        )
    return 0


@dataclass(frozen=True)
class _Found:
    """Pictures to build from, what is missing, and how they are decoded (None: right here)."""

    pictures: Sequence[CataloguePicture]
    missing: tuple[Refused, ...] = ()
    read: Read | None = None


@contextmanager
def _found(args: argparse.Namespace, bundle: Bundle) -> Iterator[_Found]:
    from promolens_retrieval.gallery.pictures import find_pictures

    if not args.from_catalog:
        yield _Found(find_pictures(args.pictures, _products(args)))
        return
    if args.products is not None:
        raise InputError(
            "Expected --products or --from-catalog. Received both. Leave one out: the catalog "
            "names its products itself."
        )
    from promolens_cli.gallery_catalog import fetched, guarded_reading

    found = fetched(args)
    with guarded_reading(bundle) as read:
        yield _Found(found.pictures, found.missing, read)


def _assets(bundle: Path) -> Path:
    return bundle.parent if bundle.name == "bundle" else bundle


def _opened(args: argparse.Namespace) -> tuple[Bundle, Embedder]:
    from promolens_cli.recognizers import open_bundle, open_embedder

    bundle = open_bundle(args)
    return bundle, open_embedder(bundle)


@contextmanager
def _index(args: argparse.Namespace, embedder: Embedder) -> Iterator[VectorIndex]:
    from promolens_retrieval.faiss_index import FaissIndex
    from promolens_retrieval.gallery.build import space_of

    with opened_database(args) as database:
        index = FaissIndex(database, space_of(args.id, embedder))
        try:
            yield index
        finally:
            index.close()


def _products(args: argparse.Namespace) -> dict[str, Product]:
    from promolens_retrieval.gallery.products import read_products

    if args.products is not None:
        return read_products(args.products)
    for folder in (args.pictures, args.pictures.parent):
        if (folder / PRODUCTS_FILE).is_file():
            return read_products(folder / PRODUCTS_FILE)
    return {}


def _named(index: VectorIndex, bundle: Bundle, name: str) -> Product:
    """Return the product of that id, label or barcode, in the gallery or in the bundle."""
    from promolens_retrieval.gallery.build import products_of
    from promolens_retrieval.gallery.products import Product

    known = list(products_of(index))
    known += [
        Product(one.label, one.item_id, one.barcodes, one.name_ko, one.name_en, one.parent)
        for entry in bundle.manifest.models
        for one in bundle.labels(entry)
    ]
    for product in known:
        if name in (product.item_id, product.label, *product.barcodes):
            return product
    raise InputError(
        f"Expected the id, label or barcode of a product of the gallery or the bundle. Received "
        f"{name[:80]!r}, which neither has. Build the gallery with its catalogue picture first."
    )


def _write(
    args: argparse.Namespace, index: VectorIndex, bundle: Bundle, embedder: Embedder
) -> WrittenGallery:
    from promolens_retrieval.gallery import artefact
    from promolens_retrieval.gallery.rule import UNFITTED
    from promolens_runtime.signing import gallery_signing_key

    folder = args.out or _assets(args.bundle) / artefact.GALLERY_FOLDER
    old = artefact.previous_manifest(folder)
    kept = old.answer if old and old.model_sha256 == embedder.model_sha256 else UNFITTED
    made = artefact.draft(index, args.id, embedder.entry.role, kept)
    photos = args.photos if args.action == "build" else None
    if photos is not None:
        rule = _fitted(args, made, bundle, embedder)
        made = artefact.draft(index, args.id, embedder.entry.role, rule)
    elif kept is UNFITTED:
        print(
            "note: Nothing was measured on photos, so answers are accepted cautiously. Give "
            "labelled photos of some products with --photos.",
            file=sys.stderr,
        )
    key = None if args.unsigned else gallery_signing_key()
    if key is not None:
        _check_delegation(bundle, key.key.public)
    return artefact.write_gallery(folder, made, None if key is None else key.key)


def _check_delegation(bundle: Bundle, public: str) -> None:
    delegated = bundle.manifest.delegated_keys.get("gallery")
    if delegated != public:
        raise BundleError(
            f"Expected the gallery key that the bundle delegates ({delegated or 'none'}). Received "
            f"{public}. Set PROMOLENS_GALLERY_SIGNING_KEY to its private half, or export the "
            "bundle again with PROMOLENS_GALLERY_PUBLIC_KEY."
        )


def _fitted(
    args: argparse.Namespace, made: Draft, bundle: Bundle, embedder: Embedder
) -> AnswerRule:
    from promolens_training.data.load import load_photo_set
    from promolens_training.evaluation.bundle import choose_split
    from promolens_training.evaluation.gallery import fit_on_photos
    from promolens_training.progress import progress

    _, photos = choose_split(load_photo_set(args.photos), args.split)
    with progress("Asking", len(photos)) as bar:
        return fit_on_photos(made.gallery(), bundle, embedder, photos, bar.advance)


def _answer(args: argparse.Namespace, report: BuildReport, written: WrittenGallery) -> int:
    for refused in report.refused[:_SHOWN]:
        print(f"warning: left out {refused.path}: {refused.reason}", file=sys.stderr)
    manifest, rule = written.manifest, written.manifest.answer
    facts: dict[str, Any] = {
        "folder": str(written.folder),
        "gallery_id": manifest.gallery_id,
        "version": manifest.version,
        "unchanged": written.unchanged,
        "embedded": report.embedded,
        "kept": report.kept,
        "removed": report.removed,
        "refused": [{"path": str(one.path), "reason": one.reason} for one in report.refused],
        "products": manifest.products,
        "vectors": manifest.count,
        "accept_at_least": rule.accept_at_least,
        "true_accept_rate": rule.true_accept_rate,
        "false_accept_rate": rule.false_accept_rate,
    }
    if args.json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
        return 0
    print(
        f"{written.folder}: version {manifest.version}{' (unchanged)' * written.unchanged}, "
        f"{manifest.products} products, {manifest.count} pictures; {report.embedded} embedded, "
        f"{report.kept} kept, {report.removed} removed, {len(report.refused)} left out"
    )
    if rule.true_accept_rate is not None and rule.false_accept_rate is not None:
        print(
            f"answers count from cosine {rule.accept_at_least:.3f} with a lead of "
            f"{rule.margin_at_least:.2f}: {rule.true_accept_rate:.1%} of {rule.n_known} photos, "
            f"and {rule.false_accept_rate:.1%} of them when their own product is left out"
        )
    return 0
