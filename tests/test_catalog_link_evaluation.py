"""Measuring the matcher: what counts, counted by hand, and the command that does it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from link_support import CHAINS, Row, invented_lists, write_lists
from promolens_catalog.link_context import Place
from promolens_catalog.link_evaluation import Figures, evaluate, figures_at, judge, resampled
from promolens_catalog.link_features import Listed
from promolens_catalog.link_lists import TruthLists, TruthRow, read_truth_lists
from promolens_catalog.link_matching import ScoredPair
from promolens_catalog.link_model import shipped_model
from promolens_cli.main import main
from promolens_runtime.errors import InputError


def truth(**lists: str) -> TruthLists:
    """Return lists of one-letter rows; a letter is name and barcode."""
    rows = {
        name: tuple(TruthRow(Listed(letter, 1000), letter) for letter in letters)
        for name, letters in lists.items()
    }
    return TruthLists(rows, 0, {})


def pair(a: Place, b: Place, score: float, *, mutual: bool = True, against: str | None = None):  # type: ignore[no-untyped-def]
    return ScoredPair(a, b, score, mutual, against)


def test_links_are_counted_once_for_each_direction() -> None:
    """x = abc, y = abd: two of three rows have partners on either side: four in all.

    The link a-a is right both ways, c-d wrong both ways, b-b is below the threshold.
    """
    lists = truth(x="abc", y="abd")
    pairs = [
        pair(("x", 0), ("y", 0), 0.95),
        pair(("x", 1), ("y", 1), 0.80),
        pair(("x", 2), ("y", 2), 0.91),
    ]
    found = judge(lists, pairs, 0.9)
    assert found.figures == Figures(0.9, links=4, right=2, partners=4)
    assert found.figures.precision == 0.5
    assert found.figures.recall == 0.5
    assert found.by_lists["x", "y"] == Figures(0.9, links=2, right=1, partners=2)
    assert [(one.row.name, one.other.name, one.score) for one in found.wrong] == [("c", "d", 0.91)]
    assert [(one.row.name, one.why) for one in found.missed] == [("b", "below threshold")]
    low = next(one for one in found.curve if one.accept_at_least == 0.75)
    assert (low.links, low.right) == (6, 4)


def test_pairs_are_counted_for_every_ordered_pair_of_lists() -> None:
    """A product of three lists has two partners from each: six rows with a partner."""
    found = judge(truth(x="a", y="a", z="a"), [pair(("x", 0), ("z", 0), 0.99)], 0.9)
    assert found.figures == Figures(0.9, links=2, right=2, partners=6)
    assert found.figures.recall == pytest.approx(1 / 3)


def test_every_row_is_linked_to_at_most_one_row_of_another_list() -> None:
    pairs = [pair(("x", 0), ("y", 0), 0.92), pair(("x", 0), ("y", 1), 0.97)]
    found = judge(truth(x="a", y="ab"), pairs, 0.9)
    # x links to b (wrong), and each row of y to a: one right, one wrong.
    assert found.figures == Figures(0.9, links=3, right=1, partners=2)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"against": "variant"}, "variant"),
        ({"mutual": False}, "another is nearer"),
        ({"score": 0.2}, "below threshold"),
    ],
)
def test_why_a_partner_was_missed(change: dict[str, object], why: str) -> None:
    values: dict[str, object] = {"score": 0.95, "mutual": True, "against": None} | change
    scored = ScoredPair(("x", 0), ("y", 0), **values)  # type: ignore[arg-type]
    found = judge(truth(x="a", y="a"), [scored], 0.9)
    assert found.figures == Figures(0.9, links=0, right=0, partners=2)
    assert found.figures.precision is None
    assert found.reasons == {why: 1}


def test_a_partner_that_was_never_compared_is_a_miss() -> None:
    found = judge(truth(x="a", y="a"), [], 0.9)
    assert found.reasons == {"not compared": 1}
    assert found.figures.recall == 0.0


def test_lists_without_a_common_barcode_have_no_truth() -> None:
    with pytest.raises(InputError, match="share barcodes"):
        judge(truth(x="a", y="b"), [], 0.9)


def test_intervals_widen_with_fewer_makers() -> None:
    """Ten links of one maker, eight right, against ten makers with the same sum."""
    import numpy as np

    one = resampled(np.array([[10.0, 8.0, 10.0]]))
    assert one.std() < 1e-9  # a single maker, drawn again and again
    many = resampled(np.array([[1.0, float(n < 8), 1.0] for n in range(10)]))
    assert many[:, 0].mean() == pytest.approx(0.8, abs=0.02)
    assert 0.1 < many[:, 0].std() < 0.15  # binomial: sqrt(0.8 * 0.2 / 10) = 0.126


def test_figures_without_links_have_no_precision() -> None:
    assert figures_at([], 0.5).precision is None


# ---- lists


def test_barcodes_join_in_any_spelling_and_rows_without_one_are_left_out(tmp_path: Path) -> None:
    folder = write_lists(
        tmp_path,
        {
            "one": [Row("달빛)가", 1000, "1+1", "034000239344"), Row("달빛)나", 900, "1+1", "")],
            "two": [Row("달빛)가", 1000, "1+1", "0034000239344"), Row("달빛)다", 1, "", "77")],
        },
    )
    lists = read_truth_lists(folder)
    assert lists.left_out == 1
    assert lists.rows["one"][0].barcode == lists.rows["two"][0].barcode
    assert lists.rows["one"][0].maker_code == lists.rows["two"][0].maker_code == "0034000"
    assert lists.rows["two"][1].barcode == "77"  # no valid code, and yet it tells rows apart


HEADER = "chain,name,price_krw,promotion,barcode,image_url\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"chain,price_krw\nx,1\n", "Expected the columns"),
        (b"", "two.csv, which has no such columns"),
        ((HEADER + "x,달빛,천원,1+1,1,\n").encode(), "line 2"),
        ((HEADER + "x,달빛,-5,1+1,1,\n").encode(), "line 2"),
        ((HEADER + "x,,1000,1+1,1,\n").encode(), "line 2"),
        ((HEADER + f"x,{'가' * 201},1000,1+1,1,\n").encode(), "line 2"),
        ((HEADER + "x,달빛\n").encode() + b"\xff", "Expected UTF-8"),
        ((HEADER + 'x,"달빛').encode(), "Expected CSV"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, text: bytes, message: str
) -> None:
    write_lists(tmp_path, {"one": [Row("달빛)가", 1000, "1+1", "1")]})
    (tmp_path / "two.csv").write_bytes(text)
    with pytest.raises(InputError, match=message) as caught:
        read_truth_lists(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_two_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two chains"):
        read_truth_lists(tmp_path)
    with pytest.raises(InputError, match="at least two chains"):
        read_truth_lists(tmp_path / "none")
    write_lists(tmp_path, {name: [Row("달빛)가", 1000, "1+1", "")] for name in CHAINS})
    with pytest.raises(InputError, match="Expected rows with barcodes"):
        read_truth_lists(tmp_path)


def test_a_file_that_is_no_list_is_named_and_passed_over(tmp_path: Path) -> None:
    write_lists(tmp_path, {name: [Row("달빛)가", 1000, "1+1", "1")] for name in ("one", "two")})
    alone = read_truth_lists(tmp_path)
    for name, text in (("notes", "name,remark\n달빛,?\n"), ("empty", ""), ("odd", '"a\n\0')):
        (tmp_path / f"{name}.csv").write_text(text)
    found = read_truth_lists(tmp_path)
    assert found.passed_over == ("empty.csv", "notes.csv", "odd.csv")
    assert (found.rows, found.sha256) == (alone.rows, alone.sha256)
    (tmp_path / "one.csv").unlink()
    with pytest.raises(InputError, match=r"Received 1 such files and empty\.csv, notes\.csv, odd"):
        read_truth_lists(tmp_path)


def test_a_list_without_one_of_its_columns_is_not_passed_over(tmp_path: Path) -> None:
    write_lists(tmp_path, {name: [Row("달빛)가", 1000, "1+1", "1")] for name in ("one", "two")})
    (tmp_path / "three.csv").write_text("name,price_krw,promotion,barcod\n")
    with pytest.raises(InputError, match=r"no barcode in .*three\.csv.*move the file elsewhere"):
        read_truth_lists(tmp_path)


# ---- the whole of it


def test_invented_lists_are_linked_without_mixing_siblings(tmp_path: Path) -> None:
    """80 invented products, four flavours of each brand, in four chains' spellings."""
    found = evaluate(read_truth_lists(write_lists(tmp_path, invented_lists())), shipped_model())
    assert found.figures.partners > 250
    assert found.figures.precision == 1.0
    assert found.figures.recall > 0.8


