"""Examines a dataset before training: what would stop it, and what would make its figures false."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from promolens_training.data.features import cache_file, unit_features
from promolens_training.data.file_checks import FileFacts, examine_file
from promolens_training.data.findings import SEVERITIES, Finding, found
from promolens_training.data.load import photo_set_of, read_dataset, select_classes
from promolens_training.data.near_duplicates import NearPair, NearRule, find_near_duplicates
from promolens_training.data.photos import SPLITS, Photo, PhotoSet
from promolens_training.data.reading import Limits, Reading
from promolens_training.progress import progress

FEW_PHOTOS = 10
IMBALANCE_RATIO = 10
_BATCH = 64
_WORKERS = 2
_LISTED = 8


@dataclass(frozen=True)
class ClassCount:
    """How many photos a class has: in all, and by split ("" where none is fixed)."""

    label: str
    parent: str | None
    total: int
    by_split: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Diagnosis:
    """Everything the doctor found.

    Attributes:
        findings: most severe first, then by kind and path.
        compared: "hash" or "hash and features": how near-duplicates were searched.
    """

    root: Path
    layout: str
    n_photos: int
    n_files: int
    total_bytes: int
    classes: tuple[ClassCount, ...]
    findings: tuple[Finding, ...]
    compared: str

    @property
    def may_train(self) -> bool:
        """Whether training may go on: no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def count(self, severity: str) -> int:
        """Return how many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)


def _names(labels: Iterable[str]) -> str:
    """Return the first few names, then how many more."""
    ordered = sorted(set(labels))
    shown = ", ".join(ordered[:_LISTED])
    return shown + (f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else "")


def _class_counts(photo_set: PhotoSet) -> tuple[ClassCount, ...]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for photo in photo_set.photos:
        counts[photo.label][photo.split] += 1
    order = ("", *SPLITS)
    return tuple(
        ClassCount(
            product.name,
            product.parent,
            counts[product.name].total(),
            tuple((split, counts[product.name][split]) for split in order),
        )
        for product in photo_set.classes
    )


def _layout_findings(reading: Reading) -> list[Finding]:
    findings = [
        found(
            problem.code if problem.code == "class-name-collision" else "layout",
            problem.message,
            problem.paths,
        )
        for problem in reading.problems
    ]
    findings.extend(found("dataset", note) for note in reading.notes)
    if reading.other_files:
        suffixes = Counter(path.suffix.lower() or path.name for path in reading.other_files)
        kinds = ", ".join(f"{count} x {suffix}" for suffix, count in suffixes.most_common(_LISTED))
        files = reading.other_files[:100]
        findings.append(found("not-pictures", kinds, files))
    findings.extend(
        found("empty-folder", f"{path.name}/", (path,)) for path in reading.empty_folders
    )
    if not reading.entries:
        findings.append(found("no-pictures", f"None below {reading.root}", (reading.root,)))
    return findings


def _balance_findings(counts: Sequence[ClassCount]) -> list[Finding]:
    totals = [item.total for item in counts]
    findings = []
    if min(totals) * IMBALANCE_RATIO < max(totals):
        small = min(counts, key=lambda item: (item.total, item.label))
        large = max(counts, key=lambda item: (item.total, item.label))
        message = f"{small.label} has {small.total}, {large.label} {large.total}"
        findings.append(found("imbalance", message))
    few = [item for item in counts if 2 <= item.total < FEW_PHOTOS]
    if few:
        names = _names(f"{item.label} ({item.total})" for item in few)
        findings.append(found("few-photos", f"Fewer than {FEW_PHOTOS} photos: {names}"))
    return findings


def _split_findings(counts: Sequence[ClassCount]) -> list[Finding]:
    """Compare which classes the dataset's own splits hold."""
    by_split = {split: {x.label for x in counts if dict(x.by_split)[split]} for split in SPLITS}
    everything = {item.label for item in counts}
    findings = []
    untrained = {x.label for x in counts if not dict(x.by_split)["train"] + dict(x.by_split)[""]}
    if untrained and len(untrained) < len(everything):
        findings.append(found("class-without-training", _names(untrained)))
    for split in ("val", "test"):
        absent = everything - by_split[split]
        if by_split[split] and absent:
            message = f"{split} holds {len(by_split[split])} of {len(everything)} classes"
            findings.append(found("class-not-tested", f"{message}; without: {_names(absent)}"))
    return findings


def _class_findings(counts: Sequence[ClassCount]) -> list[Finding]:
    if not counts:
        return []
    findings = _balance_findings(counts) + _split_findings(counts)
    if len(counts) < 2:
        findings.append(found("one-class", f"Only {counts[0].label}"))
    poor = [
        item.label
        for item in counts
        if 0 < item.total - dict(item.by_split)["test"] < 2  # none at all: another finding
    ]
    if poor:
        findings.append(found("too-few-photos", f"One photo each: {_names(poor)}"))
    return findings


def _box_findings(photos: Sequence[Photo], facts: dict[Path, FileFacts]) -> list[Finding]:
    findings = []
    for photo in photos:
        width, height = facts[photo.path].upright_px
        if photo.box and width and (photo.box[2] > width or photo.box[3] > height):
            message = f"{photo.box} of {width} x {height} px"
            findings.append(found("box-outside", message, (photo.path,), (photo.label,)))
    return findings


def _is_leak(splits: set[str]) -> bool:
    return "test" in splits and len(splits) > 1


