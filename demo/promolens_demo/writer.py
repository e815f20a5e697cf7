"""Write the demo data: pictures, photos and tables; restartable, all or nothing."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from promolens_demo.catalogue import DEFAULT_PRODUCTS, Product, make_catalogue
from promolens_demo.fonts import require_fonts
from promolens_runtime.errors import InputError, MissingError

DEFAULT_SEED = 2026
DEFAULT_PHOTOS = 40
MARKER = "demo.json"
_PHOTOS_A_TASK = 10
_EXIF_ORIENTATION = 0x0112

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class DemoConfig:
    """What to draw.

    Attributes:
        n_products: 3 or more; the first 24 are the default catalogue.
        n_photos: training photos a product.
        n_test_photos: test photos a product; 13 for every 40 training photos when None.
        seed: of everything that is left to chance.

    Raises:
        InputError: a number is out of range.
    """

    n_products: int = DEFAULT_PRODUCTS
    n_photos: int = DEFAULT_PHOTOS
    n_test_photos: int | None = None
    seed: int = DEFAULT_SEED

    def __post_init__(self) -> None:
        make_catalogue(self.n_products)
        if not 1 <= self.n_photos <= 10_000:
            raise InputError(
                f"Expected 1 to 10000 photos a product. Received {self.n_photos}. "
                "Choose another number with --photos."
            )
        if self.n_test_photos is not None and not 1 <= self.n_test_photos <= 10_000:
            raise InputError(
                f"Expected 1 to 10000 test photos a product. Received {self.n_test_photos}. "
                "Choose another number with --test-photos."
            )
        if not 0 <= self.seed < 2**63:
            raise InputError(
                f"Expected a seed from 0 to 2^63 - 1. Received {self.seed}. "
                "Choose another with --seed."
            )

    def per_split(self) -> dict[str, int]:
        """Return the number of photos a product, by split."""
        test = self.n_test_photos or max(1, round(self.n_photos * 13 / DEFAULT_PHOTOS))
        return {"train": self.n_photos, "test": test}


@dataclass(frozen=True)
class Written:
    """What `write_demo` left on disk; `fresh` is False where it was there already."""

    root: Path
    n_products: int
    n_train: int
    n_test: int
    fresh: bool


@dataclass(frozen=True)
class _Task:
    folder: Path
    config: DemoConfig
    product: int
    split: str  # "" for the catalogue picture
    first: int
    last: int


@lru_cache(maxsize=1)
def _drawing_fingerprint() -> str:
    """Identify the program that draws, so that a new version does not pass old photos off as its."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _marker_text(config: DemoConfig) -> str:
    settings = asdict(config) | {"n_test_photos": config.per_split()["test"]}
    return json.dumps({"promolens_demo": _drawing_fingerprint(), **settings}, indent=1) + "\n"


def _write_bytes(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


def photo_path(product: Product, split: str, index: int) -> str:
    """Return a photo's path below the output folder, with forward slashes."""
    return f"photos/{split}/{product.item_id}/{split}-{index:04d}.jpg"


def picture_path(product: Product) -> str:
    """Return the catalogue picture's path below the output folder, with forward slashes."""
    return f"catalogue/{product.item_id}.png"


def _encode_photo(
    product: Product, siblings: tuple[Product, ...], task: _Task, index: int
) -> bytes:
    import numpy as np

    from promolens_demo.photo import take_photo

    upright, _, rng = take_photo(product, siblings, task.config.seed, task.split, index)
    quality = int(rng.integers(58, 94))
    orientation, turns = 1, 0
    if rng.random() < 0.3:
        # Phones store the sensor's rows as they are and say by a tag how to hold the picture.
        portrait = upright.shape[0] > upright.shape[1]
        orientation, turns = ((6, 1), (8, -1))[int(rng.random() < 0.3)] if portrait else (3, 2)
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = orientation
    buffer = io.BytesIO()
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(upright, turns)))
    stored.save(buffer, "JPEG", quality=quality, subsampling=2, exif=exif)
    return buffer.getvalue()


def _draw(task: _Task) -> int:
    """Draw one task's pictures that are not there yet; return how many it stands for."""
    from promolens_demo.portrait import catalogue_picture

    products = make_catalogue(task.config.n_products)
    product = products[task.product]
    if not task.split:
        target = task.folder / picture_path(product)
        if not target.exists():
            buffer = io.BytesIO()
            Image.fromarray(catalogue_picture(product)).save(buffer, "PNG", optimize=True)
            _write_bytes(target, buffer.getvalue())
        return 1
    siblings = tuple(p for p in products if p.family == product.family and p is not product)
    for index in range(task.first, task.last):
        target = task.folder / photo_path(product, task.split, index)
        if not target.exists():
            _write_bytes(target, _encode_photo(product, siblings, task, index))
    return task.last - task.first


def _tasks(folder: Path, config: DemoConfig) -> Iterator[_Task]:
    for number in range(config.n_products):
        yield _Task(folder, config, number, "", 0, 1)
        for split, count in config.per_split().items():
            for first in range(0, count, _PHOTOS_A_TASK):
                last = min(first + _PHOTOS_A_TASK, count)
                yield _Task(folder, config, number, split, first, last)


def _start_worker() -> None:
    import signal

    import cv2

    # The parent handles Ctrl-C; two processes with two threads each would only get in their way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _draw_all(tasks: list[_Task], workers: int, report: Report) -> None:
    total = sum(task.last - task.first for task in tasks)
    done = 0
    if workers == 1:
        for task in tasks:
            done += _draw(task)
            report(done, total)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker)
    try:
        for future in as_completed([pool.submit(_draw, task) for task in tasks]):
            done += future.result()
            report(done, total)
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