def test_the_command_prints_figures_and_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(write_lists(tmp_path, invented_lists()))
    assert main(["match", "evaluate", folder, "--json", "--mistakes", "3"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["precision"] == answer["right"] / answer["links"]
    assert answer["recall"] == pytest.approx(answer["right"] / answer["partners"], abs=1e-5)
    assert answer["fitted_on"] == []
    assert len(answer["missed"]) <= 3
    assert len(answer["by_lists"]) == 12
    assert sum(one["partners"] for one in answer["by_lists"]) == answer["partners"]
    low, high = answer["recall_interval"]
    assert low <= answer["recall"] <= high

    assert main(["match", "evaluate", folder, "--accept-at-least", "0.99"]) == 0
    text = capsys.readouterr().out
    assert "threshold 0.99" in text
    assert "missed, the least sure first" in text
    assert "below threshold" in text


@pytest.mark.parametrize("threshold", ["0", "1", "1.5", "high"])
def test_a_threshold_is_a_score(threshold: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["match", "evaluate", ".", "--accept-at-least", threshold])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_the_recorded_lists_reach_the_goal() -> None:
    """In sample: the model was fitted on these; docs/matching.md has the out-of-fold figures."""
    root = os.environ.get("PROMOLENS_DATA")
    if not root:
        pytest.skip("PROMOLENS_DATA does not say where recorded lists are")
    found = evaluate(read_truth_lists(Path(root) / "promotions" / "2026-02"), shipped_model())
    assert found.figures.partners == 3346
    assert found.figures.precision is not None
    assert found.figures.precision >= 0.985
    assert found.figures.recall >= 0.60
