"""What `promolens export` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from promolens_export.calibration import DEFAULT_IMAGES
from promolens_export.convert import SHIPPED, VARIANTS
from promolens_export.gate import DEFAULT_MAX_LOSS_POINTS
from promolens_runtime.errors import InputError

FLOAT = "float32"
MAX_CALIBRATION_IMAGES = 5000


@dataclass(frozen=True)
class ExportOptions:
    """Options of one export.

    Attributes:
        variants: what is converted and compared; float32 and int8 always are.
        max_loss_points: percentage points of top-1 that int8 may lose.
        calibration_images: how many training photos set the int8 ranges.
        stability_check: calibrate again on each half of them and report how the figures move.
        unknown: a folder of photos of things that the model was never taught.
        tasks: also write model_tasks.tflite for Google's task libraries.
        allow_unsigned: write a bundle without signature.
        bundle_id: name of the bundle; the run folder's when None.
        licence: what the bundle's users may do with it.
        embedder: run folder of `promolens embed train`; its model becomes the bundle's second one.
        grad_cam: show in the report what mistakes were looking at (needs TensorFlow).
    """

    variants: tuple[str, ...] = VARIANTS
    max_loss_points: float = DEFAULT_MAX_LOSS_POINTS
    calibration_images: int = DEFAULT_IMAGES
    stability_check: bool = False
    unknown: Path | None = None
    tasks: bool = False
    allow_unsigned: bool = False
    bundle_id: str | None = None
    licence: str = "not stated by the maker of this bundle"
    grad_cam: bool = True
    embedder: Path | None = None

    def __post_init__(self) -> None:
        """Check the ranges. Raises InputError."""
        if not 0 <= self.max_loss_points <= 100:
            raise InputError(
                f"Expected a loss budget of 0 to 100 points. Received {self.max_loss_points}. "
                "Give --max-loss 1.0 or so."
            )
        if not 2 <= self.calibration_images <= MAX_CALIBRATION_IMAGES:
            raise InputError(
                f"Expected 2 to {MAX_CALIBRATION_IMAGES} calibration images. "
                f"Received {self.calibration_images}. Give --calibration-images 200."
            )
        if self.unknown is not None and not self.unknown.is_dir():
            raise InputError(
                f"Expected a folder of photos for --unknown. Received {self.unknown}. "
                "Give one, or leave the option out."
            )
        if unknown := sorted(set(self.variants) - set(VARIANTS)):
            raise InputError(
                f"Expected variants among {', '.join(VARIANTS)}. Received {', '.join(unknown)}."
            )

    @property
    def converted(self) -> tuple[str, ...]:
        """The variants to convert, in the table's order."""
        wanted = {*self.variants, FLOAT, SHIPPED}
        return tuple(name for name in VARIANTS if name in wanted)
