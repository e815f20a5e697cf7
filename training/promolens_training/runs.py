"""The run folder: what training leaves for evaluation and export, and nothing else does.

recipe.json        the frozen recipe
classes.json       the classes in output order
photos.csv         every photo with the split that this run used
background.csv     the same of things that are taught and never answered
model.npz          the final weights, by variable path
probe.npz          the head fitted on cached features (start of the fine-tuning)
checkpoint.npz     where an interrupted fine-tuning goes on; gone when training is done
history.csv        training curves
run.json           where the data lies, fingerprints, seconds, memory; written last
holdout/           a run of the same shape, fitted without the photos it is judged on
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from promolens_runtime.errors import InputError
from promolens_training.data.photos import Photo, ProductClass
from promolens_training.files import write_arrays, write_atomically, write_json
from promolens_training.recipes import Recipe, recipe_from_json

if TYPE_CHECKING:
    import keras

PHOTO_COLUMNS = ("path", "label", "split", "source_id", "x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class TrainedRun:
    """A finished run folder, read back.

    Attributes:
        photos: every photo with its final split; "test" photos were never trained on.
        background: photos of things that are never answered; those of split "test" were not
            trained on and count as unknown objects.
        data_root: folder that the photos' relative paths start from.
        info: contents of run.json.
    """

    folder: Path
    recipe: Recipe
    classes: tuple[ProductClass, ...]
    photos: tuple[Photo, ...]
    data_root: Path
    info: dict[str, Any]
    background: tuple[Photo, ...] = ()

    def in_split(self, *splits: str) -> tuple[Photo, ...]:
        """Return the photos of the named splits."""
        return tuple(photo for photo in self.photos if photo.split in splits)

    @property
    def holdout(self) -> TrainedRun | None:
        """The nested run that figures come from where the data has no test split of its own."""
        folder = self.folder / "holdout"
        return open_run(folder) if (folder / "run.json").is_file() else None


def write_setup(
    folder: Path,
    recipe: Recipe,
    classes: tuple[ProductClass, ...],
    photos: tuple[Photo, ...],
    background: tuple[Photo, ...] = (),
) -> None:
    """Write what is known before training begins."""
    write_json(folder / "recipe.json", recipe.to_json())
    write_json(folder / "classes.json", [asdict(product) for product in classes])
    _write_photos(folder / "photos.csv", photos)
    _write_photos(folder / "background.csv", background)


def _write_photos(path: Path, photos: tuple[Photo, ...]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(PHOTO_COLUMNS)
    for photo in photos:
        box = photo.box or ("", "", "", "")
        table.writerow([photo.path, photo.label, photo.split, photo.source_id, *box])
    data = text.getvalue().encode()
    write_atomically(path, lambda file: file.write(data))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"Expected a finished run folder with {path.name}. Received {path.parent}, which has "
            "none. Train first: promolens train DATA --out RUN (with --resume after a stop)."
        ) from None
    except ValueError as error:
        raise InputError(f"Expected JSON in {path}. Received: {error}.") from error


def _read_classes(path: Path) -> tuple[ProductClass, ...]:
    rows: list[dict[str, Any]] = _read_json(path)
    for row in rows:
        row["barcodes"], row["aliases"] = tuple(row["barcodes"]), tuple(row["aliases"])
    return tuple(ProductClass(**row) for row in rows)


def _read_photos(path: Path) -> tuple[Photo, ...]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    photos = []
    for row in rows:
        corners = [int(row[key]) for key in ("x1", "y1", "x2", "y2") if row[key]]
        box = (corners[0], corners[1], corners[2], corners[3]) if len(corners) == 4 else None
        photos.append(
            Photo(Path(row["path"]), row["label"], row["split"], row["source_id"], box=box)
        )
    return tuple(photos)


def open_run(folder: Path) -> TrainedRun:
    """Read a finished run folder.

    Raises:
        InputError: the folder is not one, or its training has not finished.
    """
    info = _read_json(folder / "run.json")
    recipe = recipe_from_json(_read_json(folder / "recipe.json"))
    classes = _read_classes(folder / "classes.json")
    photos = _read_photos(folder / "photos.csv")
    listed = folder / "background.csv"  # absent in runs of earlier versions
    background = _read_photos(listed) if listed.is_file() else ()
    return TrainedRun(folder, recipe, classes, photos, Path(info["data_root"]), info, background)


def save_weights(model: keras.Model, path: Path) -> None:
    """Write every variable of `model` under its path, atomically."""
    arrays = {variable.path: np.asarray(variable) for variable in model.variables}
    write_arrays(path, arrays)


def load_weights(model: keras.Model, path: Path) -> None:
    """Read what `save_weights` wrote into a network of the same structure.

    Raises:
        InputError: a variable is missing or has another shape.
    """
    with np.load(path, allow_pickle=False) as arrays:
        for variable in model.variables:
            if variable.path not in arrays or arrays[variable.path].shape != variable.shape:
                raise InputError(
                    f"Expected weights for {variable.path} of shape {tuple(variable.shape)} in "
                    f"{path}. Received others. Train again with this version."
                )
            variable.assign(arrays[variable.path])


def build_model(run: TrainedRun) -> keras.Model:
    """Rebuild the run's float network with its weights.

    Returns:
        A model from `image`, float32 `[n, px, px, 3]` in 0..255 RGB, to
        `{"logits": [n, classes], "embedding": [n, d]}`, float32.
    """
    from promolens_training.network import build_classifier

    recipe = run.recipe
    model = build_classifier(
        recipe.backbone,
        recipe.image_px,
        len(run.classes),
        weights=None,
        head_width=run.info.get("head_width", 0),
    )
    load_weights(model, run.folder / "model.npz")
    return model
