"""What the tests of questions with pictures share: a bundle, its gallery, a service over them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from bundle_files import write_bundle
from catalog_support import NOW
from conftest import Keys
from promolens_catalog.database import open_database
from promolens_retrieval.faiss_index import FaissIndex
from promolens_retrieval.gallery import artefact, build
from promolens_retrieval.gallery.pictures import CataloguePicture
from promolens_retrieval.gallery.products import Product
from promolens_retrieval.gallery.rule import UNFITTED
from promolens_runtime.bundle import read_bundle
from promolens_runtime.embedder import Embedder
from promolens_runtime.manifest import Manifest
from promolens_runtime.signing import SigningKey, generate_key
from promolens_server.config import ServerConfig
from promolens_server.factory import create_app
from promolens_server.recognition.config import BatchConfig, RecognitionConfig
from promolens_server.services import Clock, Services, open_services
from server_support import config_for

CORPUS = "gallery.default"


def pattern(number: int, noise: int = 0) -> Image.Image:
    """A product's front: large squares of its own colours, with the noise of one photo."""
    colours = np.random.default_rng(1000 + number).integers(0, 256, (3, 3, 3))
    pixels = np.kron(colours, np.ones((24, 24, 1)))
    pixels += np.random.default_rng(number).integers(-noise, noise + 1, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return the bytes of a picture file."""
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


@dataclass(frozen=True)
class Desk:
    """A folder with a bundle that knows none of the patterns, and what makes its gallery.

    Attributes:
        folder: with `bundle/` and `gallery/`.
        database_url: of the catalog with the vectors.
    """

    folder: Path
    database_url: str
    public_key: str
    gallery_key: SigningKey

    def build_gallery(self, numbers: Sequence[int]) -> None:
        """Make the gallery of these patterns, as `promolens gallery build` does."""
        bundle = read_bundle(self.folder, self.public_key)
        embedder = Embedder(bundle, num_threads=1)
        pictures = self.folder.parent / "catalogue"
        pictures.mkdir(exist_ok=True)
        found = []
        for number in numbers:
            path = pictures / f"{number}.png"
            pattern(number).save(path)
            found.append(CataloguePicture(path, product(number)))
        database = open_database(self.database_url)
        index = FaissIndex(database, build.space_of("default", embedder))
        build.build(index, embedder, found)
        made = artefact.draft(index, "default", embedder.entry.role, UNFITTED)
        artefact.write_gallery(self.folder / "gallery", made, self.gallery_key)
        index.close()
        database.close()

    def config(self, **changes: Any) -> RecognitionConfig:
        """Return a configuration that trusts this folder."""
        usual = RecognitionConfig(
            assets=self.folder,
            public_key=self.public_key,
            decode_s=60,
            queue_s=60,
            batches=BatchConfig(folder=self.folder.parent / "batches"),
        )
        return replace(usual, **changes)

    def server_config(self, recognition: RecognitionConfig, **changes: Any) -> ServerConfig:
        """Return a configuration of the whole service."""
        return config_for(self.database_url, recognition=recognition, **changes)


def product(number: int) -> Product:
    """Return the product of a pattern."""
    return Product(
        f"new-{number}", f"fresh-{number}", (f"880000000000{number}",), f"새 음료 {number}"
    )


def make_desk(
    folder: Path, database_url: str, model: bytes, manifest: Manifest, keys: Keys
) -> Desk:
    """Write a signed bundle that delegates a gallery key, and the gallery of patterns 0 to 3."""
    gallery_key = generate_key()
    unknown = replace(manifest.unknown, accept_at_least=1e6)
    delegating = replace(manifest, unknown=unknown, delegated_keys={"gallery": gallery_key.public})
    write_bundle(folder / "assets" / "bundle", delegating, model, keys.own)
    desk = Desk(folder / "assets", database_url, keys.own.public, gallery_key)
    desk.build_gallery(range(4))
    return desk


@pytest.fixture
def desk(
    tmp_path: Path, sqlite_url: str, tiny_model_bytes: bytes, tiny_manifest_template: Manifest,
    keys: Keys,
) -> Desk:  # fmt: skip
    """A desk on a fresh catalog."""
    return make_desk(tmp_path, sqlite_url, tiny_model_bytes, tiny_manifest_template, keys)


@contextmanager
def asking(
    desk: Desk, clock: Clock = lambda: NOW, **changes: Any
) -> Iterator[tuple[TestClient, Services]]:
    """Give a client of a service on a desk, in this process."""
    others = {name: changes.pop(name) for name in ("rate", "keys") if name in changes}
    config = desk.server_config(desk.config(**changes), **others)
    services = open_services(config, clock)
    try:
        with TestClient(create_app(services)) as client:
            yield client, services
    finally:
        services.close()
