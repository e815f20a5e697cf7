"""`promolens evaluate retrieval`: photos against a gallery, leaks, and predictions from a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from promolens_cli.main import main
from promolens_retrieval.evaluation.predicted import Row, measure_predictions, read_csv
from promolens_runtime.errors import InputError

LABELS = tuple(f"drink_{number}" for number in range(5))


def picture(number: int, seed: int, noise: int) -> Image.Image:
    """A pattern of its own for each product, with the noise of one photo."""
    product = np.random.default_rng(number).integers(0, 256, (4, 4, 3))
    pixels = np.kron(product, np.ones((16, 16, 1)))
    pixels = pixels + np.random.default_rng(seed).integers(-noise, noise + 1, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Five products with a gallery picture each, two test photos and two of training."""
    lines = ["path,label,split,is_gallery,source_id"]
    for number, label in enumerate(LABELS):
        picture(number, 0, 0).save(tmp_path / f"g{number}.png")
        lines.append(f"g{number}.png,{label},,1,")
        for photo, split in enumerate(("test", "test", "train", "train")):
            name = f"p{number}-{photo}.png"
            picture(100 + 10 * number + photo if split == "train" else number, 7 + photo, 20).save(
                tmp_path / name
            )
            lines.append(f"{name},{label},{split},0,{split}-{photo}")
    (tmp_path / "photos.csv").write_text("\n".join(lines), "utf-8")
    return tmp_path / "photos.csv"


def command(bundle: Path, data: Path, keys, *more: str) -> list[str]:
    words = ["evaluate", "retrieval", str(bundle), str(data)]
    return [*words, "--public-key", keys.own.public, *more]


