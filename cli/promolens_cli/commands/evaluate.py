"""Measure a bundle on labelled photos, with the very file and preprocessing that phones use.

DATA is a folder of class folders, a CSV list or the Grocery Store Dataset (docs/data.md). Its
labels are matched with the bundle's by label, item_id or alias. By default the photos whose split
is "test" are used, and all photos where the data names no splits. What the figures mean is in
docs/evaluation.md. TensorFlow is not needed.

examples:
  promolens evaluate android_assets/bundle photos/ --json
  promolens evaluate android_assets/bundle photos.csv --split all --report evaluation.html
  promolens evaluate android_assets/bundle photos/ --unknown other_things/
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

if TYPE_CHECKING:
    from promolens_training.evaluation.bundle import BundleEvaluation

UNMATCHED_FLAG = "--unmatched-as-unknown"
_WEAKEST = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("bundle", type=Path, help="the bundle, or the folder that holds bundle/")
    parser.add_argument("data", type=Path, help="labelled photos: a folder or a .csv")
    parser.add_argument(
        "--split",
        choices=("test", "val", "train", "all"),
        help="photos to use (default: test, or all where the data names no splits)",
    )
    parser.add_argument("--only", metavar="GLOB", help="only classes that match ('Packages/*')")
    parser.add_argument(
        "--unknown", type=Path, metavar="FOLDER", help="pictures of things the bundle never saw"
    )
    parser.add_argument(
        UNMATCHED_FLAG,
        action="store_true",
        help="count photos whose label the bundle does not know as unknown objects",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--report", type=Path, metavar="OUT.html", help="write an HTML report")
    parser.add_argument("--public-key", metavar="K", help="ed25519:<base64>")
    parser.add_argument(
        "--allow-unsigned", action="store_true", help="accept a bundle without a signature"
    )
    parser.add_argument("--threads", type=_positive, default=2, metavar="N", help="CPU threads (2)")


def run(args: argparse.Namespace) -> int:
    """Evaluate, then print the figures."""
    started = time.perf_counter()
    result = _evaluate(args)
    seconds = time.perf_counter() - started
    if result.overlap:
        print(f"warning: {result.overlap_note} Measure on other photos.", file=sys.stderr)
    if args.report is not None:
        from promolens_training.report import write_report
        from promolens_training.report.bundle_report import bundle_report

        write_report(args.report, bundle_report(result, args.data.name or str(args.data)))
    if args.json:
        answer = {**result.to_json(), "seconds": round(seconds, 3)}
        print(json.dumps(answer, ensure_ascii=False, indent=1, allow_nan=False))
        return 0
    print("\n".join([*_figures(result, seconds), *_weakest(result)]))
    if args.report is not None:
        print(f"report: {args.report}")
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, received {text}")
    return value


def _evaluate(args: argparse.Namespace) -> BundleEvaluation:
    from promolens_cli.recognizers import open_recognizer
    from promolens_training.data.load import load_photo_set
    from promolens_training.evaluation.bundle import evaluate_bundle

    return evaluate_bundle(
        open_recognizer(args, args.threads),
        load_photo_set(args.data, args.only),
        _progress,
        split=args.split,
        unknown_folder=args.unknown,
        unmatched_flag=None if args.unmatched_as_unknown else UNMATCHED_FLAG,
    )


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], object]]:
    from promolens_training.progress import progress

    with progress("Evaluating", total) as shown:
        yield lambda count: shown.advance(count)


def _percent(rate: float) -> str:
    return f"{100 * rate:5.1f} %"


def _range(bounds: tuple[float, float]) -> str:
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f} %"


def _figures(result: BundleEvaluation, seconds: float) -> list[str]:
    figures, manifest = result.evaluation, result.manifest
    which = "all" if result.split == "all" else f'split "{result.split}"'
    coarse = figures.coarse_top1
    rows = [
        (
            "top-1",
            f"{_percent(figures.top1)}   {_range(figures.top1_interval)}"
            f"  ({figures.interval_method})",
        ),
        ("top-3", _percent(figures.top3)),
        ("top-5", _percent(figures.top5)),
        ("coarse top-1", "    -     no class has a parent" if coarse is None else _percent(coarse)),
        (
            "ECE",
            f"{figures.ece:7.3f}   {figures.ece_scaled:.3f} after the bundle's temperature "
            f"({figures.temperature:.3f})",
        ),
        (
            "accepted",
            f"{_percent(result.accepted_rate)}   {manifest.unknown.score} at least "
            f"{manifest.unknown.accept_at_least:.3f}",
        ),
    ]
    if result.unknown is not None:
        bounds = result.unknown.false_accept_interval.bounds
        value = f"{_percent(result.unknown.false_accept_rate)}   {_range(bounds)}"
        known = f"n = {result.unknown.n_unknown}, AUROC {result.unknown.auroc:.3f}"
        rows.append(("unknown accepted", f"{value}  ({known})"))
    head = (
        f"{manifest.bundle_id} version {manifest.version}: {figures.n} photos ({which}) "
        f"from {figures.n_sources} sources, {seconds:.1f} s"
    )
    return [head, *(f"  {name:17}{value}" for name, value in rows)]


def _weakest(result: BundleEvaluation) -> list[str]:
    flawed = [one for one in result.evaluation.per_class if one.correct < one.n]
    flawed.sort(key=lambda one: (one.correct / one.n, -one.n))
    if not flawed:
        return []
    names = {one.name: one.name_ko or one.name for one in result.classes}
    shown = flawed[:_WEAKEST]
    wide = max(_columns(names[one.label]) for one in shown)
    lines = ["weakest classes"]
    for one in shown:
        name = names[one.label] + " " * (wide - _columns(names[one.label]))
        taken = names[one.mostly_taken_for] if one.mostly_taken_for else ""
        lines.append(f"  {name}  {one.correct:3} of {one.n:<4} mostly taken for {taken}")
    return lines


def _columns(text: str) -> int:
    """Return how many terminal columns `text` takes; Hangul takes two each."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
