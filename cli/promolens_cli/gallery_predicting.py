"""`promolens predict --gallery`: the classifier and the gallery answer together."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promolens_runtime.errors import ImageError

if TYPE_CHECKING:
    from promolens_runtime.gallery.recognizer import GalleryPrediction, GalleryRecognizer

UNREADABLE = 2
_BY = {"classifier": "classifier / 분류기", "gallery": "gallery / 갤러리"}


def predict_with_gallery(args: argparse.Namespace) -> int:
    """Print the answer for each picture; see `promolens predict`."""
    recognizer = _open(args)
    answers: list[dict[str, Any]] = []
    for image in args.images:
        try:
            prediction = recognizer.predict(image, top=args.top)
        except ImageError as error:
            print(f"error: {error}", file=sys.stderr)
            continue
        answers.append(_as_json(image, prediction))
        if not args.json:
            print("\n".join(_lines(image, prediction)))
    if args.json:
        print(json.dumps(answers, ensure_ascii=False, indent=2))
    return 0 if len(answers) == len(args.images) else UNREADABLE


def _open(args: argparse.Namespace) -> GalleryRecognizer:
    from promolens_runtime.bundle import read_bundle
    from promolens_runtime.gallery.gallery import read_gallery
    from promolens_runtime.gallery.recognizer import GalleryRecognizer
    from promolens_runtime.quiet import quiet_stderr
    from promolens_runtime.signing import verification_key

    key = verification_key(args.public_key)
    bundle = read_bundle(args.bundle, key, allow_unsigned=args.allow_unsigned)
    with quiet_stderr():  # LiteRT says on stderr which delegate it made
        return GalleryRecognizer(bundle, read_gallery(args.gallery, bundle))


def _as_json(image: Path, prediction: GalleryPrediction) -> dict[str, Any]:
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


def _lines(image: Path, prediction: GalleryPrediction) -> list[str]:
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
