"""Fit the matcher on lists with barcodes, and say by cross-validation how good it is on others.

Grouped by maker (the first seven digits of the barcode): a row is always scored by trees that saw
no product of its maker. Two layers of folds, so that the second table of trees also sees only
scores of rows that the first one did not know. The threshold is the lowest from which on the wanted
precision holds in enough of the resamples (makers drawn anew, averaged over the repeats).

Prints Markdown, writes JSON with the whole curve, and with --write the model that the catalog
ships. Needs scikit-learn (`pip install "promolens[train,catalog]"`).

examples:
  python benchmarks/fit_matching.py lists/2026-02 --out runs/matching
  python benchmarks/fit_matching.py lists/2026-02 --repeats 5 --write
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_catalog.link_context import Evidence, Place
from promolens_catalog.link_evaluation import (
    Answered,
    answers_of,
    figures_at,
    maker_counts,
    resampled,
)
from promolens_catalog.link_features import PAIR_FEATURES, contradiction
from promolens_catalog.link_lists import TruthLists, TruthRow, read_truth_lists
from promolens_catalog.link_matching import (
    Compared,
    Entry,
    ScoredPair,
    compare_lists,
    context_features,
    evidence_of,
)
from promolens_catalog.link_model import CONTEXT_FEATURES, LinkModel, Trees, model_to_json
from promolens_catalog.linking import KnownName, link_offers
from promolens_catalog.links import Link
from promolens_catalog.offers import Offer

MODEL_FILE = Path(__file__).parent.parent / "catalog/promolens_catalog/link_model.json"
MODEL_VERSION = 1
INNER_FOLDS = 4
GRID = tuple(round(0.5 + 0.01 * step, 2) for step in range(49))
REVIEW_AT_LEAST = 0.3
_ASKING = Chain.SEVEN
# More likeness never lowers a score and more difference never raises it: that keeps trees from
# learning accidents of one month.
RISING = {
    "cosine_full", "cosine_core", "cosine_characters", "covered_less", "covered_more",
    "characters_less", "characters_more", "dice_spelled", "ratio_core", "partial_core",
    "starts_alike", "maker", "price_equal", "kind_equal", "size_agrees", "words_shared",
    "own_log_odds", "ahead_in_b", "ahead_in_a", "third_list_agrees", "third_lists",
    "makers_together", "makers_share",
}  # fmt: skip
FALLING = {
    "left_less", "left_more", "price_log_ratio", "size_log_ratio", "container_differs",
    "variants_apart", "words_apart", "digits_differ", "third_list_differs",
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """What is fitted: pairs, whether they are one product, and each side's maker."""

    truth: TruthLists
    compared: Compared
    same: np.ndarray[Any, Any]
    makers: tuple[tuple[str, str], ...]


def load(folder: Path) -> Problem:
    """Read lists and compare their rows."""
    truth = read_truth_lists(folder)
    lists = {name: [Entry(row.listed) for row in rows] for name, rows in truth.rows.items()}
    compared = compare_lists(lists)
    rows = [(_row(truth, a), _row(truth, b)) for a, b in compared.pairs]
    same = np.array([a.barcode == b.barcode for a, b in rows])
    return Problem(truth, compared, same, tuple((a.maker_code, b.maker_code) for a, b in rows))


def _row(truth: TruthLists, place: Place) -> Any:
    return truth.rows[place[0]][place[1]]


# ---- trees


def _direction(name: str) -> int:
    return int(name in RISING) - int(name in FALLING)


