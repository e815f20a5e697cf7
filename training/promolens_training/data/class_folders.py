"""Reads class folders: `split/…/class/*.jpg` or `class/*.jpg`; the folder of a picture names it."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from promolens_runtime.errors import InputError
from promolens_training.data.photos import Photo, ProductClass
from promolens_training.data.reading import (
    PICTURE_SUFFIXES,
    SPLIT_NAMES,
    Entry,
    Limits,
    Problem,
    Reading,
    collision_key,
    is_plain_text,
    name_collisions,
    name_fault,
    normal_name,
)

_IGNORED_NAMES = frozenset(("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir"))


@dataclass
class _Tree:
    """Everything below a folder, by kind; each list is sorted once the walk is done."""

    pictures: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name in _IGNORED_NAMES


def _fail_walk(error: OSError) -> None:
    raise InputError(
        f"Expected a folder that can be listed. Received {error.filename!r}: {error.strerror}. "
        "Check its permissions."
    )


def _walk(root: Path, limits: Limits) -> _Tree:
    """Walk without following linked folders (they may form a loop)."""
    tree = _Tree()
    n_files = 0
    for folder, folder_names, file_names in os.walk(root, onerror=_fail_walk):
        here = Path(folder)
        folder_names[:] = sorted(name for name in folder_names if not _is_ignored(name))
        if len(here.relative_to(root).parts) > limits.max_depth:
            raise InputError(
                f"Expected at most {limits.max_depth} nested folders. Received {here}. "
                "Give the folder that holds the classes."
            )
        tree.links.extend(here / name for name in folder_names if (here / name).is_symlink())
        visible = sorted(name for name in file_names if not _is_ignored(name))
        n_files += len(visible)
        if n_files > limits.max_files:
            raise InputError(
                f"Expected at most {limits.max_files:,} files. Received more in {root}. "
                "Give a folder that holds only the photos."
            )
        for name in visible:
            is_picture = PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES
            path = here / name
            (tree.pictures if is_picture and path.is_file() else tree.others).append(path)
        if not folder_names and not visible and here != root:
            tree.empty.append(here)
    return tree


def _split_folders(root: Path, tree: _Tree) -> dict[str, str]:
    """Return top-level folder name -> split, empty where the dataset fixes no split."""
    tops = {path.relative_to(root).parts[0] for path in tree.pictures if path.parent != root}
    return {top: SPLIT_NAMES[top.lower()] for top in tops if top.lower() in SPLIT_NAMES}


@dataclass(frozen=True)
class _Placed:
    path: Path
    split: str
    class_parts: tuple[str, ...]  # folders below the split, as spelled on disk


def _place(root: Path, tree: _Tree) -> tuple[list[_Placed], list[Problem], list[str]]:
    splits = _split_folders(root, tree)
    placed: list[_Placed] = []
    homeless: dict[Path, list[Path]] = defaultdict(list)
    outside: Counter[str] = Counter()
    for path in tree.pictures:
        parts = path.relative_to(root).parts[:-1]
        if splits and parts and parts[0] not in splits:
            outside[parts[0]] += 1
            continue
        split = splits[parts[0]] if splits and parts else ""
        class_parts = parts[1:] if split else parts
        if class_parts:
            placed.append(_Placed(path, split, class_parts))
        else:
            homeless[path.parent].append(path)
    problems = [
        Problem(
            "picture-without-class",
            f"Expected every picture in a folder named after its class. Received {len(paths)} "
            f"directly in {folder}. Move them into class folders.",
            tuple(paths[:10]),
        )
        for folder, paths in sorted(homeless.items())
    ]
    notes = [
        f"{count} pictures below {top}/ are not used: it is not one of the split folders "
        f"{', '.join(sorted(splits))}"
        for top, count in sorted(outside.items())
    ]
    return placed, problems, notes


def _last(class_path: str) -> str:
    return class_path.rsplit("/", 1)[-1]


def _labels(placed: list[_Placed]) -> dict[str, str]:
    """Return class path -> label: the folder's own name, or the path where names repeat."""
    paths = {normal_name("/".join(item.class_parts)) for item in placed}
    uses = Counter(collision_key(_last(path)) for path in paths)
    return {
        path: _last(path) if uses[collision_key(_last(path))] == 1 else path
        for path in sorted(paths)
    }


def _name_problems(placed: list[_Placed], limits: Limits) -> list[Problem]:
    """Look at class paths, not labels: `Juice/Small` and `Milk/small` are two classes."""
    where: dict[str, Path] = {}
    for item in placed:
        folder = item.path.parent
        for depth in range(len(item.class_parts), 0, -1):
            where.setdefault("/".join(item.class_parts[:depth]), folder)
            folder = folder.parent
    problems = name_collisions(where, where)
    for spelling, folder in where.items():
        fault = name_fault(_last(spelling), limits)
        if fault:
            problems.append(
                Problem(
                    "class-name",
                    f"Expected a readable class name. Received {fault}. Rename the folder.",
                    (folder,),
                )
            )
    return problems


def _file_name_problems(pictures: list[Path]) -> list[Problem]:
    """Refuse file names that are not UTF-8: no list, manifest or report could hold them."""
    bad = [path for path in pictures if not is_plain_text(path.name)]
    if not bad:
        return []
    message = (
        f"Expected file names of UTF-8 text. Received {bad[0].name!r} in "
        f"{str(bad[0].parent)!r}{f' and {len(bad) - 1} more' if len(bad) > 1 else ''}. Rename it."
    )
    return [Problem("file-name", message, tuple(bad[:10]))]


def read_class_folders(root: Path, limits: Limits) -> Reading:
    """Read every picture below `root`; the folder that holds it is its class.

    Top-level folders called train, val (valid, validation) or test fix the split; the folder above
    a class is its coarse class. Hidden files are skipped; other files are listed, not used.

    Raises:
        InputError: a folder cannot be listed, or the limits are passed.
    """
    tree = _walk(root, limits)
    placed, problems, notes = _place(root, tree)
    placed.sort(key=lambda item: item.path)
    problems.extend(_file_name_problems(tree.pictures))
    labels = _labels(placed)
    problems.extend(_name_problems(placed, limits))
    entries: list[Entry] = []
    parents: dict[str, str | None] = {}
    for item in placed:
        class_path = normal_name("/".join(item.class_parts))
        label = labels[class_path]
        parents[label] = normal_name(item.class_parts[-2]) if len(item.class_parts) > 1 else None
        entries.append(Entry(Photo(item.path, label, item.split), class_path))
    if tree.links:
        notes.append(f"{len(tree.links)} linked folders were not followed")
    return Reading(
        root=root,
        layout="class-folders",
        entries=tuple(entries),
        classes=tuple(
            ProductClass(name, item_id=name, name_ko=name, name_en=name, parent=parents[name])
            for name in sorted(parents)
        ),
        problems=tuple(problems),
        notes=tuple(notes),
        other_files=tuple(tree.others),
        empty_folders=tuple(tree.empty),
    )
