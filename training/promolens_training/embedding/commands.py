"""What `promolens embed` does: train one embedder on everything, or compare recipes."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from promolens_training.embedding.compare import (
    BASELINES,
    Comparison,
    plan_comparison,
)
from promolens_training.embedding.folds import whole_split
from promolens_training.embedding.pictures import ProductPictures, load_product_pictures
from promolens_training.embedding.recipes import EmbeddingRecipe, embedding_recipe_named
from promolens_training.embedding.runs import EmbedderRun, open_embedder, save_embedder
from promolens_training.embedding.source import open_source
from promolens_training.embedding.train import train_embedder
from promolens_training.embedding.views import ViewCache, ViewPlan, cached_views
from promolens_training.files import write_json
from promolens_training.fit import dataset_fingerprint
from promolens_training.folders import claim

# Some four minutes of the frozen network.
MAX_VIEWS = 20_000


def _views(pictures: ProductPictures, cache: Path, recipes: Sequence[EmbeddingRecipe]) -> ViewCache:
    levels = {recipe.level for recipe in recipes} - {"pixels"}
    plan = ViewPlan.within(MAX_VIEWS, len(pictures.photos), len(pictures.catalogue))
    kept = tuple(level for level in plan.levels if level in levels | {"pooled"})
    return cached_views(cache, replace(plan, levels=kept), pictures)


def train_command(
    data: Path, only: str | None, recipe: EmbeddingRecipe, out: Path, *, resume: bool
) -> EmbedderRun:
    """Train on a dataset's catalogue pictures and all photos but the test split, into a run folder.

    Raises:
        InputError: the data has no catalogue pictures, or `out` holds another run.
    """
    start = time.monotonic()
    pictures = load_product_pictures(data, only, with_test=False)
    views = _views(pictures, out / "views", [recipe])
    fingerprint = dataset_fingerprint(pictures.pictures, pictures.root)
    mark = {"recipe": recipe.fingerprint(), "dataset": fingerprint}
    run_folder = out / "embedder"
    claim(run_folder, mark, resume)
    if (run_folder / "embedder.json").is_file():
        return open_embedder(run_folder)
    source = open_source(recipe, pictures, whole_split(pictures), views)
    embedder = train_embedder(source, run_folder / "checkpoint.npz")
    info: dict[str, Any] = {
        "fingerprints": mark,
        "data_root": str(pictures.root),
        "classes": len(pictures.classes),
        "photos": [str(photo.path) for photo in pictures.photos],
        "catalogue": [str(photo.path) for photo in pictures.catalogue],
        "labels": {
            str(photo.path): int(label)
            for photo, label in zip(pictures.pictures, pictures.picture_labels, strict=True)
        },
        "seconds_total": round(time.monotonic() - start, 1),
    }
    run = save_embedder(run_folder, recipe, embedder, info)
    (run_folder / "checkpoint.npz").unlink(missing_ok=True)
    return run


def _comparison_key(pictures: ProductPictures, folds: int) -> str:
    """Name what a comparison is made on, so that answers of other data are never read back."""
    fingerprint = dataset_fingerprint(pictures.pictures, pictures.root)
    targets = "".join(str(int(each)) for each in pictures.is_target)
    text = f"{fingerprint} {targets} {folds}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _report(row: dict[str, Any]) -> None:
    text = f"{row['recipe']}: unseen {row['unseen']['top1']:.3f} / {row['unseen']['top5']:.3f}"
    print(text, file=sys.stderr, flush=True)


def compare_command(
    data: Path,
    only: str | None,
    names: Sequence[str],
    out: Path,
    *,
    folds: int,
    seeds: Sequence[int],
    nested: bool,
) -> list[dict[str, Any]]:
    """Compare recipes; finished parts of an earlier call are read back.

    Returns:
        The table's rows: baselines, recipes, and with `nested` the choice on inner splits.
    """
    recipes = [embedding_recipe_named(name) for name in names]
    pictures = load_product_pictures(data, only)
    views = _views(pictures, out / "views", recipes)
    out = out / _comparison_key(pictures, folds)
    comparison = plan_comparison(pictures, views, out, folds)
    rows = [comparison.baseline_row(name) for name in BASELINES]
    for row in rows:
        _report(row)
    for recipe in recipes:
        rows.append(comparison.recipe_row(recipe, seeds))
        _report(rows[-1])
        write_json(out / "table.json", rows)
    if nested:
        rows.append(_nested(comparison, recipes, seeds[0]))
        write_json(out / "table.json", rows)
    return rows


def _nested(
    comparison: Comparison, recipes: Sequence[EmbeddingRecipe], seed: int
) -> dict[str, Any]:
    row = comparison.chosen_row(recipes, seed)
    _report(row)
    return row
