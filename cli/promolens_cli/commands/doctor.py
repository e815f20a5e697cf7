"""Examine a folder of photos before training: damaged files, duplicates, leaks, class names.

Ends with status 0 when training may go on (warnings allowed), with 1 when it may not.

examples:
  promolens doctor photos/
  promolens doctor photos/ --only 'Packages/*' --report doctor.html
  promolens doctor photos/ --fast --json > doctor.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promolens doctor`."""
    parser.add_argument("data", type=Path, help="folder of photos, or a CSV (docs/data.md)")
    parser.add_argument("--only", help="examine only classes that match, such as 'Packages/*'")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="write a page with pictures, and the findings as FILE.json beside it",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--fast", action="store_true", help="find near-duplicates by hash only, without TensorFlow"
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="keep no features in the user's cache folder"
    )


def run(args: argparse.Namespace) -> int:
    """Examine, print or write what was found."""
    if not args.fast:
        from promolens_cli.tensorflow_setup import quiet_tensorflow

        quiet_tensorflow()
    from promolens_training.data.doctor import examine
    from promolens_training.data.doctor_report import as_json, as_text, check_target, write_report

    if args.report:
        check_target(args.report)
    diagnosis = examine(args.data, args.only, fast=args.fast, use_cache=not args.no_cache)
    if args.json:
        print(json.dumps(as_json(diagnosis), indent=1))
    else:
        print(as_text(diagnosis))
    if args.report:
        write_report(args.report, diagnosis)
        print(f"Report: {args.report}", file=sys.stderr if args.json else sys.stdout)
    return 0 if diagnosis.may_train else 1
