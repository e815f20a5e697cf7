"""Measures predictions that came as a file, against a file of the truth.

The forms are those of copy-detection contests: `query_id,reference_id,score` for what a system
proposes, `query_id,reference_id` for what is right (DISC21, arXiv 2106.09672); a third column
`grade` (easy, hard, junk) gives the protocols of the revisited Oxford and Paris sets.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from promolens_retrieval.evaluation import pairs, ranking
from promolens_runtime.errors import InputError

GRADES = ("", "easy", "hard", "junk")
RECALLS = (1, 5, 10)
MAX_ROWS = 5_000_000
MAX_ID_LENGTH = 200
# query to reference to grade.
Grades = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Row:
    """A pair; `score` is 0 in a truth file, `grade` is "" in predictions. No id is empty.

    In a truth file an empty reference says that the query has no answer.
    """

    query: str
    reference: str
    score: float
    grade: str


@dataclass(frozen=True)
class PredictedFigures:
    """What `measure_predictions` finds; rates in 0..1.

    Attributes:
        n_queries: queries with an answer; n_unanswered: those without, as far as they are named.
        n_predictions: pairs proposed, junk left out.
        recall: k to the share of queries with a right reference among the first k.
        mean_ap: protocol ("all", or "easy", "medium", "hard") to mean average precision.
    """

    n_queries: int
    n_unanswered: int
    n_predictions: int
    micro_ap: float
    recall_at_p90: float
    recall: Mapping[int, float]
    mean_ap: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return every figure ready for JSON."""
        return {
            "n_queries": self.n_queries,
            "n_unanswered": self.n_unanswered,
            "n_predictions": self.n_predictions,
            "micro_ap": self.micro_ap,
            "recall_at_p90": self.recall_at_p90,
            "recall": {str(k): value for k, value in self.recall.items()},
            "mean_ap": dict(self.mean_ap),
        }


def read_csv(path: Path, *, scored: bool) -> tuple[Row, ...]:
    """Read predictions (`scored`) or the truth.

    Raises:
        InputError: no such file, missing columns, a score that is no number, an unknown grade, a
            pair given twice, too many rows.
    """
    rows: list[Row] = []
    seen: set[tuple[str, str]] = set()
    needed = ("query_id", "reference_id", "score") if scored else ("query_id", "reference_id")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if not set(needed) <= set(reader.fieldnames or ()):
                raise InputError(
                    f"Expected the columns {', '.join(needed)} in {path}. Received "
                    f"{', '.join(reader.fieldnames or ())[:200] or 'nothing'}. Add a header line."
                )
            for cells in reader:
                row = _row(cells, path, reader.line_num, scored=scored)
                if (row.query, row.reference) in seen:
                    raise _refused(path, reader.line_num, "a pair once", "it a second time")
                seen.add((row.query, row.reference))
                rows.append(row)
                if len(rows) > MAX_ROWS:
                    raise _refused(path, reader.line_num, f"at most {MAX_ROWS:,} rows", "more")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"Expected comma-separated values in UTF-8 in {path}. Received {error}. Repair it."
        ) from None
    return tuple(rows)


def _row(cells: dict[str, str], path: Path, line: int, *, scored: bool) -> Row:
    query, reference = (cells.get("query_id") or "", cells.get("reference_id") or "")
    if not query or (scored and not reference) or max(len(query), len(reference)) > MAX_ID_LENGTH:
        raise _refused(path, line, "ids of 1 to 200 letters", repr((query, reference))[:80])
    grade = (cells.get("grade") or "").strip() if not scored else ""
    if grade not in GRADES:
        raise _refused(path, line, "a grade easy, hard or junk", repr(grade)[:80])
    text = cells.get("score") or "" if scored else "0"
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise _refused(path, line, "a score that is a number", repr(text)[:80])
    return Row(query, reference, score, grade)