def fit_trees(features: tuple[str, ...], rows: Any, same: Any, plain: bool = False) -> Trees:
    """Fit boosted trees with scikit-learn and return them as plain numbers."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    directions = None if plain else [_direction(name) for name in features]
    fitted = HistGradientBoostingClassifier(
        max_iter=120,
        learning_rate=0.08,
        max_leaf_nodes=8,
        min_samples_leaf=20,
        l2_regularization=2.0,
        monotonic_cst=directions,
        early_stopping=False,
        random_state=0,
    ).fit(rows, same)
    return _as_numbers(features, fitted)


def _as_numbers(features: tuple[str, ...], fitted: Any) -> Trees:
    columns: dict[str, list[float]] = {
        name: [] for name in ("feature", "threshold", "left", "right", "value")
    }
    roots = []
    for (predictor,) in fitted._predictors:
        start = len(columns["feature"])
        roots.append(start)
        for node in predictor.nodes:
            leaf = bool(node["is_leaf"])
            columns["feature"].append(-1 if leaf else int(node["feature_idx"]))
            columns["threshold"].append(0.0 if leaf else float(node["num_threshold"]))
            columns["left"].append(0 if leaf else start + int(node["left"]))
            columns["right"].append(0 if leaf else start + int(node["right"]))
            columns["value"].append(round(float(node["value"]), 7) if leaf else 0.0)
    whole = {name: np.array(columns[name], np.int64) for name in ("feature", "left", "right")}
    return Trees(
        features=features,
        baseline=float(fitted._baseline_prediction.ravel()[0]),
        roots=np.array(roots, np.int64),
        threshold=np.array(columns["threshold"]),
        value=np.array(columns["value"]),
        **whole,
    )


# ---- cross-validation


def folds(problem: Problem, count: int, seed: int) -> np.ndarray[Any, Any]:
    """Return [pairs, 2]: the fold of each side's maker; folds have about equally many rows."""
    rows = Counter(row.maker_code for some in problem.truth.rows.values() for row in some)
    makers = sorted(rows)
    random.Random(seed).shuffle(makers)  # noqa: S311
    load = [0] * count
    fold = {}
    for maker in sorted(makers, key=lambda maker: -rows[maker]):
        fold[maker] = load.index(min(load))
        load[fold[maker]] += rows[maker]
    return np.array([(fold[a], fold[b]) for a, b in problem.makers])


def first_scores(problem: Problem, seen: Any, seed: int, plain: bool) -> Any:
    """Return scores of the first table for the pairs in `seen`, each from trees without its maker.

    A pair of two makers gets the mean of the two scores that each saw one of them not.
    """
    features, same = problem.compared.features, problem.same
    sides = folds(problem, INNER_FOLDS, seed)
    scores = np.zeros((len(same), 2))
    for fold in range(INNER_FOLDS):
        mine = sides == fold
        trees = fit_trees(
            PAIR_FEATURES, *_rows(seen & ~mine.any(axis=1), features, same), plain=plain
        )
        for side in (0, 1):
            chosen = mine[:, side]
            scores[chosen, side] = trees.probabilities(features[chosen])
    return scores.mean(axis=1)


def _rows(chosen: Any, features: Any, same: Any) -> tuple[Any, Any]:
    return features[chosen], same[chosen]


def with_context(compared: Compared, scores: Any) -> Any:
    """Return [pairs, PAIR_FEATURES + CONTEXT_FEATURES]."""
    context = context_features(compared, evidence_of(compared, scores))
    return np.hstack([compared.features, context])


def fit(problem: Problem, seen: Any, seed: int, plain: bool) -> tuple[Trees, Trees, Any]:
    """Fit both tables on the pairs in `seen`; also return the scores that the second one saw."""
    compared, same = problem.compared, problem.same
    first = fit_trees(PAIR_FEATURES, *_rows(seen, compared.features, same), plain=plain)
    scores = first_scores(problem, seen, seed, plain)
    both = with_context(compared, scores)
    second = fit_trees(PAIR_FEATURES + CONTEXT_FEATURES, *_rows(seen, both, same), plain=plain)
    return first, second, scores


