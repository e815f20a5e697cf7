"""Draw the demo catalogue: invented Korean convenience-store products and phone photos of them.

Writes OUT/photos.csv, OUT/products.csv, OUT/products.json, OUT/catalogue/ (one clean picture a
product) and OUT/photos/ (train and test; the test photos show places, light and typefaces that no
training photo shows). The default 24 products come with OUT/strangers/: look-alikes and other
things that a recogniser must not take for one of them (labels that start with ~). The same options
give the same bytes. See docs/demo-data.md.

examples:
  promolens demo-data demo_data
  promolens demo-data demo_data --products 24 --photos 40 --seed 2026
  promolens demo-data small --products 8 --photos 6 --workers 1
  promolens train demo_data --out runs/demo
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LINES = 10  # progress lines of a run whose output is not a terminal


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promolens demo-data`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write")
    parser.add_argument("--products", type=int, default=24, help="number of products (24)")
    parser.add_argument("--photos", type=int, default=40, help="training photos a product (40)")
    parser.add_argument(
        "--test-photos", type=int, help="test photos a product (13 for every 40 training photos)"
    )
    parser.add_argument("--seed", type=int, default=2026, help="of all that is random (2026)")
    parser.add_argument(
        "--no-strangers", action="store_true", help="only the products, and nothing to refuse"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that draw (2)")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show progress on stderr: a bar on a terminal, a line for every tenth elsewhere."""
    if not sys.stderr.isatty():
        shown = -1

        def report_line(done: int, total: int) -> None:
            nonlocal shown
            step = done * _LINES // total
            if step > shown:
                shown = step
                print(f"drawing: {done} of {total} pictures", file=sys.stderr, flush=True)

        yield report_line
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:  # the demo extra does without it

        def report_plain(done: int, total: int) -> None:
            print(f"\rdrawing: {done} of {total} pictures", end="", file=sys.stderr, flush=True)

        yield report_plain
        print(file=sys.stderr)
        return
    with Progress(console=Console(stderr=True)) as bar:
        job = bar.add_task("drawing", total=None)
        yield lambda done, total: bar.update(job, completed=done, total=total)


def run(args: argparse.Namespace) -> int:
    """Draw, then say where the folder is and how much is in it."""
    from promolens_demo.config import DemoConfig
    from promolens_demo.writer import write_demo

    config = DemoConfig(
        args.products, args.photos, args.test_photos, args.seed, not args.no_strangers
    )
    with _progress() as report:
        written = write_demo(args.out, config, workers=args.workers, report=report)
    if args.json:
        print(
            json.dumps(
                {
                    "root": str(written.root),
                    "products": written.n_products,
                    "train_photos": written.n_train,
                    "test_photos": written.n_test,
                    "strangers_photos": written.n_strange,
                    "seed": config.seed,
                    "fresh": written.fresh,
                }
            )
        )
        return 0
    strangers = f", {written.n_strange} photos of strangers" if written.n_strange else ""
    state = "" if written.fresh else " (already complete: nothing drawn)"
    print(
        f"{written.n_products} products, {written.n_train} training photos, "
        f"{written.n_test} test photos{strangers}: {written.root}{state}"
    )
    return 0
