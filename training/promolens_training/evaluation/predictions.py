"""What a model said about labelled photos, kept so that every figure can be computed again."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import BundleError, InputError
from promolens_training.data.photos import Photo, ProductClass
from promolens_training.files import write_atomically

if TYPE_CHECKING:
    from promolens_runtime.preprocess import Preprocessing
    from promolens_runtime.recognizer import Recognizer

UNKNOWN = -1
# Threads that decode pictures; decoding releases Python's lock.
DECODERS = 2
# Called with the number of photos just finished.
Done = Callable[[int], object]


def _quiet(count: int) -> None:
    del count


@dataclass(frozen=True)
class Predictions:
    """One model's answers for n photos.

    Attributes:
        logits: float32 `[n, c]`, before any temperature.
        labels: int64 `[n]`, the right class, -1 for an object that the model was never taught.
        sources: what photos belong together; an empty name stands alone.
        paths: the files, for the pictures of a report.
        embeddings: float32 `[n, d]`, None where the model has no such output.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    sources: tuple[str, ...]
    paths: tuple[Path, ...]
    embeddings: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Check shapes and ranges; raise InputError where they do not fit."""
        n = len(self.labels)
        lengths = {len(self.logits), n, len(self.sources), len(self.paths)}
        if self.embeddings is not None:
            lengths.add(len(self.embeddings))
        if self.logits.ndim != 2 or lengths != {n}:
            raise InputError(
                f"Expected logits [n, c] and as many labels, sources and paths. Received logits "
                f"{self.logits.shape}, {n} labels, {len(self.sources)} sources, "
                f"{len(self.paths)} paths. Make the predictions again."
            )
        if n and not (UNKNOWN <= self.labels.min() <= self.labels.max() < self.logits.shape[1]):
            raise InputError(
                f"Expected labels from -1 to {self.logits.shape[1] - 1}. Received "
                f"{self.labels.min()} to {self.labels.max()}. Use the classes of this model."
            )
        if not np.isfinite(self.logits).all():
            raise InputError(
                "Expected finite logits. Received NaN or infinity. "
                "The model is broken: train or convert it again."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[Any] | Sequence[int]) -> Predictions:
        """Return the photos at `indices` (or where a bool array is true), in that order."""
        chosen = np.arange(len(self))[np.asarray(indices)] if len(self) else np.arange(0)
        return Predictions(
            self.logits[chosen],
            self.labels[chosen],
            tuple(self.sources[index] for index in chosen),
            tuple(self.paths[index] for index in chosen),
            None if self.embeddings is None else self.embeddings[chosen],
        )

    def known(self) -> Predictions:
        """Return the photos of taught classes."""
        return self.take(self.labels != UNKNOWN)

    def unknown(self) -> Predictions:
        """Return the photos of objects that the model was never taught."""
        return self.take(self.labels == UNKNOWN)


def _write(predictions: Predictions, file: BinaryIO) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "logits": predictions.logits,
        "labels": predictions.labels,
        # Fixed-width text, so that reading needs no pickle.
        "sources": np.array(predictions.sources, dtype=np.str_),
        "paths": np.array([os.fspath(path) for path in predictions.paths], dtype=np.str_),
    }
    if predictions.embeddings is not None:
        arrays["embeddings"] = predictions.embeddings
    np.savez_compressed(file, allow_pickle=False, **arrays)


def save_predictions(predictions: Predictions, path: Path) -> None:
    """Write one .npz atomically: what was at `path` stays until the new file is complete."""
    write_atomically(path, lambda file: _write(predictions, file))


def load_predictions(path: Path) -> Predictions:
    """Read what `save_predictions` wrote; raise InputError where it is anything else."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            embeddings = stored["embeddings"] if "embeddings" in stored.files else None
            return Predictions(
                stored["logits"].astype(np.float32),
                stored["labels"].astype(np.int64),
                tuple(str(source) for source in stored["sources"]),
                tuple(Path(str(name)) for name in stored["paths"]),
                embeddings,
            )
    except InputError:
        raise
    # np.load raises a different error for each kind of damage.
    except Exception as error:
        raise InputError(
            f"Expected saved predictions (.npz). Received {path} ({error}). Make them again."
        ) from error


def class_indices(photos: Sequence[Photo], classes: Sequence[ProductClass]) -> NDArray[np.int64]:
    """Return each photo's place in `classes` int64 `[n]`, -1 where its label is not there."""
    index = {one.name: number for number, one in enumerate(classes)}
    return np.array([index.get(photo.label, UNKNOWN) for photo in photos], np.int64)


def _collect(
    photos: Sequence[Photo],
    classes: Sequence[ProductClass],
    logits: list[NDArray[np.float32]],
    embeddings: list[NDArray[np.float32]],
) -> Predictions:
    return Predictions(
        np.stack(logits) if logits else np.zeros((0, len(classes)), np.float32),
        class_indices(photos, classes),
        tuple(photo.source_id for photo in photos),
        tuple(photo.path for photo in photos),
        np.stack(embeddings) if embeddings else None,
    )


def photo_pixels(photo: Photo, min_short_px: int | None = None) -> NDArray[np.uint8]:
    """Decode a photo to uint8 `[h, w, 3]` and cut its box out, where it has one.

    A box is in pixels of the full picture, so such a photo is never decoded at a smaller scale.
    """
    from promolens_runtime.images import load_rgb

    if photo.box is None:
        return load_rgb(photo.path, min_short_px=min_short_px)
    x1, y1, x2, y2 = photo.box
    cut = load_rgb(photo.path)[y1:y2, x1:x2]
    if cut.size == 0:
        raise InputError(
            f"Expected a box inside the picture. Received {photo.box} for {photo.path}. "
            "Correct x1,y1,x2,y2 in the list."
        )
    return np.ascontiguousarray(cut)