def out_of_fold(problem: Problem, count: int, seed: int, plain: bool) -> tuple[Any, Any]:
    """Return scores [pairs] of both tables, from trees that saw neither side's maker."""
    sides = folds(problem, count, seed)
    result = np.zeros((2, *sides.shape))
    for fold in range(count):
        mine = sides == fold
        seen = ~mine.any(axis=1)
        first, second, inner = fit(problem, seen, 100 * seed + fold, plain)
        unseen = first.probabilities(problem.compared.features)
        # Rows of this fold are new to the trees; the others are scored as new ones too.
        both = with_context(problem.compared, np.where(seen, inner, unseen))
        for side in (0, 1):
            chosen = mine[:, side]
            result[0, chosen, side] = unseen[chosen]
            result[1, chosen, side] = second.probabilities(both[chosen])
    return result[0].mean(axis=1), result[1].mean(axis=1)


def answers(problem: Problem, scores: Any, rule: bool = True) -> list[Answered]:
    """Return what is linked with these scores at any threshold."""
    compared = problem.compared
    by_pair = dict(zip(compared.pairs, map(float, scores), strict=True))
    evidence = Evidence(by_pair, dict.fromkeys(compared.readings, ""))
    pairs = [
        ScoredPair(
            a,
            b,
            score,
            evidence.is_mutual(a, b),
            contradiction(compared.readings[a], compared.readings[b]) if rule else None,
        )
        for (a, b), score in by_pair.items()
    ]
    return answers_of(problem.truth, pairs)


# ---- choosing and reporting


def curve(problem: Problem, repeats: list[list[Answered]], wanted: float) -> list[dict[str, Any]]:
    """Return figures and intervals for every threshold of the grid, averaged over repeats."""
    lines = []
    for threshold in GRID:
        drawn = np.concatenate(
            [resampled(maker_counts(problem.truth, one, threshold)) for one in repeats]
        )
        figures = [figures_at(one, threshold) for one in repeats]
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        lines.append(
            {
                "accept_at_least": threshold,
                "links": round(float(np.mean([one.links for one in figures])), 1),
                "precision": round(float(np.mean([one.precision or 0 for one in figures])), 5),
                "precision_95": [round(float(low[0]), 5), round(float(high[0]), 5)],
                "recall": round(float(np.mean([one.recall for one in figures])), 5),
                "recall_95": [round(float(low[1]), 5), round(float(high[1]), 5)],
                "holds": round(float((drawn[:, 0] >= wanted).mean()), 4),
            }
        )
    return lines


def choose(lines: list[dict[str, Any]], sure: float) -> float:
    """Return the lowest threshold from which on the precision holds often enough."""
    chosen = lines[-1]["accept_at_least"]
    for line in reversed(lines):
        if line["holds"] < sure:
            break
        chosen = line["accept_at_least"]
    return float(chosen)


