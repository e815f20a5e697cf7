"""`promolens predict --gallery`: the classifier and the gallery answer together."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promolens_runtime.gallery.recognizer import GalleryPrediction, GalleryRecognizer

_BY = {"classifier": "classifier / 분류기", "gallery": "gallery / 갤러리"}


def open_gallery_recognizer(args: argparse.Namespace) -> GalleryRecognizer:
    """Open the bundle and the gallery of `args`. Raises BundleError when one does not verify."""
    from promolens_cli.recognizers import open_bundle
    from promolens_runtime.gallery.gallery import read_gallery
    from promolens_runtime.gallery.recognizer import GalleryRecognizer
    from promolens_runtime.quiet import quiet_stderr

    bundle = open_bundle(args)
    with quiet_stderr():  # LiteRT says on stderr which delegate it made
        return GalleryRecognizer(bundle, read_gallery(args.gallery, bundle))


def as_json(image: Path, prediction: GalleryPrediction) -> dict[str, Any]:
    """Return an answer ready for JSON."""
    product = prediction.fused.product
    return {
        "image": str(image),
        "known": product is not None,
        "by": prediction.fused.by,
        "item_id": None if product is None else product.item_id,
        "barcodes": [] if product is None else list(product.barcodes),
        "classifier_known": prediction.classifier.known,
        "gallery": [
            {"item_id": hit.product.item_id, "name_ko": hit.product.name_ko, "cosine": hit.cosine}
            for hit in prediction.hits
        ],
    }


def as_lines(image: Path, prediction: GalleryPrediction) -> list[str]:
    """Return an answer for people."""
    product, by = prediction.fused.product, prediction.fused.by
    if product is None:
        answer = "not known / 모르는 상품 (most similar below / 아래는 비슷한 상품)"
    else:
        answer = f"{product.name_ko} · {product.name_en}  {product.item_id}  ({_BY[by]})"
    return [
        f"{image}   {answer}",
        *(
            f"  {hit.cosine:6.3f}  {hit.product.name_ko}  {hit.product.item_id}"
            for hit in prediction.hits
        ),
    ]
