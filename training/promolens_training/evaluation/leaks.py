"""Looks for test pictures that training, or the gallery, has seen already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promolens_runtime.errors import GateError
from promolens_training.data.fingerprints import Fingerprint, fingerprint_file
from promolens_training.data.near_duplicates import find_near_duplicates
from promolens_training.data.photos import Photo

# More near-duplicates than this share of the queries spoil a report.
MAX_NEAR_SHARE = 0.005
_SHOWN = 3


@dataclass(frozen=True)
class LeakAudit:
    """What queries have in common with pictures that they must be strangers to.

    Attributes:
        n_queries: queries examined; n_others: pictures of training that they were compared with.
        trained_on: queries that are, byte for byte, pictures of training.
        same_source: sources with pictures among both.
        near: queries with a near-duplicate in training, by perceptual hash and colours.
        in_gallery: queries that are gallery pictures too: these do not count as their own answer.
    """

    n_queries: int
    n_others: int
    trained_on: tuple[Path, ...]
    same_source: tuple[str, ...]
    near: tuple[Path, ...]
    in_gallery: int

    @property
    def leaks(self) -> bool:
        """Whether the figures would be worth nothing."""
        near_share = len(self.near) / self.n_queries if self.n_queries else 0.0
        return bool(self.trained_on or self.same_source) or near_share > MAX_NEAR_SHARE

    def sentence(self) -> str:
        """Say what was found, in one line."""
        if not self.leaks and not self.near:
            return f"no leak found between {self.n_queries} queries and {self.n_others} pictures"
        names = [path.name for path in (*self.trained_on, *self.near)] or list(self.same_source)
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        return (
            f"{len(self.trained_on)} queries are pictures of training, {len(self.same_source)} "
            f"sources are in both, {len(self.near)} queries have a near-duplicate in training "
            f"({shown})"
        )

    def require_clean(self, flag: str) -> None:
        """Raise GateError where queries leak; `flag` is the option that reports all the same."""
        if self.leaks:
            raise GateError(
                "Expected queries that training has not seen (no equal picture, no common source, "
                f"near-duplicates of at most {MAX_NEAR_SHARE:.1%} of them). Received: "
                f"{self.sentence()}. Split the data by source, or say {flag} for a report that "
                "is marked as leaking."
            )

    def to_json(self) -> dict[str, Any]:
        """Return the counts ready for JSON."""
        return {
            "n_queries": self.n_queries,
            "n_training_pictures": self.n_others,
            "trained_on": len(self.trained_on),
            "same_source": len(self.same_source),
            "near_duplicates": len(self.near),
            "in_gallery": self.in_gallery,
            "leaks": self.leaks,
        }


def content_of(photo: Photo) -> str:
    """Name the content of a picture: SHA-256 of its file, and its box."""
    return f"{hashlib.sha256(photo.path.read_bytes()).hexdigest()} {photo.box or ''}".strip()


def audit(
    queries: Sequence[Photo],
    gallery: Sequence[Photo],
    training: Sequence[Photo],
    trained_hashes: frozenset[str] = frozenset(),
    done: Callable[[int], object] = lambda count: None,
) -> LeakAudit:
    """Compare queries with the pictures of training, and count those in the gallery.

    Args:
        trained_hashes: further SHA-256 of training pictures (a manifest's calibration images).
        done: called with the number of pictures just examined.
    """
    contents = [content_of(photo) for photo in queries]
    trained = {content_of(photo) for photo in training}
    held = {content_of(photo) for photo in gallery}
    known = [
        photo.path
        for photo, content in zip(queries, contents, strict=True)
        if content in trained or content.split()[0] in trained_hashes
    ]
    sources = {photo.source_id for photo in queries} & {photo.source_id for photo in training}
    return LeakAudit(
        n_queries=len(queries),
        n_others=len(training),
        trained_on=tuple(known),
        same_source=tuple(sorted(sources - {""})),
        near=_near(queries, training, set(known), done),
        in_gallery=sum(content in held for content in contents),
    )


def _near(
    queries: Sequence[Photo],
    training: Sequence[Photo],
    known: set[Path],
    done: Callable[[int], object],
) -> tuple[Path, ...]:
    looks: list[Fingerprint] = []
    photos: list[Photo] = []
    for photo in (*queries, *training):
        look = fingerprint_file(photo.path, photo.box)
        done(1)
        if look is not None:
            looks.append(look)
            photos.append(photo)
    asked = set(queries)
    n_queries = sum(photo in asked for photo in photos)
    near = {
        photos[pair.first].path
        for pair in find_near_duplicates(looks)
        if pair.first < n_queries <= pair.second
    }
    return tuple(sorted(near - known))
