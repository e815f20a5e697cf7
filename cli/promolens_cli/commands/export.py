"""Turn a trained run into a verified, signed bundle for the phone.

Converts the network to full int8 (and, for comparison, to four other kinds of file), measures the
converted files, refuses when int8 loses too much, and writes OUT/bundle and RUN/report.html. See
docs/export.md.

examples:
  promolens export runs/mine --out android_assets
  promolens export runs/mine --out android_assets --variants int8 --max-loss 0.5
  promolens export runs/mine --out android_assets --unknown other_photos/ --tasks
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promolens_export.pipeline import ExportResult


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promolens export`."""
    parser.add_argument("run", type=Path, help="run folder that `promolens train` made")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets bundle/")
    parser.add_argument(
        "--variants",
        choices=("all", "int8"),
        default="all",
        help="compare all kinds of file, or only float32 and int8 (default: all)",
    )
    parser.add_argument(
        "--max-loss",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="top-1 points that int8 may lose (default: 1.0)",
    )
    parser.add_argument(
        "--calibration-images",
        type=int,
        default=200,
        metavar="N",
        help="training photos that set the int8 ranges (default: 200)",
    )
    parser.add_argument(
        "--stability",
        action="store_true",
        help="also calibrate on each half of these photos and compare",
    )
    parser.add_argument(
        "--unknown",
        type=Path,
        metavar="FOLDER",
        help="photos of other things: measures how many pass as known",
    )
    parser.add_argument(
        "--tasks", action="store_true", help="also write model_tasks.tflite (MediaPipe Tasks)"
    )
    parser.add_argument(
        "--embedder",
        type=Path,
        metavar="RUN",
        help="add the embedder that `promolens embed train` left in RUN as a second model",
    )
    parser.add_argument("--bundle-id", metavar="NAME", help="default: the run folder's name")
    parser.add_argument("--licence", metavar="TEXT", help="what users of the bundle may do with it")
    parser.add_argument("--allow-unsigned", action="store_true", help="write no signature")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    """Export, then say what came out and where."""
    from promolens_cli.tensorflow_setup import quiet_tensorflow

    quiet_tensorflow()
    from promolens_export.convert import SHIPPED, VARIANTS
    from promolens_export.options import ExportOptions
    from promolens_export.pipeline import export_run

    licence = {"licence": args.licence} if args.licence else {}
    options = ExportOptions(
        variants=VARIANTS if args.variants == "all" else (SHIPPED,),
        max_loss_points=args.max_loss,
        calibration_images=args.calibration_images,
        stability_check=args.stability,
        unknown=args.unknown,
        embedder=args.embedder,
        tasks=args.tasks,
        allow_unsigned=args.allow_unsigned,
        bundle_id=args.bundle_id,
        **licence,
    )
    result = export_run(args.run, args.out, options)
    print(json.dumps(result.to_json(), indent=1) if args.json else summary(result))
    return 0


def summary(result: ExportResult) -> str:
    """Return the table and where everything lies, as lines for a person."""
    from promolens_export.table import text_table

    manifest, evidence = result.bundle.manifest, result.evidence
    stability = evidence.stability
    lines = [text_table(evidence.rows), "", f"Measured on {manifest.metrics.evaluated_on}."]
    if stability is not None:
        lines.append(
            f"Calibrated on halves: top-1 {stability.top1[0]:.1%} and {stability.top1[1]:.1%}, "
            f"agreement {stability.agreement:.1%}."
        )
    signed = f"signed by {manifest.signing_key}" if manifest.signing_key else "unsigned"
    state = "unchanged" if result.bundle.unchanged else "verified"
    lines += [
        f"Bundle: {result.bundle.folder} ({manifest.bundle_id} version {manifest.version}, {state},"
        f" {signed})",
        *(f"Variant: {path}" for path in result.variants.values()),
        *([f"Report: {result.report}"] if result.report else []),
    ]
    return "\n".join(lines)
