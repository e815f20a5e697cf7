"""Shows a diagnosis: lines for a terminal, JSON for machines, one HTML page with pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from promolens_runtime.errors import InputError
from promolens_training.data.doctor import Diagnosis
from promolens_training.data.findings import SEVERITIES, Finding, Kind
from promolens_training.files import write_atomically, write_json
from promolens_training.progress import progress
from promolens_training.report.content import Picture
from promolens_training.report.pictures import thumbnail

FORMAT_VERSION = "1.0"
_TEMPLATE = "doctor_report.html.j2"
_STYLE = Path(__file__).parent.parent / "report" / "report.css"
_LINES_PER_KIND = 3
_CARDS_PER_KIND = 24
_PICTURES_PER_CARD = 4
_LISTED_PER_KIND = 200
_THUMBNAIL_PX = 220
# Folders, lists and files that cannot be decoded have no picture to show.
_KINDS_WITHOUT_PICTURES = frozenset(
    (
        *("layout", "class-name-collision", "empty-folder", "not-pictures", "no-pictures"),
        *("unreadable", "truncated", "too-large", "cmyk", "sixteen-bit", "animated", "format"),
    )
)


def _shown(path: Path, root: Path) -> str:
    """Return a path as people and UTF-8 files can take it, relative to the dataset."""
    text = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _by_kind(diagnosis: Diagnosis) -> Iterator[tuple[Kind, list[Finding]]]:
    for kind, findings in groupby(diagnosis.findings, key=lambda finding: finding.kind):
        yield kind, list(findings)


def verdict(diagnosis: Diagnosis) -> str:
    """Return the answer in one line."""
    counts = ", ".join(
        f"{n} {severity}{'' if n == 1 else 's'}"
        for severity in SEVERITIES
        if (n := diagnosis.count(severity))
    )
    may = "Training may go on" if diagnosis.may_train else "Training may not go on"
    return f"{may}: {counts or 'nothing found'}."


def as_text(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as lines for a terminal."""
    totals = [item.total for item in diagnosis.classes] or [0]
    lines = [
        f"{diagnosis.root} ({diagnosis.layout}): {diagnosis.n_photos:,} photos of "
        f"{len(diagnosis.classes)} classes ({min(totals)} to {max(totals)} each), "
        f"{diagnosis.total_bytes / 1e6:,.0f} MB"
    ]
    for kind, findings in _by_kind(diagnosis):
        lines.append(f"{kind.severity}: {kind.title} ({len(findings)}). {kind.advice}")
        for finding in findings[:_LINES_PER_KIND]:
            names = " | ".join(_shown(path, diagnosis.root) for path in finding.paths[:3])
            lines.append(f"  {finding.message}" + (f"  [{names}]" if names else ""))
        if len(findings) > _LINES_PER_KIND:
            lines.append(f"  and {len(findings) - _LINES_PER_KIND} more (--report or --json)")
    lines.append(verdict(diagnosis))
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode("utf-8")


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the diagnosis for machines; paths are relative to `root`."""
    return {
        "format_version": FORMAT_VERSION,
        "root": _shown(diagnosis.root, Path("/nowhere")),
        "layout": diagnosis.layout,
        "may_train": diagnosis.may_train,
        "n_photos": diagnosis.n_photos,
        "n_files": diagnosis.n_files,
        "total_bytes": diagnosis.total_bytes,
        "compared": diagnosis.compared,
        "counts": {severity: diagnosis.count(severity) for severity in SEVERITIES},
        "classes": [
            {
                "label": item.label,
                "parent": item.parent,
                "total": item.total,
                "by_split": {split or "unsplit": n for split, n in item.by_split if n},
            }
            for item in diagnosis.classes
        ],
        "findings": [
            {
                "code": finding.kind.code,
                "severity": finding.severity,
                "title": finding.kind.title,
                "message": finding.message,
                "advice": finding.kind.advice,
                "paths": [_shown(path, diagnosis.root) for path in finding.paths],
                "labels": list(finding.labels),
            }
            for finding in diagnosis.findings
        ],
    }


@dataclass(frozen=True)
class _Shot:
    picture: Picture | None
    name: str
    label: str


@dataclass(frozen=True)
class _Card:
    message: str
    shots: tuple[_Shot, ...]
    more: int


@dataclass(frozen=True)
class _Group:
    kind: Kind
    total: int
    cards: tuple[_Card, ...]
    listed: tuple[str, ...]


def _card(finding: Finding, root: Path) -> _Card:
    shots = []
    labels = finding.labels or ("",) * len(finding.paths)
    for path, label in list(zip(finding.paths, labels, strict=True))[:_PICTURES_PER_CARD]:
        by_name = finding.kind.code in _KINDS_WITHOUT_PICTURES
        name = _shown(path, root)
        picture = None if by_name else thumbnail(path, name, _THUMBNAIL_PX)
        shots.append(_Shot(picture, name, label))
    return _Card(finding.message, tuple(shots), len(finding.paths) - len(shots))


def _groups(diagnosis: Diagnosis) -> tuple[_Group, ...]:
    kinds = list(_by_kind(diagnosis))
    groups = []
    with progress("pictures for the report", len(kinds)) as bar:
        for kind, findings in kinds:
            cards = tuple(_card(finding, diagnosis.root) for finding in findings[:_CARDS_PER_KIND])
            listed = tuple(
                f"{finding.message}: "
                + " | ".join(_shown(path, diagnosis.root) for path in finding.paths)
                for finding in findings[_CARDS_PER_KIND : _CARDS_PER_KIND + _LISTED_PER_KIND]
            )
            groups.append(_Group(kind, len(findings), cards, listed))
            bar.advance()
    return tuple(groups)


def render_report(diagnosis: Diagnosis) -> str:
    """Return the page: everything escaped, pictures inside, nothing fetched."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page: str = environment.get_template(_TEMPLATE).render(
        d=diagnosis,
        verdict=verdict(diagnosis),
        groups=_groups(diagnosis),
        severities=SEVERITIES,
        style=Markup(_STYLE.read_text("utf-8")),  # noqa: S704 - our own file
        root=_shown(diagnosis.root, Path("/nowhere")),
        largest=max((item.total for item in diagnosis.classes), default=1),
        smallest=min((item.total for item in diagnosis.classes), default=0),
    )
    return page


def check_target(path: Path) -> None:
    """Refuse a report's place before the work, not after it.

    Raises:
        InputError: not an .html name, or a folder is in the way.
    """
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise InputError(
            f"Expected a file name that ends in .html. Received {path}. Try doctor.html."
        )


def write_report(path: Path, diagnosis: Diagnosis) -> None:
    """Write the page at `path` and the machine-readable list beside it, each atomically.

    Raises:
        OSError: the disk is full or the folder not writable; what was there stays.
    """
    data = render_report(diagnosis).encode("utf-8", "backslashreplace")
    write_json(path.with_suffix(".json"), json.loads(json.dumps(as_json(diagnosis))))
    write_atomically(path, lambda file: file.write(data))
