"""From a run folder to a verified bundle: calibrate, convert, evaluate, gate, write, report."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from promolens_export.bundle import WrittenBundle, previous_manifest, write_bundle
from promolens_export.calibration import (
    CalibrationSet,
    choose_calibration,
    describe_calibration,
    halves,
)
from promolens_export.check_ops import OpReport, check_int8
from promolens_export.convert import SHIPPED, convert
from promolens_export.embedder import EMBEDDER_IMAGES, ExportedEmbedder, export_embedder
from promolens_export.gate import Facts, check_loss, loss_points
from promolens_export.golden_vectors import GoldenVectors, choose_golden, make_golden
from promolens_export.judge import (
    Verdict,
    ece_is,
    give_verdict,
    manifest_metrics,
    predict_variants,
)
from promolens_export.labels import label_files, labels_of
from promolens_export.metadata import Description, with_metadata
from promolens_export.options import ExportOptions
from promolens_export.table import Row, compare
from promolens_export.tasks_model import OUTPUT, tasks_model
from promolens_runtime.errors import InputError, PromolensError
from promolens_runtime.golden import golden_json, golden_npz
from promolens_runtime.labels import labels_json
from promolens_runtime.manifest import (
    Fingerprints,
    GoldenTolerance,
    Licence,
    Manifest,
    ModelEntry,
    TensorSpec,
)
from promolens_runtime.preprocess import Preprocessing
from promolens_runtime.signing import LoadedKey, delegated_gallery_key, signing_key
from promolens_training.backbones.table import BACKBONES
from promolens_training.data.photos import Photo
from promolens_training.evaluation.bundle import unknown_background, unknown_photos
from promolens_training.evaluation.metrics import agreement
from promolens_training.evaluation.predictions import Predictions
from promolens_training.files import write_atomically, write_json
from promolens_training.pixels import Pixels, load_pixels
from promolens_training.progress import progress
from promolens_training.runs import TrainedRun, open_run

MODEL_FILE, LABELS_FILE = "model.tflite", "labels.json"
GOLDEN_FILE, GOLDEN_TEXT_FILE = "golden.npz", "golden.json"
TASKS_FILE = "model_tasks.tflite"
MINIMUM_APP_VERSION = "0.1.0"
TOOLS = ("promolens", "tensorflow-cpu", "keras", "ai-edge-litert", "litert-quantizer", "numpy",
         "pillow")  # fmt: skip
MAX_ID_LENGTH = 64


@dataclass(frozen=True)
class Stability:
    """int8 calibrated on each half of the images: top-1 of both, and how often they agree."""

    top1: tuple[float, float]
    agreement: float

    @property
    def change(self) -> float:
        """Difference of the two top-1 rates as a share of the larger one."""
        return abs(self.top1[0] - self.top1[1]) / max(*self.top1, 1e-9)


@dataclass(frozen=True)
class Evidence:
    """Everything that was measured, for the bundle and for the report.

    Attributes:
        run: the run whose model is shipped; judge: the run that figures come from (the same one,
            or the run that did not see the evaluation photos).
        photos: the evaluation photos; pixels: their prepared pictures.
        predictions: by variant, on these photos.
    """

    run: TrainedRun
    judge: TrainedRun
    photos: tuple[Photo, ...]
    pixels: Pixels
    calibration: CalibrationSet
    predictions: Mapping[str, Predictions]
    unknown: Predictions | None
    verdict: Verdict
    rows: tuple[Row, ...]
    stability: Stability | None
    operators: OpReport


@dataclass(frozen=True)
class ExportResult:
    """What an export leaves.

    Attributes:
        bundle: the bundle's folder, its manifest, and whether it was already there.
        evidence: the figures behind it.
        variants: files of the other variants by name, in the run folder.
        report: the HTML report; None where it could not be written.
        key: what the bundle was signed with; None where it is unsigned.
    """

    bundle: WrittenBundle
    evidence: Evidence
    variants: Mapping[str, Path]
    report: Path | None
    key: LoadedKey | None

    def to_json(self) -> dict[str, Any]:
        """Return what a machine may want to know, as plain JSON types."""
        manifest = self.bundle.manifest
        stability = self.evidence.stability
        return {
            "bundle": str(self.bundle.folder),
            "bundle_id": manifest.bundle_id,
            "version": manifest.version,
            "unchanged": self.bundle.unchanged,
            "signing_key": manifest.signing_key,
            "size_bytes": manifest.files[MODEL_FILE].size_bytes,
            "metrics": manifest.metrics.to_json(),
            "loss_points": loss_points(self.evidence.verdict.agreement),
            "temperature": manifest.temperature,
            "table": [row.to_json() for row in self.evidence.rows],
            "stability": stability and {"top1": stability.top1, "agreement": stability.agreement},
            "operators": self.evidence.operators.operators,
            "variants": {name: str(path) for name, path in self.variants.items()},
            "report": self.report and str(self.report),
        }


def _evaluation_photos(judge: TrainedRun) -> tuple[Photo, ...]:
    photos = judge.in_split("test")
    if not photos:
        raise InputError(
            f"Expected photos that {judge.folder} was not trained on (split test). Received none, "
            "so nothing would be known about the model. Train again: promolens train DATA."
        )
    return photos


def _decoded(photos: tuple[Photo, ...], px: int, title: str) -> Pixels:
    with progress(title, len(photos)) as bar:
        return load_pixels(photos, px, lambda count: bar.advance(count))


def _converted(run: TrainedRun, pictures: Pixels, variants: tuple[str, ...]) -> dict[str, bytes]:
    with progress(f"convert {run.folder.name}", len(variants)) as bar:
        return convert(run.folder, pictures, variants, done=lambda name: bar.advance(1, name))


def _stability(judge: TrainedRun, calibration: CalibrationSet, evidence: Predictions,
               photos: tuple[Photo, ...], pixels: Pixels) -> Stability:  # fmt: skip
    px, answers = judge.recipe.image_px, []
    for half in halves(calibration.photos):
        files = _converted(judge, _decoded(half, px, "decode calibration"), (SHIPPED,))
        answers.append(predict_variants(files, photos, pixels, judge.classes)[SHIPPED])
    same = agreement(answers[0].logits, answers[1].logits, evidence.labels, evidence.sources)
    hits = [float((each.logits.argmax(1) == each.labels).mean()) for each in answers]
    return Stability((hits[0], hits[1]), same.rate)


def _facts(judge: TrainedRun, calibration: CalibrationSet) -> Facts:
    recipe = judge.recipe
    return Facts(
        calibration_images=len(calibration.photos),
        training_photos=sum(photo.split in ("train", "val") for photo in judge.photos),
        int8_friendly=BACKBONES[recipe.backbone].int8_friendly,
        recipe=recipe.name,
        has_ema=bool(recipe.phases) and recipe.ema_decay > 0,
    )


def gather_evidence(run: TrainedRun, options: ExportOptions) -> tuple[Evidence, dict[str, bytes]]:
    """Calibrate, convert and evaluate; return what was found and the final model's files.

    Where the run has a holdout run, every figure comes from that one, converted in the same way
    with the same calibration photos.

    Raises:
        InputError: no evaluation photos, or calibration photos among them.
        GateError: int8 loses more than the budget, or the file is not all int8.
    """
    judge = run.holdout or run
    px = judge.recipe.image_px
    photos = _evaluation_photos(judge)
    chosen = choose_calibration(
        judge.photos, judge.data_root, options.calibration_images, judge.recipe.seed
    )
    calibration = describe_calibration(chosen, photos, judge.data_root)
    pictures = _decoded(chosen, px, "decode calibration")
    pixels = _decoded(photos, px, "decode evaluation")
    judged = _converted(judge, pictures, options.converted)
    check_int8(judged[SHIPPED], px)
    predictions = predict_variants(judged, photos, pixels, judge.classes)
    unknown = None
    others = unknown_background(judge.background, "test")
    if options.unknown is not None:
        others += unknown_photos(options.unknown)
    if others:
        strange = _decoded(others, px, "decode unknown")
        only = {SHIPPED: judged[SHIPPED]}
        unknown = predict_variants(only, others, strange, judge.classes)[SHIPPED]
    verdict = give_verdict(predictions, SHIPPED, judge.classes, unknown)
    check_loss(verdict.agreement, options.max_loss_points, _facts(judge, calibration))
    stability = None
    if options.stability_check:
        stability = _stability(judge, calibration, predictions[SHIPPED], photos, pixels)
    rows = compare(judged, predictions, judge.classes, pixels[0])
    files = judged if judge is run else _converted(run, pictures, options.converted)
    operators = check_int8(files[SHIPPED], px)
    evidence = Evidence(
        run, judge, photos, pixels, calibration, predictions, unknown, verdict, rows, stability,
        operators,
    )  # fmt: skip
    return evidence, files


def _tools() -> dict[str, str]:
    found = {}
    for name in TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def bundle_id(folder: Path) -> str:
    """Return a bundle id made from a folder's name."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._")
    return plain[:MAX_ID_LENGTH] or "bundle"


