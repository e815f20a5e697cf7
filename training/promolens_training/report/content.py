"""What a report shows, as plain data; every section is optional and is left out when absent.

The texts may hold anything, Hangul and angle brackets included: the template escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_training.evaluation.evaluate import Evaluation
from promolens_training.evaluation.metrics import Agreement, ReliabilityBin
from promolens_training.evaluation.unknown import UnknownResult


@dataclass(frozen=True)
class Picture:
    """A small picture inside the page, and what to say where it cannot be seen."""

    data_uri: str
    alt: str

    def __post_init__(self) -> None:
        """Refuse anything that would make the page ask the network."""
        if not self.data_uri.startswith("data:image/"):
            raise ValueError(
                f"Expected a data:image/ URI. Received {self.data_uri[:40]!r}. "
                "Make it with promolens_training.report.pictures.thumbnail()."
            )


@dataclass(frozen=True)
class Headline:
    """One big figure at the top. `good` colours it: True, False, or None for neither."""

    label: str
    value: str
    detail: str = ""
    good: bool | None = None


@dataclass(frozen=True)
class SplitCount:
    """How many photos, sources and classes a split has."""

    split: str
    photos: int
    sources: int
    classes: int


@dataclass(frozen=True)
class ClassCount:
    """A class and its photos by split, in the order of `DataOverview.splits`."""

    label: str
    name: str
    parent: str | None
    counts: tuple[int, ...]
    example: Picture | None = None

    @property
    def total(self) -> int:
        """Photos of the class in all splits."""
        return sum(self.counts)


@dataclass(frozen=True)
class DataOverview:
    """What the model was taught on and judged by; `notes` are the doctor's and the loader's."""

    splits: tuple[SplitCount, ...]
    classes: tuple[ClassCount, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CurvePoint:
    """One row of history.csv; None where the row has no such figure."""

    phase: str
    loss: float | None = None
    accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    learning_rate: float | None = None
    seconds: float | None = None


# What the calibration error after scaling is: column head, and what a reader should know.
CROSS_FITTED = (
    "cross-fitted",
    "ECE after temperature scaling is cross-fitted, so honest: each photo was scaled by a "
    "temperature fitted on other sources. The section on calibration has the same figure.",
)
SAME_PHOTOS = (
    "same photos",
    "ECE after temperature scaling flatters here: the temperature was fitted on these photos, "
    "which all come from one source.",
)
GIVEN_TEMPERATURE = ("bundle's temperature", "ECE after scaling is with the bundle's temperature.")


@dataclass(frozen=True)
class ModelFigures:
    """One model's evaluation, in the order of the table (float first, shipped file last).

    `cross_fitted_ece` takes the place of the evaluation's own error after scaling.
    """

    name: str
    evaluation: Evaluation
    note: str = ""
    cross_fitted_ece: float | None = None

    @property
    def ece_after(self) -> float:
        """The calibration error after scaling that the table shows."""
        own = self.evaluation.ece_scaled
        return own if self.cross_fitted_ece is None else self.cross_fitted_ece


@dataclass(frozen=True)
class ConfusedPair:
    """Photos of `actual` called `predicted`: how many, some of them, and what they were taken for.

    `mistaken` are pictures of the confused photos, `reference` are right ones of `predicted`.
    """

    actual: str
    predicted: str
    count: int
    share: float
    mistaken: tuple[Picture, ...] = ()
    reference: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Confusion:
    """Counts int64 `[c, c]` (row = what it is, column = what the model says) and the worst pairs.

    `parents` groups the axes; empty where there is no hierarchy.
    """

    names: tuple[str, ...]
    matrix: NDArray[np.int64] = field(repr=False, compare=False)
    parents: tuple[str | None, ...] = ()
    pairs: tuple[ConfusedPair, ...] = ()


@dataclass(frozen=True)
class Mistake:
    """One wrong answer; `heat` is the same picture under Grad-CAM of the wrong class."""

    picture: Picture
    actual: str
    predicted: str
    confidence: float
    confidence_in_actual: float
    path: str = ""
    heat: Picture | None = None
    heat_actual: Picture | None = None


@dataclass(frozen=True)
class CalibrationFigures:
    """Reliability before and after temperature scaling.

    `note` says how 'after' was measured, `after_is` in a word or two.
    """

    temperature: float
    ece_before: float
    ece_after: float
    before: tuple[ReliabilityBin, ...]
    after: tuple[ReliabilityBin, ...]
    note: str = ""
    after_is: str = GIVEN_TEMPERATURE[0]


@dataclass(frozen=True)
class UnknownTest:
    """Rejection on one kind of unknown photos; `results` has the score in use first."""

    which: str
    results: tuple[UnknownResult, ...]
    accepted: tuple[Mistake, ...] = ()


@dataclass(frozen=True)
class Variant:
    """One converted file; None where a figure was not measured. `shipped` marks the one in use."""

    name: str
    size_bytes: int
    top1: float | None = None
    top1_interval: tuple[float, float] | None = None
    agreement: float | None = None
    won: int | None = None
    lost: int | None = None
    ece_shift: float | None = None
    latency_1_thread_ms: float | None = None
    latency_2_threads_ms: float | None = None
    shipped: bool = False
    note: str = ""


@dataclass(frozen=True)
class Disagreement:
    """A photo that two models call by different names, and how sure each was."""

    picture: Picture
    actual: str
    first_answer: str
    first_confidence: float
    second_answer: str
    second_confidence: float
    kl: float
    path: str = ""


@dataclass(frozen=True)
class Disagreements:
    """Where the converted file differs from the float model."""

    agreement: Agreement
    first_name: str = "float"
    second_name: str = "int8"
    worst: tuple[Disagreement, ...] = ()


@dataclass(frozen=True)
class Cost:
    """One stage's time and memory; None where it was not measured."""

    stage: str
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class ReportContent:
    """The whole report. Only the title is needed; a section without content is not shown.

    `names` says what people call a class, by its label; a label without an entry stays as it is.
    """

    title: str
    subtitle: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    headlines: tuple[Headline, ...] = ()
    data: DataOverview | None = None
    training: tuple[CurvePoint, ...] = ()
    models: tuple[ModelFigures, ...] = ()
    evaluated_on: str = ""
    ece_after_is: tuple[str, str] = GIVEN_TEMPERATURE
    confusion: Confusion | None = None
    mistakes: tuple[Mistake, ...] = ()
    calibration: CalibrationFigures | None = None
    unknown: tuple[UnknownTest, ...] = ()
    variants: tuple[Variant, ...] = ()
    variants_note: str = ""
    disagreements: Disagreements | None = None
    costs: tuple[Cost, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