def _source_findings(photos: Sequence[Photo]) -> list[Finding]:
    groups: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        if photo.source_id:
            groups[photo.source_id].append(photo)
    findings = []
    for source_id, members in sorted(groups.items()):
        sides = {photo.split: photo for photo in members}
        if len(set(sides) - {""}) > 1:
            shown = tuple(sides[split] for split in sorted(sides))
            is_leak = _is_leak(set(sides))
            findings.append(
                found(
                    "source-across-splits" if is_leak else "near-duplicate-across-splits",
                    f"Source {source_id!r}: {', '.join(sorted(filter(None, sides)))}",
                    tuple(photo.path for photo in shown),
                    tuple(photo.label for photo in shown),
                )
            )
    return findings


def _duplicate_findings(photos: Sequence[Photo], facts: dict[Path, FileFacts]) -> list[Finding]:
    """Compare whole files; where boxes are given, one file may show several classes."""
    groups: dict[tuple[str, object], list[Photo]] = defaultdict(list)
    for photo in photos:
        if facts[photo.path].sha256:
            groups[facts[photo.path].sha256, photo.box].append(photo)
    findings = []
    for members in groups.values():
        if len(members) < 2:
            continue
        splits = {photo.split for photo in members}
        labels = {photo.label for photo in members}
        code = "duplicate"
        message = f"{len(members)} equal files"
        if len(labels) > 1:
            code, message = "label-conflict", f"{message} as {_names(labels)}"
        elif _is_leak(splits):
            code = "duplicate-across-splits"
        elif len(splits) > 1:
            code = "near-duplicate-across-splits"
        if len(splits) > 1:
            message += f" in {', '.join(sorted(filter(None, splits)))}"
        paths = tuple(photo.path for photo in members)
        findings.append(found(code, message, paths, tuple(photo.label for photo in members)))
    return findings


def _near_findings(photos: Sequence[Photo], pairs: Sequence[NearPair]) -> list[Finding]:
    findings = []
    for pair in sorted(pairs, key=lambda item: (-item.closeness, item.first, item.second)):
        first, second = photos[pair.first], photos[pair.second]
        code = "near-duplicate"
        if first.label != second.label:
            code = "near-duplicate-across-classes"
        elif first.split != second.split:
            code = "near-duplicate-across-splits"
        message = f"{pair.hash_bits} of 64 hash bits differ"
        if pair.cosine is not None:
            message += f", cosine of features {pair.cosine:.3f}"
        if first.split != second.split:
            message += f"; {first.split or 'no split'} and {second.split or 'no split'}"
        findings.append(
            found(code, message, (first.path, second.path), (first.label, second.label))
        )
    return findings


def _examine_files(
    paths: Sequence[Path], examine: Callable[[Path], FileFacts] = examine_file
) -> dict[Path, FileFacts]:
    """Examine every file, a few at a time, in batches so that Ctrl-C is heard soon."""
    facts: dict[Path, FileFacts] = {}
    with progress("files", len(paths)) as bar, ThreadPoolExecutor(_WORKERS) as pool:
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            facts.update(zip(batch, pool.map(examine, batch), strict=True))
            bar.advance(len(batch))
    return facts


def _search_near(
    photos: Sequence[Photo], facts: dict[Path, FileFacts], cache: Path | None, *, fast: bool
) -> list[Finding]:
    """Compare the whole pictures of distinct, decodable files."""
    first_of: dict[str, Photo] = {}
    for photo in photos:
        if facts[photo.path].look is not None:
            first_of.setdefault(facts[photo.path].sha256, photo)
    rule = NearRule()
    if len(first_of) > rule.max_photos:
        message = f"{len(first_of):,} pictures are more than the {rule.max_photos:,} compared"
        return [found("not-searched", message)]
    features = None
    if not fast and first_of:
        rows = unit_features({key: photo.path for key, photo in first_of.items()}, cache)
        features = np.stack([rows[key] for key in first_of])
    distinct = list(first_of.values())
    looks = [look for photo in distinct if (look := facts[photo.path].look) is not None]
    return _near_findings(distinct, find_near_duplicates(looks, features, rule))


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(
        sorted(findings, key=lambda item: (SEVERITIES.index(item.severity), item.kind.code))
    )


def examine(
    root: Path,
    only: str | None = None,
    *,
    fast: bool = False,
    use_cache: bool = True,
    limits: Limits | None = None,
) -> Diagnosis:
    """Examine a dataset: layout, class names and counts, every file, duplicates, leaks.

    Args:
        root: as for `load_photo_set`.
        only: as for `load_photo_set`; name collisions and other layout faults are always listed.
        fast: compare by perceptual hash only, without TensorFlow.
        use_cache: keep the features below the user's cache folder, so that the next time is fast.
        limits: how large the dataset may be.

    Raises:
        InputError: nothing can be read at all, or `only` matches nothing.
        MissingError: TensorFlow is missing and `fast` is False.
    """
    whole = read_dataset(root, limits)
    reading = select_classes(whole, only)
    photo_set = photo_set_of(reading)
    counts = _class_counts(photo_set)
    photos = photo_set.all_photos
    paths = list(dict.fromkeys(photo.path for photo in photos))
    facts = _examine_files(paths)
    findings = _layout_findings(whole) + _class_findings(counts)
    for path in paths:
        findings.extend(facts[path].findings)
    findings.extend(_box_findings(photos, facts))
    findings.extend(_source_findings(photos))
    findings.extend(_duplicate_findings(photos, facts))
    cache = cache_file(reading.root) if use_cache else None
    findings.extend(_search_near(photos, facts, cache, fast=fast))
    return Diagnosis(
        root=reading.root,
        layout=reading.layout,
        n_photos=len(photos),
        n_files=len(paths),
        total_bytes=sum(item.size_bytes for item in facts.values()),
        classes=counts,
        findings=_ordered(findings),
        compared="hash" if fast else "hash and features",
    )
