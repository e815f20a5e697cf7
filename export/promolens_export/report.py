"""Fill the HTML report with what an export knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promolens_export.convert import SHIPPED
from promolens_export.gate import loss_points
from promolens_export.options import FLOAT
from promolens_runtime.preprocess import Preprocessing
from promolens_training.evaluation.calibration import Calibration
from promolens_training.evaluation.evaluate import Evaluation
from promolens_training.report.content import (
    CROSS_FITTED,
    SAME_PHOTOS,
    Cost,
    CurvePoint,
    Headline,
    ModelFigures,
    ReportContent,
    UnknownTest,
    Variant,
)
from promolens_training.report.history import read_history
from promolens_training.report.sections import (
    calibration_section,
    confusion_section,
    data_overview,
    disagreements_section,
    display_names,
    mistakes_section,
    top1_headline,
    unknown_section,
)
from promolens_training.report.write import write_report

if TYPE_CHECKING:
    from promolens_export.pipeline import Evidence, ExportResult
    from promolens_training.runs import TrainedRun

# The stages of run.json in the order of work, as a reader would call them.
STAGES = {
    "decode": "reading the photos",
    "probe": "embeddings and linear head",
    "teacher": "teacher: training and answers",
    "fine_tune": "fine-tuning",
}

TABLE_NOTE = (
    "Measured on the evaluation photos. Calibration shift: expected calibration error minus that "
    "of float32, both at the temperature that fits float32. Times: one picture on this machine, "
    "all variants interleaved in random order, medians."
)


def _variants(evidence: Evidence) -> tuple[Variant, ...]:
    return tuple(
        Variant(
            name=row.variant,
            size_bytes=row.size_bytes,
            top1=row.top1,
            top1_interval=row.top1_interval,
            agreement=row.agreement,
            won=row.won,
            lost=row.lost,
            ece_shift=row.ece_shift,
            latency_1_thread_ms=row.latency_1t_ms,
            latency_2_threads_ms=row.latency_2t_ms,
            shipped=row.variant == SHIPPED,
        )
        for row in evidence.rows
    )


def _note(evidence: Evidence) -> str:
    stability = evidence.stability
    if stability is None:
        return TABLE_NOTE
    first, second = stability.top1
    return (
        f"{TABLE_NOTE} Calibrated on each half of the images alone, int8 has top-1 {first:.1%} and "
        f"{second:.1%}; the two agree on {stability.agreement:.1%} of the photos."
    )


def _curves(run: TrainedRun) -> tuple[CurvePoint, ...]:
    path = run.folder / "history.csv"
    return read_history(path) if path.is_file() else ()


def stage_costs(info: Mapping[str, Any]) -> tuple[Cost, ...]:
    """Return run.json's stages in the order of work; what took no time is left out."""
    stages: Mapping[str, float] = info.get("seconds", {})
    peak = info.get("peak_memory_bytes")
    ordered = [*(name for name in STAGES if name in stages), *sorted(set(stages) - set(STAGES))]
    rows = [Cost(STAGES.get(name, name), stages[name]) for name in ordered if stages[name] >= 0.05]
    total = info.get("seconds_total")
    return (*rows, Cost("training, in total", total, peak)) if total is not None else tuple(rows)


def _model(
    name: str, figures: Evaluation, calibration: Calibration | None, note: str = ""
) -> ModelFigures:
    honest = None if calibration is None else calibration.ece_after
    return ModelFigures(name, figures, note, honest)


def _headlines(result: ExportResult) -> tuple[Headline, ...]:
    verdict = result.evidence.verdict
    same = verdict.agreement
    lost = loss_points(same)
    size_mb = result.bundle.manifest.files["model.tflite"].size_bytes / 1e6
    shipped = next(row for row in result.evidence.rows if row.variant == SHIPPED)
    return (
        top1_headline("shipped int8 file", verdict.shipped_figures),
        Headline(
            "int8 costs",
            f"{lost or 0.0:.1f} points",  # never "-0.0"
            f"{same.won} photos won, {same.lost} lost; {100 * same.rate:.1f} % same answer",
            good=lost <= 1.0,
        ),
        Headline("Size", f"{size_mb:.1f} MB", f"{shipped.latency_2t_ms:.1f} ms with 2 threads"),
    )


def _network(run: TrainedRun) -> Any:
    from promolens_training.runs import build_model

    return build_model(run)


def report_content(result: ExportResult, *, grad_cam: bool) -> ReportContent:
    """Return the whole report; `grad_cam` loads the Keras network to explain its mistakes."""
    evidence, manifest = result.evidence, result.bundle.manifest
    judge, verdict = evidence.judge, evidence.verdict
    shipped = evidence.predictions[SHIPPED]
    wrong = bool((shipped.logits.argmax(1) != shipped.labels).any())
    unknown: tuple[UnknownTest, ...] = ()
    if verdict.unknown_results:
        which = f"{verdict.rule.n_unknown} photos of things that the model was never taught"
        unknown = (
            unknown_section(
                which, verdict.unknown_results, evidence.unknown, judge.classes, verdict.temperature
            ),
        )
    return ReportContent(
        title=f"{manifest.bundle_id}, version {manifest.version}",
        subtitle=f"{len(judge.classes)} products, {judge.recipe.backbone}, {judge.recipe.name}",
        names=display_names(judge.classes),
        headlines=_headlines(result),
        data=data_overview(judge.photos, judge.classes),
        training=_curves(judge),
        models=(
            _model(FLOAT, verdict.float_figures, verdict.float_calibration),
            _model(SHIPPED, verdict.shipped_figures, verdict.calibration, "shipped"),
        ),
        ece_after_is=SAME_PHOTOS if verdict.calibration is None else CROSS_FITTED,
        evaluated_on=f"{manifest.metrics.evaluated_on}.",
        confusion=confusion_section(
            verdict.shipped_figures, shipped, judge.classes, evidence.photos
        ),
        mistakes=mistakes_section(
            shipped,
            judge.classes,
            verdict.temperature,
            evidence.photos,
            model=_network(judge) if grad_cam and wrong else None,
            preprocessing=Preprocessing.square(judge.recipe.image_px),
        ),
        calibration=calibration_section(verdict.calibration) if verdict.calibration else None,
        unknown=unknown,
        variants=_variants(evidence),
        variants_note=_note(evidence),
        disagreements=disagreements_section(
            evidence.predictions[FLOAT], shipped, judge.classes, verdict.agreement, evidence.photos
        ),
        costs=stage_costs(evidence.run.info),
        recipe=judge.recipe.to_json(),
        provenance={
            "bundle": manifest.bundle_id,
            "version": manifest.version,
            "signing_key": manifest.signing_key or "unsigned",
            "fingerprints": manifest.to_json()["fingerprints"],
            "tools": dict(manifest.tools),
        },
    )


def write_export_report(path: Path, result: ExportResult, *, grad_cam: bool = True) -> None:
    """Write the report to `path` atomically."""
    write_report(path, report_content(result, grad_cam=grad_cam))
