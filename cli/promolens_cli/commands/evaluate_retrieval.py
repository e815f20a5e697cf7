"""Measure how a bundle's embedding finds catalogue pictures, or measure anybody's predictions.

With a BUNDLE and DATA (docs/data.md), every query photo asks a gallery of catalogue pictures by
cosine. Queries are the photos marked is_query, else the test split; the gallery is the photos
marked is_gallery, or the pictures of --gallery, named after their class. Where training has seen a
query (an equal picture, the same source, near-duplicates) the report is refused.

With --predictions (CSV: query_id,reference_id,score) and --truth (CSV:
query_id,reference_id[,grade], the grade being easy, hard or junk) no model is needed. What each
figure means is in docs/evaluation-retrieval.md.

examples:
  promolens evaluate retrieval android_assets/bundle demo_data --gallery demo_data/catalogue
  promolens evaluate retrieval android_assets/bundle photos.csv --json
  promolens evaluate retrieval android_assets/bundle photos.csv --distractors other_products/
  promolens evaluate retrieval android_assets/bundle photos.csv --cut-points gallery.default.json
  promolens evaluate retrieval --predictions mine.csv --truth truth.csv
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

from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    from promolens_retrieval.evaluation.predicted import PredictedFigures
    from promolens_retrieval.evaluation.retrieval import Rate
    from promolens_training.evaluation.retrieval import RetrievalEvaluation

LEAK_FLAG = "--allow-leaks"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "bundle", type=Path, nargs="?", help="the bundle, or the folder that holds bundle/"
    )
    parser.add_argument("data", type=Path, nargs="?", help="labelled photos: a folder or a .csv")
    parser.add_argument("--gallery", type=Path, metavar="FOLDER", help="catalogue pictures")
    parser.add_argument(
        "--split", choices=("test", "val", "train", "all"), help="photos that ask the gallery"
    )
    parser.add_argument("--only", metavar="GLOB", help="only classes that match ('Packages/*')")
    parser.add_argument(
        "--distractors", type=Path, metavar="FOLDER", help="pictures of other things in the gallery"
    )
    parser.add_argument(
        LEAK_FLAG, action="store_true", help="report although training has seen queries, and say so"
    )
    parser.add_argument(
        "--predictions", type=Path, metavar="CSV", help="query_id,reference_id,score"
    )
    parser.add_argument(
        "--cut-points", type=Path, metavar="JSON", help="fit what scores mean on these photos"
    )
    parser.add_argument("--truth", type=Path, metavar="CSV", help="query_id,reference_id[,grade]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--public-key", metavar="K", help="ed25519:<base64>")
    parser.add_argument(
        "--allow-unsigned", action="store_true", help="accept a bundle without a signature"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate, then print the figures."""
    if args.predictions or args.truth:
        return _run_predictions(args)
    if args.bundle is None or args.data is None:
        raise InputError(
            "Expected a bundle and data, or --predictions and --truth. Received neither. "
            "See: promolens evaluate retrieval --help"
        )
    started = time.perf_counter()
    result = _evaluate(args)
    seconds = time.perf_counter() - started
    if result.audit.leaks:
        print(f"warning: THIS REPORT LEAKS: {result.audit.sentence()}.", file=sys.stderr)
    if args.cut_points is not None:
        _write_cut_points(args.cut_points, result)
    if args.json:
        answer = {**result.to_json(), "seconds": round(seconds, 3)}
        print(json.dumps(answer, ensure_ascii=False, indent=1, allow_nan=False))
    else:
        print("\n".join(_figures(result, seconds)))
    return 0


def _write_cut_points(path: Path, result: RetrievalEvaluation) -> None:
    """Write what the service reads as `<calibration>/<corpus>.json` (docs/recognition-api.md)."""
    from promolens_retrieval.cut_points import fit
    from promolens_training.files import write_json

    best = result.figures.best
    fitted = fit(best.scores, best.matches, best.sources)
    write_json(
        path,
        {
            "format": 1,
            "model_id": result.model_sha256,
            "measure": "score",
            "cut_points": fitted.as_json(),
            "background": None,
        },
    )
    for point in fitted.points:
        reach = "never reached" if point.least_score is None else f"from {point.least_score:.3f}"
        print(
            f"cut-point {point.band:6} {reach}: {point.precision:.1%} right "
            f"({point.low:.1%} to {point.high:.1%}, n = {point.n})",
            file=sys.stderr,
        )


