"""Token buckets: so many at once, so many a second, and an exact wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_server.rates import Allowance, Buckets, seconds_up

TEN_A_SECOND = Allowance("address", per_s=10.0, burst=5)


def test_a_burst_then_the_rate() -> None:
    buckets = Buckets(100)
    left = [buckets.take("a", TEN_A_SECOND, 100.0) for _ in range(6)]
    assert left[:5] == pytest.approx([4, 3, 2, 1, 0])
    assert left[5] == pytest.approx(-0.1)  # one every tenth of a second
    assert buckets.take("a", TEN_A_SECOND, 100.1) == pytest.approx(0)
    assert buckets.take("a", TEN_A_SECOND, 100.1) < 0
    # After half a second five more fit again.
    assert buckets.take("a", TEN_A_SECOND, 100.6) == pytest.approx(4)


def test_everybody_has_a_bucket_of_their_own() -> None:
    buckets = Buckets(100)
    for _ in range(6):
        buckets.take("a", TEN_A_SECOND, 0.0)
    assert buckets.take("b", TEN_A_SECOND, 0.0) == pytest.approx(4)


def test_those_silent_longest_are_forgotten() -> None:
    buckets = Buckets(2)
    for who in ("a", "b", "a", "c"):
        buckets.take(who, TEN_A_SECOND, 0.0)
    assert len(buckets) == 2
    assert buckets.take("a", TEN_A_SECOND, 0.0) == pytest.approx(2)  # its third request
    assert buckets.take("b", TEN_A_SECOND, 0.0) == pytest.approx(4)  # begins anew


@given(
    pauses=st.lists(st.floats(0, 0.5), min_size=1, max_size=200),
    per_s=st.sampled_from([0.5, 3.0, 20.0]),
    burst=st.integers(1, 20),
)
def test_never_more_than_burst_and_rate_allow(
    pauses: list[float], per_s: float, burst: int
) -> None:
    buckets, allowance = Buckets(10), Allowance("address", per_s, burst)
    now_s, let_through = 1_000.0, []
    for pause in pauses:
        now_s += pause
        left = buckets.take("a", allowance, now_s)
        assert left <= burst - 1 + 1e-6
        if left >= 0:
            let_through.append(now_s)
        else:
            # Told to wait, and let through if it does.
            assert Buckets.take(_copy(buckets), "a", allowance, now_s - left + 1e-6) >= 0
    for i, first in enumerate(let_through):
        for j, last in enumerate(let_through[i:]):
            assert j + 1 <= burst + (last - first) * per_s + 1e-3


def _copy(buckets: Buckets) -> Buckets:
    import copy

    return copy.deepcopy(buckets)


@pytest.mark.parametrize(("wait_s", "told"), [(0.0, 1), (0.1, 1), (1.0, 1), (1.1, 2), (59.2, 60)])
def test_told_to_wait_whole_seconds(wait_s: float, told: int) -> None:
    assert seconds_up(wait_s) == told


def test_the_policy_says_how_many_in_how_many_seconds() -> None:
    assert Allowance("key", per_s=20.0, burst=60).policy == b'"key";q=60;w=3'


def test_each_worker_counts_for_itself() -> None:
    """So one client may send the limit to each worker: docs/server.md says so."""
    workers = [Buckets(100), Buckets(100)]
    taken = [one.take("a", TEN_A_SECOND, 0.0) >= 0 for one in workers for _ in range(9)]
    assert sum(taken) == 2 * TEN_A_SECOND.burst
