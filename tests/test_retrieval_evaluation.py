"""The measures of rankings and of scores, by hand and against the plainest way to compute them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from promolens_retrieval.evaluation import galleries, localisation, pairs, ranking
from promolens_retrieval.evaluation.retrieval import Pictures, measure
from promolens_runtime.errors import InputError

few_scores = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=12)


def flags(length: int) -> st.SearchStrategy[list[bool]]:
    return st.lists(st.booleans(), min_size=length, max_size=length)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores = draw(few_scores)
    return (
        np.array(scores),
        np.array(draw(flags(len(scores)))),
        np.array(draw(flags(len(scores)))),
    )


class TestPlaces:
    def test_counts_what_comes_before(self) -> None:
        # Falling: item 3 (.9), item 0 (.8), item 2 (.5), item 1 (.1).
        scores = np.array([0.8, 0.1, 0.5, 0.9])
        relevant = np.array([False, True, True, False])
        assert ranking.places_of_relevant(scores, relevant).tolist() == [2, 3]

    def test_ignored_items_leave_the_ranking(self) -> None:
        scores = np.array([0.8, 0.1, 0.5, 0.9])
        relevant = np.array([False, True, True, False])
        ignored = np.array([False, False, True, True])
        assert ranking.places_of_relevant(scores, relevant, ignored).tolist() == [1]

    @given(scored())
    def test_equals_sorting_the_gallery(self, case: tuple[np.ndarray, ...]) -> None:
        scores, relevant, ignored = case
        order = [i for i in sorted(range(len(scores)), key=lambda i: -scores[i]) if not ignored[i]]
        expected = [place for place, item in enumerate(order) if relevant[item]]
        assert ranking.places_of_relevant(scores, relevant, ignored).tolist() == expected

    def test_nan_is_refused(self) -> None:
        with pytest.raises(ValueError, match="NaN"):
            ranking.places_of_relevant(np.array([0.1, np.nan]), np.array([True, False]))


class TestOfOneQuery:
    def test_recall_and_precision(self) -> None:
        places = np.array([1, 3])
        assert not ranking.hit_at(places, 1)
        assert ranking.hit_at(places, 2)
        assert ranking.precision_at(places, 4) == 0.5
        assert not ranking.hit_at(np.array([], np.int64), 10)

    def test_map_at_r_looks_at_the_first_r_only(self) -> None:
        # R = 3; hits at places 0 and 2 have precision 1/1 and 2/3; the hit at place 5 is outside.
        assert ranking.average_precision_at_r(np.array([0, 2, 5])) == pytest.approx((1 + 2 / 3) / 3)

    def test_average_precision_has_trapezoids(self) -> None:
        # Hits at places 0 and 2: (1 + 1) / 2 for the first; before the second 1 of 2 is right, at
        # it 2 of 3: (1/2 + 2/3) / 2.
        expected = (1 + (1 / 2 + 2 / 3) / 2) / 2
        assert ranking.average_precision(np.array([0, 2])) == pytest.approx(expected)

    def test_perfect_rankings_are_one_and_no_answer_is_zero(self) -> None:
        for measure_one in (ranking.average_precision, ranking.average_precision_at_r):
            assert measure_one(np.arange(4)) == pytest.approx(1)
            assert measure_one(np.array([], np.int64)) == 0

    def test_easy_medium_hard(self) -> None:
        # In order of score: hard, junk, easy, other.
        scores = np.array([0.9, 0.8, 0.7, 0.6])
        easy, hard, junk = (np.arange(4) == i for i in (2, 0, 1))
        places = {
            name: ranking.places_of_relevant(scores, relevant, ignored).tolist()
            for name, (relevant, ignored) in ranking.easy_medium_hard(easy, hard, junk).items()
        }
        assert places == {"easy": [0], "medium": [0, 1], "hard": [0]}


class TestPairs:
    @given(scored())
    def test_roc_area_equals_another_library(self, case: tuple[np.ndarray, ...]) -> None:
        scores, matches, _ = case
        if matches.all() or not matches.any():
            with pytest.raises(ValueError, match="matching and other"):
                pairs.roc(scores, matches)
            return
        assert pairs.roc(scores, matches).auc == pytest.approx(roc_auc_score(matches, scores))

    @given(scored())
    def test_micro_ap_equals_another_library(self, case: tuple[np.ndarray, ...]) -> None:
        scores, matches, _ = case
        if matches.any():
            ours = pairs.micro_average_precision(scores, matches, int(matches.sum()))
            assert ours == pytest.approx(average_precision_score(matches, scores))

    def test_micro_ap_counts_matches_that_were_never_proposed(self) -> None:
        # Right, wrong, right: 1/2 of the recall at precision 1, ... with 4 matches in all:
        # (1 * 1 + 1 * 2/3) / 4.
        scores, matches = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
        assert pairs.micro_average_precision(scores, matches, 4) == pytest.approx((1 + 2 / 3) / 4)
        assert pairs.recall_at_precision(scores, matches, 4, 0.9) == 0.25
        assert pairs.recall_at_precision(scores, matches, 4, 0.6) == 0.5
        with pytest.raises(ValueError, match="at least 2"):
            pairs.micro_average_precision(scores, matches, 1)

    def test_equal_error_rate_by_hand(self) -> None:
        # Matches .9 .8 .3, others .5 .2 .1. Accepting from .5: 1/3 lost, 1/3 accepted.
        scores = np.array([0.9, 0.8, 0.3, 0.5, 0.2, 0.1])
        matches = np.array([True, True, True, False, False, False])
        curve = pairs.roc(scores, matches)
        assert curve.equal_error_rate == pytest.approx(1 / 3)
        assert curve.tpr_at_fpr(0) == pytest.approx(2 / 3)
        assert curve.threshold_for_fpr(0) == 0.8
        assert curve.tpr_at_fpr(0.34) == 1

    def test_perfect_and_blind_scores(self) -> None:
        matches = np.array([True, True, False, False])
        perfect = pairs.roc(np.array([4.0, 3, 2, 1]), matches)
        blind = pairs.roc(np.ones(4), matches)
        assert (perfect.auc, perfect.equal_error_rate) == (1, 0)
        assert (blind.auc, blind.equal_error_rate) == (0.5, 0.5)

    def test_rates_at_a_threshold(self) -> None:
        scores = np.array([0.9, 0.4, 0.6, 0.1])
        rates = pairs.rates_at(0.5, scores, np.array([True, True, False, False]))
        assert (rates.tpr, rates.fpr, rates.precision) == (0.5, 0.5, 0.5)
        assert rates.balanced_accuracy == 0.5
        assert pairs.rates_at(2, scores, np.array([True, True, False, False])).precision == 1


class TestLocalisation:
    def test_iou_by_hand(self) -> None:
        # 2 x 2 and 2 x 2 shifted by one: 1 common, 7 together.
        iou = localisation.box_iou(
            np.array([[0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 1, 1]]),
            np.array([[1, 1, 3, 3], [0, 0, 1, 1], [5, 5, 6, 6]]),
        )
        assert iou.tolist() == pytest.approx([1 / 7, 1, 0])

    def test_a_wrong_picture_scores_nothing(self) -> None:
        score = localisation.localisation_score(np.array([True, False]), np.array([0.5, 1.0]))
        assert score == 0.25

    def test_empty_boxes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="empty"):
            localisation.box_iou(np.array([[1, 1, 1, 2]]), np.array([[0, 0, 1, 1]]))


class TestGalleries:
    def test_a_small_gallery_has_the_law_of_drawing_it(self) -> None:
        # 30 items, relevant at places 3 and 10; a gallery of 12 keeps 10 of the 28 others.
        places, n_others, size = np.array([3, 10]), 28, 12
        rng = np.random.default_rng(0)
        quick = [galleries.sampled_places(places, n_others, size, rng) for _ in range(20_000)]
        others = np.array([place for place in range(30) if place not in (3, 10)])
        plain = []
        for _ in range(20_000):
            drawn = np.sort(np.concatenate([rng.choice(others, 10, replace=False), places]))
            plain.append(np.searchsorted(drawn, places))
        assert np.mean(quick, axis=0) == pytest.approx(np.mean(plain, axis=0), abs=0.05)
        assert np.cov(np.transpose(quick)) == pytest.approx(np.cov(np.transpose(plain)), abs=0.08)

    @given(st.sets(st.integers(0, 40), min_size=1, max_size=5), st.data())
    def test_relevant_items_keep_their_order_and_room(
        self, places: set[int], data: st.DataObject
    ) -> None:
        n_others = 41 - len(places)
        size = data.draw(st.integers(len(places), 41))
        seed = data.draw(st.integers(0, 100))
        drawn = galleries.sampled_places(
            np.array(sorted(places)), n_others, size, np.random.default_rng(seed)
        )
        assert (np.diff(drawn) > 0).all()
        assert drawn[-1] < size
        if size == 41:
            assert drawn.tolist() == sorted(places)

    def test_sizes(self) -> None:
        assert galleries.sizes_within(50) == (50,)
        assert galleries.sizes_within(2000) == (101, 1000, 2000)


def unit(rows: list[list[float]]) -> np.ndarray:
    vectors = np.array(rows, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def pictures(rows: list[list[float]], labels: str, contents: str | None = None) -> Pictures:
    return Pictures(
        unit(rows), tuple(labels), ("",) * len(rows), tuple(contents or map(str, range(len(rows))))
    )


class TestMeasure:
    def test_by_hand(self) -> None:
        gallery = pictures([[1, 0], [0, 1], [1, 1]], "abc", "xyz")
        # The first is right at once; the second wants b, which comes second after c.
        queries = pictures([[1, 0.1], [1, 1.2]], "ab")
        figures = measure(queries, gallery)
        assert figures.recall[1].value == 0.5
        assert figures.recall[5].value == 1
        assert figures.places.tolist() == [0, 1]
        assert figures.map_at_r.value == 0.5
        assert (figures.n_queries, figures.n_gallery, figures.n_without_answer) == (2, 3, 0)

    def test_a_query_in_the_gallery_does_not_find_itself(self) -> None:
        gallery = pictures([[1, 0], [0, 1], [1, 0.5]], "aba", "xyz")
        alone = measure(pictures([[1, 0]], "a", "q"), gallery)
        inside = measure(pictures([[1, 0]], "a", "x"), gallery)
        assert alone.map_at_r.value == 1
        assert inside.places.tolist() == [0]
        assert inside.by_size[-1].size == 2

    def test_queries_without_answer_only_weigh_on_pairs(self) -> None:
        gallery = pictures([[1, 0], [0, 1]], "ab", "xy")
        sure = measure(pictures([[1, 0.1]], "a", "q"), gallery)
        doubtful = measure(pictures([[1, 0.1], [1, 0]], "az", "qr"), gallery)
        assert doubtful.n_without_answer == 1
        assert doubtful.recall[1].value == sure.recall[1].value == 1
        assert doubtful.micro_ap < sure.micro_ap

    @settings(max_examples=20)
    @given(st.integers(0, 1000))
    def test_a_rotation_of_the_space_changes_nothing(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        turn, _ = np.linalg.qr(rng.normal(size=(8, 8)))
        labels = [*"aabbccdd"]
        queries, gallery = rng.normal(size=(8, 8)), rng.normal(size=(8, 8))
        plain = measure(
            pictures(queries.tolist(), "".join(labels)),
            pictures(gallery.tolist(), "".join(labels), "stuvwxyz"),
        )
        turned = measure(
            pictures((queries @ turn).tolist(), "".join(labels)),
            pictures((gallery @ turn).tolist(), "".join(labels), "stuvwxyz"),
        )
        assert plain.places.tolist() == turned.places.tolist()
        assert plain.recall[1].value <= plain.recall[5].value <= plain.recall[10].value

    def test_what_does_not_fit_is_refused(self) -> None:
        with pytest.raises(InputError, match="length 1"):
            Pictures(np.ones((1, 2), np.float32), ("a",), ("",), ("x",))
        with pytest.raises(InputError, match="one length"):
            measure(pictures([[1, 0]], "a"), pictures([[1, 0, 0]], "a", "x"))
        with pytest.raises(InputError, match="in the gallery"):
            measure(pictures([[1, 0]], "a"), pictures([[1, 0]], "b", "x"))
