"""Write the demo data: pictures, photos and tables; restartable, all or nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from promolens_demo.catalogue import Product, make_catalogue
from promolens_demo.config import DemoConfig
from promolens_demo.folder import is_complete, open_partial, refuse_foreign, swap_in
from promolens_demo.fonts import require_fonts
from promolens_demo.strangers import shots
from promolens_demo.tables import photo_path, picture_path, stranger_path, write_bytes, write_tables
from promolens_runtime.errors import InputError, MissingError

_PHOTOS_A_TASK = 10
_STRANGERS = "strangers"
_EXIF_ORIENTATION = 0x0112

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Written:
    """What `write_demo` left on disk; `fresh` is False where it was there already.

    Attributes:
        n_train, n_test: photos of the products; n_strange: photos of what is not among them.
    """

    root: Path
    n_products: int
    n_train: int
    n_test: int
    n_strange: int
    fresh: bool


@dataclass(frozen=True)
class _Task:
    folder: Path
    config: DemoConfig
    product: int
    split: str  # "" for the catalogue picture, `_STRANGERS` for the shots `first` to `last`
    first: int
    last: int


def _encode_photo(
    product: Product, siblings: tuple[Product, ...], seed: int, split: str, index: int
) -> bytes:
    import numpy as np

    from promolens_demo.photo import take_photo

    upright, _, rng = take_photo(product, siblings, seed, split, index)
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

    if task.split == _STRANGERS:
        return _draw_strangers(task)
    products = make_catalogue(task.config.n_products)
    product = products[task.product]
    if not task.split:
        target = task.folder / picture_path(product)
        if not target.exists():
            buffer = io.BytesIO()
            Image.fromarray(catalogue_picture(product)).save(buffer, "PNG")
            write_bytes(target, buffer.getvalue())
        return 1
    siblings = tuple(p for p in products if p.family == product.family and p is not product)
    for index in range(task.first, task.last):
        target = task.folder / photo_path(product, task.split, index)
        if not target.exists():
            photo = _encode_photo(product, siblings, task.config.seed, task.split, index)
            write_bytes(target, photo)
    return task.last - task.first


def _draw_strangers(task: _Task) -> int:
    for shot in shots(task.config)[task.first : task.last]:
        target = task.folder / stranger_path(shot)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            who = shot.stranger
            photo = _encode_photo(who.product, who.beside, task.config.seed, shot.split, shot.index)
            write_bytes(target, photo)
    return task.last - task.first


def _tasks(folder: Path, config: DemoConfig) -> Iterator[_Task]:
    for number in range(config.n_products):
        yield _Task(folder, config, number, "", 0, 1)
        for split, count in config.per_split().items():
            for first in range(0, count, _PHOTOS_A_TASK):
                last = min(first + _PHOTOS_A_TASK, count)
                yield _Task(folder, config, number, split, first, last)
    n_strange = len(shots(config))
    for first in range(0, n_strange, _PHOTOS_A_TASK):
        yield _Task(folder, config, 0, _STRANGERS, first, min(first + _PHOTOS_A_TASK, n_strange))


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
    root = root.resolve()
    refuse_foreign(root)
    counts = config.per_split()
    fresh = not is_complete(root, config)
    if fresh:
        root.parent.mkdir(parents=True, exist_ok=True)
        partial = open_partial(root, config)
        _draw_all(list(_tasks(partial, config)), workers, report or (lambda done, total: None))
        write_tables(partial, config)
        swap_in(partial, root)
    n = config.n_products
    n_strange = len(shots(config))
    return Written(root, n, n * counts["train"], n * counts["test"], n_strange, fresh)


def _require_opencv() -> None:
    import importlib.util

    if importlib.util.find_spec("cv2") is None:
        raise MissingError(
            "Expected the Python package opencv-python-headless. Received none: it is not "
            'installed. Run: pip install "promolens[demo]".'
        )
