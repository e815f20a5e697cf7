"""Which part of the recipe earns its place: one change a row, judged by grouped k-fold.

Every (row, fold) is a run folder of its own, so that an interrupted comparison goes on where it
stopped and any row can be opened, converted or looked at afterwards. Folds keep photos of one
source together (docs/data.md), so a row is judged on shop visits that it has not seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import InputError
from promolens_runtime.intervals import (
    group_indices,
    mean_interval,
    rate_interval,
)
from promolens_training.data import assign_sources, grouped_kfold, load_photo_set
from promolens_training.data.load import require_trainable
from promolens_training.data.photos import PhotoSet
from promolens_training.evaluation.predictions import class_indices
from promolens_training.files import write_arrays, write_json
from promolens_training.fit import make_job, train_one
from promolens_training.forward import forward
from promolens_training.pixels import load_pixels
from promolens_training.recipes import (
    FAST,
    HEAD_ONLY,
    Augmentation,
    Distillation,
    Phase,
    Recipe,
)
from promolens_training.runs import TrainedRun, build_model
from promolens_training.train import with_test_split

FOLD_SEED = 1

_BASE = replace(FAST, name="base")
_SMALL, _FULL = _BASE.phases
_LIGHT = Augmentation(
    min_area=0.8,
    max_aspect=1.05,
    rotate_deg=0.0,
    perspective=0.0,
    blur=0.0,
    noise=0.0,
    jpeg=0.0,
    erase=0.0,
)


def _both(**changes: Any) -> tuple[Phase, ...]:
    return tuple(replace(phase, **changes) for phase in _BASE.phases)


def _first(**changes: Any) -> tuple[Phase, ...]:
    """Change the first phase alone: mixing is off at the end."""
    return (replace(_SMALL, **changes), _FULL)


def _rates(factor: float) -> tuple[Phase, ...]:
    """Scale every phase's learning rate."""
    return tuple(
        replace(phase, peak_learning_rate=factor * phase.peak_learning_rate)
        for phase in _BASE.phases
    )


_HEAD = Phase(2, 160, 5e-3, warmup_epochs=0.25, first_block=HEAD_ONLY)
_LONGER = (replace(_SMALL, epochs=2 * _SMALL.epochs), replace(_FULL, epochs=2 * _FULL.epochs))


def _lite2(phases: tuple[Phase, ...]) -> Recipe:
    last = replace(phases[-1], image_px=260)
    return replace(_BASE, backbone="efficientnet_lite2", phases=(*phases[:-1], last), image_px=260)


ROWS: dict[str, Recipe] = {
    "frozen: softmax on ImageNet features": replace(_BASE, phases=()),
    "last blocks (from block 9)": replace(_BASE, phases=_both(first_block=9)),
    "whole network (base)": _BASE,
    "probe first": replace(_BASE, probe_first=True),
    "head alone for two epochs": replace(_BASE, phases=(_HEAD, *_BASE.phases)),
    "half the learning rate": replace(_BASE, phases=_rates(0.5)),
    "both: head alone, then slower": replace(_BASE, phases=(_HEAD, *_rates(0.5))),
    # Eight epochs at all the pixels cost as much as the base's ten at half and three at all.
    "224 px throughout, same time": replace(_BASE, phases=(Phase(8, 224, 5e-4),)),
    "light augmentation": replace(_BASE, augmentation=_LIGHT),
    "medium augmentation": replace(_BASE, augmentation=Augmentation()),
    "mixup 0.2, off at the end": replace(_BASE, phases=_first(mixup_alpha=0.2)),
    "CutMix 1.0, off at the end": replace(_BASE, phases=_first(cutmix_alpha=1.0)),
    "no weight average": replace(_BASE, ema_decay=0.0),
    "no label smoothing": replace(_BASE, label_smoothing=0.0),
    "256 px at the end": replace(
        _BASE, phases=(_SMALL, replace(_FULL, image_px=256)), image_px=256
    ),
    "twice as long": replace(_BASE, phases=_LONGER),
    "Lite2, 260 px at the end": _lite2(_BASE.phases),
    "Lite2, head alone, then slower": _lite2((_HEAD, *_rates(0.5))),
    "distilled from Lite2": replace(_BASE, distillation=Distillation("teacher")),
}


@dataclass(frozen=True)
class RowResult:
    """Out-of-fold result of one row.

    Attributes:
        right: bool `[n]`, whether each photo's first answer was right, in the folds' order.
        sources: source id of each photo, the unit of the interval.
        seconds: training time of the folds together.
    """

    row: str
    right: npt.NDArray[np.bool_]
    sources: tuple[str, ...]
    seconds: float

    @property
    def top1(self) -> float:
        """Share of photos named rightly by a model that never saw their source."""
        return float(self.right.mean())

    def interval(self) -> tuple[float, float]:
        """95 % interval of `top1`, photos of one source counted together."""
        found = rate_interval(self.right, self.sources)
        return found.low, found.high


