"""Chance by name: the same numbers for the same words, in every process and in any order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TypeVar

_Thing = TypeVar("_Thing")
_DRAWS = 8


def draws(seed: int, *words: str | int) -> tuple[float, ...]:
    """Return eight numbers in [0, 1) that belong to `seed` and `words`.

    One hash of all, because a list of 2,000 products asks some ten thousand times.
    """
    text = "\x1f".join([str(seed), *map(str, words)])
    digest = hashlib.blake2b(text.encode(), digest_size=4 * _DRAWS).digest()
    parts = (digest[start : start + 4] for start in range(0, len(digest), 4))
    return tuple(int.from_bytes(part, "big") / 2**32 for part in parts)


def pick(draw: float, shares: Iterable[tuple[float, _Thing]], rest: _Thing) -> _Thing:
    """Return the thing whose share of [0, 1) holds `draw`; `rest` beyond all shares."""
    edge = 0.0
    for share, thing in shares:
        edge += share
        if draw < edge:
            return thing
    return rest


def chosen(things: Iterable[_Thing], count: int, rank: Callable[[_Thing], float]) -> list[_Thing]:
    """Return the `count` things of lowest rank, lowest first."""
    return sorted(things, key=rank)[:count]
