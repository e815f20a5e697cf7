"""The reference client: from a picture to products, in the manifest's own terms (no TensorFlow)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.bundle import Bundle, read_bundle
from promolens_runtime.labels import Label
from promolens_runtime.manifest import UnknownRule
from promolens_runtime.opened_model import Image, OpenedModel, picture_tensor

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Candidate:
    """One product that the picture may show, with its probability in 0..1."""

    label: Label
    probability: float


@dataclass(frozen=True)
class Prediction:
    """An answer.

    Attributes:
        top: candidates, the most probable first; equal ones in output order.
        known: False when the picture is probably none of the products: say so to people.
        score: what the manifest's `unknown` rule compared with its `accept_at_least`.
        logits: float32 [classes], raw.
        embedding: float32 [dimensions], raw.
    """

    top: tuple[Candidate, ...]
    known: bool
    score: float
    logits: Floats
    embedding: Floats


class Recognizer:
    """A verified bundle, ready to answer. Threads may share it; they take turns."""

    def __init__(self, bundle: Bundle, *, num_threads: int = 2) -> None:
        """Open the classifier of a bundle and check it on its golden vectors.

        Raises BundleError when the model is not what the manifest says or computes otherwise here.
        """
        self.manifest = bundle.manifest
        entry = bundle.manifest.model("classifier")
        self.labels = bundle.labels(entry)
        self._model = OpenedModel(bundle, entry, num_threads=num_threads)

    @classmethod
    def open(
        cls,
        bundle_dir: Path,
        *,
        public_key: str | None = None,
        num_threads: int = 2,
        allow_unsigned: bool = False,
    ) -> Recognizer:
        """Verify the bundle in `bundle_dir` with `public_key` (`ed25519:<base64>`) and open it.

        Raises SignatureError or BundleError, and nothing of an unverified model is run.
        """
        bundle = read_bundle(bundle_dir, public_key, allow_unsigned=allow_unsigned)
        return cls(bundle, num_threads=num_threads)

    def predict(self, image: Image, *, top: int = 5) -> Prediction:
        """Name what a picture shows.

        `image` is a file, the bytes of one, or upright uint8 RGB pixels [h, w, 3].
        Raises ImageError when it is no picture within the limits.
        """
        return self.predict_tensor(picture_tensor(image, self.manifest.preprocessing), top=top)

    def predict_tensor(self, tensor: NDArray[np.uint8], *, top: int = 5) -> Prediction:
        """As `predict`, from what the manifest's preprocessing made of a picture elsewhere.

        `tensor` is uint8 [height_px, width_px, 3].
        """
        answer = self._model.run(tensor)
        logits, embedding = answer["logits"], answer["embedding"]
        probabilities = softmax(logits, self.manifest.temperature)
        best = np.argsort(-probabilities, kind="stable")[:top]
        score = unknown_score(logits, self.manifest.unknown)
        return Prediction(
            top=tuple(Candidate(self.labels[i], float(probabilities[i])) for i in best),
            known=score >= self.manifest.unknown.accept_at_least,
            score=score,
            logits=logits,
            embedding=embedding,
        )


def softmax(logits: Floats, temperature: float) -> NDArray[np.float64]:
    """Return exp(logits / temperature), normalised to sum 1."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max())
    return np.asarray(powers / powers.sum())


def unknown_score(logits: Floats, rule: UnknownRule) -> float:
    """Return the rule's score of raw logits: their largest, or log(sum(exp))."""
    largest = float(logits.max())
    if rule.score == "max_logit":
        return largest
    return largest + float(np.log(np.exp(logits.astype(np.float64) - largest).sum()))
