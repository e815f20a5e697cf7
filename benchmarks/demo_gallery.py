"""How well the gallery of `promolens demo` names products that nobody trained on.

    .venv/bin/python benchmarks/demo_gallery.py android_assets/bundle
    .venv/bin/python benchmarks/demo_gallery.py android_assets/bundle --skip 24 --photos 3
    .venv/bin/python benchmarks/demo_gallery.py BUNDLE --out benchmarks/results/demo-gallery.json

One catalogue picture of each of 24 newcomers makes a gallery, in a folder that is removed again, by
the same code as the demo's; photos of them, in places that training never drew, are asked as the
app asks a photo. `--skip 24` takes the 24 newcomers after those of the demo. Intervals are 95 %,
with the photos of one product counted together. Needs this machine's gallery key, as the demo does.

Then photos of the taught products: what the recogniser answers alone, and with the gallery. The
loss is the share that was named rightly and no longer is, less the share that became right.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from promolens_cli.demo_gallery import make_gallery
from promolens_demo.catalogue import DEFAULT_PRODUCTS, Product, make_catalogue
from promolens_demo.newcomers import newcomers
from promolens_demo.photo import take_photo
from promolens_demo.sheet.pictures import SheetPictures
from promolens_runtime.bundle import Bundle, read_bundle
from promolens_runtime.errors import PromolensError
from promolens_runtime.gallery.gallery import read_gallery
from promolens_runtime.gallery.recognizer import GalleryRecognizer
from promolens_runtime.intervals import mean_interval, rate_interval
from promolens_runtime.signing import verification_key

N_SHELF = 400
JPEG_QUALITY = 85
# What may come of a photo: the last two are wrong answers, told apart by whose they are.
KINDS = ("right", "not known", "wrong, by the gallery", "wrong, by the classifier")


def photograph(product: Product, products: tuple[Product, ...], seed: int, index: int) -> bytes:
    """Return a JPEG of a product with its family around it."""
    family = tuple(one for one in products if one.family == product.family and one is not product)
    pixels, _, _ = take_photo(product, family, seed, "test", index)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()


def opened(bundle: Bundle, products: tuple[Product, ...]) -> GalleryRecognizer:
    """Return the bundle with a gallery of these products."""
    with tempfile.TemporaryDirectory(prefix="promolens-gallery-") as name:
        folder = Path(name)
        pictures = SheetPictures(folder / "pictures")
        make_gallery(folder / "gallery", folder / "catalog.db", bundle, products, pictures)
        return GalleryRecognizer(bundle, read_gallery(folder / "gallery", bundle))


def kind_of(recogniser: GalleryRecognizer, photo: bytes, product: Product) -> str:
    """Return which of `KINDS` the answer to a photo is."""
    said = recogniser.predict(photo).fused
    if said.product is None:
        return "not known"
    return "right" if said.product.item_id == product.item_id else f"wrong, by the {said.by}"


def measure(bundle: Bundle, skip: int, photos: int, seed: int) -> dict[str, object]:
    """Ask `photos` photos of each newcomer; print a table, return what it says as JSON."""
    products = newcomers(N_SHELF, skip=skip)
    recogniser = opened(bundle, products)
    asked = [(one, index) for one in products for index in range(photos)]
    found = [
        kind_of(recogniser, photograph(one, products, seed, index), one) for one, index in asked
    ]
    sources = [one.item_id for one, _ in asked]
    counts, rows = Counter(found), []
    name = f"{bundle.manifest.bundle_id} {bundle.manifest.version}"
    print(f"{name}: {len(products)} products, {len(found)} photos, seed {seed}\n")
    print("| answer | photos | share | 95 % interval |\n| --- | --- | --- | --- |")
    for kind in KINDS:
        low, high = rate_interval(np.array([one == kind for one in found]), sources).bounds
        rows.append({"answer": kind, "photos": counts[kind], "low": low, "high": high})
        share = f"{counts[kind] / len(found):.0%} | {low:.0%} to {high:.0%}"
        print(f"| {kind} | {counts[kind]} | {share} |")
    taught_photos = 5 * photos
    return {
        "bundle": name,
        "skip": skip,
        "seed": seed,
        "photos": len(found),
        "answers": rows,
        "taught": loss_on_taught(recogniser, taught_photos, seed),
    }


def loss_on_taught(
    recogniser: GalleryRecognizer, photos: int, seed: int
) -> dict[str, float | int | tuple[float, float]]:
    """Ask photos of the products that were taught; print and return what the gallery costs them."""
    products = make_catalogue(DEFAULT_PRODUCTS)
    alone, fused, sources = [], [], []
    for one in products:
        for index in range(photos):
            said = recogniser.predict(photograph(one, products, seed, index))
            top = said.classifier.top[0].label
            alone.append(said.classifier.known and top.item_id == one.item_id)
            named = said.fused.product
            fused.append(named is not None and named.item_id == one.item_id)
            sources.append(one.item_id)
    lost = np.array(alone, float) - np.array(fused, float)
    low, high = mean_interval(lost, sources).bounds
    print(
        f"\ntaught products, {len(lost)} photos: right alone {np.mean(alone):.1%}, "
        f"with the gallery {np.mean(fused):.1%}; lost {100 * lost.mean():.2f} points "
        f"({100 * low:.2f} to {100 * high:.2f}; goal at most 0.5)"
    )
    return {
        "photos": len(lost),
        "right_alone": float(np.mean(alone)),
        "right_fused": float(np.mean(fused)),
        "lost": float(lost.mean()),
        "lost_interval": (low, high),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--skip", type=int, default=0, help="newcomers left out first (0)")
    parser.add_argument("--photos", type=int, default=2, help="of each product (2)")
    parser.add_argument("--seed", type=int, default=20261121, help="of the photos")
    parser.add_argument("--out", type=Path, help="also write JSON here")
    args = parser.parse_args()
    try:
        bundle = read_bundle(args.bundle, verification_key(None))
        found = measure(bundle, args.skip, args.photos, args.seed)
    except PromolensError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
