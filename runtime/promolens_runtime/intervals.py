"""Confidence intervals of a rate, honest about photos that belong together.

Ten photos of one shelf are not ten independent trials. Where every photo has a source of its own,
the interval is Wilson's; where photos share sources, whole sources are drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
# The 97.5 % point of the normal distribution.
Z_95 = 1.959963984540054
RESAMPLES = 2000
WILSON = "Wilson 95 %"
BOOTSTRAP = "bootstrap over sources 95 %"
WILSON_SOURCES = "Wilson 95 % with n = sources"
# Bounds the counts held at once: resamples x sources.
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval and the name of the method that made it."""

    low: float
    high: float
    method: str

    @property
    def bounds(self) -> tuple[float, float]:
        """The pair `(low, high)`."""
        return self.low, self.high


def wilson(correct: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of `correct` successes in `n` trials.

    Unlike the normal approximation it stays in 0..1 and is not empty at 0 or `n` successes
    (Wilson 1927; recommended by Brown, Cai, DasGupta 2001). `n == 0` gives (0, 1).
    """
    if n == 0:
        return 0.0, 1.0
    rate = correct / n
    z2 = Z_95 * Z_95
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # Rounding must not push the estimate itself out at 0 and at 1.
    return min(rate, max(0.0, centre - half)), max(rate, min(1.0, centre + half))


def group_indices(sources: Sequence[str]) -> NDArray[np.int64]:
    """Number the sources 0..g-1; an empty name is unknown, so such a photo stands alone."""
    names = [source or f"\x00{index}" for index, source in enumerate(sources)]
    order = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.array([order[name] for name in names], np.int64)


def bootstrap_means(
    values: NDArray[Any], groups: NDArray[np.int64], resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Return the mean of `values` `[n]` in each of `resamples` draws of whole groups.

    A draw takes as many groups as there are, with replacement, and pools their photos (cluster
    bootstrap; Field and Welsh 2007). Groups are numbered 0..g-1 without gaps.
    """
    sums = np.bincount(groups, weights=np.asarray(values, np.float64))
    sizes = np.bincount(groups).astype(np.float64)
    rng = np.random.default_rng(seed)
    n_groups = len(sums)
    step = max(1, _CHUNK_CELLS // n_groups)
    means = []
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        draws = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=count)
        means.append((draws @ sums) / (draws @ sizes))
    return np.concatenate(means)


def mean_interval(values: NDArray[Any], sources: Sequence[str], seed: int = 0) -> Interval:
    """Bootstrap the mean of any values `[n]` (a difference of hits, say) over sources."""
    if len(values) == 0:
        raise ValueError("Expected at least one value for an interval. Received none.")
    means = bootstrap_means(values, group_indices(sources), seed=seed)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean = float(np.mean(np.asarray(values, np.float64)))
    return Interval(min(float(low), mean), max(float(high), mean), BOOTSTRAP)


def rate_interval(hits: NDArray[Any], sources: Sequence[str], seed: int = 0) -> Interval:
    """Return the 95 % interval of the rate of `hits` (bool `[n]`), grouped by source.

    Wilson where no two photos share a source; else a bootstrap over sources; and where all
    sources have the same rate, so that drawing them again cannot vary, Wilson as if each source
    were one trial: the careful side.
    """
    rate = float(np.mean(hits)) if len(hits) else 0.0
    groups = group_indices(sources)
    n_groups = int(groups.max()) + 1 if len(groups) else 0
    if n_groups == len(hits):
        low, high = wilson(float(np.sum(hits)), len(hits))
        return Interval(low, high, WILSON)
    rates = np.bincount(groups, weights=np.asarray(hits, np.float64)) / np.bincount(groups)
    if np.ptp(rates) == 0:
        low, high = wilson(rate * n_groups, n_groups)
        return Interval(low, high, WILSON_SOURCES)
    return mean_interval(hits, sources, seed)
