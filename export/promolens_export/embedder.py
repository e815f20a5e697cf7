"""A trained embedder as the second model of a bundle: int8, measured against float, gated.

The file takes the uint8 picture that the classifier takes and answers `embedding`, float32
`[1, width]`, not of length 1: a reader scales it, or a Matryoshka prefix of it, itself. Scaling in
the file would cost precision (TFLite's L2 normalisation has a fixed int8 step of 1/128). What a
catalogue picture's embedding gets added lies beside it, for whoever builds a gallery.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from promolens_export.check_ops import EMBEDDER_OUTPUTS, OpReport, check_int8
from promolens_export.convert import SHIPPED, convert
from promolens_export.embedder_correction import corrected, run_with
from promolens_export.golden_vectors import GoldenVectors, make_golden
from promolens_runtime.errors import GateError, InputError
from promolens_runtime.golden import golden_json, golden_npz
from promolens_runtime.manifest import ModelEntry, TensorSpec
from promolens_runtime.manifest_embedding import EmbeddingSpec, offset_file
from promolens_training.data.photos import Photo
from promolens_training.embedding.ranking import places, unit_rows
from promolens_training.embedding.runs import EmbedderRun, open_embedder
from promolens_training.pixels import Pixels, load_pixels

MODEL_FILE = "embedder.tflite"
GOLDEN_FILE, GOLDEN_TEXT_FILE = "embedder_golden.npz", "embedder_golden.json"
CATALOGUE_OFFSET_FILE = "catalogue_offset.bin"
FLOAT = "float32"
MIN_COSINE = 0.98
MIN_SHARE = 0.99
MAX_LOST_TOP1 = 0.005
# Half a point of top-1 cannot be told on fewer.
# An embedding has no classes to round to: it takes more pictures than a classifier to calibrate.
EMBEDDER_IMAGES = 1_000
MEASURED_PHOTOS = 1500
# The correction has a thousand numbers a dimension; with 300 pictures it helps half as much.
CORRECTION_PICTURES = 1000
GOLDEN_PICTURES = 6
Floats = NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True)
class Drift:
    """How far int8 embeddings are from the float ones on the same pictures.

    Attributes:
        n: photos; share_near: share of all judged pictures whose cosine is at least `MIN_COSINE`.
        least_cosine, median_cosine: over all judged pictures.
        float_top1, int8_top1: share of photos whose own catalogue picture is nearest. Both sides
            were trained on, so this measures the loss and not the model.

    Judged are pictures that set neither the int8 ranges nor the correction.
    """

    n: int
    share_near: float
    least_cosine: float
    median_cosine: float
    float_top1: float
    int8_top1: float


@dataclass(frozen=True)
class ExportedEmbedder:
    """The embedder's entry of the manifest, its files, its tolerance and its drift."""

    entry: ModelEntry
    files: dict[str, bytes]
    golden: GoldenVectors
    drift: Drift


def embed_all(model: bytes, pictures: Pixels) -> Floats:
    """Run a `.tflite` embedder, int8 or float, on uint8 pictures; return float32 `[n, width]`."""
    from ai_edge_litert.interpreter import Interpreter

    from promolens_runtime.quiet import quiet_stderr

    with quiet_stderr():
        interpreter = Interpreter(model_content=model, num_threads=2)
        run = interpreter.get_signature_runner("embed")
    is_byte = interpreter.get_input_details()[0]["dtype"] == np.uint8
    kind = np.uint8 if is_byte else np.float32
    rows = [run(image=picture[None].astype(kind))["embedding"][0] for picture in pictures]
    return np.stack(rows).astype(np.float32)


