"""The report of a bundle that was evaluated on some photos."""

from __future__ import annotations

from dataclasses import asdict

from promolens_training.evaluation.bundle import BundleEvaluation
from promolens_training.evaluation.evaluate import Evaluation
from promolens_training.report.content import (
    CalibrationFigures,
    Headline,
    ModelFigures,
    ReportContent,
    UnknownTest,
)
from promolens_training.report.sections import (
    confusion_section,
    data_overview,
    display_names,
    mistakes_section,
    percent,
    top1_headline,
    unknown_section,
)


def bundle_report(result: BundleEvaluation, data_name: str) -> ReportContent:
    """Return the report's content; `data_name` is what the reader calls the photos."""
    manifest, figures = result.manifest, result.evaluation
    return ReportContent(
        title=f"{manifest.bundle_id} version {manifest.version}, evaluated",
        subtitle=f"{manifest.backbone}: the bundle's own file and preprocessing on {data_name} "
        f"(split: {result.split})",
        names=display_names(result.classes),
        headlines=_headlines(result),
        models=(ModelFigures(manifest.model("classifier").file, figures),),
        evaluated_on=" ".join(
            filter(
                None, [f"{figures.n} photos from {figures.n_sources} sources.", result.overlap_note]
            )
        ),
        confusion=confusion_section(figures, result.predictions, result.classes, result.photos),
        mistakes=mistakes_section(
            result.predictions, result.classes, manifest.temperature, result.photos
        ),
        calibration=_calibration(figures),
        unknown=_unknown(result),
        data=data_overview(
            [photo for photo in result.photos if photo.label], result.classes, result.notes
        ),
        recipe=manifest.recipe,
        provenance={
            "bundle": f"{manifest.bundle_id} {manifest.version}",
            "fingerprints": asdict(manifest.fingerprints),
            "tools": manifest.tools,
            "licence": asdict(manifest.licence),
        },
    )


def _headlines(result: BundleEvaluation) -> tuple[Headline, ...]:
    shown = [
        top1_headline("this bundle", result.evaluation),
        Headline("Top-5", percent(result.evaluation.top5)),
        Headline(
            "Known photos accepted",
            percent(result.accepted_rate),
            f"asked for: {percent(result.manifest.unknown.true_accept_rate, 0)}",
        ),
    ]
    if result.unknown is not None:
        low, high = result.unknown.false_accept_interval.bounds
        shown.append(
            Headline(
                "Unknown objects accepted",
                percent(result.unknown.false_accept_rate),
                f"n = {result.unknown.n_unknown}, {100 * low:.1f}–{100 * high:.1f} %",
            )
        )
    return tuple(shown)


def _calibration(figures: Evaluation) -> CalibrationFigures:
    return CalibrationFigures(
        figures.temperature,
        figures.ece,
        figures.ece_scaled,
        figures.reliability,
        figures.reliability_scaled,
        "The temperature is the bundle's own: “after” is honest for photos that had no part in it.",
    )


def _unknown(result: BundleEvaluation) -> tuple[UnknownTest, ...]:
    if result.unknown is None:
        return ()
    section = unknown_section(
        "Photos of objects that the bundle was never taught",
        (result.unknown,),
        result.predictions.unknown(),
        result.classes,
        result.manifest.temperature,
    )
    return (section,)
