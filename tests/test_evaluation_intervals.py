"""Intervals: Wilson by the textbook, the bootstrap by cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_runtime import intervals
from promolens_runtime.intervals import mean_interval, rate_interval, wilson


def test_wilson_by_hand() -> None:
    # 8 of 10: centre (.8 + .19207) / 1.38415 = .71675, half width
    # 1.95996 * sqrt(.016 + .0096037) / 1.38415 = .22657.
    assert wilson(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-4)
    # 0 of 10: 0 up to z2 / (n + z2) = 3.84146 / 13.84146.
    assert wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 5000), st.data())
def test_wilson_holds_the_estimate_and_mirrors(n: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, n))
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n <= high <= 1
    assert wilson(n - correct, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcd")), min_size=1, max_size=30))
def test_the_interval_holds_the_rate_in_any_order(photos: list[tuple[bool, str]]) -> None:
    hits = np.array([hit for hit, _ in photos])
    found = rate_interval(hits, [source for _, source in photos])
    assert 0 <= found.low <= hits.mean() <= found.high <= 1
    again = rate_interval(hits[::-1], [source for _, source in photos[::-1]])
    assert again.bounds == pytest.approx(found.bounds)


def test_photos_of_their_own_get_wilson() -> None:
    hits = np.array([True] * 8 + [False] * 2)
    own = rate_interval(hits, [f"shop{index}" for index in range(10)])
    assert own.bounds == pytest.approx(wilson(8, 10))
    assert own.method == intervals.WILSON
    # No source named: each photo stands alone.
    assert rate_interval(hits, [""] * 10) == own


def test_shared_sources_widen_the_interval() -> None:
    # 100 photos, but only ten shelves, each all right or all wrong: worth ten trials.
    hits = np.repeat([True] * 8 + [False] * 2, 10)
    sources = [f"shelf{index // 10}" for index in range(100)]
    grouped = rate_interval(hits, sources)
    low, high = wilson(80, 100)
    assert grouped.method == intervals.BOOTSTRAP
    assert grouped.high - grouped.low > 2 * (high - low)
    # The mean of ten draws of 0.8: the percentiles lie on tenths.
    assert grouped.bounds == pytest.approx((0.5, 1.0))


def test_sources_that_cannot_vary_count_as_one_trial_each() -> None:
    found = rate_interval(np.ones(50, bool), ["a"] * 25 + ["b"] * 25)
    assert found.method == intervals.WILSON_SOURCES
    assert found.bounds == pytest.approx(wilson(2, 2))


def test_the_bootstrap_is_seeded_and_pools_photos_of_unequal_sources() -> None:
    values = np.array([1.0, 0.0, 0.0, 0.0])
    groups = np.array([0, 1, 1, 1])
    means = intervals.bootstrap_means(values, groups, resamples=4000)
    # Draws (0,0), mixed, (1,1) have means 1, 1/4, 0 with chances 1/4, 1/2, 1/4.
    assert set(np.unique(means)) == {0.0, 0.25, 1.0}
    assert (means == 0.25).mean() == pytest.approx(0.5, abs=0.04)
    assert (intervals.bootstrap_means(values, groups, resamples=4000) == means).all()


def test_a_difference_of_hits_gets_an_interval_too() -> None:
    change = np.array([1, -1, 0, 0, 0, 0, 0, 0, 0, 0])
    found = mean_interval(change, [""] * 10)
    assert found.low < 0 < found.high
    with pytest.raises(ValueError, match="at least one"):
        mean_interval(np.zeros(0), [])
