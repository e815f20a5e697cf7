"""The output folder: what may be replaced, what an interrupted run left, and the final swap."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from promolens_demo.catalogue import make_catalogue
from promolens_demo.config import DemoConfig
from promolens_demo.strangers import shots
from promolens_demo.tables import TABLES, photo_path, picture_path, stranger_path, write_bytes
from promolens_runtime.errors import InputError

MARKER = "demo.json"


@lru_cache(maxsize=1)
def _drawing_fingerprint() -> str:
    """Identify the program that draws: photos of another version are not taken for its own."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _marker_text(config: DemoConfig) -> str:
    settings = asdict(config) | {"n_test_photos": config.per_split()["test"]}
    return json.dumps({"promolens_demo": _drawing_fingerprint(), **settings}, indent=1) + "\n"


def is_complete(root: Path, config: DemoConfig) -> bool:
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
    if not all((root / stranger_path(shot)).is_file() for shot in shots(config)):
        return False
    return all((root / name).is_file() for name in TABLES)


def refuse_foreign(root: Path) -> None:
    """Refuse a place that holds anything but earlier demo data.

    Raises:
        InputError: it does.
    """
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


def open_partial(root: Path, config: DemoConfig) -> Path:
    """Open the folder to draw in, beside `root`; keep what an interrupted run of the same drew."""
    partial = root.with_name(f".{root.name}.partial")
    marker = partial / MARKER
    if partial.exists() and not (marker.is_file() and marker.read_text() == _marker_text(config)):
        shutil.rmtree(partial)
    for product in make_catalogue(config.n_products):
        for split in config.per_split():
            (partial / photo_path(product, split, 0)).parent.mkdir(parents=True, exist_ok=True)
    (partial / "catalogue").mkdir(exist_ok=True)
    write_bytes(marker, _marker_text(config).encode())
    return partial


def swap_in(partial: Path, root: Path) -> None:
    """Put `partial` in `root`'s place; what was there stays until the new folder is complete."""
    old = root.with_name(f".{root.name}.old")
    if old.exists():
        shutil.rmtree(old)
    if root.exists():
        root.replace(old)
    try:
        partial.replace(root)
    except OSError:
        if old.exists():
            old.replace(root)
        raise
    if old.exists():
        shutil.rmtree(old)
