"""Measure how rows without a barcode find their products, and decide the doubtful ones.

`evaluate` reads a folder with one CSV file for each chain (columns name, price_krw, promotion,
barcode), hides the barcodes, links every row to at most one product of every other chain by name,
price and size, and compares with the barcodes: precision is right links of all links, recall is
right links of all rows that have a partner. Rows without a barcode are left out.

`review` shows the rows whose product nobody is sure of, and takes decisions about them. A decision
holds for all months to come: an accepted row goes to its product, a rejected pair never comes back.

examples:
  promolens match evaluate lists/2026-02
  promolens match evaluate lists/2026-02 --json
  promolens match review list --chain seven
  promolens match review accept 17 --by min
  promolens match review reject 18 19
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promolens_cli.commands.catalog import DATABASE_VARIABLE, DEFAULT_DATABASE

if TYPE_CHECKING:
    from promolens_catalog.link_evaluation import Evaluation, Figures, Mistake
    from promolens_catalog.link_lists import TruthLists
    from promolens_catalog.link_model import LinkModel
    from promolens_catalog.link_review import OpenRow


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    evaluate = actions.add_parser(
        "evaluate",
        help="measure precision and recall on lists with barcodes",
        description="Measure precision and recall on lists whose barcodes are hidden.",
        epilog="example: promolens match evaluate lists/2026-02 --mistakes 30",
    )
    evaluate.add_argument("lists", type=Path, metavar="DIR", help="one CSV file for each chain")
    evaluate.add_argument(
        "--accept-at-least", type=_score, metavar="S", help="another threshold than the shipped"
    )
    evaluate.add_argument(
        "--mistakes",
        type=_count,
        default=20,
        metavar="N",
        help="worst ones shown of each kind (20)",
    )
    evaluate.add_argument("--json", action="store_true", help="print one JSON object")
    _configure_review(actions)


def _configure_review(actions: Any) -> None:
    review = actions.add_parser(
        "review",
        help="decide rows whose product is in doubt",
        description="Show rows whose product is in doubt, and decide about them.",
        epilog="example: promolens match review list --limit 20",
    )
    deeds = review.add_subparsers(dest="deed", required=True, metavar="list|accept|reject")
    listed = deeds.add_parser("list", help="rows that wait, the surest proposal first")
    listed.add_argument("--chain", help="only this chain's")
    listed.add_argument("--limit", type=_count, default=50, metavar="N", help="rows shown (50)")
    listed.add_argument("--all", action="store_true", help="also rows of earlier months")
    for name, help_text in (
        ("accept", "the row is the proposed product"),
        ("reject", "the row is not the proposed product"),
    ):
        decide = deeds.add_parser(name, help=help_text)
        decide.add_argument("proposals", type=int, nargs="+", metavar="NUMBER")
        decide.add_argument("--by", metavar="WHO", help="kept with the decision (the login name)")
    for deed in deeds.choices.values():
        deed.add_argument(
            "--database",
            metavar="URL",
            default=os.environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE,
            help=f"path or postgresql://... ({DATABASE_VARIABLE}, else {DEFAULT_DATABASE})",
        )
        deed.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run one action."""
    if args.action == "evaluate":
        return _evaluate(args)
    return _list(args) if args.deed == "list" else _decide(args)