def test_photos_find_their_catalogue_pictures(
    data: Path, tiny_bundle: Path, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tiny_bundle, data, keys, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_queries"], found["n_gallery"], found["dimensions"]) == (10, 5, 8)
    assert found["split"] == "test"
    # Noise on a pattern of large squares moves an average little: every photo finds its own.
    assert found["recall"]["1"]["value"] == 1.0
    assert found["recall"]["1"]["method"] == "Wilson 95 % with n = sources"
    assert found["leaks"] == {
        "n_queries": 10, "n_training_pictures": 10, "trained_on": 0, "same_source": 0,
        "near_duplicates": 0, "in_gallery": 0, "leaks": False,
    }  # fmt: skip
    assert main(command(tiny_bundle, data, keys)) == 0
    shown = capsys.readouterr().out
    assert "recall@1         100.0 %" in shown
    assert "no leak found between 10 queries and 10 pictures" in shown


def test_the_gallery_may_be_a_folder_and_have_distractors(
    data: Path, tmp_path: Path, tiny_bundle: Path, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery, others = tmp_path / "gallery", tmp_path / "others"
    gallery.mkdir()
    others.mkdir()
    for number, label in enumerate(LABELS):
        picture(number, 0, 0).save(gallery / f"{label}.png")
        picture(number, 3, 5).save(others / f"{number}.png")
    folders = ("--gallery", str(gallery), "--distractors", str(others))
    assert main(command(tiny_bundle, data, keys, "--json", *folders)) == 0
    found = json.loads(capsys.readouterr().out)
    # The distractors are photos of the very products, so some come before the right picture.
    assert (found["n_gallery"], found["n_distractors"]) == (10, 5)
    assert found["recall"]["1"]["value"] < 1.0
    (gallery / "another.png").write_bytes((gallery / "drink_0.png").read_bytes())
    assert main(command(tiny_bundle, data, keys, *folders)) == 2
    assert "named after a class" in capsys.readouterr().err


@pytest.mark.parametrize("leak", ["equal", "source", "near"])
def test_a_report_on_leaked_splits_is_refused(
    leak: str, data: Path, tiny_bundle: Path, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    text = data.read_text("utf-8")
    folder = data.parent
    if leak == "equal":
        (folder / "p0-2.png").write_bytes((folder / "p0-0.png").read_bytes())
    elif leak == "near":
        Image.open(folder / "p0-0.png").save(folder / "p0-2.jpg", quality=60)
        text = text.replace("p0-2.png", "p0-2.jpg")
    else:
        text = text.replace("train-2", "test-0")
    data.write_text(text, "utf-8")
    assert main(command(tiny_bundle, data, keys)) == 4
    refused = capsys.readouterr().err.splitlines()[-1]
    assert refused.startswith("error: Expected queries that training has not seen")
    assert main(command(tiny_bundle, data, keys, "--json", "--allow-leaks")) == 0
    shown = capsys.readouterr()
    assert "THIS REPORT LEAKS" in shown.err
    assert json.loads(shown.out)["leaks"]["leaks"] is True


def test_what_scores_mean_is_fitted_for_the_service(
    data: Path, tmp_path: Path, tiny_bundle: Path, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    from promolens_server.recognition.calibration import read_calibration

    file = tmp_path / "gallery.default.json"
    assert main(command(tiny_bundle, data, keys, "--json", "--cut-points", str(file))) == 0
    shown = capsys.readouterr()
    assert shown.err.count("cut-point ") == 3
    fitted = read_calibration(file)
    assert fitted.model_id == json.loads(shown.out)["model_sha256"]
    # Ten queries find their own picture, and ten times somebody else's with their own left out.
    assert fitted.cut_points.precision(0.0) <= fitted.cut_points.precision(1.0) == 1.0


def test_data_without_a_gallery_is_refused(
    data: Path, tiny_bundle: Path, keys, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text(data.read_text("utf-8").replace(",,1,", ",,0,"), "utf-8")
    assert main(command(tiny_bundle, data, keys)) == 2
    assert "Expected gallery pictures" in capsys.readouterr().err


def test_a_bundle_or_predictions_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "retrieval"]) == 2
    assert "Expected a bundle and data" in capsys.readouterr().err
    assert main(["evaluate", "retrieval", "--truth", "t.csv"]) == 2
    assert "together" in capsys.readouterr().err


class TestPredictions:
    def test_by_hand(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        proposed, truth = tmp_path / "p.csv", tmp_path / "t.csv"
        proposed.write_text("query_id,reference_id,score\nq1,a,.9\nq1,b,.8\nq2,c,.7\n")
        truth.write_text("query_id,reference_id\nq1,b\nq2,c\nq3,\n")
        assert main(["evaluate", "retrieval", "--predictions", str(proposed), "--truth",
                     str(truth), "--json"]) == 0  # fmt: skip
        found = json.loads(capsys.readouterr().out)
        # Wrong, right, right: precision 1/2 and 2/3 at the two matches.
        assert found["micro_ap"] == pytest.approx((1 / 2 + 2 / 3) / 2)
        # q1 finds b second: (0/1 + 1/2) / 2; q2 finds c first: 1.
        assert found["mean_ap"]["all"] == pytest.approx((0.25 + 1) / 2)
        assert found["recall"] == {"1": 0.5, "5": 1.0, "10": 1.0}
        assert (found["n_queries"], found["n_unanswered"], found["n_predictions"]) == (2, 1, 3)

    def test_grades_and_junk(self) -> None:
        order = [Row("q", name, 1 - place / 10, "") for place, name in enumerate("jhxe")]
        truth = [Row("q", "j", 0, "junk"), Row("q", "h", 0, "hard"), Row("q", "e", 0, "easy")]
        found = measure_predictions(tuple(order), tuple(truth))
        # Without junk: h, x, e. Easy takes h out too: x, e -> e second. Hard: h first.
        assert found.mean_ap["hard"] == 1
        assert found.mean_ap["easy"] == pytest.approx((0 + 1 / 2) / 2)
        assert found.mean_ap["medium"] == pytest.approx((1 + (1 / 2 + 2 / 3) / 2) / 2)
        assert found.n_predictions == 3

    @given(st.permutations("abcdef"), st.sets(st.sampled_from("abcdef"), min_size=1))
    def test_leaving_a_right_answer_out_never_helps(
        self, order: list[str], right: set[str]
    ) -> None:
        proposed = tuple(Row("q", name, -place, "") for place, name in enumerate(order))
        truth = tuple(Row("q", name, 0, "") for name in right)
        shorter = tuple(row for row in proposed if row.reference != min(right))
        whole, part = measure_predictions(proposed, truth), measure_predictions(shorter, truth)
        assert part.mean_ap["all"] <= whole.mean_ap["all"] + 1e-9
        assert part.micro_ap <= whole.micro_ap + 1e-9

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("a,b\n", "columns"),
            ("query_id,reference_id,score\nq,r,high\n", "a number"),
            ("query_id,reference_id,score\nq,r,nan\n", "a number"),
            ("query_id,reference_id,score\nq,r\n", "a number"),
            ("query_id,reference_id,score\nq,r,1\nq,r,2\n", "second time"),
            ("query_id,reference_id,score\n,r,1\n", "ids of 1"),
            ("query_id,reference_id,score\nq,,1\n", "ids of 1"),
            (f"query_id,reference_id,score\n{'q' * 201},r,1\n", "ids of 1"),
        ],
    )
    def test_bad_rows_are_refused(self, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "p.csv").write_text(text)
        with pytest.raises(InputError, match=words):
            read_csv(tmp_path / "p.csv", scored=True)

    def test_other_bad_files(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("query_id,reference_id,grade\nq,r,medium\n")
        with pytest.raises(InputError, match="easy, hard or junk"):
            read_csv(tmp_path / "t.csv", scored=False)
        (tmp_path / "b.csv").write_bytes(b"query_id,reference_id,score\n\xff,r,1\n")
        with pytest.raises(InputError, match="UTF-8"):
            read_csv(tmp_path / "b.csv", scored=True)
        with pytest.raises(InputError, match="at least one right"):
            measure_predictions((), (Row("q", "", 0, ""),))
