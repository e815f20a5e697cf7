"""Galleries of a stated size: being first among a hundred is easier than among a hundred thousand.

A figure on 101 pictures says little about 100,000: sampled rankings can even turn the order of two
methods around (Krichene and Rendle, KDD 2020). So figures are given at several sizes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZES = (101, 1_000, 10_000, 100_000)


def sampled_places(
    places: NDArray[np.int64], n_others: int, size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the places that relevant items would have in a gallery of `size`, drawn at random.

    The gallery keeps all relevant items and as many of the `n_others` as fit, every choice equally
    likely. Of the others that come before a relevant item, hypergeometrically many are drawn, and
    those between two relevant items one after the other: the same law as drawing the gallery
    itself, without scoring anything again.

    Args:
        places: the places in the whole gallery, rising (`ranking.places_of_relevant`).
        n_others: items of the whole gallery that are neither relevant nor ignored.
        size: items of the drawn gallery, the relevant ones included.

    Raises:
        ValueError: `size` is too small for the relevant items or larger than the whole gallery.
    """
    wanted = size - len(places)
    if not 0 <= wanted <= n_others:
        raise ValueError(
            f"Expected a size between {len(places)} and {len(places) + n_others}. Received {size}."
        )
    others_before = places - np.arange(len(places))
    drawn = np.empty(len(places), np.int64)
    left, seen, so_far = wanted, 0, 0
    for number, before in enumerate(others_before):
        between = int(before) - seen
        behind = n_others - int(before)
        taken = int(rng.hypergeometric(between, behind, left)) if left and between else 0
        so_far += taken
        left -= taken
        seen = int(before)
        drawn[number] = so_far + number
    return drawn


def sizes_within(whole: int) -> tuple[int, ...]:
    """Return the standard sizes that a gallery of `whole` items can show, the whole one last."""
    return (*(size for size in SIZES if size < whole), whole)
