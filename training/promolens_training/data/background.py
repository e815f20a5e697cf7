"""Background: things that a model is taught and never answers, so that it knows what is not meant.

A class whose name starts with `~` is background. Look-alikes that the shop does not sell, shelves,
hands: each thing is trained as a class of its own, and its output is cut off before the model is
saved. What remains answers the unknown with lower scores than before (the "known unknowns" of
Dhamija et al. 2018, arXiv 1811.04110).
"""

from __future__ import annotations

BACKGROUND_MARK = "~"


def is_background(label: str) -> bool:
    """Say whether photos under `label` are of things that are never answered."""
    return label.startswith(BACKGROUND_MARK)
