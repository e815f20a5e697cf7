"""Views of every picture, through the frozen part of the network once, kept on disk.

Training then reads feature maps and never runs the frozen part again: through LiteRT's fast
kernels a view costs a tenth of what Keras would take for it every epoch.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from promolens_training.augment import augment
from promolens_training.backbones.table import build_backbone
from promolens_training.embedding.catalogue_views import catalogue_view, pasted_view
from promolens_training.embedding.pictures import ProductPictures
from promolens_training.embedding.recipes import LEVELS
from promolens_training.files import write_arrays, write_atomically, write_json
from promolens_training.fit import dataset_fingerprint
from promolens_training.pixels import Pixels, load_pixels
from promolens_training.progress import progress
from promolens_training.recipes import STRONG

PLAIN, PHOTO, CATALOGUE, PASTED = range(4)
SQUARE_PX = 256
SAVE_EVERY = 500


@dataclass(frozen=True)
class ViewPlan:
    """What is cached.

    Attributes:
        photo, catalogue, pasted: augmented views of each kind for each picture.
        levels: keys of `LEVELS` whose maps are kept.
    """

    backbone: str = "efficientnet_lite0"
    image_px: int = 224
    photo: int = 2
    catalogue: int = 12
    pasted: int = 24
    levels: tuple[str, ...] = ("pooled", "block14", "block10")
    seed: int = 1

    @classmethod
    def within(cls, most: int, photos: int, catalogue: int) -> ViewPlan:
        """Return the default plan, or one with fewer views of each picture where `most` rows are
        exceeded: many pictures need fewer views each."""
        plan = cls()
        while len(plan.rows(photos, catalogue)) > most and plan.pasted + plan.catalogue > 2:
            plan = replace(
                plan,
                photo=max(1, plan.photo // 2),
                catalogue=max(1, plan.catalogue // 2),
                pasted=max(1, plan.pasted // 2),
            )
        return plan

    def rows(self, photos: int, catalogue: int) -> npt.NDArray[np.int64]:
        """Return `[rows, 3]`: picture, view number, kind. Every picture has one plain row first."""
        shown = range(photos, photos + catalogue)
        rows = [(i, 0, PLAIN) for i in range(photos + catalogue)]
        for kind, count, pictures in (
            (PHOTO, self.photo, range(photos)),
            (CATALOGUE, self.catalogue, shown),
            (PASTED, self.pasted, shown),
        ):
            rows += [(i, view, kind) for view in range(1, count + 1) for i in pictures]
        return np.array(rows, np.int64)


def draw_view(
    pixels: Pixels, backgrounds: npt.NDArray[np.int64], row: npt.NDArray[np.int64], px: int,
    seed: int,
) -> Pixels:  # fmt: skip
    """Draw one view, uint8 `[px, px, 3]`.

    Args:
        pixels: all pictures, uint8 `[n, side, side, 3]`.
        backgrounds: numbers of the pictures that products are pasted on.
        row: picture, view number, kind.
    """
    import cv2

    picture, view, kind = (int(value) for value in row)
    square = pixels[picture]
    if kind == PLAIN:
        shrunk = cv2.resize(square, (px, px), interpolation=cv2.INTER_AREA)
        return np.asarray(shrunk, np.uint8)
    rng = np.random.default_rng([seed, picture, view, kind])
    if kind == PHOTO:
        return augment(square, rng, px, STRONG)
    if kind == CATALOGUE:
        return catalogue_view(square, rng, px)
    return pasted_view(square, pixels[rng.choice(backgrounds)], rng, px)


def background_photos(data: ProductPictures) -> npt.NDArray[np.int64]:
    """Return the photos of auxiliary classes, or all photos where there are none."""
    helping = np.flatnonzero(~data.is_target[data.labels])
    return helping if len(helping) else np.arange(len(data.labels))


def _frozen_tflite(plan: ViewPlan, path: Path) -> bytes:
    """Return a float .tflite of the ImageNet network with one output a level, made once."""
    if path.is_file():
        return path.read_bytes()
    import keras
    import tensorflow as tf

    base = build_backbone(plan.backbone, plan.image_px)
    outputs = {level: base.get_layer(LEVELS[level]).output for level in plan.levels}
    image = keras.Input((plan.image_px, plan.image_px, 3), batch_size=1)
    fixed = keras.Model(image, keras.Model(base.input, outputs)(image))
    with contextlib.redirect_stdout(io.StringIO()):
        data = bytes(tf.lite.TFLiteConverter.from_keras_model(fixed).convert())
    write_atomically(path, lambda file: file.write(data))
    return data


def _runner(model: bytes, shapes: dict[str, tuple[int, ...]]) -> Callable[..., dict[str, Any]]:
    """Return a function from uint8 `[px, px, 3]` to each level's map, matched by shape."""
    from ai_edge_litert.interpreter import Interpreter

    from promolens_runtime.quiet import quiet_stderr

    with quiet_stderr():
        interpreter = Interpreter(model_content=model, num_threads=2)
        interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    # A converted Keras model loses its outputs' names; the levels differ in shape.
    found = {
        tuple(int(side) for side in each["shape"][1:]): each["index"]
        for each in interpreter.get_output_details()
    }
    places = {level: found[shape] for level, shape in shapes.items()}

    def run(picture: Pixels) -> dict[str, Any]:
        interpreter.set_tensor(source, picture[None].astype(np.float32))
        interpreter.invoke()
        return {level: interpreter.get_tensor(place)[0] for level, place in places.items()}

    return run


