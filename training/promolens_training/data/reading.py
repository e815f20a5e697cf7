"""What the readers of dataset layouts hand over: photos as found, and everything wrong with them.

A reader never stops at the first fault: it collects `Problem`s, so that `promolens doctor` can list
them all while `load_photo_set` raises the first.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from promolens_runtime.errors import InputError
from promolens_training.data.photos import Photo, ProductClass

PICTURE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif")
)
"""What people take for a picture. Not all can be read: the doctor says which and why."""

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


@dataclass(frozen=True)
class Limits:
    """How much a dataset may hold before reading stops with an error."""

    max_files: int = 1_000_000
    max_rows: int = 1_000_000
    max_list_bytes: int = 512 * 1024 * 1024
    max_depth: int = 16
    max_name_chars: int = 200
    max_problems: int = 1000

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 1:
            raise InputError(f"Expected limits of at least 1. Received {self}. Raise them.")


@dataclass(frozen=True)
class Problem:
    """One fault that keeps a dataset from being used.

    Attributes:
        code: a stable word for machines ("class-name-collision", "absent-file", ...).
        message: one line: expected, received, what to do.
        paths: the files or folders it is about.
    """

    code: str
    message: str
    paths: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A photo and the path of its class below the split ("Packages/Milk/Arla")."""

    photo: Photo
    class_path: str


@dataclass(frozen=True)
class Reading:
    """A dataset as its reader found it, sound or not."""

    root: Path
    layout: str
    entries: tuple[Entry, ...]
    classes: tuple[ProductClass, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    other_files: tuple[Path, ...] = ()
    empty_folders: tuple[Path, ...] = ()


def normal_name(name: str) -> str:
    """Return a class name in Unicode form NFC without outer spaces."""
    return unicodedata.normalize("NFC", name).strip()


def collision_key(name: str) -> str:
    """Return what two class names share when people would read them as one name."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def describe_name(name: str) -> str:
    """Return a name quoted, with its Unicode form where it is not NFC (they print alike)."""
    is_nfc = unicodedata.is_normalized("NFC", name)
    return repr(name) if is_nfc else f"{name!r} (Unicode form not NFC)"


def name_collisions(spellings: Iterable[str], paths: dict[str, Path]) -> list[Problem]:
    """Return a problem for every group of class names that differ only by case or Unicode form.

    Args:
        spellings: the names exactly as the dataset spells them.
        paths: where each spelling is found, as far as known.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for name in spellings:
        groups[collision_key(name)].add(name)
    return [
        Problem(
            "class-name-collision",
            "Expected class names that differ by more than case, spaces or Unicode form. Received "
            f"{' and '.join(describe_name(name) for name in sorted(names))}. "
            "Merge them or rename all but one.",
            tuple(paths[name] for name in sorted(names) if name in paths),
        )
        for _, names in sorted(groups.items())
        if len(names) > 1
    ]


def is_plain_text(text: str) -> bool:
    """Say whether a name is UTF-8 without control characters, so that any list can hold it."""
    return not any(unicodedata.category(char) in ("Cc", "Cs") for char in text)


def name_fault(name: str, limits: Limits) -> str | None:
    """Return what is wrong with a class name, or None."""
    if not name.strip():
        return "an empty name"
    if len(name) > limits.max_name_chars:
        return f"a name of {len(name)} characters (at most {limits.max_name_chars})"
    if not is_plain_text(name):
        return f"a name with control characters: {name!r}"
    return None


def path_fault(text: str) -> str | None:
    """Return what keeps a listed path from being used below the dataset's root, or None."""
    pure = PurePosixPath(text)
    has_drive = text[1:2] == ":"
    faults = (
        (not text.strip(), "an empty path"),
        ("\0" in text, "a path with a NUL character"),
        (not is_plain_text(text), f"a path with control characters, {text!r}"),
        ("\\" in text, f"a path with backslashes, {text!r} (use /)"),
        (
            pure.is_absolute() or has_drive,
            f"an absolute path, {text!r} (start at the list's folder)",
        ),
        (".." in pure.parts, f"a path that leaves the folder, {text!r}"),
    )
    return next((fault for is_so, fault in faults if is_so), None)


def path_order(photo: Photo) -> tuple[Path, tuple[int, ...]]:
    """Return the key that photos are sorted by wherever order matters."""
    return photo.path, photo.box or ()


def read_text(path: Path, limits: Limits) -> str:
    """Return a list file's text (UTF-8, a byte order mark is dropped).

    Raises:
        InputError: the file is too large or is not UTF-8.
    """
    size_bytes = path.stat().st_size
    if size_bytes > limits.max_list_bytes:
        raise InputError(
            f"Expected a list of at most {limits.max_list_bytes:,} bytes. Received {path} with "
            f"{size_bytes:,}. Split the dataset."
        )
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"Expected UTF-8 text in {path}. Received another encoding (byte {error.start}). "
            "Save the file as UTF-8."
        ) from None
