"""Makes what the export tests export (`python tests/export_tiny.py OUT`), TensorFlow kept outside.

OUT/net.keras      a small network with random weights, and OUT/net.npz what it says of pictures
OUT/photos, OUT/run  colour-coded photos and a real run trained on them: Lite0 at 32 px
OUT/unsplit        a run on OUT/photos/train, which names no exam: it has a hold-out run inside
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

SIDE_PX = 32
COLOURS = {"빨강 red": (200, 40, 40), "green": (40, 180, 60), "blue": (50, 60, 200)}
COUNTS = {"train": 12, "test": 8}


def noise(count: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE_PX, SIDE_PX, 3), np.uint8)


def save_network(out: Path) -> None:
    import keras

    keras.utils.set_random_seed(7)
    image = keras.Input((SIDE_PX, SIDE_PX, 3), name="image")
    x = keras.layers.Rescaling(1 / 128, -127 / 128)(image)
    x = keras.layers.Conv2D(8, 3, 2, "same", activation="relu6")(x)
    x = keras.layers.BatchNormalization()(x)
    embedding = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    dense = keras.layers.Dense(5, name="logits", kernel_initializer="random_normal")
    model = keras.Model(image, {"logits": dense(embedding), "embedding": embedding})
    model.save(out / "net.keras")
    answers = model.predict_on_batch(noise(4).astype(np.float32))
    np.savez(out / "net.npz", **{name: np.asarray(value) for name, value in answers.items()})


def draw_photos(out: Path) -> None:
    rng = np.random.default_rng(3)
    for split, count in COUNTS.items():
        for label, colour in COLOURS.items():
            folder = out / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.array(colour) + rng.normal(0, 30, (40, 48, 3)) + rng.normal(0, 20)
                picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                picture.save(folder / f"{number}.png")


def main(out: Path) -> None:
    from promolens_training.recipes import CARD
    from promolens_training.train import TrainOptions, train

    save_network(out)
    draw_photos(out / "photos")
    recipe = replace(CARD, image_px=SIDE_PX)
    train(TrainOptions(out / "photos", out / "run", recipe))
    train(TrainOptions(out / "photos" / "train", out / "unsplit", recipe))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
