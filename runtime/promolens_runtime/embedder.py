"""From a picture to its embedding, by the model of a verified bundle (no TensorFlow)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.bundle import Bundle, read_bundle
from promolens_runtime.errors import BundleError
from promolens_runtime.manifest import ModelEntry
from promolens_runtime.manifest_embedding import read_offset
from promolens_runtime.opened_model import Image, OpenedModel, picture_tensor

ROLES = ("embedder", "classifier")


class Embedder:
    """A bundle's embedding model, ready to answer. Threads may share it; they take turns.

    Attributes:
        manifest: the bundle's.
        entry: the model: the bundle's embedder, or its classifier where it has none.
        model_sha256: hex SHA-256 of the model's file; vectors of different ones never mix.
        dimensions: numbers of an embedding.
        catalogue_offset: float32 `[dimensions]`, what `embed_catalogue` adds; None for nothing.
    """

    def __init__(self, bundle: Bundle, *, num_threads: int = 2) -> None:
        """Open the model and check it on its golden vectors.

        Raises BundleError when the model is not what the manifest says or computes otherwise here.
        """
        self.manifest = bundle.manifest
        self.entry = embedding_model(bundle)
        self.model_sha256 = bundle.manifest.files[self.entry.file].sha256
        self.dimensions = int(self.entry.tensor("embedding").shape[-1])
        self.catalogue_offset = catalogue_offset(bundle.files, self.entry)
        self._model = OpenedModel(bundle, self.entry, num_threads=num_threads)

    @classmethod
    def open(
        cls,
        bundle_dir: Path,
        *,
        public_key: str | None = None,
        num_threads: int = 2,
        allow_unsigned: bool = False,
    ) -> Embedder:
        """Verify the bundle in `bundle_dir` with `public_key` (`ed25519:<base64>`) and open it.

        Raises SignatureError or BundleError, and nothing of an unverified model is run.
        """
        bundle = read_bundle(bundle_dir, public_key, allow_unsigned=allow_unsigned)
        return cls(bundle, num_threads=num_threads)

    def embed(self, image: Image) -> NDArray[np.float32]:
        """Return the embedding, float32 `[dimensions]`, as the model gives it: not normalised.

        `image` is a file, the bytes of one, or upright uint8 RGB pixels [h, w, 3].
        Raises ImageError when it is no picture within the limits.
        """
        return self.embed_tensor(picture_tensor(image, self.manifest.preprocessing))

    def embed_catalogue(self, image: Image) -> NDArray[np.float32]:
        """As `embed`, for a shop's catalogue picture, which a shopper's photo is compared with.

        The two kinds have different means; the model's catalogue offset moves one onto the other.
        """
        embedding = self.embed(image)
        return embedding if self.catalogue_offset is None else embedding + self.catalogue_offset

    def embed_tensor(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `embed`, from what the manifest's preprocessing made of a picture elsewhere.

        `tensor` is uint8 [height_px, width_px, 3].
        """
        return np.asarray(self._model.run(tensor)["embedding"])


def catalogue_offset(files: Mapping[str, bytes], entry: ModelEntry) -> NDArray[np.float32] | None:
    """Return what catalogue pictures' embeddings get added, float32 `[width]`; None for nothing.

    Args:
        files: of the bundle, by name.

    Raises BundleError when the manifest names a file that holds no such numbers.
    """
    name = None if entry.embedding is None else entry.embedding.catalogue_offset_file
    if name is None or name not in files:
        return None
    return read_offset(files[name], entry.tensor("embedding").shape[-1])


def embedding_model(bundle: Bundle) -> ModelEntry:
    """Return the bundle's embedder, or its classifier, whose embedding serves too.

    Raises BundleError when it has neither.
    """
    for role in ROLES:
        for entry in bundle.manifest.models:
            if entry.role == role:
                return entry
    raise BundleError(
        f"Expected a bundle with an {ROLES[0]} or a {ROLES[1]}. Received neither. "
        "Use another bundle."
    )
