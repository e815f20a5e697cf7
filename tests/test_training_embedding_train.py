"""Training, resuming, folding and comparing embedders on a tiny dataset with a real backbone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from promolens_cli.main import main
from promolens_export.embedder import export_embedder
from promolens_runtime.errors import InputError
from promolens_training.embedding import train as training
from promolens_training.embedding.compare import (
    Answers,
    judge,
    markdown,
    plain_rows,
    run_one,
    summarise,
)
from promolens_training.embedding.folds import Split, plan_splits, whole_split
from promolens_training.embedding.network import build_embedder
from promolens_training.embedding.pictures import ProductPictures, load_product_pictures
from promolens_training.embedding.ranking import unit_rows
from promolens_training.embedding.recipes import LOSSES, EmbeddingRecipe
from promolens_training.embedding.runs import build_embedder_of, open_embedder, save_embedder
from promolens_training.embedding.source import Source, open_source
from promolens_training.embedding.start import find_start
from promolens_training.embedding.views import ViewCache, ViewPlan, cached_views
from promolens_training.embedding.whitening import Affine

pytest.importorskip("tensorflow")
SIDE = 32
TINY = EmbeddingRecipe(
    "tiny",
    image_px=SIDE,
    width=16,
    prefixes=(8, 16),
    classes=4,
    steps=6,
    peak_learning_rate=1e-3,
)
PLAN = ViewPlan(image_px=SIDE, photo=1, catalogue=1, pasted=2, levels=("pooled", "block14"))


def draw_dataset(root: Path) -> None:
    """Six products told apart by two colours: photos on dark, catalogue pictures on white."""
    rng = np.random.default_rng(5)
    rows = ["path,label,is_gallery,source_id"]
    for number in range(6):
        upper, lower = rng.integers(0, 230, (2, 3))
        for kind, count in (("photo", 4), ("catalogue", 1)):
            for view in range(count):
                ground = 255 if kind == "catalogue" else int(rng.integers(20, 120))
                pixels = np.full((48, 48, 3), ground, np.float64)
                pixels[8:24, 12:36], pixels[24:40, 12:36] = upper, lower
                if kind == "photo":
                    pixels += rng.normal(0, 12, pixels.shape)
                name = f"{kind}-{number}-{view}.png"
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / name)
                rows.append(f"{name},product{number},{int(kind == 'catalogue')},{number}-{view}")
    (root / "photos.csv").write_text("\n".join(rows) + "\n", "utf-8")


def test_catalogue_pictures_may_be_listed_with_the_products(tmp_path: Path) -> None:
    draw_dataset(tmp_path)
    rows = (tmp_path / "photos.csv").read_text("utf-8").splitlines()
    kept = [row for row in rows if not row.startswith("catalogue")]
    kept = [
        row + (",split" if not n else ",test" if "-3.png" in row else ",train")
        for n, row in enumerate(kept)
    ]
    (tmp_path / "photos.csv").write_text("\n".join(kept) + "\n", "utf-8")
    products = [f"product{n},family{n // 3},catalogue-{n}-0.png" for n in range(6)]
    listed = "\n".join(["label,parent,picture", *products]) + "\n"
    (tmp_path / "products.csv").write_text(listed, "utf-8")
    found = load_product_pictures(tmp_path)
    assert [photo.path.name for photo in found.catalogue] == [
        f"catalogue-{n}-0.png" for n in range(6)
    ]
    assert len(found.photos) == 24
    without = load_product_pictures(tmp_path, with_test=False)
    assert {photo.path.stem[-1] for photo in without.photos} == {"0", "1", "2"}
    (tmp_path / "catalogue-4-0.png").unlink()
    with pytest.raises(InputError, match="picture of product4"):
        load_product_pictures(tmp_path)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("products")
    draw_dataset(root)
    return root


@pytest.fixture(scope="module")
def data(dataset: Path) -> ProductPictures:
    return load_product_pictures(dataset)


@pytest.fixture(scope="module")
def views(data: ProductPictures, tmp_path_factory: pytest.TempPathFactory) -> ViewCache:
    return cached_views(tmp_path_factory.mktemp("views"), PLAN, data)


@pytest.fixture(scope="module")
def split(data: ProductPictures) -> Split:
    return plan_splits(data, folds=3)[0][0]


def source_of(
    recipe: EmbeddingRecipe, data: ProductPictures, split: Split, views: ViewCache
) -> Source:
    return open_source(recipe, data, split, views)


def weights_of(embedder: training.Embedder) -> np.ndarray:
    arrays = [np.asarray(each).ravel() for each in embedder.model.get_weights()]
    return np.concatenate([*arrays, embedder.catalogue_offset])


def test_a_dataset_has_photos_and_catalogue_pictures(data: ProductPictures) -> None:
    assert len(data.photos) == 24
    assert len(data.catalogue) == 6
    assert [data.classes[label] for label in data.catalogue_labels] == list(data.classes)


def test_data_without_catalogue_pictures_are_refused(dataset: Path, tmp_path: Path) -> None:
    rows = (dataset / "photos.csv").read_text("utf-8").splitlines()
    for row in rows[1:]:
        name = row.split(",")[0]
        (tmp_path / name).write_bytes((dataset / name).read_bytes())
    plain = [rows[0], *(",".join([*row.split(",")[:2], "0", ""]) for row in rows[1:])]
    (tmp_path / "photos.csv").write_text("\n".join(plain) + "\n", "utf-8")
    with pytest.raises(InputError, match="is_gallery"):
        load_product_pictures(tmp_path)


def test_views_are_computed_once_and_go_on_after_a_stop(
    data: ProductPictures, views: ViewCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promolens_training.embedding import views as module

    # Converting the network again would take most of the time and test nothing here.
    kept = Path(str(views.maps["pooled"].filename)).with_name("frozen.tflite").read_bytes()  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "_frozen_tflite", lambda plan, path: kept)
    monkeypatch.setattr(module, "SAVE_EVERY", 5)
    real, calls = module.draw_view, []

    def stops(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 13:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "draw_view", stops)
    with pytest.raises(KeyboardInterrupt):
        cached_views(tmp_path, PLAN, data)
    again = cached_views(tmp_path, PLAN, data)
    assert len(calls) == 13 + len(views.rows) - 10, "it goes on from the tenth view"
    for level in PLAN.levels:
        np.testing.assert_array_equal(again.maps[level], views.maps[level])
    cached_views(tmp_path, PLAN, data)
    assert len(calls) == 13 + len(views.rows) - 10, "a finished cache is only read"


def test_cached_features_are_the_networks(data: ProductPictures, views: ViewCache) -> None:
    from promolens_training.backbones.table import build_backbone
    from promolens_training.embedding.views import SQUARE_PX, draw_view
    from promolens_training.pixels import load_pixels

    pixels = load_pixels(data.pictures, SQUARE_PX)
    picture = draw_view(pixels, np.zeros(0, np.int64), views.rows[3], SIDE, 0)
    expected = build_backbone(TINY.backbone, SIDE)(picture[None].astype(np.float32))
    np.testing.assert_allclose(views.maps["pooled"][3], expected[0], atol=2e-2, rtol=2e-2)


def test_the_start_is_fitted_without_the_judged_classes(
    data: ProductPictures, views: ViewCache, split: Split
) -> None:
    before = find_start(TINY, data, split, views)
    spoiled = {level: np.array(array) for level, array in views.maps.items()}
    hidden = np.isin(data.picture_labels[views.rows[:, 0]], split.judged_classes)
    spoiled["pooled"][hidden] = 99
    after = find_start(TINY, data, split, ViewCache(views.rows, spoiled))
    np.testing.assert_array_equal(before.projection.kernel, after.projection.kernel)
    np.testing.assert_array_equal(before.catalogue_offset, after.catalogue_offset)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "none"])
def test_every_loss_trains(
    loss: str, data: ProductPictures, views: ViewCache, split: Split, tmp_path: Path
) -> None:
    memory = 32 if loss in ("supervised_contrastive", "triplet") else 0
    recipe = replace(TINY, loss=loss, memory=memory, consistency=0.1, geometry=0.1, steps=2)
    embedder = training.train_embedder(source_of(recipe, data, split, views), tmp_path / "c.npz")
    start = find_start(recipe, data, split, views)
    kernel = np.asarray(embedder.model.get_layer("projection").kernel)
    assert np.isfinite(kernel).all()
    assert np.abs(kernel - start.projection.kernel).max() > 1e-5


def test_a_network_that_imitates_stays_near_its_start(
    data: ProductPictures, views: ViewCache, split: Split, tmp_path: Path
) -> None:
    free = replace(TINY, steps=20, peak_learning_rate=2e-2)
    start = find_start(free, data, split, views)
    features = plain_rows(data, views, "pooled")[: len(data.photos)]
    before = unit_rows(start.projection(features))

    def moved(recipe: EmbeddingRecipe) -> float:
        trained = training.train_embedder(source_of(recipe, data, split, views), tmp_path / "c.npz")
        (tmp_path / "c.npz").unlink(missing_ok=True)
        kernel, bias = trained.model.get_layer("projection").get_weights()
        return float(1 - (unit_rows(features @ kernel + bias) * before).sum(axis=1).mean())

    assert moved(replace(free, imitation=30.0)) < 0.5 * moved(free)


def test_learned_pooling_begins_as_the_mean_and_changes(
    data: ProductPictures, views: ViewCache, split: Split, tmp_path: Path
) -> None:
    """At 64 pixels the last map has four places to pool."""
    recipe = replace(
        TINY,
        level="pixels",
        image_px=64,
        pooling="gem",
        steps=2,
        classes=2,
        peak_learning_rate=1e-2,
    )
    pictures = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    mean, gem = build_embedder(replace(recipe, pooling="mean")), build_embedder(recipe)
    for layer in mean.layers:
        if layer.name == "projection":
            gem.get_layer("projection").set_weights(layer.get_weights())
    np.testing.assert_allclose(gem(pictures)["embedding"], mean(pictures)["embedding"], atol=1e-4)
    embedder = training.train_embedder(source_of(recipe, data, split, views), tmp_path / "c.npz")
    assert abs(float(embedder.model.get_layer("gem").power) - 1) > 1e-3
    run = save_embedder(tmp_path / "run", recipe, embedder, {"classes": 6})
    again = build_embedder_of(run)(pictures)["embedding"]
    np.testing.assert_allclose(again, embedder.model(pictures)["embedding"], atol=1e-4)
    with pytest.raises(InputError, match="full int8 cannot hold"):
        export_embedder(tmp_path / "run", 8)
    with pytest.raises(InputError, match="below the pooling"):
        replace(TINY, pooling="gem")


@pytest.mark.parametrize(
    "changed",
    [
        {"loss": "supervised_contrastive", "memory": 16, "neck": "batch_norm"},
        {"neighbours": 2, "classes": 2},
    ],
    ids=["memory", "look-alikes"],
)
def test_a_stopped_training_ends_with_the_same_weights(
    changed: dict[str, Any], data: ProductPictures, views: ViewCache, split: Split, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    recipe = replace(TINY, **changed)
    source = source_of(recipe, data, split, views)
    whole = weights_of(training.train_embedder(source, tmp_path / "whole.npz"))
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL_S", 0.0)
    real, calls = training._run_step, []

    def stops(*arguments: object) -> float:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "_run_step", stops)
    with pytest.raises(KeyboardInterrupt):
        training.train_embedder(source, tmp_path / "cut.npz")
    resumed = weights_of(training.train_embedder(source, tmp_path / "cut.npz"))
    assert len(calls) == 4 + 3, "three steps were kept"
    np.testing.assert_allclose(resumed, whole, atol=1e-6)


@pytest.mark.parametrize(
    "changed",
    [{"level": "block14"}, {"level": "pixels", "frozen_to": "block14_add"}],
    ids=["cached", "drawn"],
)
def test_training_from_a_feature_map_leaves_what_lies_before_it(
    changed: dict[str, Any], data: ProductPictures, views: ViewCache, split: Split, tmp_path: Path
) -> None:
    recipe = replace(TINY, **changed, steps=2)
    embedder = training.train_embedder(source_of(recipe, data, split, views), tmp_path / "c.npz")
    fresh = build_embedder(recipe)
    changed = {
        layer.name
        for layer, other in zip(embedder.model.layers, fresh.layers, strict=True)
        if any(
            not np.array_equal(a, b)
            for a, b in zip(layer.get_weights(), other.get_weights(), strict=True)
        )
    }
    assert "head_conv" in changed
    assert "block15_project_conv" in changed
    assert not [name for name in changed if name.startswith("block14") or name.endswith("_bn")]


def test_a_layer_that_the_network_lacks_is_refused(
    data: ProductPictures, views: ViewCache, split: Split, tmp_path: Path
) -> None:
    recipe = replace(TINY, level="pixels", frozen_to="block99_add")
    with pytest.raises(InputError, match="block99_add"):
        training.train_embedder(source_of(recipe, data, split, views), tmp_path / "c.npz")
    with pytest.raises(InputError, match="level pixels"):
        replace(TINY, frozen_to="block2_add")


def test_a_cache_of_more_levels_serves_one_of_fewer_and_not_the_other_way(
    data: ProductPictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promolens_training.embedding import views as module

    filled = []
    monkeypatch.setattr(
        module,
        "_fill",
        lambda folder, plan, data, rows, done: filled.append(fake(folder, plan, rows)),
    )

    def fake(folder: Path, plan: ViewPlan, rows: np.ndarray) -> tuple[str, ...]:
        for level in plan.levels:
            np.save(folder / f"{level}.npy", np.zeros((len(rows), 1), np.float16))
        (folder / "done.json").write_text(str(len(rows)), "utf-8")
        return plan.levels

    few, many = replace(PLAN, levels=("pooled",)), PLAN
    for plan in (few, many, few, many):
        assert set(cached_views(tmp_path, plan, data).maps) == set(plan.levels)
    assert filled == [few.levels, many.levels]


def test_views_are_cut_from_squares_of_the_recipes_size(
    data: ProductPictures, views: ViewCache, split: Split
) -> None:
    recipe = replace(TINY, level="pixels", kept_px=40)
    source = source_of(recipe, data, split, views)
    assert source.pixels is not None
    assert source.pixels.shape == (len(data.pictures), 40, 40, 3)
    assert source.read(source.picker()(0), 0).inputs.shape[1:] == (SIDE, SIDE, 3)


@pytest.mark.slow
def test_the_whole_network_trains_from_pixels(
    data: ProductPictures, views: ViewCache, split: Split, tmp_path: Path
) -> None:
    recipe = replace(TINY, level="pixels", steps=1)
    answers, _ = run_one(recipe, data, split, views, tmp_path)
    again, _ = run_one(recipe, data, split, views, tmp_path)
    assert len(answers.unseen) == len(split.unseen_photos)
    np.testing.assert_array_equal(answers.unseen, again.unseen)
    assert not list(tmp_path.rglob("checkpoint*"))


def test_the_neck_is_folded_into_the_file_that_is_kept(
    data: ProductPictures, views: ViewCache, tmp_path: Path
) -> None:
    recipe = replace(TINY, neck="batch_norm", steps=3)
    split = whole_split(data)
    embedder = training.train_embedder(source_of(recipe, data, split, views), tmp_path / "c.npz")
    run = save_embedder(tmp_path / "run", recipe, embedder, {"classes": 6})
    pictures = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.float32)
    before = embedder.model(pictures, training=False)["embedding"]
    after = build_embedder_of(run)(pictures, training=False)["embedding"]
    np.testing.assert_allclose(after, before, atol=1e-4)
    assert run.recipe.neck == "none"
    np.testing.assert_array_equal(run.catalogue_offset, embedder.catalogue_offset)


def test_a_folder_without_an_embedder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="promolens embed train"):
        open_embedder(tmp_path)


def test_judging_counts_places_among_all_gallery_classes(data: ProductPictures) -> None:
    """Embeddings that are one-hot by class, but class 1's photos look like class 0."""
    split = plan_splits(data, folds=3)[0][0]
    plain = np.eye(6, dtype=np.float32)[data.picture_labels]
    perfect = judge(data, split, plain)
    assert (perfect.unseen == 0).all()
    assert (perfect.seen == 0).all()
    judged = split.judged_classes
    wrong = plain.copy()
    wrong[: len(data.photos)][data.labels == judged[0]] = np.eye(6)[judged[1]]
    found = judge(data, split, wrong)
    assert (found.unseen[found.unseen_labels == judged[0]] == 5).all(), "ties count against it"
    assert (found.unseen[found.unseen_labels == judged[1]] == 0).all()


