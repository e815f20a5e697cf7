"""The reference client with a gallery: products that training never saw are named too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.bundle import Bundle
from promolens_runtime.embedder import Embedder
from promolens_runtime.gallery.fusion import Fused, fuse
from promolens_runtime.gallery.gallery import Gallery, Hit
from promolens_runtime.opened_model import Image, picture_tensor
from promolens_runtime.recognizer import Prediction, Recognizer


@dataclass(frozen=True)
class GalleryPrediction:
    """An answer.

    Attributes:
        fused: what to show, and who says so.
        classifier: what the bundle's classifier says.
        hits: the gallery's products, best first.
    """

    fused: Fused
    classifier: Prediction
    hits: tuple[Hit, ...]


class GalleryRecognizer:
    """A verified bundle with one of its galleries. Threads may share it; they take turns."""

    def __init__(self, bundle: Bundle, gallery: Gallery, *, num_threads: int = 2) -> None:
        """Open the models. Raises BundleError as `Recognizer` and `Embedder` do."""
        self.gallery = gallery
        self._recognizer = Recognizer(bundle, num_threads=num_threads)
        self._embedder = (
            None
            if gallery.manifest.role == "classifier"
            else Embedder(bundle, num_threads=num_threads)
        )

    @classmethod
    def of(
        cls, gallery: Gallery, recognizer: Recognizer, embedder: Embedder | None
    ) -> GalleryRecognizer:
        """Return one over models that are open already; several galleries may share them.

        `embedder` is the bundle's; needed where the gallery's role is not the classifier's.
        """
        made = cls.__new__(cls)
        made.gallery = gallery
        made._recognizer = recognizer
        made._embedder = None if gallery.manifest.role == "classifier" else embedder
        return made

    def predict(self, image: Image, *, top: int = 5) -> GalleryPrediction:
        """Name what a picture shows; see `Recognizer.predict` for `image` and errors."""
        spec = self._recognizer.manifest.preprocessing
        return self.predict_tensor(picture_tensor(image, spec), top=top)

    def predict_tensor(self, tensor: NDArray[np.uint8], *, top: int = 5) -> GalleryPrediction:
        """As `predict`, from what the manifest's preprocessing made of a picture elsewhere."""
        said = self._recognizer.predict_tensor(tensor, top=top)
        embedder = self._embedder
        embedding = said.embedding if embedder is None else embedder.embed_tensor(tensor)
        cosines = self.gallery.product_cosines(embedding)
        hits = self.gallery.best(cosines, top=max(top, 2))
        named = said.top[0].label if said.known else None
        place = None if named is None else self.gallery.place_of(named.item_id)
        own = None if place is None else float(cosines[place])
        fused = fuse(named, own, hits, self.gallery.manifest.answer)
        return GalleryPrediction(fused, said, hits[:top])
