"""Splits: a source is never on both sides, every class trains, the same photos split the same."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageEnhance

from photo_folders import class_folders, picture
from promolens_runtime.errors import InputError
from promolens_training.data import (
    Photo,
    assign_sources,
    grouped_kfold,
    load_photo_set,
    split_holdout,
)
from promolens_training.data.fingerprints import fingerprint
from promolens_training.data.sources import SourceRule, group_fingerprints


@st.composite
def photo_lists(draw: st.DrawFn) -> list[Photo]:
    """Photos of 2 to 5 classes in sources that may hold several classes."""
    labels = st.sampled_from("abcde"[: draw(st.integers(2, 5))])
    rows = draw(st.lists(st.tuples(labels, st.integers(0, 12)), min_size=4, max_size=60))
    return [
        Photo(Path(f"/set/{number:03}.jpg"), label, source_id=f"visit {source}")
        for number, (label, source) in enumerate(rows)
    ]


def check_sides(photos: list[Photo], train: np.ndarray, test: np.ndarray) -> None:
    assert sorted([*train, *test]) == list(range(len(photos)))
    train_sources = {photos[i].source_id for i in train}
    assert not train_sources & {photos[i].source_id for i in test}
    assert {photos[i].label for i in train} == {photo.label for photo in photos}


@settings(max_examples=200, deadline=None)
@given(photo_lists(), st.integers(2, 5), st.integers(0, 3))
def test_folds_keep_sources_whole_and_train_every_class(
    photos: list[Photo], folds: int, seed: int
) -> None:
    try:
        pairs = grouped_kfold(photos, folds, seed)
    except InputError:
        return
    assert len(pairs) == folds
    for train, test in pairs:
        check_sides(photos, train, test)
        assert len(test) > 0
    tested = Counter(int(i) for _, test in pairs for i in test)
    assert set(tested.values()) <= {1}


@settings(max_examples=200, deadline=None)
@given(photo_lists(), st.floats(0.05, 0.6), st.integers(0, 3))
def test_holdout_keeps_sources_whole_and_trains_every_class(
    photos: list[Photo], fraction: float, seed: int
) -> None:
    try:
        train, test = split_holdout(photos, fraction, seed)
    except InputError:
        return
    check_sides(photos, train, test)
    assert len(test) > 0


@settings(max_examples=50, deadline=None)
@given(photo_lists(), st.randoms(use_true_random=False))
def test_splits_do_not_depend_on_the_order_of_photos(
    photos: list[Photo], shuffler: random.Random
) -> None:
    shuffled = list(photos)
    shuffler.shuffle(shuffled)

    def held_out(given_photos: list[Photo]) -> list[set[Path]]:
        try:
            pairs = [*grouped_kfold(given_photos, 3, 7), split_holdout(given_photos, 0.3, 7)]
        except InputError:
            return []
        return [{given_photos[i].path for i in test} for _, test in pairs]

    assert held_out(photos) == held_out(shuffled)


def test_folds_are_stratified_where_sources_are_equal() -> None:
    photos = [
        Photo(Path(f"/{label}/{n:02}.jpg"), label, source_id=f"{label}{n // 2}")
        for label in ("cola", "tea")
        for n in range(24)
    ]
    for _, test in grouped_kfold(photos, 3, seed=5):
        assert Counter(photos[i].label for i in test) == {"cola": 8, "tea": 8}
    _, held = split_holdout(photos, 0.25, seed=5)
    assert Counter(photos[i].label for i in held) == {"cola": 6, "tea": 6}


def test_seeds_differ() -> None:
    photos = [Photo(Path(f"/{n:02}.jpg"), "ab"[n % 2]) for n in range(40)]
    held = [tuple(split_holdout(photos, 0.3, seed)[1]) for seed in range(3)]
    assert len(set(held)) == 3


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, float("nan")])
def test_impossible_fraction(fraction: float) -> None:
    with pytest.raises(InputError, match="fraction between 0 and 1"):
        split_holdout([Photo(Path("/a.jpg"), "a")], fraction)


def test_one_source_cannot_be_split() -> None:
    photos = [Photo(Path(f"/{n}.jpg"), "a", source_id="visit") for n in range(5)]
    with pytest.raises(InputError, match="hold out"):
        split_holdout(photos, 0.2)
    with pytest.raises(InputError, match="fewer folds"):
        grouped_kfold(photos, 2)
    with pytest.raises(InputError, match="at least 2 folds"):
        grouped_kfold(photos, 1)


def burst(folder: Path, seed: int, count: int, first: int) -> None:
    """Save `count` shots of one scene: shifted a little, lit a little otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = picture(seed, 128)
    for n in range(count):
        shot = scene.crop((n, n, 112 + n, 112 + n))
        ImageEnhance.Brightness(shot).enhance(1 + 0.01 * n).save(folder / f"{first + n}.jpg")