def test_the_table_counts_each_photo_once_whatever_the_seeds() -> None:
    labels = np.array([0, 0, 1, 1])
    good = Answers(np.array([0, 0, 0, 7]), labels, np.array([0]), np.array([0]))
    bad = Answers(np.array([1, 4, 5, 7]), labels, np.array([5]), np.array([0]))
    row = summarise("x", [[good], [bad]], 1.0)
    assert row["unseen"]["n"] == 4
    assert row["unseen"]["top1"] == pytest.approx(3 / 8)
    assert row["unseen"]["top5"] == pytest.approx(5 / 8)
    assert row["unseen"]["top1_sd"] == pytest.approx(0.75 / np.sqrt(2))
    low, high = row["unseen"]["top1_interval"]
    # Class 0 has 2 of 4, class 1 has 1 of 4: no draw of classes leaves these bounds.
    assert (low, high) == (0.25, 0.5)
    assert "| x | 0.375 | 0.250–0.500 | 0.625 |" in markdown([row])


def test_the_command_line_compares_and_trains(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = [str(dataset), "--out", str(tmp_path)]
    call = ["embed", "compare", *shared, "--recipes", "nothing"]
    assert main(call) == 2
    assert "Expected an embedding recipe among" in capsys.readouterr().err
    assert main(["embed", "compare", *shared, "--seeds", "0"]) == 2
    assert "1 to 20 seeds" in capsys.readouterr().err


def test_an_affine_map_is_what_the_projection_does() -> None:
    affine = Affine(np.eye(2, dtype=np.float32) * 2, np.array([1, -1], np.float32))
    assert json.dumps(affine(np.ones((1, 2), np.float32)).tolist()) == "[[3.0, 1.0]]"
