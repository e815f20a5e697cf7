"""From predictions and photos to the sections of a report: which pictures, in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from promolens_training.data.photos import SPLITS, Photo, ProductClass
from promolens_training.evaluation.arrays import softmax
from promolens_training.evaluation.calibration import Calibration
from promolens_training.evaluation.evaluate import Evaluation
from promolens_training.evaluation.metrics import Agreement, kl_divergence
from promolens_training.evaluation.predictions import UNKNOWN, Predictions, input_tensor
from promolens_training.evaluation.unknown import SCORES, UnknownResult
from promolens_training.report.content import (
    CROSS_FITTED,
    CalibrationFigures,
    ClassCount,
    ConfusedPair,
    Confusion,
    DataOverview,
    Disagreement,
    Disagreements,
    Headline,
    Mistake,
    Picture,
    SplitCount,
    UnknownTest,
)
from promolens_training.report.pictures import thumbnail

if TYPE_CHECKING:
    from promolens_runtime.preprocess import Preprocessing

EXAMPLE_PX = 88
UNSPLIT = "no split"


def display_name(product: ProductClass) -> str:
    """Return what people call a class: Korean and English where they differ."""
    names = [name for name in (product.name_ko, product.name_en) if name] or [product.name]
    return " · ".join(dict.fromkeys(names))


def display_names(classes: Sequence[ProductClass]) -> dict[str, str]:
    """Return the display name of each label."""
    return {one.name: display_name(one) for one in classes}


def percent(value: float, digits: int = 1) -> str:
    """Write a rate of 0..1 in percent; the space does not break."""
    return f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def top1_headline(name: str, evaluation: Evaluation, good: bool | None = None) -> Headline:
    """Return the headline of one model: top-1, n, interval."""
    low, high = evaluation.top1_interval
    detail = (
        f"n = {evaluation.n}, {100 * low:.1f}–{100 * high:.1f} % ({evaluation.interval_method})"
    )
    return Headline(f"Top-1, {name}", percent(evaluation.top1), detail, good)


def data_overview(
    photos: Sequence[Photo],
    classes: Sequence[ProductClass],
    notes: Sequence[str] = (),
    *,
    pictures: bool = True,
) -> DataOverview:
    """Count photos by split and class; each class shows its first photo."""
    used = [split for split in (*SPLITS, "") if any(photo.split == split for photo in photos)]
    counts = Counter((photo.label, photo.split) for photo in photos)
    first: dict[str, Photo] = {}
    for photo in photos:
        first.setdefault(photo.label, photo)
    rows = tuple(
        ClassCount(
            one.name,
            display_name(one),
            one.parent,
            tuple(counts[one.name, split] for split in used),
            thumbnail(first[one.name], display_name(one), EXAMPLE_PX)
            if pictures and one.name in first
            else None,
        )
        for one in classes
    )
    return DataOverview(tuple(_split_count(photos, split) for split in used), rows, tuple(notes))


def _split_count(photos: Sequence[Photo], split: str) -> SplitCount:
    here = [photo for photo in photos if photo.split == split]
    return SplitCount(
        split or UNSPLIT,
        len(here),
        len({photo.source_id or str(photo.path) for photo in here}),
        len({photo.label for photo in here}),
    )


def _originals(predictions: Predictions, photos: Sequence[Photo] | None) -> Sequence[Photo | Path]:
    if photos is not None and len(photos) != len(predictions):
        raise ValueError(
            f"Expected the {len(predictions)} predicted photos. Received {len(photos)}. "
            "Give the photos in the order of the predictions, or none."
        )
    return predictions.paths if photos is None else photos


def confusion_section(
    evaluation: Evaluation,
    predictions: Predictions,
    classes: Sequence[ProductClass],
    photos: Sequence[Photo] | None = None,
    *,
    pairs: int = 10,
    pictures: int = 4,
) -> Confusion:
    """Return the matrix and the most frequent pairs, with pictures of both sides.

    `photos` are the predicted photos in order; they are needed only where photos have boxes.
    """
    originals = _originals(predictions, photos)
    names = [display_name(one) for one in classes]
    index = {one.name: number for number, one in enumerate(classes)}
    said = predictions.logits.argmax(axis=1)

    def some(actual: int, predicted: int) -> tuple[Picture, ...]:
        found = np.flatnonzero((predictions.labels == actual) & (said == predicted))[:pictures]
        return tuple(thumbnail(originals[i], names[actual]) for i in found)

    shown = []
    for pair in evaluation.pairs[:pairs]:
        actual, predicted = index[pair.actual], index[pair.predicted]
        shown.append(
            ConfusedPair(
                names[actual],
                names[predicted],
                pair.count,
                pair.share,
                some(actual, predicted),
                some(predicted, predicted),
            )
        )
    parents = tuple(one.parent for one in classes)
    return Confusion(
        tuple(one.name_ko or one.name_en or one.name for one in classes),
        evaluation.confusion,
        parents if any(parents) else (),
        tuple(shown),
    )


def worst_mistakes(predictions: Predictions, temperature: float, limit: int) -> NDArray[np.int64]:
    """Return the indices of wrong answers, the surest first; unknown objects are left out."""
    said = predictions.logits.argmax(axis=1)
    wrong = np.flatnonzero((said != predictions.labels) & (predictions.labels != UNKNOWN))
    if not len(wrong):
        return wrong
    confidence = softmax(predictions.logits[wrong], temperature).max(axis=1)
    return wrong[np.argsort(-confidence, kind="stable")][:limit]


def mistakes_section(
    predictions: Predictions,
    classes: Sequence[ProductClass],
    temperature: float = 1.0,
    photos: Sequence[Photo] | None = None,
    *,
    limit: int = 24,
    model: Any = None,
    preprocessing: Preprocessing | None = None,
) -> tuple[Mistake, ...]:
    """Return the surest mistakes with their pictures.

    With `model` (the Keras network) and `preprocessing` each shows what the network saw, and
    Grad-CAM of the wrong and of the right class beside it.
    """
    originals = _originals(predictions, photos)
    chosen = worst_mistakes(predictions, temperature, limit)
    if not len(chosen):
        return ()
    names = [display_name(one) for one in classes]
    probabilities = softmax(predictions.logits[chosen], temperature)
    said, actual = predictions.logits[chosen].argmax(axis=1), predictions.labels[chosen]
    heats: list[tuple[Picture, Picture, Picture]] = []
    if model is not None and preprocessing is not None:
        heats = _heat_pictures(
            model, [originals[i] for i in chosen], preprocessing, (said, actual), names
        )
    mistakes = []
    for place, index in enumerate(chosen):
        plain = heats[place][0] if heats else thumbnail(originals[index], names[actual[place]])
        mistakes.append(
            Mistake(
                plain,
                names[actual[place]],
                names[said[place]],
                float(probabilities[place, said[place]]),
                float(probabilities[place, actual[place]]),
                _short_path(predictions.paths[index]),
                heats[place][1] if heats else None,
                heats[place][2] if heats else None,
            )
        )
    return tuple(mistakes)


def _short_path(path: Path) -> str:
    # Enough to find the file in its dataset, without the machine's own folders.
    return "/".join(path.parts[-3:])


def _heat_pictures(
    model: Any,
    originals: Sequence[Photo | Path],
    preprocessing: Preprocessing,
    said_actual: tuple[NDArray[np.int64], NDArray[np.int64]],
    names: list[str],
) -> list[tuple[Picture, Picture, Picture]]:
    from promolens_training.evaluation.grad_cam import grad_cam, overlay

    photos = [one if isinstance(one, Photo) else Photo(one, "") for one in originals]
    images = np.stack([input_tensor(photo, preprocessing) for photo in photos])
    said, actual = said_actual
    wrong_heat, right_heat = (grad_cam(model, images, classes) for classes in said_actual)
    return [
        (
            thumbnail(images[i], names[actual[i]]),
            thumbnail(overlay(images[i], wrong_heat[i]), f"What speaks for {names[said[i]]}"),
            thumbnail(overlay(images[i], right_heat[i]), f"What speaks for {names[actual[i]]}"),
        )
        for i in range(len(images))
    ]


def calibration_section(calibration: Calibration) -> CalibrationFigures:
    """Return the reliability figures of a cross-fitted calibration."""
    return CalibrationFigures(
        calibration.temperature,
        calibration.ece_before,
        calibration.ece_after,
        calibration.before,
        calibration.after,
        f"“After” is honest: each photo was scaled by a temperature fitted on other sources "
        f"({calibration.folds}-fold cross-fitting).",
        CROSS_FITTED[0],
    )


def unknown_section(
    which: str,
    results: Sequence[UnknownResult],
    unknown: Predictions | None = None,
    classes: Sequence[ProductClass] = (),
    temperature: float = 1.0,
    *,
    limit: int = 12,
) -> UnknownTest:
    """Return a rejection test; with `unknown` it shows the photos accepted with the most score.

    Args:
        which: one line that says what the unknown photos are.
        results: the score in use first, as `compare_scores` returns them.
        unknown: the predictions of the same unknown photos.
    """
    accepted: tuple[Mistake, ...] = ()
    if unknown is not None and len(unknown):
        best = results[0]
        scores = SCORES[best.score](unknown.logits)
        passed = np.flatnonzero(scores >= best.accept_at_least)
        order = passed[np.argsort(-scores[passed], kind="stable")][:limit]
        names = [display_name(one) for one in classes]
        sure = softmax(unknown.logits, temperature)
        said = unknown.logits.argmax(axis=1)
        accepted = tuple(
            Mistake(
                thumbnail(unknown.paths[i], unknown.paths[i].parent.name),
                unknown.paths[i].parent.name,
                names[said[i]],
                float(sure[i, said[i]]),
                0.0,
                _short_path(unknown.paths[i]),
            )
            for i in order
        )
    return UnknownTest(which, tuple(results), accepted)


def disagreements_section(
    first: Predictions,
    second: Predictions,
    classes: Sequence[ProductClass],
    agreement: Agreement,
    photos: Sequence[Photo] | None = None,
    *,
    first_name: str = "float",
    second_name: str = "int8",
    limit: int = 18,
) -> Disagreements:
    """Return the photos that two models of the same classes name differently, worst first."""
    originals = _originals(first, photos)
    names = [display_name(one) for one in classes]
    chosen = list(agreement.worst[:limit])
    a, b = softmax(first.logits[chosen]), softmax(second.logits[chosen])
    kl = kl_divergence(first.logits[chosen], second.logits[chosen])
    worst = []
    for place, index in enumerate(chosen):
        label = int(first.labels[index])
        actual = names[label] if label != UNKNOWN else "not taught"
        one, two = int(a[place].argmax()), int(b[place].argmax())
        worst.append(
            Disagreement(
                thumbnail(originals[index], actual),
                actual,
                names[one],
                float(a[place, one]),
                names[two],
                float(b[place, two]),
                float(kl[place]),
                _short_path(first.paths[index]),
            )
        )
    return Disagreements(agreement, first_name, second_name, tuple(worst))