def evaluated_on(evidence: Evidence) -> str:
    """Say in a sentence which photos the figures are from."""
    figures = evidence.verdict.shipped_figures
    text = (
        f"{figures.n} photos of split test from {figures.n_sources} sources, none of them trained "
        f"on; interval: {figures.interval_method}; {ece_is(evidence.verdict)}"
    )
    if evidence.judge is evidence.run:
        return text
    return (
        f"{text}. Measured on a model of the same recipe that was fitted without these sources; "
        "the shipped model was then fitted on all photos"
    )


def _description(options: ExportOptions, run: TrainedRun, output: str) -> Description:
    name = options.bundle_id or bundle_id(run.folder)
    return Description(
        name=name,
        description=f"Names one of {len(run.classes)} products in a picture.",
        version="1",
        licence=options.licence,
        labels=label_files(labels_of(run.classes)),
        labelled_output=output,
    )


def _model_entry(operators: OpReport) -> ModelEntry:
    return ModelEntry(
        role="classifier",
        file=MODEL_FILE,
        signature=operators.signature,
        inputs=tuple(
            TensorSpec(port.name, port.dtype, port.shape, port.scale, port.zero_point)
            for port in operators.inputs
        ),
        outputs=tuple(
            TensorSpec(port.name, port.dtype, port.shape)
            for port in sorted(operators.outputs, key=lambda port: port.name, reverse=True)
        ),
        golden_file=GOLDEN_FILE,
        labels_file=LABELS_FILE,
    )


