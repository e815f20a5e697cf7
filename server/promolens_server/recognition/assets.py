"""The bundle and the gallery of a folder, verified, and read again when they change."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.bundle import Bundle, read_bundle
from promolens_runtime.embedder import Embedder, embedding_model
from promolens_runtime.errors import BundleError, PromolensError
from promolens_runtime.folder import locate
from promolens_runtime.gallery.fusion import Fused
from promolens_runtime.gallery.gallery import Gallery, Hit, read_gallery
from promolens_runtime.gallery.recognizer import GalleryRecognizer
from promolens_runtime.manifest import MANIFEST_FILE
from promolens_runtime.quiet import quiet_stderr
from promolens_runtime.recognizer import Prediction, Recognizer
from promolens_runtime.signing import verification_key
from promolens_server.recognition.config import RecognitionConfig

GALLERY_FOLDER = "gallery"
_LOOK_AGAIN_S = 1.0
_log = logging.getLogger(__name__)

Stamp = tuple[int, ...] | None


@dataclass(frozen=True)
class Said:
    """What the models and the gallery say of a picture.

    Attributes:
        fused: what to show, and who says so.
        classifier: what the classifier says.
        hits: the gallery's products, best first; empty without a gallery.
    """

    fused: Fused
    classifier: Prediction
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Loaded:
    """A verified bundle with its models open, and its gallery. Safe to share between threads.

    Attributes:
        bundle: as read.
        recognizer, embedder: its models; `embedder` is None where the classifier embeds too.
        model_sha256: of the model whose embeddings are searched.
        dimensions: numbers of an embedding.
        gallery: None where there is none that can be used.
        gallery_problem: why the gallery that lies there is not used; empty where it is.
    """

    bundle: Bundle
    recognizer: Recognizer
    embedder: Embedder | None
    model_sha256: str
    dimensions: int
    gallery: Gallery | None = None
    gallery_problem: str = ""

    @property
    def whole(self) -> bool:
        """Whether pictures are decoded at full size, as `GalleryRecognizer` does for two models."""
        return self.gallery is not None and self.gallery.manifest.role != "classifier"

    def recognise(self, tensor: NDArray[np.uint8], top: int) -> Said:
        """Name what a prepared picture shows (uint8 `[h, w, 3]`)."""
        if self.gallery is None:
            said = self.recognizer.predict_tensor(tensor, top=top)
            product = said.top[0].label if said.known else None
            return Said(Fused(product, "classifier" if said.known else "nobody"), said, ())
        fusing = GalleryRecognizer.of(self.gallery, self.recognizer, self.embedder)
        found = fusing.predict_tensor(tensor, top=top)
        return Said(found.fused, found.classifier, found.hits)

    def embed(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the embedding of a prepared picture, float32 `[dimensions]`, not normalised."""
        if self.embedder is not None:
            return self.embedder.embed_tensor(tensor)
        return self.recognizer.predict_tensor(tensor, top=1).embedding


class Assets:
    """What lies in the configured folders now. Safe to share between threads.

    Raises:
        BundleError: the bundle cannot be trusted or used. A gallery that cannot be used is left
            out, and `Loaded.gallery_problem` says why.
    """

    def __init__(self, config: RecognitionConfig) -> None:
        assert config.assets is not None
        self._config = config
        self._key = verification_key(config.public_key)
        folder = locate(config.assets)
        self._bundle_folder = folder
        beside = folder.parent if folder.name == "bundle" else folder
        self._gallery_folder = config.gallery or beside / GALLERY_FOLDER
        self._turn = threading.Lock()
        self._look_at_s = time.monotonic() + _LOOK_AGAIN_S
        self._seen = self._stamps()
        self.bundle_problem = ""
        with quiet_stderr():  # LiteRT says on stderr which delegate it made
            self._loaded = self._with_gallery(self._opened(None), None)

    def current(self) -> Loaded:
        """Return what to answer with, after a look at the folders at most once a second.

        A bundle or gallery that cannot be used, or is older than the one in use, changes nothing.
        """
        now_s = time.monotonic()
        if now_s >= self._look_at_s and self._turn.acquire(blocking=False):
            try:
                self._look_at_s = now_s + _LOOK_AGAIN_S
                self._look_again()
            finally:
                self._turn.release()
        return self._loaded

    def _look_again(self) -> None:
        stamps = self._stamps()
        if stamps == self._seen:
            return
        bundle_changed = stamps[0] != self._seen[0]
        self._seen = stamps
        before = self._loaded
        loaded = before
        if bundle_changed:
            try:
                loaded = self._opened(before)
                self.bundle_problem = ""
            except (PromolensError, OSError) as error:
                self.bundle_problem = str(error)
                _log.error("bundle not read again: %s", error)
        self._loaded = self._with_gallery(loaded, before.gallery)

    def _opened(self, before: Loaded | None) -> Loaded:
        bundle = read_bundle(
            self._bundle_folder, self._key, allow_unsigned=self._config.allow_unsigned
        )
        if before is not None:
            _refuse_downgrade(bundle, before.bundle)
        threads = self._config.model_threads
        recognizer = Recognizer(bundle, num_threads=threads)
        entry = embedding_model(bundle)
        own = entry.role == "classifier"
        return Loaded(
            bundle,
            recognizer,
            None if own else Embedder(bundle, num_threads=threads),
            bundle.manifest.files[entry.file].sha256,
            int(entry.tensor("embedding").shape[-1]),
        )

    def _with_gallery(self, loaded: Loaded, before: Gallery | None) -> Loaded:
        """Return the bundle with the folder's gallery; with the one before if that is no good."""
        usable = before if before is not None and _fits(before, loaded) else None
        if _stamp(self._gallery_folder) is None:
            return replace(loaded, gallery=usable, gallery_problem="")
        installed = 0 if usable is None else usable.manifest.version
        try:
            gallery = read_gallery(self._gallery_folder, loaded.bundle, installed_version=installed)
        except (PromolensError, OSError) as error:
            _log.error("gallery not read: %s", error)
            return replace(loaded, gallery=usable, gallery_problem=str(error))
        return replace(loaded, gallery=gallery, gallery_problem="")

    def _stamps(self) -> tuple[Stamp, Stamp]:
        return _stamp(self._bundle_folder), _stamp(self._gallery_folder)


def _fits(gallery: Gallery, loaded: Loaded) -> bool:
    entry = loaded.bundle.manifest.model(gallery.manifest.role)
    return loaded.bundle.manifest.files[entry.file].sha256 == gallery.manifest.model_sha256


def _refuse_downgrade(bundle: Bundle, before: Bundle) -> None:
    now, was = bundle.manifest, before.manifest
    if now.bundle_id == was.bundle_id and now.version < was.version:
        raise BundleError(
            f"Expected a bundle of version {was.version} or later, which is in use. Received "
            f"{now.version}. Start the service again if that is meant."
        )


def _stamp(folder: Path) -> Stamp:
    try:
        found = (folder / MANIFEST_FILE).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
