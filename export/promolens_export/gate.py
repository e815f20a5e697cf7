"""The gate between a model that works in float and a file that may go out."""

from __future__ import annotations

from dataclasses import dataclass

from promolens_runtime.errors import GateError
from promolens_training.evaluation.metrics import Agreement

DEFAULT_MAX_LOSS_POINTS = 1.0
FEW_PHOTOS = 200
MORE_CALIBRATION_IMAGES = 500


@dataclass(frozen=True)
class Facts:
    """What the run and the export are made of, for advice that can be followed.

    Attributes:
        calibration_images: how many set the int8 ranges.
        training_photos: how many could.
        int8_friendly: whether the backbone is of a kind that full int8 leaves intact.
        recipe: its name.
        has_ema: whether its weights were averaged over the steps.
    """

    calibration_images: int
    training_photos: int
    int8_friendly: bool
    recipe: str
    has_ema: bool


def _remedies(facts: Facts) -> list[str]:
    remedies = []
    more = min(facts.training_photos, max(MORE_CALIBRATION_IMAGES, 2 * facts.calibration_images))
    if more > facts.calibration_images:
        remedies.append(f"--calibration-images {more} (now {facts.calibration_images})")
    if not facts.int8_friendly:
        remedies.append("a backbone of the EfficientNet-Lite family")
    if not facts.has_ema:
        remedies.append("a recipe with EMA (smoother weights quantise better)")
    elif facts.recipe != "best":
        remedies.append("a longer recipe, such as --recipe best")
    return remedies


def advice(agreement: Agreement, facts: Facts, lost_points: float) -> str:
    """Return what to do about a loss, as one line; nothing that was done already."""
    sentences = []
    if agreement.n < FEW_PHOTOS:
        share = f"{100 / agreement.n:.1f}"
        sentences.append(f"One photo is {share} points here: first get more evaluation photos.")
    if remedies := _remedies(facts):
        sentences.append(f"Try, in this order: {'; '.join(remedies)}.")
    accept = f"--max-loss {lost_points + 0.05:.1f}"
    sentences.append(
        f"docs/export.md says what else helps. Or accept it: {accept} (with make: "
        f"EXPORT_FLAGS='{accept}')."
    )
    return " ".join(sentences)


def loss_points(agreement: Agreement) -> float:
    """Return how many percentage points of top-1 the second model loses (negative: wins)."""
    return -100.0 * agreement.top1_change


def check_loss(agreement: Agreement, max_loss_points: float, facts: Facts) -> None:
    """Let a converted model pass that loses at most `max_loss_points` of top-1.

    Raises:
        GateError: it loses more; the text has the counts, the interval and what to try.
    """
    lost = loss_points(agreement)
    # The float arithmetic of a ratio must not refuse a loss of exactly the budget.
    if lost <= max_loss_points + 1e-9:
        return
    # Subtracting from 0.0 avoids "-0.0".
    low, high = (0.0 - 100 * bound for bound in agreement.top1_change_interval.bounds)
    raise GateError(
        f"Expected int8 to lose at most {max_loss_points:.1f} points of top-1. Received "
        f"{lost:.2f} points ({agreement.lost} photos lost, {agreement.won} won, n = {agreement.n}, "
        f"95 % interval {high:.1f} to {low:.1f}, p = {agreement.mcnemar_p:.2f}). "
        f"{advice(agreement, facts, lost)}"
    )
