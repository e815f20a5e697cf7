"""Measure how far an embedder's int8 file is from its float one, and whether the gate lets it out.

examples:
  python benchmarks/embedding_int8.py runs/embedder/embedder --out embedder-int8.json
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from promolens_cli.tensorflow_setup import quiet_tensorflow
from promolens_runtime.errors import PromolensError


def main() -> int:
    """Convert, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder that `promolens embed train` left")
    parser.add_argument("--calibration-images", type=int, default=1000, metavar="N")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    args = parser.parse_args()
    quiet_tensorflow()
    from promolens_export.embedder import MODEL_FILE, check_drift, export_embedder
    from promolens_training.files import write_json

    found = export_embedder(args.run, args.calibration_images, gated=False)
    figures = {**asdict(found.drift), "size_bytes": len(found.files[MODEL_FILE])}
    print("| figure | value |\n| --- | --- |")
    for name, value in figures.items():
        print(f"| {name} | {value:.4f} |" if isinstance(value, float) else f"| {name} | {value} |")
    if args.out:
        write_json(args.out, figures)
    check_drift(found.drift)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except PromolensError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None