def table(lines: list[dict[str, Any]], chosen: float, wanted: float) -> str:
    """Return the curve as Markdown."""
    text = [
        "| threshold | links | precision | 95 % interval | recall | 95 % interval "
        f"| at least {wanted} in |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in lines:
        at = line["accept_at_least"]
        if round(at * 100) % 5 and at != chosen:
            continue
        (low, high), (low_r, high_r) = line["precision_95"], line["recall_95"]
        mark = " **chosen**" if at == chosen else ""
        text.append(
            f"| {at}{mark} | {line['links']:.0f} | {line['precision']:.4f} | {low:.3f}–{high:.3f} "
            f"| {line['recall']:.4f} | {low_r:.3f}–{high_r:.3f} | {line['holds']:.3f} |"
        )
    return "\n".join(text)


def at_precision(lines: list[dict[str, Any]], wanted: float) -> float:
    """Return the highest recall of a threshold with the wanted precision; 0 without one."""
    return max((line["recall"] for line in lines if line["precision"] >= wanted), default=0.0)


def as_published(problem: Problem, count: int, threshold: float) -> dict[str, Any]:
    """Hide the barcodes of one list at a time and link its rows as a publication does.

    The other lists' barcodes are known, so that an item has several names. Out of fold: a row is
    linked by a model that saw no product of its maker.
    """
    truth = problem.truth
    codes = dict.fromkeys(row.barcode for rows in truth.rows.values() for row in rows)
    items = {barcode: number for number, barcode in enumerate(codes)}
    sides = folds(problem, count, seed=0)
    fold_of = {
        maker: fold
        for makers, pair in zip(problem.makers, sides, strict=True)
        for maker, fold in zip(makers, pair, strict=True)
    }
    found: Counter[str] = Counter()
    for fold in range(count):
        first, second, _ = fit(problem, ~(sides == fold).any(axis=1), fold, plain=False)
        model = LinkModel(MODEL_VERSION, threshold, REVIEW_AT_LEAST, first, second)
        for name, rows in truth.rows.items():
            known = _known_elsewhere(truth, name, items)
            held = {one.item_id for one in known}
            offers = [_offer(number, row) for number, row in enumerate(rows)]
            links = link_offers(offers, known, {}, model)
            for offer, row in zip(offers, rows, strict=True):
                if fold_of.get(row.maker_code) == fold:
                    found.update(_outcome(links[offer], items[row.barcode], held))
    return {
        **found,
        "precision": round(found["right"] / max(1, found["links"]), 5),
        "recall": round(found["right"] / max(1, found["partners"]), 5),
    }


def _known_elsewhere(truth: TruthLists, name: str, items: dict[str, int]) -> list[KnownName]:
    """Return the rows of the other lists, each list as a chain of its own."""
    others = (rows for other, rows in truth.rows.items() if other != name)
    chains = (chain for chain in Chain if chain != _ASKING)
    return [
        KnownName(
            items[row.barcode],
            chain,
            row.listed.name,
            row.listed.price_krw,
            row.listed.kind,
            live=True,
        )
        for chain, rows in zip(chains, others, strict=False)
        for row in rows
    ]


def _offer(number: int, row: TruthRow) -> Offer:
    day = date(2026, 2, 1)
    kind = Kind(row.listed.kind)
    name, price_krw = row.listed.name, row.listed.price_krw
    return Offer(_ASKING, name, price_krw, kind, day, day, site_id=str(number))


def _outcome(link: Link, item_id: int, held: set[int]) -> Iterator[str]:
    if item_id in held:
        yield "partners"
    if link.item_id is not None:
        yield "links"
        if link.item_id == item_id:
            yield "right"
    if link.candidates:
        yield "doubtful"
        if item_id in {one.item_id for one in link.candidates}:
            yield "doubtful_with_the_right_item"


def dice_baseline(problem: Problem, wanted: float) -> tuple[float, float]:
    """Return precision and recall of the plain rule: bigram Dice, price, margin to the second."""
    names = {name: column for column, name in enumerate(PAIR_FEATURES)}
    features = problem.compared.features
    score = features[:, names["dice_spelled"]] + 0.1 * features[:, names["price_equal"]]
    best: dict[tuple[Place, str], list[tuple[float, Place]]] = {}
    for (a, b), value in zip(problem.compared.pairs, score, strict=True):
        best.setdefault((a, b[0]), []).append((float(value), b))
        best.setdefault((b, a[0]), []).append((float(value), a))
    links = []
    for (asking, _), rivals in best.items():
        ranked = sorted(rivals, key=lambda one: -one[0])
        second = ranked[1][0] if len(ranked) > 1 else 0.0
        if ranked[0][0] - second >= 0.1:
            right = _row(problem.truth, asking).barcode == _row(problem.truth, ranked[0][1]).barcode
            links.append((ranked[0][0], right))
    links.sort(reverse=True)
    partners = sum(one.partner for one in answers_of(problem.truth, ()))
    found = (0.0, 0.0)
    right = 0
    for count, (_, good) in enumerate(links, start=1):
        right += good
        if right / count >= wanted:
            found = (right / count, right / partners)
    return found


def write_plot(lines: list[dict[str, Any]], chosen: float, wanted: float, path: Path) -> None:
    """Draw precision over recall with its interval."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    recall = [line["recall"] for line in lines]
    axes.fill_between(
        recall,
        [line["precision_95"][0] for line in lines],
        [line["precision_95"][1] for line in lines],
        alpha=0.2,
        label="95 % interval",
    )
    axes.plot(recall, [line["precision"] for line in lines], label="out of fold")
    (mark,) = (line for line in lines if line["accept_at_least"] == chosen)
    axes.plot([mark["recall"]], [mark["precision"]], "o", label=f"shipped threshold {chosen}")
    axes.axhline(wanted, linestyle=":", color="grey")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lists", type=Path, help="folder with one CSV file a chain")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="with other folds each time (3)")
    parser.add_argument("--precision", type=float, default=0.985, help="wanted on new products")
    parser.add_argument("--sure", type=float, default=0.96, help="share of resamples it holds in")
    parser.add_argument("--out", type=Path, default=Path("runs/matching"))
    parser.add_argument("--plain", action="store_true", help="without monotonic constraints")
    parser.add_argument("--write", action="store_true", help=f"write {MODEL_FILE.name}")
    return parser.parse_args()


def cross_validated(problem: Problem, args: argparse.Namespace) -> dict[str, list[list[Answered]]]:
    """Return, for each repeat, the answers of the first table, of both, and of both with rule."""
    parts: dict[str, list[list[Answered]]] = {"first": [], "no rule": [], "shipped": []}
    started = time.perf_counter()
    for seed in range(args.repeats):
        first, second = out_of_fold(problem, args.folds, seed, args.plain)
        parts["first"].append(answers(problem, first))
        parts["no rule"].append(answers(problem, second, rule=False))
        parts["shipped"].append(answers(problem, second))
        print(f"repeat {seed + 1}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return parts


def final_model(problem: Problem, accept_at_least: float, plain: bool) -> LinkModel:
    """Fit on all makers."""
    first, second, _ = fit(problem, np.ones(len(problem.same), bool), seed=1, plain=plain)
    trained_on = frozenset(problem.truth.sha256.values())
    return LinkModel(MODEL_VERSION, accept_at_least, REVIEW_AT_LEAST, first, second, trained_on)


def show(report: dict[str, Any], wanted: float) -> None:
    """Print the report as Markdown."""
    print(table(report["curves"]["shipped"], report["chosen"], wanted))
    for name, lines in report["curves"].items():
        some = ", ".join(f"{at_precision(lines, p):.4f} at {p}" for p in (wanted, 0.99))
        print(f"\n{name}: recall {some}")
    baseline = report["baseline"]
    print(f"\nplain rule (bigram Dice + price, margin 0.1): {json.dumps(baseline)}")
    print(f"\nas published, one list hidden at a time: {json.dumps(report['as_published'])}")


def main() -> int:
    """Cross-validate, choose, fit on everything, report."""
    args = arguments()
    problem = load(args.lists)
    parts = cross_validated(problem, args)
    curves = {name: curve(problem, some, args.precision) for name, some in parts.items()}
    chosen = choose(curves["shipped"], args.sure)
    report = {
        "lists": {name: len(rows) for name, rows in problem.truth.rows.items()},
        "pairs_compared": len(problem.same),
        "folds": args.folds,
        "repeats": args.repeats,
        "chosen": chosen,
        "as_published": as_published(problem, args.folds, chosen),
        "baseline": dict(zip(("precision", "recall"), dice_baseline(problem, 0.98), strict=True)),
        "curves": curves,
    }
    show(report, args.precision)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "matching.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    write_plot(curves["shipped"], chosen, args.precision, args.out / "matching.png")
    if args.write:
        model = final_model(problem, chosen, args.plain)
        text = json.dumps(model_to_json(model), separators=(",", ":"))
        MODEL_FILE.write_text(text + "\n", "utf-8")
        print(f"\nmodel: {MODEL_FILE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
