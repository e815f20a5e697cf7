"""Run every variant on the evaluation photos: figures, temperature, threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from promolens_export.options import FLOAT
from promolens_runtime.manifest import Measured, Metrics, UnknownRule
from promolens_runtime.preprocess import Preprocessing
from promolens_runtime.quiet import quiet_stderr
from promolens_training.data.photos import Photo, ProductClass
from promolens_training.evaluation.calibration import (
    Calibration,
    calibrate,
    fit_temperature,
    shipped_temperature,
)
from promolens_training.evaluation.evaluate import Evaluation, evaluate
from promolens_training.evaluation.metrics import Agreement, agreement
from promolens_training.evaluation.predictions import Predictions, TfliteModel, predict_tflite
from promolens_training.evaluation.unknown import (
    MAX_LOGIT,
    SCORES,
    TRUE_ACCEPT_RATE,
    UnknownResult,
    choose_threshold,
    compare_scores,
)
from promolens_training.pixels import Pixels
from promolens_training.progress import progress


def predict_variants(
    files: Mapping[str, bytes],
    photos: Sequence[Photo],
    pixels: Pixels,
    classes: Sequence[ProductClass],
) -> dict[str, Predictions]:
    """Run each file on the prepared pictures uint8 `[n, px, px, 3]` of `photos`."""
    spec = Preprocessing.square(pixels.shape[1])
    answers = {}
    with quiet_stderr():  # LiteRT says once which delegate it made: here, before the bar is drawn
        for data in files.values():
            TfliteModel(data)
    with progress("evaluate", len(files) * len(photos)) as bar:
        for name, data in files.items():
            answers[name] = predict_tflite(
                data,
                photos,
                classes,
                spec,
                tensors=list(pixels),
                done=partial(bar.advance, note=name),
            )
    return answers


@dataclass(frozen=True)
class Verdict:
    """What the evaluation photos say about the float and the shipped model.

    Attributes:
        temperature: fitted on the shipped file's logits.
        calibration: its honest effect by cross-fitting; None where all photos share one source.
        float_calibration: the same of the float model.
        agreement: of the shipped file with the float model.
        rule: when an answer counts as known.
        unknown_results: both scores measured, the one in use first; empty without such photos.
    """

    float_figures: Evaluation
    shipped_figures: Evaluation
    temperature: float
    calibration: Calibration | None
    float_calibration: Calibration | None
    agreement: Agreement
    rule: UnknownRule
    unknown_results: tuple[UnknownResult, ...]


def unknown_rule(
    known: Predictions, unknown: Predictions | None
) -> tuple[UnknownRule, tuple[UnknownResult, ...]]:
    """Choose the score and the threshold that accepts 95 % of the known photos.

    Without unknown photos the simpler score is taken and only its true-accept rate is stated. The
    scores are of raw logits (temperature 1), as every reader computes them.
    """
    results: tuple[UnknownResult, ...] = ()
    score, false_rate = MAX_LOGIT, None
    if unknown is not None:
        results = compare_scores(known.logits, unknown.logits, known.sources, unknown.sources)
        score, false_rate = results[0].score, results[0].false_accept_rate
    scores = SCORES[score](known.logits)
    threshold = choose_threshold(scores)
    rule = UnknownRule(
        score=score,
        # A hair lower: another runtime's last float digit must not turn a tie into a refusal.
        accept_at_least=threshold - 1e-6 * max(1.0, abs(threshold)),
        true_accept_rate=float(np.mean(scores >= threshold)),
        false_accept_rate=false_rate,
        n_known=len(known),
        n_unknown=0 if unknown is None else len(unknown),
    )
    assert rule.true_accept_rate >= TRUE_ACCEPT_RATE - 1e-9
    return rule, results


def give_verdict(
    predictions: Mapping[str, Predictions],
    shipped: str,
    classes: Sequence[ProductClass],
    unknown: Predictions | None,
) -> Verdict:
    """Compare the shipped variant with float32 on the same photos."""
    before, after = predictions[FLOAT], predictions[shipped]
    temperature = shipped_temperature(after.logits, after.labels)
    rule, results = unknown_rule(after, unknown)
    return Verdict(
        float_figures=evaluate(before, classes, fit_temperature(before.logits, before.labels)),
        shipped_figures=evaluate(after, classes, temperature),
        temperature=temperature,
        calibration=calibrate(after.logits, after.labels, after.sources),
        float_calibration=calibrate(before.logits, before.labels, before.sources),
        agreement=agreement(before.logits, after.logits, after.labels, after.sources),
        rule=rule,
        unknown_results=results,
    )


def ece_is(verdict: Verdict) -> str:
    """Say which calibration error the manifest's `ece` is: the cross-fitted one if it can be."""
    if verdict.calibration is None:
        return "ece: after the temperature, which was fitted on these very photos (one source)"
    return (
        "ece: after temperature scaling, cross-fitted (each photo by a temperature fitted on other "
        f"sources, {verdict.calibration.folds} folds)"
    )


def measured(figures: Evaluation, calibration: Calibration | None) -> Measured:
    """Return the manifest's figures; `ece` is the one that `ece_is` describes."""
    return Measured(
        n=figures.n,
        top1=figures.top1,
        top1_interval=figures.top1_interval,
        top3=figures.top3,
        top5=figures.top5,
        coarse_top1=figures.coarse_top1,
        ece=figures.ece_scaled if calibration is None else calibration.ece_after,
    )


def manifest_metrics(verdict: Verdict, evaluated_on: str) -> Metrics:
    """Return the manifest's `metrics`."""
    return Metrics(
        evaluated_on=evaluated_on,
        float_model=measured(verdict.float_figures, verdict.float_calibration),
        shipped=measured(verdict.shipped_figures, verdict.calibration),
        agreement=verdict.agreement.rate,
        won=verdict.agreement.won,
        lost=verdict.agreement.lost,
    )