@dataclass(frozen=True)
class FoldPlan:
    """A dataset cut into folds."""

    photo_set: PhotoSet
    folds: tuple[npt.NDArray[np.intp], ...]

    def fold(self, number: int) -> PhotoSet:
        """Return the dataset with fold `number` as its "test" photos."""
        photos = with_test_split(self.photo_set.photos, self.folds[number])
        return replace(self.photo_set, photos=photos)


def plan_folds(data: Path, only: str | None, folds: int) -> FoldPlan:
    """Load a dataset and cut its train and val photos into folds by source.

    Photos of a "test" split are left out altogether: nothing is chosen on them. So is background:
    recipes are compared by what they name.
    """
    photo_set = replace(load_photo_set(data, only), background=())
    require_trainable(photo_set)
    usable = tuple(photo for photo in photo_set.photos if photo.split != "test")
    photos = assign_sources(usable)
    held = tuple(test for _, test in grouped_kfold(photos, folds, FOLD_SEED))
    return FoldPlan(replace(photo_set, photos=photos), held)


Predict = Callable[[TrainedRun], npt.NDArray[np.float32]]


def predict_float(run: TrainedRun) -> npt.NDArray[np.float32]:
    """Return the float network's logits on the run's "test" photos, float32 `[n, classes]`."""
    pixels = load_pixels(run.in_split("test"), run.recipe.image_px)
    return forward(build_model(run), pixels, "logits")


def _fold_right(
    plan: FoldPlan, recipe: Recipe, number: int, folder: Path, predict: Predict
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...], float]:
    run = train_one(make_job(folder, recipe, plan.fold(number)), resume=True)
    cache = folder / "out_of_fold.npz"
    held = run.in_split("test")
    labels = class_indices(held, run.classes)
    if cache.is_file():
        with np.load(cache, allow_pickle=False) as stored:
            logits = stored["logits"]
    else:
        logits = predict(run)
        write_arrays(cache, {"logits": logits, "labels": labels})
    sources = tuple(photo.source_id for photo in held)
    return logits.argmax(1) == labels, sources, float(run.info["seconds_total"])


def slug(text: str) -> str:
    """Return `text` as a folder name."""
    return "".join(ch if ch.isalnum() else "-" for ch in text.lower())


def run_row(plan: FoldPlan, row: str, out: Path, predict: Predict = predict_float) -> RowResult:
    """Train and judge one row on every fold; finished folds are read back."""
    folder = out / slug(row)
    parts = [
        _fold_right(plan, ROWS[row], number, folder / f"fold{number}", predict)
        for number in range(len(plan.folds))
    ]
    right = np.concatenate([part[0] for part in parts])
    sources = tuple(source for part in parts for source in part[1])
    result = RowResult(row, right, sources, sum(part[2] for part in parts))
    write_json(folder / "result.json", summary(result))
    return result


def summary(result: RowResult) -> dict[str, Any]:
    """Return a row's figures as JSON types."""
    low, high = result.interval()
    return {
        "row": result.row,
        "n": len(result.right),
        "top1": round(result.top1, 4),
        "top1_interval": [round(low, 4), round(high, 4)],
        "seconds": round(result.seconds, 1),
        # Kept so that any two rows can be compared photo by photo.
        "right": "".join(str(int(hit)) for hit in result.right),
        "sources": group_indices(result.sources).tolist(),
    }


def choose_rows(wanted: Sequence[str] | None) -> list[str]:
    """Return the rows whose names contain one of `wanted`, all without it.

    Raises:
        InputError: a word matches no row.
    """
    if not wanted:
        return list(ROWS)
    for word in wanted:
        if not any(word in row for row in ROWS):
            raise InputError(
                f"Expected part of a row's name. Received {word!r}. Rows: {'; '.join(ROWS)}."
            )
    return [row for row in ROWS if any(word in row for word in wanted)]


def gain(row: dict[str, Any], base: dict[str, Any]) -> str:
    """Return the difference to the base in points, with its 95 % interval over sources."""
    hits, base_hits = (np.array(list(r["right"]), np.float64) for r in (row, base))
    found = mean_interval(hits - base_hits, [str(source) for source in base["sources"]])
    points = 100 * float((hits - base_hits).mean())
    return f"{points:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """Return the comparison as a Markdown table, each row against the base."""
    base = next((r for r in results if "(base)" in r["row"]), None)
    lines = [
        "| recipe | out-of-fold top-1 | 95 % interval | points against base | training s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for r in results:
        against = "" if base is None or r is base else gain(r, base)
        low, high = r["top1_interval"]
        lines.append(
            f"| {r['row']} | {100 * r['top1']:.1f} % | {100 * low:.1f}–{100 * high:.1f} "
            f"| {against} | {r['seconds']:.0f} |"
        )
    if results:
        lines.append(f"\nn = {results[0]['n']} photos, each judged by a model of other sources.")
    return "\n".join(lines)


def read_results(out: Path) -> list[dict[str, Any]]:
    """Return the finished rows of a comparison folder, in the table's order."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(out.glob("*/result.json"))]
    order = list(ROWS)
    return sorted((r for r in found if r["row"] in order), key=lambda r: order.index(r["row"]))