def _wider(first: GoldenTolerance, second: GoldenTolerance) -> GoldenTolerance:
    """Return the tolerance that suits both models: the manifest has one for all."""
    return GoldenTolerance(
        max(first.logits_tolerance, second.logits_tolerance),
        max(first.embedding_tolerance, second.embedding_tolerance),
    )


def with_embedder(manifest: Manifest, embedder: ExportedEmbedder) -> Manifest:
    """Return the manifest with the embedder as its second model.

    Raises:
        InputError: its input has another size: a bundle has one rule of preprocessing.
    """
    sizes = [entry.tensor("image").shape for entry in (embedder.entry, manifest.models[0])]
    if sizes[0] != sizes[1]:
        raise InputError(
            f"Expected an embedder with the classifier's input {list(sizes[1])}. Received "
            f"{list(sizes[0])}. Train one of them at the other's size."
        )
    tolerance = _wider(manifest.golden, embedder.golden.tolerance)
    return replace(manifest, models=(*manifest.models, embedder.entry), golden=tolerance)


def draft_manifest(
    evidence: Evidence, options: ExportOptions, golden: GoldenVectors, gallery_key: str | None
) -> Manifest:
    """Return the manifest without files, version and key: `write_bundle` fills them in."""
    run = evidence.run
    recipe = run.recipe
    return Manifest(
        bundle_id=options.bundle_id or bundle_id(run.folder),
        version=1,
        minimum_app_version=MINIMUM_APP_VERSION,
        files={},
        models=(_model_entry(evidence.operators),),
        preprocessing=Preprocessing.square(recipe.image_px),
        temperature=evidence.verdict.temperature,
        unknown=evidence.verdict.rule,
        golden=golden.tolerance,
        metrics=manifest_metrics(evidence.verdict, evaluated_on(evidence)),
        fingerprints=Fingerprints(
            dataset=run.info["fingerprints"]["dataset"],
            calibration_set=evidence.calibration.fingerprint,
            recipe=recipe.fingerprint(),
        ),
        calibration_images=evidence.calibration.images,
        recipe=recipe.to_json(),
        backbone=recipe.backbone,
        seed=recipe.seed,
        tools=_tools(),
        licence=Licence(BACKBONES[recipe.backbone].licence, options.licence),
        delegated_keys={"gallery": gallery_key},
        signing_key=None,
    )