def measure_drift(
    before: Floats,
    after: Floats,
    labels: NDArray[np.int64],
    n_photos: int,
    judged: NDArray[np.bool_] | None = None,
) -> Drift:
    """Compare embeddings `[n, width]` of the same pictures, photos first, then the catalogue's.

    Args:
        before, after: by the float and the int8 network, as a gallery compares them: the
            catalogue's with their offset.
        labels: class of each picture, int64 `[n]`.
        judged: which of the pictures count for the cosines; all where None.
    """
    cosines = (unit_rows(before) * unit_rows(after)).sum(axis=1)
    cosines = cosines if judged is None else cosines[judged]
    tops = []
    for rows in (before, after):
        shown, asked = rows[n_photos:], rows[:n_photos]
        place = places(asked, labels[:n_photos], shown, labels[n_photos:])
        tops.append(float((place == 0).mean()))
    return Drift(
        n=n_photos,
        share_near=float((cosines >= MIN_COSINE).mean()),
        least_cosine=float(cosines.min()),
        median_cosine=float(np.median(cosines)),
        float_top1=tops[0],
        int8_top1=tops[1],
    )


def check_drift(drift: Drift) -> None:
    """Let an int8 embedder pass that answers nearly what the float one answers.

    Raises:
        GateError: under 99 % of cosines reach 0.98, or top-1 falls by over half a point.
    """
    if drift.share_near < MIN_SHARE:
        raise GateError(
            f"Expected {MIN_SHARE:.0%} of int8 embeddings within {1 - MIN_COSINE:.2f} of float's "
            f"cosine. Received {drift.share_near:.1%} (least cosine {drift.least_cosine:.3f}, "
            f"{drift.n} photos). Try --calibration-images 1000, or train a recipe with a larger "
            "shrink."
        )
    lost = drift.float_top1 - drift.int8_top1
    if lost > MAX_LOST_TOP1 + 1e-9:
        raise GateError(
            f"Expected int8 to lose at most {100 * MAX_LOST_TOP1:.1f} points of top-1. Received "
            f"{100 * lost:.2f} points ({drift.n} photos). Use more calibration photos: "
            "--calibration-images 1000."
        )


def _entry(operators: OpReport, run: EmbedderRun) -> ModelEntry:
    offset = CATALOGUE_OFFSET_FILE if run.catalogue_offset.any() else None
    return ModelEntry(
        role="embedder",
        file=MODEL_FILE,
        signature=operators.signature,
        inputs=tuple(
            TensorSpec(port.name, port.dtype, port.shape, port.scale, port.zero_point)
            for port in operators.inputs
        ),
        outputs=tuple(TensorSpec(port.name, port.dtype, port.shape) for port in operators.outputs),
        golden_file=GOLDEN_FILE,
        embedding=EmbeddingSpec(False, run.recipe.prefixes, offset),
    )


def _spread(items: list[T], count: int) -> list[T]:
    step = max(1.0, len(items) / count)
    return [items[int(turn * step)] for turn in range(min(count, len(items)))]


def _chosen(paths: list[str], count: int) -> list[Photo]:
    """Return `count` pictures spread over the list, which is sorted by class."""
    picked = _spread(paths, count)
    missing = [path for path in picked if not Path(path).is_file()]
    if missing:
        raise InputError(
            f"Expected the pictures that the embedder was trained on. Received none at "
            f"{missing[0]}. Put the dataset back where it was, or train again."
        )
    return [Photo(Path(path), "") for path in picked]


