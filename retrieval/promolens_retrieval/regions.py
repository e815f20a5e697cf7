"""Several vectors of an image: its whole and its parts, and the best of them as the answer.

A crop of a picture is more like the part that it shows than like the whole. So the database side
keeps a grid of parts, `1x1 + 2x2 + 3x3` (Patchify, arXiv 2512.12610; the grids of R-MAC: Tolias,
Sicre and Jégou, ICLR 2016), and an image scores what its best part scores; that part is the region
to show a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from promolens_retrieval.entries import MAX_K, Filter, Hit, Hits
from promolens_retrieval.index import VectorIndex
from promolens_retrieval.vectors import Doubles
from promolens_runtime.errors import InputError

GRID = (1, 2, 3)
MAX_GRID = 8


class Box(NamedTuple):
    """A part of a picture in shares of its width and height, 0..1, from the top left corner."""

    x1: float
    y1: float
    x2: float
    y2: float


def grid_boxes(grid: Iterable[int] = GRID, overlap: float = 0.0) -> list[Box]:
    """Return the parts of a picture; a part's place in the list is its `region_id`.

    Args:
        grid: for each number n, n x n parts, row by row; begin with 1, so that region 0 is the
            whole picture.
        overlap: by what share of its size a part reaches over into each neighbour, 0..0.5.

    Raises:
        InputError: a number beyond 1 to 8, or another overlap.
    """
    numbers = list(grid)
    if not numbers or not all(1 <= n <= MAX_GRID for n in numbers) or not 0 <= overlap <= 0.5:
        raise InputError(
            f"Expected numbers from 1 to {MAX_GRID} and an overlap from 0 to 0.5. Received "
            f"{numbers} and {overlap}. Correct them."
        )
    boxes = []
    for n in numbers:
        for row in range(n):
            for column in range(n):
                x1, x2 = max(0.0, (column - overlap) / n), min(1.0, (column + 1 + overlap) / n)
                y1, y2 = max(0.0, (row - overlap) / n), min(1.0, (row + 1 + overlap) / n)
                boxes.append(Box(x1, y1, x2, y2))
    return boxes


def best_of_each(hits: Iterable[Hit], by: Literal["image", "item"]) -> Hits:
    """Return the best hit of each image or item, best first: max aggregation."""
    best: dict[str, Hit] = {}
    for hit in hits:
        name = hit.image_id if by == "image" else hit.item_id
        kept = best.get(name)
        if kept is None or _order(hit) < _order(kept):
            best[name] = hit
    return sorted(best.values(), key=_order)


def search_grouped(
    index: VectorIndex,
    query: Doubles,
    k: int,
    by: Literal["image", "item"],
    *,
    where: Filter | None = None,
    exact: bool = False,
) -> Hits:
    """Return the `k` best images or items, each with its best region; fewer only at the end.

    Asks for more vectors until enough images or items are among them; at most 10,000 vectors.
    """
    wanted = min(MAX_K, 4 * k)
    while True:
        hits = index.search(query, wanted, where=where, exact=exact)
        found = best_of_each(hits, by)
        if len(found) >= k or len(hits) < wanted or wanted == MAX_K:
            return found[:k]
        wanted = min(MAX_K, 4 * wanted)


def _order(hit: Hit) -> tuple[float, str, int]:
    return -hit.score, hit.image_id, hit.region_id