@dataclass(frozen=True)
class ViewCache:
    """Cached views.

    Attributes:
        rows: int64 `[rows, 3]`: picture, view number, kind; the plain views come first.
        maps: float16 `[rows, ...]` by level, read from disk as needed.
    """

    rows: npt.NDArray[np.int64]
    maps: dict[str, npt.NDArray[np.float16]]


def _level_shapes(plan: ViewPlan) -> dict[str, tuple[int, ...]]:
    base = build_backbone(plan.backbone, plan.image_px, weights=None)
    return {
        level: tuple(int(s) for s in base.get_layer(LEVELS[level]).output.shape[1:])
        for level in plan.levels
    }


def _open_maps(
    folder: Path, count: int, shapes: dict[str, tuple[int, ...]], mode: Any
) -> dict[str, npt.NDArray[np.float16]]:
    maps: dict[str, npt.NDArray[np.float16]] = {}
    for level, shape in shapes.items():
        path = folder / f"{level}.npy"
        maps[level] = np.lib.format.open_memmap(path, mode, np.float16, (count, *shape))
    return maps


def _fill(
    folder: Path, plan: ViewPlan, data: ProductPictures, rows: npt.NDArray[np.int64], done: int
) -> None:
    shapes = _level_shapes(plan)
    maps = _open_maps(folder, len(rows), shapes, "r+" if done else "w+")
    with progress("decode", len(data.pictures)) as bar:
        pixels = load_pixels(data.pictures, SQUARE_PX, lambda count: bar.advance(count))
    run = _runner(_frozen_tflite(plan, folder / "frozen.tflite"), shapes)
    backgrounds = background_photos(data)
    with progress("views", len(rows), done) as bar:
        for number in range(done, len(rows)):
            view = draw_view(pixels, backgrounds, rows[number], plan.image_px, plan.seed)
            for level, answer in run(view).items():
                maps[level][number] = answer
            bar.advance()
            if (number + 1) % SAVE_EVERY == 0 or number + 1 == len(rows):
                for array in maps.values():
                    array.flush()  # type: ignore[attr-defined]
                write_json(folder / "done.json", number + 1)


def cached_views(folder: Path, plan: ViewPlan, data: ProductPictures) -> ViewCache:
    """Return the views of a dataset, computing those that the folder lacks.

    An interrupted computation goes on where it stopped; other pictures or another plan get a
    folder of their own below `folder`.
    """
    fingerprint = dataset_fingerprint(data.pictures, data.root)
    dataset = folder / f"{plan.backbone}-{plan.image_px}-{fingerprint[:12]}"
    rows = plan.rows(len(data.photos), len(data.catalogue))
    home = _home(dataset, plan, len(rows))
    home.mkdir(parents=True, exist_ok=True)
    marker = home / "done.json"
    done = int(json.loads(marker.read_text("utf-8"))) if marker.is_file() else 0
    if done < len(rows):
        write_arrays(home / "rows.npz", {"rows": rows})
        write_json(home / "plan.json", asdict(plan))
        _fill(home, plan, data, rows, done)
    maps = {
        level: np.load(home / f"{level}.npy", mmap_mode="r", allow_pickle=False)
        for level in plan.levels
    }
    return ViewCache(rows, maps)


def _home(dataset: Path, plan: ViewPlan, count: int) -> Path:
    """Return the folder of the plan's views: one that is finished and holds its levels, if any."""
    views = f"p{plan.photo}-c{plan.catalogue}-s{plan.pasted}-seed{plan.seed}"
    for home in sorted(dataset.glob(f"{views}-*")):
        marker = home / "done.json"
        is_done = marker.is_file() and json.loads(marker.read_text("utf-8")) == count
        if is_done and all((home / f"{level}.npy").is_file() for level in plan.levels):
            return home
    return dataset / "-".join([views, *plan.levels])