@dataclass(frozen=True)
class _Pictures:
    """Pictures of a run; none that is judged has a part in making the file.

    Attributes:
        asked: photos that are judged; taught: the others.
        shown: catalogue pictures, of which every second one is taught.
    """

    asked: list[Photo]
    taught: list[Photo]
    shown: list[Photo]

    def to_calibrate(self, count: int) -> list[Photo]:
        """Return about `count` pictures that set the int8 ranges."""
        return self._mixed(count)

    def to_correct(self) -> list[Photo]:
        """Return the pictures that the correction is found on."""
        return self._mixed(CORRECTION_PICTURES)

    def _mixed(self, count: int) -> list[Photo]:
        """Return about `count` taught pictures, at most half of them of the catalogue."""
        shown = self.shown[::2]
        some = _spread(shown, min(len(shown), max(1, count // 2)))
        return [*_spread(self.taught, max(1, count - len(some))), *some]

    def to_measure(self) -> list[Photo]:
        """Return photos, and the whole catalogue, which they are compared with."""
        return [*self.asked, *self.shown]

    def judged(self) -> NDArray[np.bool_]:
        """Return which of `to_measure` are judged."""
        marks = np.ones(len(self.asked) + len(self.shown), bool)
        marks[len(self.asked) :: 2] = False
        return marks


def _pictures(run: EmbedderRun) -> _Pictures:
    shown = _chosen(run.info["catalogue"], len(run.info["catalogue"]))
    photos = _chosen(run.info["photos"], len(run.info["photos"]))
    asked = _spread(photos, max(1, min(MEASURED_PHOTOS, len(photos) // 2)))
    apart = {photo.path for photo in asked}
    taught = [photo for photo in photos if photo.path not in apart]
    return _Pictures(asked, taught or photos, shown)


def _drift(run: EmbedderRun, chosen: _Pictures, pictures: Pixels, files: dict[str, bytes]) -> Drift:
    before, after = (embed_all(files[name], pictures) for name in (FLOAT, SHIPPED))
    for rows in (before, after):
        rows[len(chosen.asked) :] += run.catalogue_offset
    labels = _labels(run, chosen.to_measure())
    return measure_drift(before, after, labels, len(chosen.asked), chosen.judged())


def _labels(run: EmbedderRun, photos: list[Photo]) -> NDArray[np.int64]:
    classes = run.info["labels"]
    return np.array([classes[str(photo.path)] for photo in photos], np.int64)


def export_embedder(
    folder: Path,
    calibration_images: int,
    done: Callable[[str], None] = lambda _: None,
    *,
    gated: bool = True,
) -> ExportedEmbedder:
    """Convert, measure and gate the embedder of a run folder.

    Args:
        folder: what `promolens embed train` left, with its dataset in place.
        calibration_images: training photos and catalogue pictures that set the int8 ranges.
        gated: False returns a file that drifts too far as well, for measuring it.

    Raises:
        InputError: the run or its pictures cannot be used.
        GateError: int8 drifts too far, or the file is not all int8.
    """
    run = open_embedder(folder)
    if run.recipe.pooling != "mean":
        raise InputError(
            f"Expected an embedder with mean pooling. Received {run.recipe.pooling}, which full "
            "int8 cannot hold. Train another recipe for phones; this one is for servers."
        )
    px = run.recipe.image_px
    chosen = _pictures(run)
    calibration = load_pixels(chosen.to_calibrate(calibration_images), px)
    known = load_pixels(chosen.to_correct(), px)

    def features(of: Path) -> tuple[Floats, Floats]:
        both = convert(of, calibration, (FLOAT, SHIPPED), done=done)
        return embed_all(both[FLOAT], known), embed_all(both[SHIPPED], known)

    with run_with(run, corrected(run, features)) as better:
        shipped = convert(better, calibration, (SHIPPED,), done=done)
    files = {**convert(run.folder, calibration, (FLOAT,), done=done), **shipped}
    operators = check_int8(files[SHIPPED], px, "embed", EMBEDDER_OUTPUTS)
    pictures = load_pixels(chosen.to_measure(), px)
    drift = _drift(run, chosen, pictures, files)
    if gated:
        check_drift(drift)
    golden = make_golden(
        files[SHIPPED],
        pictures[:: max(1, len(pictures) // GOLDEN_PICTURES)][:GOLDEN_PICTURES],
        EMBEDDER_OUTPUTS,
    )
    content = {
        MODEL_FILE: files[SHIPPED],
        GOLDEN_FILE: golden_npz(golden.golden),
        GOLDEN_TEXT_FILE: golden_json(golden.golden),
    }
    entry = _entry(operators, run)
    if entry.embedding is not None and entry.embedding.catalogue_offset_file is not None:
        content[CATALOGUE_OFFSET_FILE] = offset_file(run.catalogue_offset)
    return ExportedEmbedder(entry, content, golden, drift)
