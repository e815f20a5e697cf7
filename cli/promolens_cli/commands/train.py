"""Train a recogniser on a folder of photos and leave a run folder for `promolens export`.

Recipes: `card` (a softmax on frozen ImageNet features: seconds), `fast` (the whole network:
minutes), `best` (longest and most accurate). See docs/training.md.

examples:
  promolens train photos/ --out runs/mine
  promolens train photos/ --recipe best --only 'Packages/*' --out runs/packages
  promolens train photos/ --out runs/mine --resume      # after a stop, at any moment
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

RECIPE_NAMES = ("card", "fast", "best", "teacher")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promolens train`."""
    parser.add_argument("data", type=Path, help="folder of photos, or a CSV (docs/data.md)")
    parser.add_argument("--out", type=Path, required=True, help="run folder to make")
    parser.add_argument("--recipe", choices=RECIPE_NAMES, default="fast")
    parser.add_argument("--only", help="train only classes that match, such as 'Packages/*'")
    parser.add_argument("--resume", action="store_true", help="go on with, or keep, the run in OUT")
    parser.add_argument("--seed", type=int, help="random seed (default: the recipe's)")
    parser.add_argument("--weights", type=Path, help="ImageNet weights file (.pth or .h5)")
    parser.add_argument(
        "--no-refit",
        action="store_true",
        help="without a test split: keep the model that was judged, do not fit again on everything",
    )
    parser.add_argument("--json", action="store_true", help="print run.json")


def run(args: argparse.Namespace) -> int:
    """Train, then say where the run folder is."""
    from promolens_cli.tensorflow_setup import quiet_tensorflow

    quiet_tensorflow()
    from dataclasses import replace

    from promolens_training.recipes import recipe_named
    from promolens_training.train import TrainOptions, train

    recipe = recipe_named(args.recipe)
    if args.seed is not None:
        recipe = replace(recipe, seed=args.seed)
    options = TrainOptions(
        data=args.data,
        out=args.out,
        recipe=recipe,
        only=args.only,
        resume=args.resume,
        refit=not args.no_refit,
        weights=args.weights,
    )
    finished = train(options)
    if args.json:
        print(json.dumps(finished.info, indent=1, sort_keys=True))
    else:
        minutes = finished.info["seconds_total"] / 60
        print(f"Trained {len(finished.classes)} classes in {minutes:.1f} min: {finished.folder}")
        print(f"Next: promolens export {finished.folder} --out FOLDER")
    return 0