def input_tensor(photo: Photo, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return the model's input uint8 `[h, w, 3]` for one photo, by the bundle's own rule."""
    from promolens_runtime.preprocess import preprocess

    return preprocess(photo_pixels(photo, preprocessing.min_short_px), preprocessing)


def input_tensors(
    photos: Sequence[Photo], preprocessing: Preprocessing, batch: int = 32
) -> Iterator[NDArray[np.uint8]]:
    """Yield the model's input for each photo in order; a few are decoded at the same time."""
    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(photos), batch):
            part = photos[start : start + batch]
            yield from pool.map(lambda photo: input_tensor(photo, preprocessing), part)


def predict_keras(
    model: Any,
    photos: Sequence[Photo],
    classes: Sequence[ProductClass],
    preprocessing: Preprocessing,
    batch: int = 32,
    done: Done = _quiet,
) -> Predictions:
    """Predict with a Keras model whose outputs are named "logits" and (optional) "embedding".

    The model takes float32 `[n, h, w, 3]` RGB in 0..255. Raises ImageError for a photo that
    cannot be decoded.
    """
    logits: list[NDArray[np.float32]] = []
    embeddings: list[NDArray[np.float32]] = []
    tensors = input_tensors(photos, preprocessing, batch)
    while part := list(itertools.islice(tensors, batch)):
        # predict() would build a data pipeline for every call.
        outputs = model.predict_on_batch(np.stack(part).astype(np.float32))
        logits += list(np.asarray(outputs["logits"], np.float32))
        if "embedding" in outputs:
            embeddings += list(np.asarray(outputs["embedding"], np.float32))
        done(len(part))
    return _collect(photos, classes, logits, embeddings)


def predict_recognizer(
    recognizer: Recognizer,
    photos: Sequence[Photo],
    classes: Sequence[ProductClass],
    done: Done = _quiet,
) -> Predictions:
    """Predict with an opened bundle, exactly as a phone would: its file, its preprocessing."""
    logits: list[NDArray[np.float32]] = []
    embeddings: list[NDArray[np.float32]] = []
    for photo in photos:
        answer = recognizer.predict(photo.path if photo.box is None else photo_pixels(photo))
        logits.append(np.asarray(answer.logits, np.float32).reshape(-1))
        embeddings.append(np.asarray(answer.embedding, np.float32).reshape(-1))
        done(1)
    return _collect(photos, classes, logits, embeddings)


def _quantised(values: NDArray[Any], detail: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(detail["dtype"])
    if dtype.kind == "f":
        return values.astype(dtype)
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(dtype)
    steps = np.round(values / (scale or 1.0)) + zero_point
    result: NDArray[Any] = np.clip(steps, limits.min, limits.max).astype(dtype)
    return result


def _dequantised(values: NDArray[Any], detail: dict[str, Any]) -> NDArray[np.float32]:
    scale, zero_point = detail["quantization"]
    if np.dtype(detail["dtype"]).kind == "f" or not scale:
        return values.astype(np.float32)
    result: NDArray[np.float32] = (values.astype(np.float32) - zero_point) * np.float32(scale)
    return result


class TfliteModel:
    """A converted file with one signature, fed with uint8 pictures whatever its input type is."""

    def __init__(self, model_bytes: bytes, num_threads: int = 2) -> None:
        """Load the bytes of a .tflite file; raise BundleError where LiteRT refuses them."""
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(model_content=model_bytes, num_threads=num_threads)
            interpreter.allocate_tensors()
            key = next(iter(interpreter.get_signature_list()))
            self._run = interpreter.get_signature_runner(key)
        except (ValueError, RuntimeError, StopIteration) as error:
            raise BundleError(
                f"Expected a .tflite model with a signature. Received {len(model_bytes)} bytes "
                f"that LiteRT refuses ({error}). Export the model again."
            ) from error
        self._input_name, self._input = next(iter(self._run.get_input_details().items()))
        self._outputs = self._run.get_output_details()

    def __call__(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run one picture uint8 `[h, w, 3]`; return each named output as float32 `[d]`."""
        batch = _quantised(pixels[None].astype(np.float32), self._input)
        outputs = self._run(**{self._input_name: batch})
        return {
            name: _dequantised(values, self._outputs[name]).reshape(-1)
            for name, values in outputs.items()
        }


def predict_tflite(
    model_bytes: bytes,
    photos: Sequence[Photo],
    classes: Sequence[ProductClass],
    preprocessing: Preprocessing,
    num_threads: int = 2,
    tensors: Iterable[NDArray[np.uint8]] | None = None,
    done: Done = _quiet,
) -> Predictions:
    """Predict with a converted file whose outputs are named "logits" and (optional) "embedding".

    Float inputs get 0..255, quantised ones the same values by their scale and zero point.
    `tensors` spares decoding again where several files see the same photos: the prepared inputs
    uint8 `[h, w, 3]`, one a photo, in their order.
    """
    model = TfliteModel(model_bytes, num_threads)
    logits: list[NDArray[np.float32]] = []
    embeddings: list[NDArray[np.float32]] = []
    for pixels in input_tensors(photos, preprocessing) if tensors is None else tensors:
        outputs = model(pixels)
        if "logits" not in outputs:
            raise BundleError(
                f'Expected an output named "logits". Received {sorted(outputs)}. '
                "Export the model with named outputs."
            )
        logits.append(outputs["logits"])
        if "embedding" in outputs:
            embeddings.append(outputs["embedding"])
        done(1)
    return _collect(photos, classes, logits, embeddings)
