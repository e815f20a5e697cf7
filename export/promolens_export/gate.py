"""The gate between a model that works in float and a file that may go out."""

from __future__ import annotations

from promolens_runtime.errors import GateError
from promolens_training.evaluation.metrics import Agreement

DEFAULT_MAX_LOSS_POINTS = 1.0
FEW_PHOTOS = 200

ADVICE = (
    "Try, in this order: --calibration-images 500; a longer recipe or one with EMA (smoother "
    "weights quantise better); a backbone of the EfficientNet-Lite family; docs/export.md says "
    "what else. Or accept it: --max-loss {accept}."
)


def loss_points(agreement: Agreement) -> float:
    """Return how many percentage points of top-1 the second model loses (negative: wins)."""
    return -100.0 * agreement.top1_change


def check_loss(agreement: Agreement, max_loss_points: float) -> None:
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
    advice = ADVICE.format(accept=f"{lost + 0.05:.1f}")
    if agreement.n < FEW_PHOTOS:
        advice = (
            f"One photo is {100 / agreement.n:.1f} points here: first get more evaluation photos. "
            f"{advice}"
        )
    raise GateError(
        f"Expected int8 to lose at most {max_loss_points:.1f} points of top-1. Received "
        f"{lost:.2f} points ({agreement.lost} photos lost, {agreement.won} won, n = {agreement.n}, "
        f"95 % interval {high:.1f} to {low:.1f}, p = {agreement.mcnemar_p:.2f}). "
        f"{advice}"
    )
