"""Compare embedding recipes on classes and photos that training never saw.

Natural photo -> catalogue picture, five class-folds, intervals by class bootstrap (docs/
embeddings.md). Goes on where it stopped; Ctrl-C loses at most a minute.

examples:
  python benchmarks/embedding_compare.py grocery/ --only 'Packages/*' --stage heads
  python benchmarks/embedding_compare.py grocery/ --only 'Packages/*' --stage blocks --seeds 1
  python benchmarks/embedding_compare.py grocery/ --only 'Packages/*' --stage whole --seeds 1
  python benchmarks/embedding_compare.py grocery/ --recipes across arcface --nested --out table.json
"""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from promolens_cli.tensorflow_setup import quiet_tensorflow
from promolens_runtime.errors import PromolensError

STAGES = {"heads": ("pooled",), "blocks": ("block14", "block10"), "whole": ("pixels",)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of photos with catalogue pictures")
    parser.add_argument("--only", help="classes that are judged, such as 'Packages/*'")
    parser.add_argument("--stage", choices=STAGES, default="heads", help="default: heads")
    parser.add_argument("--recipes", nargs="+", metavar="NAME", help="instead of a stage")
    parser.add_argument("--folds", type=int, default=5, metavar="K", help="default: 5")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--nested", action="store_true", help="also choose on inner splits")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/embeddings"), help="keeps finished parts"
    )
    parser.add_argument("--out", type=Path, help="JSON file for the rows")
    return parser.parse_args()


def main() -> int:
    """Compare, print the table, write the rows."""
    args = _arguments()
    quiet_tensorflow()
    from promolens_training.embedding.commands import compare_command
    from promolens_training.embedding.compare import markdown
    from promolens_training.embedding.recipes import EMBEDDING_RECIPES
    from promolens_training.files import write_json

    levels = STAGES[args.stage]
    names = args.recipes or [r.name for r in EMBEDDING_RECIPES.values() if r.level in levels]
    seeds = [2026 + number for number in range(args.seeds)]
    rows = compare_command(
        args.data,
        args.only,
        names,
        args.runs,
        folds=args.folds,
        seeds=seeds,
        nested=args.nested,
    )
    print(markdown(rows))
    if args.out:
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        write_json(args.out, {"date": date, "folds": args.folds, "seeds": seeds, "rows": rows})
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except PromolensError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
