"""How well does a model say "not known"? Classes are left out of training and shown to it after.

Trains RECIPE without a fifth of the classes (look-alikes of classes that stay), converts to int8,
and measures how many photos of the left-out classes, and of a folder of other things, are accepted
at the threshold that accepts 95 % of the known. The threshold never sees an unknown photo.

examples:
  python benchmarks/unknown.py demo_data
  python benchmarks/unknown.py demo_data --others photos_of_other_things/
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if TYPE_CHECKING:
    from promolens_training.data.photos import Photo
    from promolens_training.evaluation.predictions import Predictions
    from promolens_training.runs import TrainedRun


def train_without(
    data: Path, recipe_name: str, share: float, out: Path
) -> tuple[TrainedRun, list[Photo]]:
    """Train without some classes; returns the run and the test photos of those classes."""
    from promolens_training.data import load_photo_set
    from promolens_training.evaluation.unknown import held_out_labels
    from promolens_training.fit import make_job, train_one
    from promolens_training.recipes import recipe_named

    whole = load_photo_set(data)
    left_out = set(held_out_labels(whole.classes, share))
    strangers = [p for p in whole.photos if p.label in left_out and p.split == "test"]
    kept = replace(
        whole,
        photos=tuple(p for p in whole.photos if p.label not in left_out),
        classes=tuple(c for c in whole.classes if c.name not in left_out),
    )
    return train_one(make_job(out, recipe_named(recipe_name), kept), resume=True), strangers


def int8_answers(run: TrainedRun, groups: Sequence[Sequence[Photo]]) -> list[Predictions]:
    """Convert the run to int8 and answer each group of photos."""
    from promolens_export.convert import convert_run
    from promolens_runtime.preprocess import Preprocessing
    from promolens_training.evaluation.predictions import predict_tflite

    model = convert_run(run, ("int8",))["int8"]
    rule = Preprocessing.square(run.recipe.image_px)
    return [predict_tflite(model, list(group), run.classes, rule) for group in groups]


def row(name: str, known: Predictions, unknown: Predictions) -> dict[str, Any]:
    """Measure the better score against one kind of unknown."""
    from promolens_training.evaluation.unknown import compare_scores

    best = compare_scores(known.logits, unknown.logits, known.sources, unknown.sources)[0]
    return {
        "unknown": name,
        "n": best.n_unknown,
        "score": best.score,
        "accepted": best.false_accept_rate,
        "interval": best.false_accept_interval.bounds,
        "auroc": best.auroc,
        "known_accepted": best.accepted_known,
        "n_known": best.n_known,
    }


def main() -> int:
    """Train, convert, measure and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a dataset with a test split")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--share", type=float, default=0.2, help="share of classes left out")
    parser.add_argument("--others", type=Path, help="folder with photos of other things")
    parser.add_argument("--out", type=Path, default=Path("runs/unknown"))
    args = parser.parse_args()

    from promolens_training.evaluation.bundle import unknown_photos
    from promolens_training.files import write_json

    run, strangers = train_without(args.data, args.recipe, args.share, args.out)
    groups = {"left-out look-alikes": strangers}
    if args.others:
        groups["other things"] = list(unknown_photos(args.others))
    known, *answers = int8_answers(run, [run.in_split("test"), *groups.values()])
    rows = [row(name, known, found) for name, found in zip(groups, answers, strict=True)]
    write_json(args.out / "unknown.json", rows)
    print("| unknown | n | score | accepted | 95 % interval | AUROC | known accepted (n) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for r in rows:
        low, high = r["interval"]
        print(
            f"| {r['unknown']} | {r['n']} | {r['score']} | {r['accepted']:.1%} "
            f"| {low:.1%}–{high:.1%} | {r['auroc']:.3f} "
            f"| {r['known_accepted']:.1%} ({r['n_known']}) |"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