def _evaluate(args: argparse.Namespace) -> RetrievalEvaluation:
    from promolens_cli.recognizers import open_bundle, open_embedder
    from promolens_training.data.load import load_photo_set
    from promolens_training.evaluation.bundle import unknown_photos
    from promolens_training.evaluation.retrieval import evaluate_retrieval

    return evaluate_retrieval(
        open_embedder(open_bundle(args)),
        load_photo_set(args.data, args.only),
        _progress,
        split=args.split,
        gallery_folder=args.gallery,
        distractors=unknown_photos(args.distractors) if args.distractors else (),
        leak_flag=None if args.allow_leaks else LEAK_FLAG,
    )


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], object]]:
    from promolens_training.progress import progress

    with progress(title, total) as shown:
        yield lambda count: shown.advance(count)


def _run_predictions(args: argparse.Namespace) -> int:
    from promolens_retrieval.evaluation.predicted import measure_predictions, read_csv

    if args.predictions is None or args.truth is None or args.bundle is not None:
        raise InputError(
            "Expected --predictions and --truth together and no bundle. Received one without the "
            "other, or a bundle too. See: promolens evaluate retrieval --help"
        )
    predictions = read_csv(args.predictions, scored=True)
    result = measure_predictions(predictions, read_csv(args.truth, scored=False))
    if args.json:
        print(json.dumps(result.to_json(), ensure_ascii=False, indent=1, allow_nan=False))
    else:
        print("\n".join(_predicted_lines(result)))
    return 0


def _rate(rate: Rate) -> str:
    low, high = rate.interval.bounds
    return f"{100 * rate.value:5.1f} %   {100 * low:.1f} to {100 * high:.1f} %"


def _figures(result: RetrievalEvaluation, seconds: float) -> list[str]:
    figures = result.figures
    rows = [
        *(
            (f"recall@{k}", f"{_rate(rate)}  ({rate.interval.method})")
            for k, rate in figures.recall.items()
        ),
        ("MAP@R", _rate(figures.map_at_r)),
        ("mAP", _rate(figures.mean_ap)),
        ("uAP", f"{100 * figures.micro_ap:5.1f} %   over pairs; recall at 90 % precision "
         f"{100 * figures.recall_at_p90:.1f} %"),
    ]  # fmt: skip
    if figures.roc_auc is not None and figures.equal_error_rate is not None:
        found = ", ".join(
            f"{100 * tpr:.1f} % at {100 * fpr:g} %" for fpr, tpr in figures.tpr_at_fpr.items()
        )
        rows.append(("ROC", f"{figures.roc_auc:.4f}   equal error rate "
                     f"{100 * figures.equal_error_rate:.1f} %; accepts {found}"))  # fmt: skip
    rows += [
        (f"gallery of {one.size:,}",
         "recall " + ", ".join(f"@{k} {100 * value:.1f} %" for k, value in one.recall.items()))
        for one in figures.by_size[:-1]
    ]  # fmt: skip
    head = (
        f"{result.bundle_id} version {result.bundle_version}: {figures.n_queries} photos "
        f"({result.split}) from {figures.n_sources} sources against a gallery of "
        f"{figures.n_gallery} ({result.n_distractors} distractors), {seconds:.1f} s"
    )
    notes = [f"  leaks: {result.audit.sentence()}"]
    if figures.n_without_answer:
        notes.append(f"  {figures.n_without_answer} photos have no answer in the gallery")
    return [head, *(f"  {name:17}{value}" for name, value in rows), *notes]


def _predicted_lines(result: PredictedFigures) -> list[str]:
    rows = [
        ("uAP", f"{100 * result.micro_ap:5.1f} %"),
        ("recall@P90", f"{100 * result.recall_at_p90:5.1f} %"),
        *((f"recall@{k}", f"{100 * rate:5.1f} %") for k, rate in result.recall.items()),
        *((f"mAP {name}", f"{100 * value:5.1f} %") for name, value in result.mean_ap.items()),
    ]
    head = (
        f"{result.n_queries} queries with an answer, {result.n_unanswered} without, "
        f"{result.n_predictions} predictions"
    )
    return [head, *(f"  {name:12}{value}" for name, value in rows)]
