"""Grouped k-fold of a recipe, float and int8: each photo is judged by a model of other sources.

Writes one JSON file and prints one Markdown table. Finished folds are kept, so it can be stopped
and started again.

examples:
  python benchmarks/kfold.py photos/ --recipe fast --out runs/kfold
  python benchmarks/kfold.py photos/ --only 'Packages/*' --row '(base)' --out runs/ablation
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if TYPE_CHECKING:
    from promolens_training.evaluation.predictions import Predictions
    from promolens_training.runs import TrainedRun


def fold_predictions(run: TrainedRun) -> tuple[Predictions, Predictions]:
    """Return the float file's and the int8 file's answers on the fold's held-out photos."""
    from promolens_export.convert import convert_run
    from promolens_runtime.preprocess import Preprocessing
    from promolens_training.evaluation.predictions import (
        load_predictions,
        predict_tflite,
        save_predictions,
    )

    files = {name: run.folder / f"out_of_fold_{name}.npz" for name in ("float32", "int8")}
    if not all(path.is_file() for path in files.values()):
        made = convert_run(run, ("float32", "int8"))
        rule = Preprocessing.square(run.recipe.image_px)
        for name, path in files.items():
            found = predict_tflite(made[name], run.in_split("test"), run.classes, rule)
            save_predictions(found, path)
            (run.folder / f"{name}.bytes").write_text(str(len(made[name])))
    return load_predictions(files["float32"]), load_predictions(files["int8"])


def join(parts: Sequence[Predictions]) -> Predictions:
    """Put the folds' answers one after another."""
    import numpy as np

    from promolens_training.evaluation.predictions import Predictions

    return Predictions(
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.labels for part in parts]),
        tuple(source for part in parts for source in part.sources),
        tuple(path for part in parts for path in part.paths),
    )


def figures(runs: Sequence[TrainedRun], rows: Sequence[tuple[Predictions, Predictions]]) -> Any:
    """Return what is reported: float and int8 figures, agreement, times, memory, size."""
    from dataclasses import asdict

    from promolens_training.evaluation.evaluate import evaluate
    from promolens_training.evaluation.metrics import agreement

    float_file, int8_file = (join([row[side] for row in rows]) for side in (0, 1))
    same = asdict(
        agreement(float_file.logits, int8_file.logits, int8_file.labels, int8_file.sources)
    )
    del same["worst"]
    return {
        "float": evaluate(float_file, runs[0].classes).summary(),
        "int8": evaluate(int8_file, runs[0].classes).summary(),
        "agreement": same,
        "int8_bytes": int((runs[0].folder / "int8.bytes").read_text()),
        "training_seconds": [run.info["seconds_total"] for run in runs],
        "peak_memory_bytes": max(run.info["peak_memory_bytes"] for run in runs),
        "recipe": runs[0].recipe.to_json(),
        "classes": len(runs[0].classes),
    }


def table(found: Any) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| file | n | top-1 | 95 % interval | top-3 | top-5 | coarse top-1 | ECE |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in ("float", "int8"):
        f = found[name]
        low, high = f["top1_interval"]
        coarse = "–" if f["coarse_top1"] is None else f"{100 * f['coarse_top1']:.1f} %"
        lines.append(
            f"| {name} | {f['n']} | {100 * f['top1']:.1f} % | {100 * low:.1f}–{100 * high:.1f} "
            f"| {100 * f['top3']:.1f} % | {100 * f['top5']:.1f} % | {coarse} | {f['ece']:.3f} |"
        )
    a = found["agreement"]
    lines.append(
        f"\nint8 agrees with float on {100 * a['rate']:.1f} % of {a['n']}, won {a['won']}, "
        f"lost {a['lost']} (McNemar p = {a['mcnemar_p']:.2f}); {found['int8_bytes']} bytes; "
        f"{sum(found['training_seconds']):.0f} s of training, "
        f"peak {found['peak_memory_bytes'] / 2**30:.1f} GiB."
    )
    return "\n".join(lines)


def main() -> int:
    """Run the folds that are not finished and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--row", help="a row of the ablation in place of a recipe")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/kfold"))
    args = parser.parse_args()

    from promolens_training import ablation
    from promolens_training.files import write_json
    from promolens_training.fit import make_job, train_one
    from promolens_training.recipes import recipe_named

    if args.row:
        name = ablation.choose_rows([args.row])[0]
        recipe, folder = ablation.ROWS[name], args.out / ablation.slug(name)
    else:
        recipe = recipe_named(args.recipe)
        folder = args.out / f"{args.recipe}-{ablation.slug(args.only or 'all')}"
    plan = ablation.plan_folds(args.data, args.only, args.folds)
    runs, rows = [], []
    for number in range(args.folds):
        job = make_job(folder / f"fold{number}", recipe, plan.fold(number))
        runs.append(train_one(job, resume=True))
        rows.append(fold_predictions(runs[-1]))
    found = figures(runs, rows)
    write_json(folder / "kfold.json", found)
    print(table(found))
    print(f"\nfigures: {folder / 'kfold.json'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