def product_row(product: Product) -> dict[str, str | int]:
    """Return a product as a row of products.csv; the columns after `parent` are extras."""
    return {
        "label": product.item_id,
        "item_id": product.item_id,
        "barcodes": product.barcode,
        "name_ko": product.name_ko,
        "name_en": product.name_en,
        "parent": product.family.slug,
        "category": product.family.kind.category,
        "maker": product.family.maker,
        "size": product.size,
        "unit": product.unit,
        "price_krw": product.price_krw,
        "picture": picture_path(product),
    }


def _table(rows: list[dict[str, str | int]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def _write_tables(folder: Path, config: DemoConfig) -> None:
    from promolens_demo.photo import visit_of

    products = make_catalogue(config.n_products)
    photos: list[dict[str, str | int]] = []
    for split, count in config.per_split().items():
        visits = [visit_of(config.seed, split, index).name for index in range(count)]
        for product in products:
            for index in range(count):
                photos.append(
                    {
                        "path": photo_path(product, split, index),
                        "label": product.item_id,
                        "split": split,
                        "is_query": 0,
                        "is_gallery": 0,
                        "category": product.family.kind.category,
                        "source_id": visits[index],
                        **dict.fromkeys(("x1", "y1", "x2", "y2"), ""),
                    }
                )
    rows = [product_row(product) for product in products]
    _write_bytes(folder / "photos.csv", _table(photos))
    _write_bytes(folder / "products.csv", _table(rows))
    text = json.dumps({"products": rows}, ensure_ascii=False, indent=1) + "\n"
    _write_bytes(folder / "products.json", text.encode())


def _is_complete(root: Path, config: DemoConfig) -> bool:
    """Say whether `root` holds exactly this demo data, drawn by this version."""
    marker = root / MARKER
    if not marker.is_file() or marker.read_text() != _marker_text(config):
        return False
    for product in make_catalogue(config.n_products):
        paths = [picture_path(product)]
        for split, count in config.per_split().items():
            paths += [photo_path(product, split, index) for index in range(count)]
        if not all((root / path).is_file() for path in paths):
            return False
    return all((root / name).is_file() for name in ("photos.csv", "products.csv", "products.json"))


def _refuse_foreign(root: Path) -> None:
    if root.is_dir() and (not any(root.iterdir()) or _is_ours(root / MARKER)):
        return
    if root.exists() or root.is_symlink():
        what = "a folder with other files" if root.is_dir() else "something that is no folder"
        raise InputError(
            f"Expected {root} to be absent, empty or earlier demo data. Received {what}. "
            "Name another folder; nothing was changed."
        )


def _is_ours(marker: Path) -> bool:
    try:
        return "promolens_demo" in json.loads(marker.read_text())
    except (OSError, ValueError, TypeError):
        return False


def _open_partial(root: Path, config: DemoConfig) -> Path:
    """Open the folder to draw in, beside `root`; keep what an interrupted run of the same drew."""
    partial = root.with_name(f".{root.name}.partial")
    marker = partial / MARKER
    if partial.exists() and not (marker.is_file() and marker.read_text() == _marker_text(config)):
        shutil.rmtree(partial)
    for product in make_catalogue(config.n_products):
        for split in config.per_split():
            (partial / photo_path(product, split, 0)).parent.mkdir(parents=True, exist_ok=True)
    (partial / "catalogue").mkdir(exist_ok=True)
    _write_bytes(marker, _marker_text(config).encode())
    return partial


def _swap_in(partial: Path, root: Path) -> None:
    """Put `partial` in `root`'s place; what was there stays until the new folder is complete."""
    old = root.with_name(f".{root.name}.old")
    if old.exists():
        shutil.rmtree(old)
    if root.exists():
        os.replace(root, old)
    os.replace(partial, root)
    if old.exists():
        shutil.rmtree(old)


def write_demo(
    root: Path, config: DemoConfig, *, workers: int = 2, report: Report | None = None
) -> Written:
    """Draw the demo data into `root`.

    The photos are drawn in a folder beside it, which takes its place when all are there; a run that
    was stopped goes on where it was. The bytes depend on `config` alone, not on `workers`.

    Args:
        report: called as `report(done, total)` after every few pictures.

    Raises:
        InputError: `root` holds something else, or `workers` is below 1.
        MissingError: a font or the drawing library is not installed.
    """
    if workers < 1:
        raise InputError(f"Expected 1 or more workers. Received {workers}. Set --workers 2.")
    require_fonts()
    _require_opencv()
    root = Path(os.path.abspath(root))
    _refuse_foreign(root)
    counts = config.per_split()
    fresh = not _is_complete(root, config)
    if fresh:
        root.parent.mkdir(parents=True, exist_ok=True)
        partial = _open_partial(root, config)
        _draw_all(list(_tasks(partial, config)), workers, report or (lambda done, total: None))
        _write_tables(partial, config)
        _swap_in(partial, root)
    n = config.n_products
    return Written(root, n, n * counts["train"], n * counts["test"], fresh)


def _require_opencv() -> None:
    import importlib.util

    if importlib.util.find_spec("cv2") is None:
        raise MissingError(
            "Expected the Python package opencv-python-headless. Received none: it is not "
            'installed. Run: pip install "promolens[demo]".'
        )