def measure_predictions(predictions: tuple[Row, ...], truth: tuple[Row, ...]) -> PredictedFigures:
    """Measure predictions against the truth.

    References that are not proposed for a query count as found last of all. Junk pairs are taken
    out. Without grades every right reference counts alike.

    Raises:
        InputError: the truth has no answer for any query.
    """
    grades: Grades = defaultdict(dict)
    for row in truth:
        if row.reference:
            grades[row.query][row.reference] = row.grade
    n_right = sum(grade != "junk" for known in grades.values() for grade in known.values())
    if not n_right:
        raise InputError(
            "Expected a truth with at least one right reference. Received none. Check the file."
        )
    found = [grades.get(row.query, {}).get(row.reference) for row in predictions]
    kept = [grade != "junk" for grade in found]
    scores = np.array([row.score for row in predictions], np.float64)[kept]
    matches = np.array([grade is not None for grade in found], np.bool_)[kept]
    answered = {query for query, known in grades.items() if {*known.values()} - {"junk"}}
    asked = answered | {row.query for row in (*truth, *predictions)}
    ranked = _ranked(predictions)
    graded = any({"easy", "hard"} & {*known.values()} for known in grades.values())
    return PredictedFigures(
        n_queries=len(answered),
        n_unanswered=len(asked - answered),
        n_predictions=sum(kept),
        micro_ap=pairs.micro_average_precision(scores, matches, n_right),
        recall_at_p90=pairs.recall_at_precision(scores, matches, n_right, 0.9),
        recall=_recalls(ranked, grades, answered),
        mean_ap=_graded_ap(ranked, grades) if graded else {"all": _mean_ap(ranked, grades, ("",))},
    )


def _ranked(predictions: tuple[Row, ...]) -> dict[str, list[str]]:
    """Return each query's references, best first; equal scores in the file's order."""
    by_query: dict[str, list[Row]] = defaultdict(list)
    for row in predictions:
        by_query[row.query].append(row)
    return {
        query: [row.reference for row in sorted(rows, key=lambda row: -row.score)]
        for query, rows in by_query.items()
    }


def _places(
    references: list[str], wanted: set[str], ignored: set[str]
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], int]:
    """Return the places of the wanted references that were proposed, and how many were not."""
    shown = [reference for reference in references if reference not in ignored]
    places = [place for place, reference in enumerate(shown) if reference in wanted]
    return np.array(places, np.int64), len(wanted) - len(places)


def _recalls(
    ranked: Mapping[str, list[str]], grades: Grades, answered: set[str]
) -> dict[int, float]:
    hits: dict[int, list[bool]] = {k: [] for k in RECALLS}
    for query in sorted(answered):
        wanted = _of_grade(grades[query], ("", "easy", "hard"))
        junk = _of_grade(grades[query], ("junk",))
        places, _ = _places(ranked.get(query, []), wanted, junk)
        for k in RECALLS:
            hits[k].append(ranking.hit_at(places, k))
    return {k: ranking.share(flags) for k, flags in hits.items()}


def _graded_ap(ranked: Mapping[str, list[str]], grades: Grades) -> dict[str, float]:
    protocols = {"easy": ("", "easy"), "medium": ("", "easy", "hard"), "hard": ("hard",)}
    return {name: _mean_ap(ranked, grades, wanted) for name, wanted in protocols.items()}


def _mean_ap(
    ranked: Mapping[str, list[str]], grades: Grades, wanted_grades: tuple[str, ...]
) -> float:
    """Return the mean over queries that have such references; all other graded ones are ignored."""
    values = []
    for query, known in sorted(grades.items()):
        wanted = _of_grade(known, wanted_grades)
        if not wanted:
            continue
        ignored = set(known) - wanted
        places, missing = _places(ranked.get(query, []), wanted, ignored)
        found = ranking.average_precision(places) * len(places)
        values.append(found / (len(places) + missing))
    return float(np.mean(values)) if values else 0.0


def _of_grade(known: Mapping[str, str], wanted: tuple[str, ...]) -> set[str]:
    return {reference for reference, grade in known.items() if grade in wanted}


def _refused(path: Path, line: int, expected: str, received: str) -> InputError:
    return InputError(
        f"Expected {expected} in line {line} of {path}. Received {received}. Repair the line."
    )
