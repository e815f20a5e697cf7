"""Finds pairs of photos that show the same thing from nearly the same place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import InputError
from promolens_training.data.fingerprints import Fingerprint

_BLOCK = 2048


@dataclass(frozen=True)
class NearRule:
    """When two photos are near-duplicates; any of the three is enough.

    Chosen on grocery photos and on altered copies of them: re-compression at quality 40, half the
    size, 20 % more light, 3 degrees of turn and 5 % of cropping are all found; pairs beyond these
    limits begin to be other products.

    Attributes:
        same_hash_bits: perceptual hashes at most this far apart (of 64 bits).
        close_hash_bits, min_colours: or this far, and Bhattacharyya coefficient at least this.
        min_cosine: or cosine of frozen EfficientNet-Lite0 features at least this.
        max_photos: more are not searched (the work grows with the square).
        max_pairs: at most so many pairs are kept, the closest.
    """

    same_hash_bits: int = 4
    close_hash_bits: int = 10
    min_colours: float = 0.85
    min_cosine: float = 0.94
    max_photos: int = 100_000
    max_pairs: int = 100_000

    def __post_init__(self) -> None:
        bits_are_sound = 0 <= self.same_hash_bits <= self.close_hash_bits <= 64
        shares_are_sound = 0.0 <= self.min_colours <= 1.0 and 0.0 <= self.min_cosine <= 1.0
        if not bits_are_sound or not shares_are_sound or min(self.max_photos, self.max_pairs) < 1:
            raise InputError(
                "Expected 0 to 64 hash bits (the first at most the second), likenesses from 0 to 1 "
                f"and positive limits. Received {self}. Leave them at their defaults."
            )


@dataclass(frozen=True)
class NearPair:
    """Two photos by index, first < second.

    Attributes:
        hash_bits: how many of the 64 perceptual hash bits differ.
        cosine: of the features, None where they were not computed.
    """

    first: int
    second: int
    hash_bits: int
    cosine: float | None

    @property
    def closeness(self) -> float:
        """0 for unlike to 1 for alike, for sorting."""
        return max(1.0 - self.hash_bits / 64.0, self.cosine or 0.0)


def _blocks(n: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, n, _BLOCK):
        for left in range(top, n, _BLOCK):
            yield slice(top, min(n, top + _BLOCK)), slice(left, min(n, left + _BLOCK))


def _closest(pairs: list[NearPair], count: int) -> list[NearPair]:
    return sorted(pairs, key=lambda pair: (-pair.closeness, pair.first, pair.second))[:count]


def _block_pairs(
    top: int,
    left: int,
    bits: NDArray[np.float32],
    cosine: NDArray[np.float32] | None,
    colours: NDArray[np.float32],
    rule: NearRule,
) -> list[NearPair]:
    """Return the pairs of one block of the distance matrix that starts at row `top`, `left`."""
    alike = np.zeros(bits.shape, bool) if cosine is None else cosine >= rule.min_cosine
    i, j = np.nonzero((bits <= rule.close_hash_bits) | alike)
    is_upper = i + top < j + left
    i, j = i[is_upper], j[is_upper]
    if len(i) > rule.max_pairs:  # a folder full of one picture: keep the closest
        kept = np.argsort(bits[i, j], kind="stable")[: rule.max_pairs]
        i, j = i[kept], j[kept]
    pairs = []
    for row, column in zip(i.tolist(), j.tolist(), strict=True):
        first, second, distance = row + top, column + left, int(bits[row, column])
        if (
            distance <= rule.same_hash_bits
            or alike[row, column]
            or float(colours[first] @ colours[second]) >= rule.min_colours
        ):
            likeness = None if cosine is None else float(cosine[row, column])
            pairs.append(NearPair(first, second, distance, likeness))
    return pairs


def find_near_duplicates(
    looks: Sequence[Fingerprint],
    features: NDArray[np.float32] | None = None,
    rule: NearRule | None = None,
) -> list[NearPair]:
    """Return all near-duplicate pairs, by index.

    Args:
        looks: one fingerprint a photo.
        features: float32 `[n, d]`, rows of length 1, or None to do without.
        rule: what is near.
    """
    rule = rule or NearRule()
    if len(looks) > rule.max_photos:
        raise InputError(
            f"Expected at most {rule.max_photos:,} photos to compare in pairs. Received "
            f"{len(looks):,}. Look at a part of them (--only)."
        )
    if len(looks) < 2:
        return []
    signs = np.stack([look.phash for look in looks]).astype(np.float32) * 2.0 - 1.0
    colours = np.stack([look.colours for look in looks])
    pairs: list[NearPair] = []
    for rows, columns in _blocks(len(looks)):
        bits = np.rint((signs.shape[1] - signs[rows] @ signs[columns].T) / 2.0)
        cosine = None if features is None else features[rows] @ features[columns].T
        pairs.extend(_block_pairs(rows.start, columns.start, bits, cosine, colours, rule))
        if len(pairs) > 2 * rule.max_pairs:
            pairs = _closest(pairs, rule.max_pairs)
    return sorted(_closest(pairs, rule.max_pairs), key=lambda pair: (pair.first, pair.second))
