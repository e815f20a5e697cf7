"""Embedding recipes beside each other: classes and photos that training never saw, three seeds.

Every (recipe, seed, split) is a folder with its answers, so that an interrupted comparison goes on
where it stopped. What is chosen is chosen on inner splits of the training classes (`folds`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import InputError
from promolens_runtime.intervals import mean_interval
from promolens_training.embedding.folds import Split, plan_splits
from promolens_training.embedding.pictures import ProductPictures
from promolens_training.embedding.ranking import places
from promolens_training.embedding.recipes import EmbeddingRecipe
from promolens_training.embedding.source import open_source
from promolens_training.embedding.train import Embedder, train_embedder
from promolens_training.embedding.views import PLAIN, ViewCache, draw_view
from promolens_training.files import write_arrays
from promolens_training.pixels import load_pixels

Places = npt.NDArray[np.int64]
BASELINES = ("frozen", "frozen, centred")
DEFAULT_SEEDS = (2026, 2027, 2028)


@dataclass(frozen=True)
class Answers:
    """Places of the right catalogue picture (0 is best) for each judged photo.

    Attributes:
        unseen, seen: int64 `[n]`; unseen_labels, seen_labels: int64 `[n]`, classes of the photos.
    """

    unseen: Places
    unseen_labels: Places
    seen: Places
    seen_labels: Places


def judge(data: ProductPictures, split: Split, plain: npt.NDArray[np.float32]) -> Answers:
    """Rank the split's gallery for its photos.

    Args:
        plain: embeddings of every picture, photos first, float32 `[n + m, d]`; the catalogue's
            have their offset.
    """
    gallery = np.flatnonzero(np.isin(data.catalogue_labels, split.gallery_classes))
    shown, shown_labels = plain[len(data.photos) + gallery], data.catalogue_labels[gallery]
    found = []
    for photos in (split.unseen_photos, split.seen_photos):
        labels = data.labels[photos]
        found += [places(plain[photos], labels, shown, shown_labels), labels]
    return Answers(*found)


def plain_rows(data: ProductPictures, views: ViewCache, level: str) -> npt.NDArray[np.float32]:
    """Return the cached maps of the unchanged pictures, photos first."""
    rows = np.flatnonzero(views.rows[:, 2] == PLAIN)
    assert np.array_equal(views.rows[rows, 0], np.arange(len(data.pictures)))
    return np.asarray(views.maps[level][rows], np.float32)


def _inputs(recipe: EmbeddingRecipe, data: ProductPictures, views: ViewCache) -> npt.NDArray[Any]:
    """Return what the trained part takes for every unchanged picture, photos first."""
    if recipe.level != "pixels":
        return plain_rows(data, views, recipe.level)
    squares = load_pixels(data.pictures, recipe.kept_px)
    nowhere = np.zeros(0, np.int64)
    rows = [np.array([i, 0, PLAIN]) for i in range(len(data.pictures))]
    return np.stack([draw_view(squares, nowhere, row, recipe.image_px, 0) for row in rows])


def embed_plain(
    embedder: Embedder, recipe: EmbeddingRecipe, data: ProductPictures, views: ViewCache
) -> npt.NDArray[np.float32]:
    """Embed every picture once, the catalogue's with their offset: float32 `[n + m, width]`."""
    from promolens_training.embedding.network import upper_part

    inputs = _inputs(recipe, data, views)
    network: Any = upper_part(embedder.model, recipe.level)
    parts = []
    for start in range(0, len(inputs), 64):
        batch = inputs[start : start + 64].astype(np.float32)
        parts.append(np.asarray(network(batch, training=False)["embedding"], np.float32))
    rows_found = np.concatenate(parts)
    rows_found[len(data.photos) :] += embedder.catalogue_offset
    return rows_found


def baseline(data: ProductPictures, split: Split, views: ViewCache, name: str) -> Answers:
    """Judge the frozen network's features, raw or with each world's training mean taken off."""
    features = plain_rows(data, views, "pooled")
    if name == "frozen, centred":
        labels = data.picture_labels
        target = data.is_target[labels]
        photos = np.zeros(len(labels), bool)
        photos[split.train_photos] = True
        shown = np.zeros(len(labels), bool)
        shown[len(data.photos) :] = np.isin(data.catalogue_labels, split.train_classes)
        photo_mean = features[photos & target].mean(axis=0)
        shown_mean = features[shown & target].mean(axis=0)
        features = features.copy()
        features[: len(data.photos)] -= photo_mean
        features[len(data.photos) :] -= shown_mean
    return judge(data, split, features)


def run_one(
    recipe: EmbeddingRecipe,
    data: ProductPictures,
    split: Split,
    views: ViewCache,
    out: Path,
) -> tuple[Answers, float]:
    """Train and judge one recipe on one split; a finished one is read back.

    Returns:
        The answers, and the processor seconds that training and judging took.
    """
    folder = out / recipe.name / f"seed{recipe.seed}" / split.name
    finished = folder / f"answers-{recipe.fingerprint()[:12]}.npz"
    if not finished.is_file():
        start = time.process_time()
        checkpoint = folder / f"checkpoint-{recipe.fingerprint()[:12]}.npz"
        source = open_source(recipe, data, split, views)
        embedder = train_embedder(source, checkpoint, starts=out / "starts")
        answers = judge(data, split, embed_plain(embedder, recipe, data, views))
        seconds = time.process_time() - start
        write_arrays(finished, {**vars(answers), "cpu_s": np.array([seconds])})
        checkpoint.unlink(missing_ok=True)
    with np.load(finished, allow_pickle=False) as stored:
        names = ("unseen", "unseen_labels", "seen", "seen_labels")
        return Answers(*(stored[name] for name in names)), float(stored["cpu_s"][0])


