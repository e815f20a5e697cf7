"""One answer from two witnesses: the classifier, and the gallery of catalogue pictures.

The classifier is the better witness for products that it was trained on, and blind to all others:
a new flavour looks to it like the old one. So its known answer stands unless the gallery's best
product is clearly more similar than the classifier's own; and where the classifier knows nothing,
the gallery may answer alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from promolens_runtime.gallery.gallery import Hit
from promolens_runtime.gallery.manifest import AnswerRule
from promolens_runtime.labels import Label

By = Literal["classifier", "gallery", "nobody"]


@dataclass(frozen=True)
class Fused:
    """The answer.

    Attributes:
        product: what to show; None when nobody knows the product.
        by: whose answer it is.
    """

    product: Label | None
    by: By


def fuse(
    named: Label | None,
    own_cosine: float | None,
    hits: Sequence[Hit],
    rule: AnswerRule,
) -> Fused:
    """Decide between the classifier's known answer and the gallery's best product.

    Args:
        named: the classifier's answer where its own rule accepts it, else None.
        own_cosine: that product's cosine in the gallery; None where the gallery has it not.
        hits: the gallery's products, best first.
        rule: the gallery's.
    """
    best = hits[0] if hits else None
    found = best is not None and _accepted(hits, rule)
    if named is None:
        return Fused(best.product, "gallery") if best and found else Fused(None, "nobody")
    if best is None or not found or best.product.item_id == named.item_id:
        return Fused(named, "classifier")
    # Without a picture of its own there is nothing to compare: who was trained on it is believed.
    if own_cosine is None or best.cosine - own_cosine < rule.override_margin:
        return Fused(named, "classifier")
    return Fused(best.product, "gallery")


def _accepted(hits: Sequence[Hit], rule: AnswerRule) -> bool:
    second = hits[1].cosine if len(hits) > 1 else -1.0
    lead = hits[0].cosine - second
    return hits[0].cosine >= rule.accept_at_least and lead >= rule.margin_at_least
