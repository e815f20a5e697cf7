"""Name the product in a picture, with a bundle and without TensorFlow.

The bundle is verified first; a picture that is probably none of its products is called "not known",
with the candidates shown as guesses. With --gallery, products that it was never trained on are
named from their catalogue pictures too (docs/gallery.md). A picture that cannot be read is one line
on stderr; the others are still named, and the exit status is 2.

examples:
  promolens predict android_assets/bundle shelf.jpg
  promolens predict android_assets/bundle photos/*.jpg --json
  promolens predict android_assets shelf.jpg --gallery android_assets/gallery
  PROMOLENS_PUBLIC_KEY=ed25519:11qYAYKx... promolens predict android_assets can.png --top 3
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from unicodedata import east_asian_width

if TYPE_CHECKING:
    from promolens_runtime.recognizer import Prediction

Answer = TypeVar("Answer")
UNREADABLE = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("bundle", type=Path, help="the bundle, or the folder that holds bundle/")
    parser.add_argument("images", type=Path, nargs="+", metavar="image", help="picture file")
    parser.add_argument("--top", type=_positive, default=5, metavar="N", help="candidates (5)")
    parser.add_argument("--gallery", type=Path, metavar="FOLDER", help="a gallery of the bundle")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    parser.add_argument("--public-key", metavar="K", help="ed25519:<base64>")
    parser.add_argument(
        "--allow-unsigned", action="store_true", help="accept a bundle without a signature"
    )


def run(args: argparse.Namespace) -> int:
    """Print the answer for each picture."""
    from promolens_cli import gallery_predicting
    from promolens_cli.recognizers import open_recognizer

    if args.gallery is not None:
        asked = gallery_predicting.open_gallery_recognizer(args)
        return _answer(args, asked.predict, gallery_predicting.as_json, gallery_predicting.as_lines)
    return _answer(args, open_recognizer(args).predict, _as_json, _table)


def _answer(
    args: argparse.Namespace,
    predict: Callable[..., Answer],
    as_json: Callable[[Path, Answer], dict[str, Any]],
    as_lines: Callable[[Path, Answer], list[str]],
) -> int:
    from promolens_runtime.errors import ImageError

    answers: list[dict[str, Any]] = []
    for image in args.images:
        try:
            prediction = predict(image, top=args.top)
        except ImageError as error:
            print(f"error: {error}", file=sys.stderr)
            continue
        answers.append(as_json(image, prediction))
        if not args.json:
            print("\n".join(as_lines(image, prediction)))
    if args.json:
        print(json.dumps(answers, ensure_ascii=False, indent=2))
    return 0 if len(answers) == len(args.images) else UNREADABLE


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, received {text}")
    return value


def _as_json(image: Path, prediction: Prediction) -> dict[str, Any]:
    return {
        "image": str(image),
        "known": prediction.known,
        "score": prediction.score,
        "top": [
            {
                "item_id": candidate.label.item_id,
                "label": candidate.label.label,
                "name_ko": candidate.label.name_ko,
                "name_en": candidate.label.name_en,
                "barcodes": list(candidate.label.barcodes),
                "probability": candidate.probability,
            }
            for candidate in prediction.top
        ],
    }


def _table(image: Path, prediction: Prediction) -> list[str]:
    known = "" if prediction.known else "   not known / 모르는 상품 (guesses below / 아래는 추측)"
    names = [(c.label.name_ko or c.label.label, c.label.name_en) for c in prediction.top]
    wide = max(_columns(korean) for korean, _ in names)
    english = max(_columns(name) for _, name in names)
    lines = [f"{image}{known}"]
    for candidate, (korean, name) in zip(prediction.top, names, strict=True):
        mark = " " if prediction.known else "?"
        lines.append(
            f" {mark}{candidate.probability:7.1%}  {_padded(korean, wide)}  "
            f"{_padded(name, english)}  {candidate.label.item_id}"
        )
    return lines


def _columns(text: str) -> int:
    """Return how many terminal columns `text` takes; Hangul takes two each."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - _columns(text))
