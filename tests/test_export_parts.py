"""Calibration sets, the gate, golden vectors, timing and the table, each on its own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_export.calibration import choose_calibration, describe_calibration, halves
from promolens_export.convert import with_extremes
from promolens_export.gate import Facts, check_loss
from promolens_export.golden_vectors import choose_golden, make_golden, output_steps
from promolens_export.judge import unknown_rule
from promolens_export.latency import interleaved
from promolens_export.options import ExportOptions
from promolens_export.report import stage_costs
from promolens_export.table import Row, markdown_table, text_table
from promolens_runtime.errors import GateError, InputError
from promolens_training.data.photos import Photo
from promolens_training.evaluation.metrics import agreement
from promolens_training.evaluation.predictions import Predictions

ROOT = Path("/data")


def photos(counts: dict[str, int], split: str = "train") -> list[Photo]:
    return [
        Photo(ROOT / label / f"{number}.jpg", label, split)
        for label, count in counts.items()
        for number in range(count)
    ]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), min_size=1),
    st.integers(1, 40),
    st.integers(0, 5),
    st.randoms(),
)
def test_calibration_is_balanced_unique_and_independent_of_order(
    counts: dict[str, int], wanted: int, seed: int, shuffler: object
) -> None:
    have = photos(counts)
    chosen = choose_calibration(have, ROOT, wanted, seed)
    shuffler.shuffle(have)  # type: ignore[attr-defined]
    assert choose_calibration(have, ROOT, wanted, seed) == chosen
    assert len(set(chosen)) == len(chosen) == min(wanted, len(have))
    taken = {label: sum(photo.label == label for photo in chosen) for label in counts}
    fullest = max(taken.values())
    assert all(taken[label] in (counts[label], fullest, fullest - 1) for label in counts)


def test_calibration_never_takes_evaluation_photos() -> None:
    have = photos({"a": 3}) + photos({"b": 50}, "test")
    assert {photo.label for photo in choose_calibration(have, ROOT, 20)} == {"a"}
    with pytest.raises(InputError, match="Expected at least one training photo"):
        choose_calibration(photos({"b": 5}, "test"), ROOT, 20)


def test_the_same_picture_under_two_names_is_noticed(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_bytes(b"same" if name != "three" else b"else")
    one, two, three = (Photo(tmp_path / name, "a") for name in ("one", "two", "three"))
    assert [image.path for image in describe_calibration([one], [three], tmp_path).images] == [
        "one"
    ]
    with pytest.raises(InputError, match="the same picture as"):
        describe_calibration([one], [two], tmp_path)


def test_halves_are_disjoint_and_complete() -> None:
    have = photos({"a": 7})
    first, second = halves(have)
    assert set(first) | set(second) == set(have)
    assert not set(first) & set(second)


@given(st.integers(0, 255), st.integers(0, 255))
def test_calibration_images_always_span_the_whole_range(low: int, high: int) -> None:
    images = np.full((2, 4, 4, 3), low, np.uint8)
    images[1] = high
    spanned = with_extremes(images)
    assert (spanned.min(), spanned.max()) == (0, 255)
    assert np.count_nonzero(spanned != images) <= 6  # two pixels at most


def logits(answers: list[int], classes: int = 3) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[answers] * 4


FACTS = Facts(200, 960, int8_friendly=True, recipe="fast", has_ema=True)


def test_gate_counts_lost_photos() -> None:
    labels, sources = np.zeros(100, np.int64), tuple(str(i) for i in range(100))
    before = logits([0] * 100)
    one_lost = agreement(before, logits([1] + [0] * 99), labels, sources)
    check_loss(one_lost, 1.0, FACTS)  # exactly the budget
    two_lost = agreement(before, logits([1, 1] + [0] * 98), labels, sources)
    with pytest.raises(GateError, match=r"2\.00 points \(2 photos lost, 0 won, n = 100"):
        check_loss(two_lost, 1.0, FACTS)
    with pytest.raises(GateError, match=r"One photo is 1\.0 points here: first get more"):
        check_loss(two_lost, 1.0, FACTS)
    check_loss(agreement(logits([1] * 100), before, labels, sources), 0.0, FACTS)  # int8 wins


@pytest.mark.parametrize(
    ("facts", "said", "unsaid"),
    [
        (FACTS, ["--calibration-images 500 (now 200)", "--recipe best"], ["EfficientNet", "EMA"]),
        (
            Facts(48, 48, int8_friendly=True, recipe="best", has_ema=True),
            ["EXPORT_FLAGS='--max-loss 2.0'"],
            ["calibration-images", "EfficientNet", "recipe", "Try"],
        ),
        (
            Facts(20, 48, int8_friendly=False, recipe="card", has_ema=False),
            ["--calibration-images 48 (now 20)", "EfficientNet-Lite", "with EMA"],
            ["500"],
        ),
    ],
)
def test_the_gate_advises_only_what_can_be_done(
    facts: Facts, said: list[str], unsaid: list[str]
) -> None:
    labels, sources = np.zeros(100, np.int64), tuple(map(str, range(100)))
    lost = agreement(logits([0] * 100), logits([1, 1] + [0] * 98), labels, sources)
    with pytest.raises(GateError) as caught:
        check_loss(lost, 1.0, facts)
    message = str(caught.value)
    assert [words for words in said if words not in message] == []
    assert [words for words in unsaid if words in message] == []
    assert "\n" not in message


def test_work_is_listed_in_its_order() -> None:
    seconds = {"decode": 2.1, "fine_tune": 449.5, "probe": 39.6, "teacher": 0.0}
    info = {"seconds": seconds, "seconds_total": 493.6, "peak_memory_bytes": 2**30}
    rows = stage_costs(info)
    assert [row.stage for row in rows] == [
        "reading the photos", "embeddings and linear head", "fine-tuning", "training, in total",
    ]  # fmt: skip
    assert (rows[0].seconds, rows[-1].peak_memory_bytes) == (2.1, 2**30)
    assert stage_costs({}) == ()


def test_the_delegates_banner_is_held_back(tiny_models: Path) -> None:
    program = (
        "from pathlib import Path; import numpy as np;"
        "from promolens_export.judge import predict_variants;"
        "from promolens_training.data.photos import Photo, ProductClass;"
        f"data = Path({str(tiny_models / 'float.tflite')!r}).read_bytes();"
        "classes = [ProductClass(str(i), str(i)) for i in range(5)];"
        "pixels = np.zeros((1, 32, 32, 3), np.uint8);"
        "predict_variants({'float32': data}, [Photo(Path('a'), '0')], pixels, classes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "INFO" not in done.stderr


def test_golden_photos_come_from_different_classes() -> None:
    have = photos({"a": 5, "b": 5, "c": 5, "d": 5, "e": 5, "f": 5, "g": 5, "h": 5})
    chosen = choose_golden(have)
    assert len({have[index].label for index in chosen}) == 6
    assert len(choose_golden(photos({"a": 4, "b": 1}))) == 5


def test_golden_vectors_hold_what_the_model_says(tiny_model_bytes: bytes) -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 3), np.uint8)
    made, steps = make_golden(tiny_model_bytes, pictures), output_steps(tiny_model_bytes)
    assert made.golden.tensors["logits"].shape == (4, 5)
    assert np.array_equal(made.golden.tensors["image"], pictures)
    assert made.tolerance.logits_tolerance >= 3.99 * steps["logits"]
    values = made.golden.tensors["logits"] / np.float32(steps["logits"])
    assert np.abs(values - values.round()).max() < 1e-3  # whole int8 steps: the shipped file's


def known_photos(scores: list[float]) -> Predictions:
    values = np.zeros((len(scores), 3), np.float32)
    values[:, 0] = scores
    names = tuple(map(str, range(len(scores))))
    return Predictions(values, np.zeros(len(scores), np.int64), names, tuple(map(Path, names)))


def test_threshold_accepts_95_percent_of_known_photos() -> None:
    rule, _ = unknown_rule(known_photos([float(i) for i in range(1, 101)]), None)
    assert rule.accept_at_least == pytest.approx(6.0, abs=1e-4)
    assert rule.accept_at_least < 6.0  # the photo that sets it still passes
    assert (rule.true_accept_rate, rule.false_accept_rate, rule.n_unknown) == (0.95, None, 0)
    low = known_photos([0.5] * 9 + [50.0])
    rule, results = unknown_rule(known_photos([float(i) for i in range(1, 101)]), low)
    assert rule.false_accept_rate == pytest.approx(0.1)
    assert len(results) == 2


def test_timing_tells_a_slow_engine_from_a_fast_one() -> None:
    timings = interleaved(
        {"slow": lambda: time.sleep(0.004), "fast": lambda: None}, rounds=3, calls=2
    )
    assert timings["slow"].best_ms >= 4.0 > timings["fast"].median_ms
    assert timings["slow"].calls == 6


def test_table_shows_each_figure() -> None:
    row = Row("int8", 4_011_140, 187, 0.519, (0.397, 0.64), 0.963, 2, 3, 0.029, 8.9, 7.9)
    text = text_table([row]).splitlines()[1]
    assert text.split() == [
        "int8", "4.01", "51.9%", "39.7%", "to", "64.0%", "96.3%", "2/3", "+0.029", "8.9", "7.9",
    ]  # fmt: skip
    assert markdown_table([row]).splitlines()[2].startswith("| int8 | 4.01 | 51.9% |")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_loss_points": -1.0}, "loss budget"),
        ({"calibration_images": 1}, "calibration images"),
        ({"variants": ("int3",)}, "int3"),
        ({"unknown": Path("/nowhere")}, "--unknown"),
    ],
)
def test_options_are_checked(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        ExportOptions(**options)  # type: ignore[arg-type]


def test_float32_and_int8_are_always_converted() -> None:
    assert ExportOptions(variants=("int8",)).converted == ("float32", "int8")