def _bundle_files(
    evidence: Evidence, model: bytes, golden: GoldenVectors, options: ExportOptions
) -> dict[str, bytes]:
    return {
        MODEL_FILE: with_metadata(model, _description(options, evidence.run, "logits")),
        LABELS_FILE: labels_json(labels_of(evidence.run.classes)),
        GOLDEN_FILE: golden_npz(golden.golden),
        GOLDEN_TEXT_FILE: golden_json(golden.golden),
    }


def _write_variants(
    evidence: Evidence, files: Mapping[str, bytes], options: ExportOptions
) -> dict[str, Path]:
    run, written = evidence.run, {}
    folder = run.folder / "variants"
    # The shipped one is in the bundle; a second copy would only go stale.
    content = {f"model_{name}.tflite": files[name] for name in files if name != SHIPPED}
    if options.tasks:
        plain = tasks_model(files[SHIPPED], evidence.verdict.temperature)
        content[TASKS_FILE] = with_metadata(plain, _description(options, run, OUTPUT))
    for name, data in content.items():
        write_atomically(folder / name, lambda file, data=data: file.write(data))  # type: ignore[misc]
        written[name] = folder / name
    return written


def _prepare(run: TrainedRun, out: Path, options: ExportOptions) -> LoadedKey | None:
    """Fail in the first second, not after minutes: labels, old bundle, access, photos, key."""
    labels_json(labels_of(run.classes))
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK):
        raise InputError(f"Expected a writable folder. Received {out}. Choose another --out.")
    previous_manifest(out)
    if options.unknown is not None:
        unknown_photos(options.unknown)
    return None if options.allow_unsigned else _announced_key()


def _announced_key() -> LoadedKey:
    """Return the signing key; say at once that one was made, whatever becomes of the export."""
    key = signing_key()
    if key.created:
        print(
            f"note: Made a development key for this machine: {key.origin}. For production set "
            "PROMOLENS_SIGNING_KEY.",
            file=sys.stderr,
        )
    return key


def export_run(run_dir: Path, out: Path, options: ExportOptions) -> ExportResult:
    """Make `out/bundle` from a finished run, and the report in the run folder.

    Args:
        run_dir: what `promolens train` left.
        out: folder that holds, or will hold, `bundle/`.

    Raises:
        InputError: the run, its photos or an option cannot be used.
        GateError: int8 loses more than the budget, or is not all int8.
        BundleError: what lies in `out/bundle` is no whole bundle.
        OSError: the disk is full; the old bundle is untouched.

    A report that cannot be written is no error, for the bundle is in place by then: it is one
    warning on stderr.
    """
    run = open_run(run_dir)
    key = _prepare(run, out, options)
    evidence, files = gather_evidence(run, options)
    picked = choose_golden(evidence.photos)
    golden = make_golden(files[SHIPPED], evidence.pixels[picked])
    manifest = draft_manifest(evidence, options, golden, delegated_gallery_key(key))
    content = _bundle_files(evidence, files[SHIPPED], golden, options)
    if options.embedder is not None:
        embedder = export_embedder(
            options.embedder, max(options.calibration_images, EMBEDDER_IMAGES)
        )
        manifest, content = with_embedder(manifest, embedder), {**content, **embedder.files}
    bundle = write_bundle(out, manifest, content, None if key is None else key.key)
    variants = _write_variants(evidence, files, options)
    result = ExportResult(bundle, evidence, variants, None, key)
    result = replace(result, report=report_or_warning(result, options))
    write_json(run.folder / "export.json", result.to_json())
    return result


def report_or_warning(result: ExportResult, options: ExportOptions) -> Path | None:
    """Write the report; where the machine does not let us, say so and return None."""
    from promolens_export.report import write_export_report

    path = result.evidence.run.folder / "report.html"
    try:
        write_export_report(path, result, grad_cam=options.grad_cam)
    except (OSError, PromolensError, ModuleNotFoundError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        print(
            f"warning: Expected to write the report {path}. Received: {reason}. The bundle "
            f"{result.bundle.folder} is complete; for the report, run promolens export again.",
            file=sys.stderr,
        )
        return None
    return path
