"""The matcher: which rows are compared, how they are scored, and what is linked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promolens_catalog.link_candidates import NameIndex
from promolens_catalog.link_context import Evidence, Place, log_odds
from promolens_catalog.link_features import PAIR_FEATURES, Listed, Rarity, read
from promolens_catalog.link_matching import Entry, ScoredPair, is_link, score_lists
from promolens_catalog.link_model import (
    CONTEXT_FEATURES,
    LinkModel,
    Trees,
    model_from_json,
    model_to_json,
    shipped_model,
)
from promolens_catalog.link_words import VARIANTS
from promolens_runtime.errors import InputError
from test_catalog_linking_features import TRAPS

CONTEXT = {name: column for column, name in enumerate(CONTEXT_FEATURES)}


@pytest.fixture(scope="module")
def model() -> LinkModel:
    return shipped_model()


def linked(
    model: LinkModel, one: Sequence[str], other: Sequence[str], price_krw: int = 1800
) -> set[tuple[str, str]]:
    """Return the names that are linked without a person."""
    lists = {
        "one": [Entry(Listed(name, price_krw, "1+1")) for name in one],
        "two": [Entry(Listed(name, price_krw, "1+1")) for name in other],
    }
    found = score_lists(lists, model)
    return {
        (lists["one"][pair.a[1]].listed.name, lists["two"][pair.b[1]].listed.name)
        for pair in found
        if is_link(pair, model.accept_at_least)
    }


# ---- what is linked


def test_rows_that_differ_only_in_spelling_are_linked(model: LinkModel) -> None:
    ours = ["달빛)보들보들소다P350ml", "구름)반짝비스킷90g", "새벽)물방울젤리80G"]
    theirs = ["달빛)보들보들소다350ML", "구름)반짝비스킷90G", "새벽)물방울젤리80g"]
    assert linked(model, ours, theirs) == set(zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("one", "other"), TRAPS)
def test_a_sibling_is_never_linked_even_where_it_stands_alone(
    model: LinkModel, one: str, other: str
) -> None:
    assert linked(model, [f"달빛){one}"], [f"달빛){other}"]) == set()


@settings(max_examples=40)
@given(
    st.sampled_from(["보들보들소다", "반짝우유", "솔바람", "물방울콩콩비스킷"]),
    st.sampled_from(sorted(VARIANTS)),
    st.sampled_from([*sorted(VARIANTS), ""]),
    st.sampled_from(["350ml", "", "90g"]),
)
def test_no_pair_of_variants_is_ever_linked(base: str, one: str, other: str, size: str) -> None:
    model = shipped_model()
    ours, theirs = f"달빛){base}{one}{size}", f"달빛){base}{other}{size}"
    a, b = read(Listed(ours, 1800)), read(Listed(theirs, 1800))
    if a.words != b.words:
        assert linked(model, [ours], [theirs]) == set()


def test_the_right_sibling_is_linked_among_its_brothers(model: LinkModel) -> None:
    flavours = ("딸기", "포도", "레몬", "")
    ours = [f"달빛)보들보들{flavour}소다350ml" for flavour in flavours]
    theirs = [f"달빛)보들보들{flavour}소다P350ML" for flavour in reversed(flavours)]
    assert linked(model, ours, theirs) == set(zip(ours, reversed(theirs), strict=True))


def test_a_row_that_stands_twice_goes_both_times_to_its_product(model: LinkModel) -> None:
    twice = ["달빛)보들보들소다350ml", "달빛)보들보들소다350ml", "구름)반짝비스킷90g"]
    pairs = score_lists(
        {
            "one": [Entry(Listed(name, 1800)) for name in twice],
            "two": [Entry(Listed("달빛)보들보들소다350ML", 1800))],
        },
        model,
    )
    rows = {pair.a[1] for pair in pairs if is_link(pair, model.accept_at_least)}
    assert rows == {0, 1}


def test_nothing_is_linked_where_nothing_is_alike(model: LinkModel) -> None:
    assert linked(model, ["달빛)보들보들소다350ml"], ["한들)해돋이칫솔"]) == set()
    assert linked(model, [], ["달빛)보들보들소다350ml"]) == set()
    assert linked(model, ["", ")", "(", "제로"], ["", "1", "ml"], 1) == set()


def test_known_rows_of_a_product_are_not_compared_with_each_other(model: LinkModel) -> None:
    lists = {
        "asking": [Entry(Listed("달빛)보들보들소다350ml", 1800))],
        "two": [Entry(Listed("달빛)보들보들소다350ML", 1800), 7)],
        "three": [Entry(Listed("달빛)보들보들소다P350ml", 1800), 7)],
    }
    pairs = score_lists(lists, model)
    assert {(pair.a[0], pair.b[0]) for pair in pairs} == {("asking", "two"), ("asking", "three")}
    assert all(is_link(pair, model.accept_at_least) for pair in pairs)


def test_a_product_that_its_list_holds_already_is_not_given_away_again(model: LinkModel) -> None:
    lists = {
        "asking": [
            Entry(Listed("달빛)보들보들소다350ml", 1800)),
            Entry(Listed("달빛)보들보들소다350ml병", 1800), 7),
        ],
        "two": [Entry(Listed("달빛)보들보들소다350ML", 1800), 7)],
    }
    (pair,) = score_lists(lists, model)
    assert not pair.mutual
    assert not is_link(pair, model.accept_at_least)


@pytest.mark.parametrize("change", [{"score": 0.5}, {"mutual": False}, {"against": "variant"}])
def test_a_link_needs_all_three(change: dict[str, Any]) -> None:
    pair = ScoredPair(("one", 0), ("two", 0), score=0.99, mutual=True, against=None)
    assert is_link(pair, 0.9)
    assert not is_link(replace(pair, **change), 0.9)


# ---- candidates

NAMES = [f"{maker}){brand}{kind}" for maker in "가나다" for brand in ("보들", "반짝", "솔바람")
         for kind in ("소다", "우유", "비스킷")]  # fmt: skip


@given(st.text("가나다보들반짝솔바람소다우유비스킷)", max_size=12), st.integers(1, 3))
def test_the_index_finds_what_comparing_with_every_row_finds(name: str, price_krw: int) -> None:
    rows = [read(Listed(name, 1 + n % 3)) for n, name in enumerate(NAMES)]
    asked = read(Listed(name, price_krw))
    rarity = Rarity(rows)
    ours = rarity.weigh(asked)
    likeness = []
    for row in rows:
        theirs = rarity.weigh(row)
        equal = 0.4 * (row.listed.price_krw == price_krw)
        likeness.append(ours.full.cosine(theirs.full) + ours.core.cosine(theirs.core) + equal)
    found = NameIndex(rows, rarity).nearest(asked, most=4)
    best = sorted(likeness, reverse=True)[:4]
    assert [likeness[row] for row in found] == pytest.approx([x for x in best if x > 0.4 + 1e-9])


def test_an_empty_list_has_no_nearest_row() -> None:
    assert NameIndex([], Rarity([])).nearest(read(Listed("달빛)보리", 1000))) == []


# ---- context: numbers worked out by hand


def context(scores: dict[tuple[Place, Place], float], **makers: str) -> Evidence:
    places = {place for pair in scores for place in pair}
    return Evidence(scores, {place: makers.get(f"{place[0]}{place[1]}", "") for place in places})


def test_a_pair_is_compared_with_its_rivals_on_both_sides() -> None:
    a, b = ("x", 0), ("y", 0)
    evidence = context({(a, b): 0.9, (a, ("y", 1)): 0.5, (("x", 1), b): 0.2})
    features = evidence.features(a, b)
    assert features[CONTEXT["own_log_odds"]] == pytest.approx(np.log(9))
    assert features[CONTEXT["ahead_in_b"]] == pytest.approx(np.log(9))  # 0.5 has log-odds 0
    assert features[CONTEXT["ahead_in_a"]] == pytest.approx(np.log(9) - np.log(0.25))
    assert evidence.is_mutual(a, b)
    assert not evidence.is_mutual(a, ("y", 1))
    assert not evidence.is_mutual(("x", 1), ("y", 1))


def test_a_third_list_connects_two_rows_as_well_as_its_weaker_link() -> None:
    a, b, c = ("x", 0), ("y", 0), ("z", 0)
    features = context({(a, b): 0.6, (a, c): 0.95, (b, c): 0.8}).features(a, b)
    assert features[CONTEXT["third_list_agrees"]] == pytest.approx(0.8)
    assert features[CONTEXT["third_lists"]] == 1
    assert features[CONTEXT["third_list_differs"]] == 0


def test_a_third_list_parts_two_rows_that_have_different_rows_there() -> None:
    a, b = ("x", 0), ("y", 0)
    scores = {(a, b): 0.6, (a, ("z", 0)): 0.9, (b, ("z", 0)): 0.1, (b, ("z", 1)): 0.7}
    features = context(scores).features(a, b)
    assert features[CONTEXT["third_list_agrees"]] == pytest.approx(0.1)
    assert features[CONTEXT["third_lists"]] == 0
    assert features[CONTEXT["third_list_differs"]] == pytest.approx(0.7 - 0.1)


def test_makers_that_stand_together_elsewhere_go_together() -> None:
    """Three sure pairs of 달빛 and 새벽, one of 달빛 alone; the pair itself does not count."""
    scores = {(("x", n), ("y", n)): 0.99 for n in range(4)}
    makers = {f"x{n}": "달빛" for n in range(4)} | {f"y{n}": "새벽" for n in range(3)}
    evidence = context(scores, **makers, y3="달빛")
    features = evidence.features(("x", 0), ("y", 0))
    assert features[CONTEXT["makers_together"]] == 2
    assert features[CONTEXT["makers_share"]] == 1.0  # 새벽 stands in no other pairs
    alone = evidence.features(("x", 3), ("y", 3))
    assert alone[CONTEXT["makers_together"]] == 0


def test_log_odds_have_an_edge() -> None:
    assert log_odds(0.5) == 0
    assert log_odds(1.0) == pytest.approx(np.log(9999))
    assert log_odds(0.0) == pytest.approx(-np.log(9999))


# ---- the model


def test_the_shipped_model_is_whole_and_survives_writing(model: LinkModel) -> None:
    again = model_from_json(json.loads(json.dumps(model_to_json(model))))
    rows = np.random.default_rng(1).normal(size=(50, len(PAIR_FEATURES)))
    assert again.pair.probabilities(rows).tolist() == model.pair.probabilities(rows).tolist()
    assert (again.accept_at_least, again.version) == (model.accept_at_least, model.version)
    assert 0.5 < model.accept_at_least < 1


def stump(feature: int = 0, threshold: float = 1.0) -> dict[str, Any]:
    """Return a table of one tree: -1 up to the threshold, +2 above it."""
    return {
        "features": list(PAIR_FEATURES),
        "baseline": 0.5,
        "roots": [0],
        "feature": [feature, -1, -1],
        "threshold": [threshold, 0, 0],
        "left": [1, 0, 0],
        "right": [2, 0, 0],
        "value": [0, -1.0, 2.0],
    }


def model_data() -> dict[str, Any]:
    context = {**stump(), "features": [*PAIR_FEATURES, *CONTEXT_FEATURES]}
    return {
        "version": 1,
        "accept_at_least": 0.9,
        "review_at_least": 0.3,
        "trained_on": [],
        "pair": stump(),
        "context": context,
    }


def test_a_tree_adds_the_leaf_that_a_row_falls_into() -> None:
    trees = model_from_json(model_data()).pair
    rows = np.zeros((3, len(PAIR_FEATURES)))
    rows[:, 0] = [0.0, 1.0, 1.0001]
    expected = [1 / (1 + np.exp(0.5)), 1 / (1 + np.exp(0.5)), 1 / (1 + np.exp(-2.5))]
    assert trees.probabilities(rows) == pytest.approx(expected)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.pop("context"),
        lambda data: data["pair"].update(features=["other"]),
        lambda data: data["pair"].update(left=[0, 0, 0]),
        lambda data: data["pair"].update(right=[9, 0, 0]),
        lambda data: data["pair"].update(roots=[3]),
        lambda data: data["pair"].update(roots=[]),
        lambda data: data["pair"].update(feature=[99, -1, -1]),
        lambda data: data["pair"].update(value=[0, float("nan"), 0]),
        lambda data: data["pair"].update(value=[0, 1]),
        lambda data: data.update(accept_at_least=0.2),
        lambda data: data.update(accept_at_least="high"),
    ],
)
def test_a_damaged_model_is_refused(spoil: Any) -> None:
    data = model_data()
    model_from_json(data)
    spoil(data)
    with pytest.raises(InputError, match="Fit"):
        model_from_json(data)


def test_plain_numbers_say_what_scikit_learn_says() -> None:
    pytest.importorskip("sklearn")
    from sklearn.ensemble import HistGradientBoostingClassifier

    from fitting import fitting_script

    random = np.random.default_rng(3)
    rows = random.normal(size=(400, len(PAIR_FEATURES)))
    same = rows[:, 0] + 0.5 * rows[:, 3] * rows[:, 5] > 0.3
    fitted = HistGradientBoostingClassifier(max_iter=15, max_leaf_nodes=6).fit(rows, same)
    trees: Trees = fitting_script()._as_numbers(PAIR_FEATURES, fitted)
    expected = fitted.predict_proba(rows)[:, 1]
    assert trees.probabilities(rows) == pytest.approx(expected, abs=1e-5)
