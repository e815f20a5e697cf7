"""Train an embedder (one vector a picture), or compare embedding recipes on unseen classes.

The data needs catalogue pictures: `is_gallery` in photos.csv, or the Grocery Store Dataset. Both
go on where they stopped, also after Ctrl-C. See docs/embeddings.md.

examples:
  promolens embed compare photos/ --recipes whitened across arcface --out runs/embeddings
  promolens embed compare photos/ --only 'Packages/*' --seeds 1 --nested --out runs/embeddings
  promolens embed train photos/ --recipe across-block --out runs/embedder
  promolens embed list
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `promolens embed`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    train = actions.add_parser("train", help="train one embedder on all pictures")
    _add_data(train, "runs/embedder")
    train.add_argument("--recipe", default="across-block", help="default: across-block")
    train.add_argument("--resume", action="store_true", help="go on with the run in OUT")
    train.add_argument("--seed", type=int, help="random seed (default: the recipe's)")
    compare = actions.add_parser("compare", help="compare recipes by class-folds, in one table")
    _add_data(compare, "runs/embeddings")
    compare.add_argument("--recipes", nargs="+", metavar="NAME", help="default: all but deep ones")
    compare.add_argument("--folds", type=int, default=5, metavar="K", help="default: 5")
    compare.add_argument("--seeds", type=int, default=3, metavar="N", help="default: 3")
    compare.add_argument(
        "--nested", action="store_true", help="also choose a recipe on inner splits and judge it"
    )
    compare.add_argument("--json", action="store_true", help="print the rows as JSON")
    actions.add_parser("list", help="list the recipes")


def _add_data(parser: argparse.ArgumentParser, out: str) -> None:
    parser.add_argument("data", type=Path, help="folder of photos, or a CSV (docs/data.md)")
    parser.add_argument("--out", type=Path, default=Path(out), help=f"default: {out}")
    parser.add_argument(
        "--only", help="judge classes that match, such as 'Packages/*'; the others only train"
    )


def run(args: argparse.Namespace) -> int:
    """Train, compare or list."""
    if args.action == "list":
        return _list()
    from promolens_cli.tensorflow_setup import quiet_tensorflow

    quiet_tensorflow()
    return _train(args) if args.action == "train" else _compare(args)


def _list() -> int:
    from promolens_training.embedding.recipes import EMBEDDING_RECIPES

    for recipe in EMBEDDING_RECIPES.values():
        print(f"{recipe.name:22} {recipe.loss:24} from {recipe.level}, {recipe.steps} steps")
    return 0


def _train(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from promolens_training.embedding.commands import train_command
    from promolens_training.embedding.recipes import embedding_recipe_named

    recipe = embedding_recipe_named(args.recipe)
    if args.seed is not None:
        recipe = replace(recipe, seed=args.seed)
    finished = train_command(args.data, args.only, recipe, args.out, resume=args.resume)
    print(f"Trained {recipe.name} on {finished.info['classes']} classes: {finished.folder}")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from promolens_runtime.errors import InputError
    from promolens_training.embedding.commands import compare_command
    from promolens_training.embedding.compare import markdown
    from promolens_training.embedding.recipes import EMBEDDING_RECIPES

    if not 1 <= args.seeds <= 20:
        raise InputError(f"Expected 1 to 20 seeds. Received {args.seeds}. Try 3.")
    quick = [r.name for r in EMBEDDING_RECIPES.values() if r.level in ("pooled", "block14")]
    rows = compare_command(
        args.data,
        args.only,
        args.recipes or quick,
        args.out,
        folds=args.folds,
        seeds=[2026 + number for number in range(args.seeds)],
        nested=args.nested,
    )
    print(json.dumps(rows, indent=1) if args.json else markdown(rows))
    return 0
