"""Compare training recipes by grouped k-fold: one change a row, finished folds are kept.

examples:
  promolens ablation photos/ --out runs/ablation
  promolens ablation photos/ --only 'Packages/*' --rows base strong --out runs/ablation
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promolens ablation`."""
    parser.add_argument("data", type=Path, help="folder of photos, or a CSV (docs/data.md)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/ablation"),
        help="folder that keeps finished folds (default: runs/ablation)",
    )
    parser.add_argument("--only", help="only classes that match, such as 'Packages/*'")
    parser.add_argument("--rows", nargs="+", help="rows whose names contain one of these words")
    parser.add_argument(
        "--folds",
        type=int,
        default=3,
        metavar="K",
        help="parts the photos are dealt into (default: 3)",
    )
    parser.add_argument("--list", action="store_true", help="list the rows and stop")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the rows that are not finished, then print the table of all that are."""
    from promolens_cli.tensorflow_setup import quiet_tensorflow

    quiet_tensorflow()
    from promolens_training import ablation

    rows = ablation.choose_rows(args.rows)
    if args.list:
        print("\n".join(rows))
        return 0
    plan = ablation.plan_folds(args.data, args.only, args.folds)
    for row in rows:
        result = ablation.summary(ablation.run_row(plan, row, args.out))
        print(f"{row}: {100 * result['top1']:.1f} %", file=sys.stderr)
    results = ablation.read_results(args.out)
    print(json.dumps(results, indent=1) if args.json else ablation.markdown(results))
    return 0
