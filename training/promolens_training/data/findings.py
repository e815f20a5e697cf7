"""What the doctor may find: one dataclass, and the table of everything it looks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Kind:
    """One thing that the doctor looks for.

    Attributes:
        code: a stable word for machines.
        severity: an error stops training; a warning wants a look; a note is for information.
        title: what it is, for people.
        advice: what to do about it.
    """

    code: str
    severity: Severity
    title: str
    advice: str


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        kind: row of `KINDS`.
        message: what was found, in one line.
        paths: the files or folders, in the order in which they are to be shown.
        labels: their classes, where they have any; as many as `paths` or none.
    """

    kind: Kind
    message: str
    paths: tuple[Path, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """The kind's severity."""
        return self.kind.severity


_TABLE = (
    Kind("layout", "error", "The dataset cannot be read as it is", "See docs/data.md."),
    Kind("no-pictures", "error", "No picture found", "Lay them out as class/picture.jpg."),
    Kind("class-name-collision", "error", "Class names that read alike", "Merge or rename them."),
    Kind("one-class", "error", "Fewer than two classes", "Add photos of another product."),
    Kind(
        "too-few-photos",
        "error",
        "Classes with fewer than two training photos",
        "Add photos, or leave the class out.",
    ),
    Kind(
        "class-without-training",
        "error",
        "Classes that only the test or validation part has",
        "Add training photos, or leave the class out.",
    ),
    Kind(
        "unreadable",
        "error",
        "Files that cannot be read as pictures",
        "Save them again as JPEG or PNG, or remove them.",
    ),
    Kind("truncated", "error", "Truncated files", "Copy them again from where they came."),
    Kind("too-large", "error", "Pictures beyond the limits", "Scale them down."),
    Kind("cmyk", "error", "Print colours (CMYK)", "Convert them to sRGB."),
    Kind("sixteen-bit", "error", "16 bits per channel", "Convert them to 8 bits."),
    Kind("animated", "error", "Animations", "Keep one frame of each."),
    Kind("format", "error", "Formats that are not read", "Convert them to JPEG or PNG."),
    Kind("box-outside", "error", "Boxes outside their picture", "Correct x1, y1, x2, y2."),
    Kind(
        "label-conflict",
        "error",
        "The same picture under two classes",
        "Decide which class is right and remove the other copy.",
    ),
    Kind(
        "duplicate-across-splits",
        "error",
        "The same picture in training and in test",
        "Remove one copy: the test would measure memory.",
    ),
    Kind(
        "source-across-splits",
        "error",
        "One source in training and in test",
        "Move all photos of a source to one side.",
    ),
    Kind(
        "near-duplicate-across-splits",
        "warning",
        "Alike photos on both sides of the split",
        "Give both one source_id, or move one: figures would be too good.",
    ),
    Kind(
        "near-duplicate-across-classes",
        "warning",
        "Near-duplicates under two classes",
        "Look at them: a label may be wrong, or two classes may be one.",
    ),
    Kind("duplicate", "warning", "The same picture twice in a class", "Remove the copies."),
    Kind("tiny", "warning", "Tiny pictures", "Use larger ones: the network sees 224 px or more."),
    Kind(
        "turned-twice",
        "warning",
        "Turned already, but EXIF says turn again",
        "Remove the EXIF orientation of pictures that stand upright.",
    ),
    Kind("imbalance", "warning", "Classes of very different size", "Add photos to the small ones."),
    Kind("few-photos", "warning", "Classes with few photos", "20 or more a class work well."),
    Kind("empty-folder", "warning", "Folders without a picture", "Add photos or remove them."),
    Kind("not-pictures", "warning", "Files that are not pictures", "Move them elsewhere."),
    Kind("not-searched", "warning", "Not searched for near-duplicates", "Look at a part of it."),
    Kind(
        "near-duplicate",
        "note",
        "Near-duplicates within a class",
        "Usually nothing: photos that look alike are split together.",
    ),
    Kind("class-not-tested", "note", "Classes that a split lacks", "Their figures are missing."),
    Kind("exif-turned", "note", "Turned upright by EXIF", "Nothing: reading turns them."),
    Kind("alpha", "note", "Transparency", "Nothing: it is shown over white."),
    Kind("suffix", "note", "File names with another format's suffix", "Nothing, or rename them."),
    Kind("dataset", "note", "About the dataset", "Nothing."),
)

KINDS = {kind.code: kind for kind in _TABLE}
"""Every kind by code, most severe first."""


def found(
    code: str, message: str, paths: tuple[Path, ...] = (), labels: tuple[str, ...] = ()
) -> Finding:
    """Return a finding of the kind called `code`."""
    return Finding(KINDS[code], message, paths, labels)
