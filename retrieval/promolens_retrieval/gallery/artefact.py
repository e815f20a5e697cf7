"""Stored vectors to the signed folder that phones get."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from promolens_retrieval.gallery.products import Product, unique
from promolens_retrieval.index import VectorIndex
from promolens_runtime.errors import BundleError, InputError
from promolens_runtime.folder import read_file
from promolens_runtime.gallery.gallery import Gallery, gallery_of, products_file, vectors_file
from promolens_runtime.gallery.manifest import (
    PRODUCTS_FILE,
    VECTORS_FILE,
    AnswerRule,
    GalleryManifest,
)
from promolens_runtime.gallery.vectors import quantise, unit
from promolens_runtime.manifest import MANIFEST_FILE, SIGNATURE_FILE, FileEntry
from promolens_runtime.signing import SigningKey, sign
from promolens_runtime.whole_folder import finish_swap, has_content, replace_folder

GALLERY_FOLDER = "gallery"


@dataclass(frozen=True)
class WrittenGallery:
    """Where the gallery is, its manifest, and whether it was there already, byte for byte."""

    folder: Path
    manifest: GalleryManifest
    unchanged: bool


@dataclass(frozen=True)
class Draft:
    """A gallery before it has a version: its files, and everything else that its manifest says."""

    manifest: GalleryManifest
    files: Mapping[str, bytes]

    def gallery(self) -> Gallery:
        """Return it as a reader would have it."""
        return gallery_of(self.manifest, self.files)


def draft(index: VectorIndex, gallery_id: str, role: str, rule: AnswerRule) -> Draft:
    """Return the gallery that a space holds: a product's pictures side by side, by item id.

    Args:
        role: of the model in its bundle, "embedder" or "classifier".

    Raises:
        InputError: the space is empty.
    """
    stored = index.fetch(index.keys())
    if not len(stored):
        raise InputError(
            "Expected stored pictures. Received an empty gallery. Build it: promolens gallery build"
        )
    products = unique(Product.of(one.item_id, one.attributes) for one in stored.entries)
    place = {product.item_id: number for number, product in enumerate(products)}
    owners = np.array([place[entry.item_id] for entry in stored.entries])
    names = np.array([entry.image_id for entry in stored.entries])
    order = np.lexsort((names, owners))
    vectors = quantise(unit(stored.units[order].astype(np.float32)))
    files = {
        VECTORS_FILE: vectors_file(vectors, owners[order]),
        PRODUCTS_FILE: products_file(
            tuple(product.as_label(number) for number, product in enumerate(products))
        ),
    }
    manifest = GalleryManifest(
        gallery_id=gallery_id,
        version=1,
        model_sha256=index.space.model_id,
        role=role,
        dimensions=index.space.dim,
        count=len(stored),
        products=len(products),
        centred=False,
        answer=rule,
        files={name: _entry(data) for name, data in files.items()},
        signing_key=None,
    )
    return Draft(manifest, files)


def previous_manifest(folder: Path) -> GalleryManifest | None:
    """Return the manifest of the gallery in `folder`, None where there is none.

    Raises:
        BundleError: something else lies there; its version cannot be known.
    """
    finish_swap(folder)
    if not os.path.lexists(folder):
        return None
    try:
        return GalleryManifest.from_bytes(read_file(folder, MANIFEST_FILE))
    except BundleError as error:
        raise BundleError(
            f"Expected a gallery or nothing in {folder}. Received something else ({error}) "
            "Move it away, or choose another --out."
        ) from error


def write_gallery(folder: Path, made: Draft, key: SigningKey | None) -> WrittenGallery:
    """Write the gallery whole or not at all; its version rises only with its content.

    Args:
        key: None writes an unsigned one, which only readers of an unsigned bundle take.

    Raises:
        BundleError: what lies in `folder` is no gallery, or one of another name.
        OSError: the disk is full or the folder cannot be written; the old one is untouched.
    """
    old = previous_manifest(folder)
    if old is not None and old.gallery_id != made.manifest.gallery_id:
        raise BundleError(
            f"Expected the gallery {old.gallery_id!r} in {folder}, whose versions would go on. "
            f"Received {made.manifest.gallery_id!r}. Choose another --out, or the same --id."
        )
    version = 1 if old is None else old.version
    content = _signed(made, version, key)
    if old is not None:
        if has_content(folder, content):
            return WrittenGallery(folder, _manifest(content), True)
        content = _signed(made, version + 1, key)
    replace_folder(folder, content, lambda work: None)
    return WrittenGallery(folder, _manifest(content), False)


def _signed(made: Draft, version: int, key: SigningKey | None) -> dict[str, bytes]:
    public = None if key is None else key.public
    manifest = replace(made.manifest, version=version, signing_key=public).to_bytes()
    content = {**made.files, MANIFEST_FILE: manifest}
    return content if key is None else {**content, SIGNATURE_FILE: sign(manifest, key)}


def _manifest(content: Mapping[str, bytes]) -> GalleryManifest:
    return GalleryManifest.from_bytes(content[MANIFEST_FILE])


def _entry(data: bytes) -> FileEntry:
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))
