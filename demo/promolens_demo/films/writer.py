"""A film for a browser's fake camera: JPEGs one after another, and a table of what is when.

Each frame carries its number in a strip at the left edge, outside the centre square that the
network sees, so that whoever watches the film knows which frame is on the screen.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from promolens_demo.arrays import Array
from promolens_demo.catalogue import DEFAULT_PRODUCTS, Product, make_catalogue
from promolens_demo.films.shots import Timing, arrivals, frames, make_scene
from promolens_demo.fonts import require_fonts
from promolens_demo.photo import visit_of
from promolens_demo.seeds import stream
from promolens_demo.strangers import Stranger, as_jpeg
from promolens_runtime.errors import InputError

# Chromium plays a file of JPEGs at 30 frames a second, whatever is in it: each is written twice.
FPS = 15
REPEATS = 2
QUALITY = 88
# The strip: one square a bit, the lowest at the top; then the parity, then a white mark.
CODE_LEFT_PX, CODE_SIDE_PX, CODE_BITS = 16, 24, 14


@dataclass(frozen=True)
class Shot:
    """One product of a film, in frames from the film's start.

    Attributes:
        label: its class; None for a product outside the catalogue.
        first: the shot's first frame, over an empty place.
        appears, leaves: first frame with, and first without, its middle in the centre square.
    """

    label: str | None
    item_id: str
    visit: str
    first: int
    appears: int
    leaves: int


@dataclass(frozen=True)
class Film:
    """A film's table, as written beside it."""

    seed: int
    fps: int
    frames: int
    shots: tuple[Shot, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class _Task:
    product: Product
    beside: tuple[Product, ...]
    taught: bool
    seed: int
    number: int
    first: int
    timing: Timing
    part: Path


def stamp(frame: Array, number: int) -> None:
    """Write `number` into a frame, uint8 `[480, 640, 3]`, in place."""
    bits = [(number >> bit) & 1 for bit in range(CODE_BITS)]
    for row, bit in enumerate([*bits, sum(bits) & 1, 1]):
        top = CODE_SIDE_PX * (row + 2)
        frame[top : top + CODE_SIDE_PX, CODE_LEFT_PX : CODE_LEFT_PX + CODE_SIDE_PX] = 255 * bit


def read_stamp(frame: Array) -> int | None:
    """Return the number that `stamp` wrote into a frame; None where there is none."""
    x = CODE_LEFT_PX + CODE_SIDE_PX // 2
    bits = [
        int(frame[CODE_SIDE_PX * (row + 2) + CODE_SIDE_PX // 2, x].mean() > 127)
        for row in range(CODE_BITS + 2)
    ]
    number = sum(bit << place for place, bit in enumerate(bits[:CODE_BITS]))
    right = bits[CODE_BITS] == sum(bits[:CODE_BITS]) & 1 and bits[CODE_BITS + 1] == 1
    return number if right else None


def _draw_shot(task: _Task) -> Shot:
    scene = make_scene(task.product, task.beside, task.seed, task.number)
    name = task.product.item_id
    with task.part.open("wb") as file:
        for number, frame in enumerate(frames(scene, task.timing, FPS, task.seed, name)):
            stamp(frame, task.first + number)
            file.write(as_jpeg(frame, QUALITY) * REPEATS)
    appears, leaves = arrivals(scene, task.timing, FPS, task.seed, name)
    visit = visit_of(task.seed, "test", task.number * 2).name
    label = name if task.taught else None
    first = task.first
    return Shot(label, name, visit, first, first + appears, first + leaves)


def cast(strangers: tuple[Stranger, ...] = ()) -> tuple[tuple[Stranger, bool], ...]:
    """Return who plays: the default catalogue (True), or the `strangers` given (False)."""
    if strangers:
        return tuple((stranger, False) for stranger in strangers)
    taught = make_catalogue(DEFAULT_PRODUCTS)
    return tuple(
        (Stranger(p, tuple(q for q in taught if q.family is p.family and q is not p)), True)
        for p in taught
    )


def write_film(
    out: Path,
    seed: int,
    *,
    strangers: tuple[Stranger, ...] = (),
    timing: Timing | None = None,
    workers: int = 2,
) -> Film:
    """Draw a film of the default catalogue's products, or of `strangers`, in a chance order.

    Writes `out` (motion JPEG) and beside it `out` with the suffix .json.

    Raises:
        InputError: more frames than the strip can count.
        MissingError: a typeface is not installed.
    """
    require_fonts()
    timing = timing or Timing()
    players = cast(strangers)
    order = stream(seed, "order").permutation(len(players))
    length = round(timing.shot_s * FPS)
    if len(players) * length >= 1 << CODE_BITS:
        raise InputError(
            f"Expected fewer than {1 << CODE_BITS} frames. Received {len(players) * length}. "
            "Give fewer products or shorter shots."
        )
    tasks = [
        _Task(players[i][0].product, players[i][0].beside, players[i][1], seed, place,
              place * length, timing, out.with_name(f".{out.name}.{place:03d}"))
        for place, i in enumerate(order)
    ]  # fmt: skip
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker) as pool:
        shots = tuple(pool.map(_draw_shot, tasks))
    with out.open("wb") as file:
        for task in tasks:
            file.write(task.part.read_bytes())
            task.part.unlink()
    film = Film(seed, FPS, len(tasks) * length, shots)
    out.with_suffix(".json").write_text(json.dumps(film.to_json(), indent=1) + "\n", "utf-8")
    return film


def read_film(path: Path) -> Film:
    """Read the table beside a film."""
    value = json.loads(path.with_suffix(".json").read_text("utf-8"))
    shots = tuple(Shot(**shot) for shot in value.pop("shots"))
    return Film(**value, shots=shots)


def _start_worker() -> None:
    import cv2

    cv2.setNumThreads(1)