def _score(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a score between 0 and 1, received {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, received {text}")
    return value


# ---- evaluate


def _evaluate(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from promolens_catalog.link_evaluation import evaluate
    from promolens_catalog.link_lists import read_truth_lists
    from promolens_catalog.link_model import shipped_model
    from promolens_crawler.plain import plain

    truth = read_truth_lists(args.lists)
    for name in truth.passed_over:
        print(f"note: passed over {plain(name)}, which is no list", file=sys.stderr)
    model = shipped_model()
    if args.accept_at_least is not None:
        low = min(model.review_at_least, args.accept_at_least)
        model = replace(model, accept_at_least=args.accept_at_least, review_at_least=low)
    found = evaluate(truth, model)
    if args.json:
        answer = _evaluation_json(truth, model, found, args.mistakes)
        print(json.dumps(answer, ensure_ascii=False, indent=1, allow_nan=False))
    else:
        _print_evaluation(truth, model, found, args.mistakes)
    return 0


def _seen(truth: TruthLists, model: LinkModel) -> list[str]:
    """Return the lists that the model was fitted on."""
    return [name for name, digest in truth.sha256.items() if digest in model.trained_on]


def _evaluation_json(
    truth: TruthLists, model: LinkModel, found: Evaluation, mistakes: int
) -> dict[str, Any]:
    return {
        **_figures_json(found.figures),
        "precision_interval": [round(bound, 5) for bound in found.precision_interval],
        "recall_interval": [round(bound, 5) for bound in found.recall_interval],
        "model_version": model.version,
        "rows": {name: len(rows) for name, rows in truth.rows.items()},
        "rows_left_out": truth.left_out,
        "passed_over": list(truth.passed_over),
        "fitted_on": _seen(truth, model),
        "by_lists": [
            {"from": one, "to": two, **_figures_json(figures)}
            for (one, two), figures in found.by_lists.items()
        ],
        "curve": [_figures_json(figures) for figures in found.curve],
        "missed_because": dict(found.reasons),
        "wrong": [_mistake_json(one) for one in found.wrong[:mistakes]],
        "missed": [_mistake_json(one) for one in found.missed[:mistakes]],
    }


def _figures_json(figures: Figures) -> dict[str, Any]:
    precision = figures.precision
    return {
        "precision": None if precision is None else round(precision, 5),
        "recall": round(figures.recall, 5),
        "accept_at_least": figures.accept_at_least,
        "links": figures.links,
        "right": figures.right,
        "partners": figures.partners,
    }


def _mistake_json(one: Mistake) -> dict[str, Any]:
    return {
        "score": round(one.score, 4),
        "why": one.why,
        "rows": [
            {"list": name, "name": row.name, "price_krw": row.price_krw, "promotion": row.kind}
            for name, row in ((one.list_name, one.row), (one.other_list, one.other))
        ],
    }


def _print_evaluation(
    truth: TruthLists, model: LinkModel, found: Evaluation, mistakes: int
) -> None:
    figures = found.figures
    rows = sum(map(len, truth.rows.values()))
    print(
        f"{len(truth.rows)} lists, {rows} rows with a barcode ({truth.left_out} without one left "
        f"out), {figures.partners} with a partner; threshold {figures.accept_at_least:.2f}"
    )
    low, high = found.precision_interval
    precision = "     -" if figures.precision is None else f"{figures.precision:.4f}"
    print(f"  precision {precision}  95 % {low:.3f} to {high:.3f}  "
          f"{figures.right} right of {figures.links} links")  # fmt: skip
    low, high = found.recall_interval
    print(f"  recall    {figures.recall:.4f}  95 % {low:.3f} to {high:.3f}")
    if seen := _seen(truth, model):
        print(f"note: fitted on {', '.join(seen)}: new lists give less (docs/matching.md)")
    if found.reasons:
        print("missed because")
    for why, count in sorted(found.reasons.items(), key=lambda one: -one[1]):
        print(f"  {why:18}{count:5} pairs")
    _print_mistakes("wrong links, the surest first", found.wrong[:mistakes])
    _print_mistakes("missed, the least sure first", found.missed[:mistakes])


def _print_mistakes(title: str, some: tuple[Mistake, ...]) -> None:
    if some:
        print(title)
    for one in some:
        why = f"  {one.why}" if one.why else ""
        print(
            f"  {one.score:.3f}  {one.list_name} {one.row.name} {one.row.price_krw} {one.row.kind}"
            f"  |  {one.other_list} {one.other.name} {one.other.price_krw} {one.other.kind}{why}"
        )


# ---- review


def _list(args: argparse.Namespace) -> int:
    from promolens_catalog.link_review import count_open, open_rows
    from promolens_cli.crawl_places import chain_named, opened_database

    chain = chain_named(args.chain) if args.chain else None
    with opened_database(args, must_exist=True) as database:
        rows = open_rows(database, chain, live_only=not args.all, limit=args.limit)
        total = count_open(database, chain, live_only=not args.all)
    if args.json:
        answer = {"total": total, "rows": [asdict(row) for row in rows]}
        print(json.dumps(answer, ensure_ascii=False, indent=1))
        return 0
    for row in rows:
        _print_row(row)
    print(f"{len(rows)} of {total} rows that wait")
    return 0


def _print_row(row: OpenRow) -> None:
    old = "" if row.live else "  (not in the list of today)"
    print(f"{row.chain} {row.name} {row.price_krw} won{old}")
    for one in row.proposals:
        _, _, against = one.method.partition(" ")
        doubt = f"  but: {against} differs" if against else ""
        prices = "/".join(map(str, one.prices_krw)) or "no price today"
        print(f"  {one.id:>6}  {one.score:.2f}  {' = '.join(one.names)}  {prices}{doubt}")


def _decide(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from promolens_catalog.link_review import accept, reject
    from promolens_cli.crawl_places import opened_database, person_named

    decided_by = person_named(args.by)
    deed = accept if args.deed == "accept" else reject
    with opened_database(args, must_exist=True) as database:
        done = [deed(database, one, datetime.now(UTC), decided_by) for one in args.proposals]
    if args.json:
        print(json.dumps([asdict(one) for one in done], indent=1))
        return 0
    for one in done:
        moved = f"; {one.moved} rows moved, version {one.version}" if one.moved else ""
        print(f"{one.candidate_id}: {one.state}{moved}")
    return 0