def _rates(found: Sequence[Answers], seen: bool) -> dict[str, Any]:
    """Return top-1, top-5 and the class-bootstrap interval of top-1 over folds and seeds.

    `found` holds the folds of every seed; each photo counts by its mean over seeds.
    """
    ranks = np.concatenate([each.seen if seen else each.unseen for each in found])
    labels = np.concatenate([each.seen_labels if seen else each.unseen_labels for each in found])
    if not len(ranks):
        return {"n": 0}
    interval = mean_interval(ranks < 1, [str(label) for label in labels])
    return {
        "n": len(ranks),
        "top1": float((ranks < 1).mean()),
        "top5": float((ranks < 5).mean()),
        "top1_interval": [interval.low, interval.high],
    }


def summarise(name: str, by_seed: Sequence[Sequence[Answers]], cpu_s: float) -> dict[str, Any]:
    """Return one row of the table as JSON types; the spread is over seeds."""
    everything = [answers for folds in by_seed for answers in folds]
    row: dict[str, Any] = {"recipe": name, "seeds": len(by_seed), "cpu_s": round(cpu_s, 1)}
    for kind in ("unseen", "seen"):
        row[kind] = _rates(everything, kind == "seen")
        row[kind]["n"] //= len(by_seed)
        tops = [_rates(folds, kind == "seen").get("top1", 0.0) for folds in by_seed]
        row[kind]["top1_sd"] = float(np.std(tops, ddof=1)) if len(tops) > 1 else None
    return row


@dataclass(frozen=True)
class Comparison:
    """Everything a comparison needs: pictures, cached views, splits, where finished parts lie."""

    data: ProductPictures
    views: ViewCache
    plans: Sequence[tuple[Split, Split]]
    out: Path

    def baseline_row(self, name: str) -> dict[str, Any]:
        """Return the row of one of `BASELINES`."""
        folds = [baseline(self.data, outer, self.views, name) for outer, _ in self.plans]
        return summarise(name, [folds], 0.0)

    def _folds(self, recipe: EmbeddingRecipe, inner: bool) -> tuple[list[Answers], float]:
        found, seconds = [], 0.0
        for plan in self.plans:
            answers, spent = run_one(recipe, self.data, plan[int(inner)], self.views, self.out)
            found.append(answers)
            seconds += spent
        return found, seconds

    def recipe_row(self, recipe: EmbeddingRecipe, seeds: Sequence[int]) -> dict[str, Any]:
        """Train and judge a recipe on every fold with every seed."""
        runs = [self._folds(replace(recipe, seed=seed), False) for seed in seeds]
        return summarise(recipe.name, [run[0] for run in runs], sum(run[1] for run in runs))

    def chosen_row(self, recipes: Sequence[EmbeddingRecipe], seed: int) -> dict[str, Any]:
        """Choose a recipe for each fold on its inner split, and judge the choice on the fold."""
        inner = [self._folds(replace(recipe, seed=seed), True)[0] for recipe in recipes]
        chosen, names = [], []
        for number, (outer, _) in enumerate(self.plans):
            scores = [float((folds[number].unseen < 1).mean()) for folds in inner]
            best = replace(recipes[int(np.argmax(scores))], seed=seed)
            names.append(best.name)
            chosen.append(run_one(best, self.data, outer, self.views, self.out)[0])
        row = summarise("chosen on inner splits", [chosen], 0.0)
        return row | {"chosen": names}


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the comparison as a Markdown table."""
    lines = [
        "| recipe | unseen top-1 | 95 % interval | unseen top-5 | seen top-1 | seen top-5 "
        "| seeds (sd) | CPU s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        unseen, seen = row["unseen"], row["seen"]
        low, high = unseen["top1_interval"]
        spread = unseen["top1_sd"]
        seeds = f"{row['seeds']}" + (f" ({spread:.3f})" if spread is not None else "")
        known = f"{seen['top1']:.3f} | {seen['top5']:.3f}" if seen["n"] else "– | –"
        lines.append(
            f"| {row['recipe']} | {unseen['top1']:.3f} | {low:.3f}–{high:.3f} "
            f"| {unseen['top5']:.3f} | {known} | {seeds} | {row['cpu_s']:.0f} |"
        )
    if rows:
        n = (rows[0]["unseen"]["n"], rows[0]["seen"]["n"])
        lines.append(f"\nn = {n[0]} photos of unseen classes, {n[1]} of seen ones.")
    return "\n".join(lines)


def plan_comparison(data: ProductPictures, views: ViewCache, out: Path, folds: int) -> Comparison:
    """Cut a dataset into class-folds.

    Raises:
        InputError: there are too few target classes for so many folds.
    """
    if not data.is_target.any():
        raise InputError("Expected target classes. Received none. Check --only.")
    return Comparison(data, views, plan_splits(data, folds), out)
