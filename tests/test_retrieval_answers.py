"""From hits to an answer: normalisation, cut-points, expansion, regions, votes, by hand."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.database import open_database
from promolens_retrieval import cut_points
from promolens_retrieval.cut_points import CutPointConfig, CutPoints
from promolens_retrieval.entries import Entry, Filter, Hit, VectorKey
from promolens_retrieval.expansion import augmented_database, expanded_query
from promolens_retrieval.faiss_index import FaissConfig, FaissIndex
from promolens_retrieval.normalisation import NormalisationConfig, background_means, normalised
from promolens_retrieval.opening import open_index
from promolens_retrieval.pgvector_index import PgVectorIndex
from promolens_retrieval.recall import recall_estimate
from promolens_retrieval.regions import best_of_each, grid_boxes, search_grouped
from promolens_retrieval.spaces import Space
from promolens_retrieval.voting import VoteConfig, vote
from promolens_runtime.errors import InputError
from retrieval_support import DIM, MODEL, SPACE, empty_vectors, random_vectors


def hit(image: str, score: float, item: str = "", region: int = 0) -> Hit:
    return Hit(image, region, item or image, score)


class TestNormalisation:
    BACKGROUND = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6], [-1.0, 0.0]])

    def test_the_mean_of_the_best_ranks_is_taken_off(self) -> None:
        # Scores of (1, 0): 1, 0.8, 0, -1; of (0, 1): 1, 0.6, 0, 0.
        queries = np.array([[1.0, 0.0], [0.0, 1.0]])
        first_two = background_means(queries, self.BACKGROUND, NormalisationConfig(1, 2))
        assert first_two == pytest.approx([0.9, 0.8])
        second_to_third = background_means(queries, self.BACKGROUND, NormalisationConfig(2, 3))
        assert second_to_third == pytest.approx([0.4, 0.3])

    def test_what_is_similar_to_everything_counts_less(self) -> None:
        plain, special = normalised(np.array([0.9, 0.8]), np.array([0.8, 0.3]))
        assert (plain, special) == pytest.approx((0.1, 0.5))
        half = NormalisationConfig(weight=0.5)
        assert normalised(np.array([0.9]), 0.8, config=half) == pytest.approx([0.5])

    def test_both_sides_are_csls_divided_by_two(self) -> None:
        # CSLS is 2 cos - r(query) - r(reference).
        assert 2 * normalised(np.array([0.9]), 0.8, 0.2)[0] == pytest.approx(1.8 - 0.8 - 0.2)

    def test_too_small_a_background_is_refused(self) -> None:
        with pytest.raises(InputError, match="at least 10 background vectors"):
            background_means(np.ones((1, 2)), self.BACKGROUND)


SCORES = np.array([0.9] * 10 + [0.7] * 10 + [0.5] * 10 + [0.2] * 10)
# 10, 8, 5 and 0 of ten are true: shares from the top 100, 90, 76.7 and 57.5 %.
MATCHES = np.array([i % 10 < t for i, t in enumerate([10] * 10 + [8] * 10 + [5] * 10 + [0] * 10)])
ALONE = [""] * 40


class TestCutPoints:
    def test_names_begin_where_their_precision_holds(self) -> None:
        fitted = cut_points.fit(SCORES, MATCHES, ALONE, CutPointConfig(0.95, 0.75, 0.3))
        assert [point.least_score for point in fitted.points] == [0.9, 0.5, 0.2]
        assert [fitted.band(score) for score in (0.95, 0.9, 0.89, 0.5, 0.3, 0.1)] == [
            "copy", "copy", "likely", "likely", "weak", "none",
        ]  # fmt: skip
        # Of 20 pairs between 0.5 and 0.9, 13 are true.
        assert (fitted.points[1].precision, fitted.points[1].n) == (0.65, 20)
        assert fitted.points[1].low < 0.65 < fitted.points[1].high

    def test_precision_of_a_score_is_that_of_pairs_like_it(self) -> None:
        fitted = cut_points.fit(SCORES, MATCHES, ALONE)
        shares = [fitted.precision(score) for score in (0.1, 0.2, 0.5, 0.69, 0.7, 0.9, 1.0)]
        assert shares == pytest.approx([0.0, 0.0, 0.5, 0.5, 0.8, 1.0, 1.0])

    def test_a_name_that_validation_never_reached_is_never_given(self) -> None:
        matches = MATCHES.copy()
        matches[:5] = False
        fitted = cut_points.fit(SCORES, matches, ALONE, CutPointConfig(0.99, 0.6, 0.3))
        assert fitted.points[0].least_score is None
        assert fitted.band(1.0) == "likely"

    def test_frozen_cut_points_are_judged_on_another_split(self) -> None:
        fitted = cut_points.fit(SCORES, MATCHES, ALONE, CutPointConfig(0.95, 0.75, 0.3))
        other = np.array([0.95, 0.92, 0.6, 0.6, 0.3] * 5)
        true = np.array([True, False, True, True, False] * 5)
        copy, likely, weak = cut_points.check(fitted, other, true, [""] * 25)
        assert (copy.precision, copy.n) == (0.5, 10)
        assert (likely.precision, likely.n) == (1.0, 10)
        assert (weak.precision, weak.n) == (0.0, 5)

    def test_pairs_of_one_source_widen_the_interval(self) -> None:
        alone = cut_points.fit(SCORES, MATCHES, ALONE).points[1]
        together = cut_points.fit(SCORES, MATCHES, [f"s{i % 4}" for i in range(40)]).points[1]
        assert together.n == alone.n
        assert together.high - together.low > 0

    def test_they_survive_json(self) -> None:
        fitted = cut_points.fit(SCORES, MATCHES, ALONE)
        assert CutPoints.from_json(fitted.as_json()) == fitted
        for bad in ({}, {"points": [], "scores": [2, 1], "precisions": [0, 1]}, {"points": 3}):
            with pytest.raises(InputError):
                CutPoints.from_json(bad)

    @pytest.mark.parametrize(
        ("scores", "matches"),
        [
            (SCORES[:10], MATCHES[:10]),
            (SCORES, np.ones(40, bool)),
            (SCORES, MATCHES.astype(int)),
            (np.full(40, np.nan), MATCHES),
            (SCORES[:39], MATCHES),
        ],
    )
    def test_what_cannot_be_fitted_is_refused(
        self, scores: np.ndarray, matches: np.ndarray
    ) -> None:
        with pytest.raises(InputError):
            cut_points.fit(scores, matches, [""] * len(scores))

    @given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=20, max_size=60))
    def test_precision_rises_and_is_right_in_the_mean(self, pairs: list[tuple[int, bool]]) -> None:
        scores = np.array([score / 10 for score, _ in pairs])
        matches = np.array([match for _, match in pairs])
        steps, shares = cut_points.isotonic(scores, matches)
        assert all(low < high for low, high in pairwise(shares))
        assert steps[0] == scores.min()
        estimated = [shares[np.searchsorted(steps, score, side="right") - 1] for score in scores]
        assert sum(estimated) == pytest.approx(matches.sum())


class TestExpansion:
    def test_neighbours_pull_by_the_power_of_their_cosine(self) -> None:
        # (1, 0) + 0.6 ** 2 * (0.6, 0.8) = (1.216, 0.288)
        found = expanded_query(np.array([1.0, 0.0]), np.array([[0.6, 0.8]]), alpha=2)
        assert found == pytest.approx(np.array([1.216, 0.288]) / np.hypot(1.216, 0.288))

    def test_opposite_neighbours_pull_nothing(self) -> None:
        query = np.array([0.6, 0.8])
        assert expanded_query(query, -query[None]) == pytest.approx(query)
        assert expanded_query(query, np.zeros((0, 2))) == pytest.approx(query)

    def test_each_vector_of_a_database_takes_up_its_neighbours(self) -> None:
        whole = np.array([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]])
        found = augmented_database(whole, neighbours=1, alpha=2)
        assert found[0] == pytest.approx(expanded_query(whole[0], whole[1:2], 2))
        assert found[1] == pytest.approx(expanded_query(whole[1], whole[:1], 2))
        assert found[2] == pytest.approx(whole[2])
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)

    def test_bad_shapes_are_refused(self) -> None:
        with pytest.raises(InputError):
            expanded_query(np.ones(3), np.ones((1, 2)))
        with pytest.raises(InputError):
            augmented_database(np.ones((2, 2)), neighbours=0)


class TestRegions:
    def test_fourteen_parts_of_which_the_first_is_the_whole(self) -> None:
        boxes = grid_boxes()
        assert len(boxes) == 1 + 4 + 9
        assert boxes[0] == (0, 0, 1, 1)
        assert boxes[2] == (0.5, 0, 1, 0.5)
        assert boxes[-1] == pytest.approx((2 / 3, 2 / 3, 1, 1))
        assert grid_boxes((2,), overlap=0.1)[0] == pytest.approx((0, 0, 0.55, 0.55))
        with pytest.raises(InputError):
            grid_boxes((0,))

    def test_an_image_scores_what_its_best_part_scores(self) -> None:
        hits = [hit("a", 0.5, "x"), hit("b", 0.7, "x", 3), hit("a", 0.9, "x", 2), hit("c", 0.7)]
        assert best_of_each(hits, "image") == [hits[2], hits[1], hits[3]]
        assert best_of_each(hits, "item") == [hits[2], hits[3]]

    def test_k_images_are_found_however_many_parts_each_has(
        self, sqlite_template: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "c.db").write_bytes(sqlite_template.read_bytes())
        database = open_database(str(tmp_path / "c.db"))
        index = FaissIndex(database, Space("parts", MODEL, 2))
        angles = [i / 1000 for i in range(40)] + [0.5, 0.6]
        entries = [Entry("near", "1", region) for region in range(40)]
        entries += [Entry("far", "2"), Entry("farther", "3")]
        vectors = np.array([[np.cos(angle), np.sin(angle)] for angle in angles])
        index.upsert(entries, vectors, model_id=MODEL)
        found = search_grouped(index, np.array([1.0, 0.0]), 2, "image")
        assert [one.key for one in found] == [VectorKey("near", 0), VectorKey("far", 0)]
        assert len(search_grouped(index, np.array([1.0, 0.0]), 9, "item")) == 3
        assert recall_estimate(index, vectors[:5], 3) == 1.0
        database.close()


class TestVotes:
    HITS = (hit("a", 0.9, "x"), hit("b", 0.8, "y"), hit("c", 0.7, "y"), hit("d", 0.1, "z"))

    def test_scores_are_the_weights(self) -> None:
        tally = vote(self.HITS, VoteConfig(k=3))
        # y has 1.5 of 2.4, x 0.9.
        assert tally.item_id == "y"
        assert tally.shares == (("y", pytest.approx(0.625)), ("x", pytest.approx(0.375)))
        assert tally.margin == pytest.approx(0.25)
        assert vote(self.HITS, VoteConfig(k=1)).item_id == "x"

    def test_too_small_a_lead_or_score_is_no_answer(self) -> None:
        assert vote(self.HITS, VoteConfig(k=3, least_margin=0.3)).item_id is None
        assert vote(self.HITS, VoteConfig(k=3, least_score=0.85)).item_id is None
        assert vote([]) == vote([hit("a", -0.5)])
        assert vote([]).item_id is None

    def test_equal_votes_go_to_the_better_score(self) -> None:
        tie = [hit("a", 0.5, "x"), hit("b", 0.5, "x"), hit("c", 0.6, "y"), hit("d", 0.4, "y")]
        assert vote(tie).shares[0][0] == "y"


class TestOpening:
    @pytest.fixture
    def catalog(self, sqlite_template: Path, tmp_path: Path) -> str:
        (tmp_path / "c.db").write_bytes(sqlite_template.read_bytes())
        return str(tmp_path / "c.db")

    def test_faiss_by_itself_and_pgvector_where_it_is_named(
        self, catalog: str, pgvector_url: str
    ) -> None:
        database = open_database(catalog)
        assert isinstance(open_index(database, SPACE, environment={}), FaissIndex)
        named = {"PROMOLENS_VECTOR_URL": empty_vectors(pgvector_url)}
        index = open_index(database, SPACE, environment=named)
        assert isinstance(index, PgVectorIndex)
        index.close()
        database.close()

    def test_a_catalog_on_a_postgresql_with_pgvector_uses_it(self, pgvector_url: str) -> None:
        database = open_database(empty_vectors(pgvector_url))
        index = open_index(database, SPACE, environment={})
        assert isinstance(index, PgVectorIndex)
        index.upsert([Entry("a", "1")], random_vectors(1), model_id=MODEL)
        index.close()
        stay = {"PROMOLENS_VECTOR_URL": "catalog"}
        own = open_index(database, SPACE, environment=stay)
        assert isinstance(own, FaissIndex)
        assert own.search(random_vectors(1)[0], 1) == []
        database.close()

    def test_a_server_without_pgvector_is_named(
        self, catalog: str, postgresql_catalog: str
    ) -> None:
        database = open_database(catalog)
        with pytest.raises(InputError, match="CREATE EXTENSION vector"):
            open_index(database, SPACE, environment={"PROMOLENS_VECTOR_URL": postgresql_catalog})
        with pytest.raises(InputError, match="Expected a PostgreSQL address"):
            open_index(database, SPACE, environment={"PROMOLENS_VECTOR_URL": catalog})
        database.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Space("", MODEL, DIM),
        lambda: Space("a b", MODEL, DIM),
        lambda: Space("a", MODEL, 0),
        lambda: Space("a", MODEL, 5_000),
        lambda: Space("a", MODEL, 8, "float32"),
        lambda: Entry("", "x"),
        lambda: Entry("a\nb", "x"),
        lambda: Entry("a\x1fb", "x"),
        lambda: Entry("a" * 301, "x"),
        lambda: Entry("a", "x", -1),
        lambda: Entry("a", "x", 0, {"item_id": ("y",)}),
        lambda: Entry("a", "x", 0, {"v": [str(i) for i in range(65)]}),
        lambda: Entry("a", "x", 0, {str(i): ("v",) for i in range(33)}),
        lambda: Filter({"a": ("\0",)}),
        lambda: FaissConfig(neighbours=0),
        lambda: FaissConfig(poll_s=-1),
        lambda: VoteConfig(k=0),
        lambda: CutPointConfig(0.5, 0.6, 0.7),
        lambda: NormalisationConfig(3, 2),
    ],
)
def test_bad_settings_are_refused_in_one_line(make: object) -> None:
    with pytest.raises(InputError) as caught:
        make()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
