"""Makes a real recogniser of a few demo products (`python tests/e2e_bundle.py OUT`, a minute).

OUT/data        invented products, one of each family of the demo catalogue, and photos of them
OUT/run         a softmax on frozen ImageNet features, fitted on the training photos
OUT/bundle      what the exporter makes of it: full int8, verified, signed (PROMOLENS_SIGNING_KEY)

Every step is the program's own command; only the choice of products is made here: look-alike
members of one family would need the whole training, and no test can wait for that.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from PIL import Image

from promolens_demo.catalogue import Product, make_catalogue
from promolens_demo.photo import take_photo, visit_of
from promolens_demo.tables import product_row

SEED = 2026
# Train, test. With fewer, the exporter's gate has too little to judge by.
COUNTS = {"train": 12, "test": 8}
# Eight photos a product say little about one lost photo (2 points each).
MAX_LOSS_POINTS = "6"
CALIBRATION_IMAGES = "48"


def products() -> tuple[Product, ...]:
    """Return the first product of each family."""
    first: dict[str, Product] = {}
    for product in make_catalogue(24):
        first.setdefault(product.family.slug, product)
    return tuple(first.values())


def photo_path(product: Product, split: str, index: int) -> str:
    """Return a photo's path below OUT/data."""
    return f"photos/{split}/{product.item_id}/{index:02d}.jpg"


def draw(folder: Path) -> None:
    """Draw the photos and write the tables that training reads; a shelf holds one product only."""
    rows = []
    for product in products():
        for split, count in COUNTS.items():
            for index in range(count):
                path = folder / photo_path(product, split, index)
                path.parent.mkdir(parents=True, exist_ok=True)
                picture, _, _ = take_photo(product, (product,), SEED, split, index)
                Image.fromarray(picture).save(path, "JPEG", quality=90)
                rows.append(
                    {
                        "path": photo_path(product, split, index),
                        "label": product.item_id,
                        "split": split,
                        "source_id": visit_of(SEED, split, index).name,
                    }
                )
    _write_table(folder / "photos.csv", rows)
    _write_table(folder / "products.csv", [product_row(product) for product in products()])


def _write_table(path: Path, rows: list[dict[str, str]] | list[dict[str, str | int]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def promolens(*words: str) -> None:
    """Run a command of the program; ends this one with its status where it fails."""
    done = subprocess.run([sys.executable, "-m", "promolens_cli.main", *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main(out: Path) -> None:
    draw(out / "data")
    promolens("train", str(out / "data"), "--recipe", "card", "--out", str(out / "run"))
    promolens(
        "export", str(out / "run"), "--out", str(out), "--variants", "int8",
        "--calibration-images", CALIBRATION_IMAGES, "--max-loss", MAX_LOSS_POINTS,
        "--bundle-id", "e2e",
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