def test_bursts_become_sources_whatever_the_file_names(tmp_path: Path) -> None:
    for number, seed in enumerate((11, 22, 33, 44)):
        burst(tmp_path / "cola", seed, 3, first=10 * number)
    names = sorted(path.name for path in (tmp_path / "cola").iterdir())
    random.Random(1).shuffle(names)
    for new, old in enumerate(names):  # neighbours by name are no longer neighbours in time
        (tmp_path / "cola" / old).rename(tmp_path / "cola" / f"shot_{new:02}_of_{old}")
    class_folders(tmp_path, "tea")
    photos = assign_sources(load_photo_set(tmp_path).photos)
    sources: dict[str, set[int]] = {}
    for photo in photos:
        if photo.label == "cola":
            scene = int(photo.path.stem.split("_")[-1]) // 10
            sources.setdefault(photo.source_id, set()).add(scene)
    assert sorted(sources.values(), key=min) == [{0}, {1}, {2}, {3}]


def test_named_sources_are_kept_and_order_does_not_matter(tmp_path: Path) -> None:
    photos = list(load_photo_set(class_folders(tmp_path, "a", "b", count=4)).photos)
    photos[0] = Photo(photos[0].path, photos[0].label, source_id="visit 1")
    forward = assign_sources(photos)
    backward = assign_sources(photos[::-1])
    assert forward == backward[::-1]
    assert forward[0].source_id == "visit 1"
    assert all(photo.source_id for photo in forward)


def test_undecodable_file_is_a_source_of_its_own(tmp_path: Path) -> None:
    class_folders(tmp_path, "a", count=4)
    (tmp_path / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    photos = assign_sources(load_photo_set(tmp_path).photos)
    assert sum(photo.source_id == photos[-1].source_id for photo in photos) == 1


def test_large_classes_are_grouped_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promolens_training.data.sources._MAX_PAIRED", 3)
    looks = [fingerprint(np.asarray(picture(seed))) for seed in (1, 1, 2, 2, 3)]
    assert list(group_fingerprints(looks, SourceRule())) == [0, 0, 2, 2, 4]


def test_impossible_rule() -> None:
    with pytest.raises(InputError):
        SourceRule(max_colour_distance=1.5)


@pytest.mark.skipif("PROMOLENS_DATA" not in os.environ, reason="PROMOLENS_DATA names no folder")
def test_real_photos_of_one_visit_stay_together() -> None:
    """Visits told apart by eye on the shelf, floor and door behind the carton."""
    root = Path(os.environ["PROMOLENS_DATA"]) / "grocery"
    photos = assign_sources(load_photo_set(root, "Alpro-Fresh-Soy-Milk").photos)
    visits = (
        (1, 10, 15, 17, 18, 27, 30),
        (3, 5, 7, 13, 14, 22, 28),
        (2, 12, 20, 21, 24, 26, 4, 6, 8, 9, 11, 16, 19, 23, 25, 29),
    )
    source_of = {int(photo.path.stem[-3:]): photo.source_id for photo in photos}
    assert [len({source_of[number] for number in visit}) for visit in visits] == [1, 1, 1]
    assert len(set(source_of.values())) == 3
