"""Make the contact sheet of docs/demo-data.md: the catalogue, training photos, test photos.

examples:
  python benchmarks/demo_sheet.py demo_data docs/images/demo-data.jpg
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from PIL import Image, ImageOps

TILE_PX = 132
COLUMNS = 8
PHOTO_ROWS = 2


def _paths(root: Path) -> list[str]:
    """Return the sheet's files: every picture, then photos from all visits and products."""
    with (root / "products.csv").open(newline="", encoding="utf-8") as file:
        pictures = [row["picture"] for row in csv.DictReader(file)]
    with (root / "photos.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"][0] != "~"]
    chosen = pictures[: 3 * COLUMNS]
    for split in ("train", "test"):
        labels = sorted({row["label"] for row in rows})
        photos = [
            [r["path"] for r in rows if (r["label"], r["split"]) == (n, split)] for n in labels
        ]
        for k in range(PHOTO_ROWS * COLUMNS):
            mine = photos[k * 7 % len(photos)]
            chosen.append(mine[k * 5 % len(mine)])
    return chosen


def main() -> int:
    """Write the sheet and print its size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    paths = _paths(args.data)
    rows = -(-len(paths) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE_PX, rows * TILE_PX), "#888888")
    for index, path in enumerate(paths):
        with Image.open(args.data / path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        tile = ImageOps.fit(upright, (TILE_PX - 4, TILE_PX - 4), Image.Resampling.LANCZOS)
        place = (index % COLUMNS * TILE_PX + 2, index // COLUMNS * TILE_PX + 2)
        sheet.paste(tile, place)
    sheet.save(args.out, "JPEG", quality=82)
    print(f"{args.out}: {sheet.width} x {sheet.height}, {args.out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
