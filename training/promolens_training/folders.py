"""Run folders: whose they are, what is worth keeping, and never a mixture of two runs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from promolens_runtime.errors import InputError
from promolens_training.files import write_json

# What one fit was made of, and what the command was asked for (one fit or two).
CLAIM = "fingerprint.json"
ASKED = "asked.json"
# A folder with one of these holds work that took time.
WORTH_KEEPING = ("model.npz", "checkpoint.npz", "probe.npz")


def _read_mark(path: Path) -> Mapping[str, str] | None:
    """Return the fingerprints in a mark file, None where there is no readable one."""
    try:
        found: Mapping[str, str] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found


def claim(folder: Path, wanted: Mapping[str, str], resume: bool) -> bool:
    """Make `folder` this run's own, or recognise it.

    Args:
        wanted: fingerprints that name the run (recipe, photos).
        resume: whether a folder that holds this very run may be gone on with.

    Returns:
        True where the run in it is finished.

    Raises:
        InputError: the folder holds something else, or this run and `resume` is False.
    """
    inside = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if not inside - {"holdout", ASKED}:
        write_json(folder / CLAIM, dict(wanted))
        return False
    same = _read_mark(folder / CLAIM) == wanted
    if same and resume:
        return (folder / "run.json").is_file()
    received = "this run, begun before" if same else "another run or a foreign folder"
    hint = "Add --resume" if same else "Choose another --out"
    raise InputError(f"Expected an empty folder at {folder}. Received {received}. {hint}.")


def set_aside_other_run(folder: Path, asked: Mapping[str, str], resume: bool) -> None:
    """Make room in `folder` for the run that is asked for, keeping what was there.

    The usual second step is to add or mend photos and to give the same command again. With
    `resume`, an older run of other photos or another recipe is then renamed to `folder.old-N`.

    Raises:
        InputError: the folder holds no run of ours, or another run and `resume` is False.
    """
    inside = {path.name for path in folder.iterdir()} if folder.exists() else set()
    found = _read_mark(folder / ASKED)
    if not inside:
        write_json(folder / ASKED, dict(asked))
        return
    if found == asked:
        if resume:
            return
        raise InputError(
            f"Expected a new folder at {folder}. Received this very run, begun or finished before. "
            "Add --resume to go on with it, or choose another --out."
        )
    if found is None:
        raise InputError(
            f"Expected a new folder, or a run of promolens, at {folder}. Received a folder with "
            f"other things in it ({min(inside)}, ...). Choose another --out."
        )
    if not resume:
        raise InputError(
            f"Expected a new folder at {folder}. Received a run of other photos or another recipe. "
            "Choose another --out, or add --resume: the old run is then kept beside it."
        )
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    folder.rename(aside)
    print(f"note: photos or recipe changed; the older run is now {aside}", file=sys.stderr)
    write_json(folder / ASKED, dict(asked))


@contextmanager
def no_litter(folder: Path) -> Iterator[None]:
    """Remove `folder` if the block fails before anything in it is worth keeping."""
    try:
        yield
    except BaseException:
        if not any(next(folder.rglob(name), None) for name in WORTH_KEEPING):
            shutil.rmtree(folder, ignore_errors=True)
        raise
