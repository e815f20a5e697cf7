"""What a bundle's manifest says of an embedding: its length, its prefixes, its two domains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import BundleError


@dataclass(frozen=True)
class EmbeddingSpec:
    """How the numbers of `embedding` are to be used.

    Attributes:
        normalised: whether the model answers vectors of length 1; readers scale them otherwise.
        prefixes: how many first numbers are an embedding of their own (Matryoshka, arXiv
            2205.13147), rising; the last is the whole width.
        catalogue_offset_file: float32 `[width]`, little-endian, added to the embedding of a
            catalogue picture before it is scaled; None where photos and catalogue pictures need
            no telling apart.
    """

    normalised: bool
    prefixes: tuple[int, ...]
    catalogue_offset_file: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EmbeddingSpec:
        """Read `embedding` of a model."""
        return cls(value["normalised"], tuple(value["prefixes"]), value["catalogue_offset_file"])

    def to_json(self) -> dict[str, Any]:
        """Return `embedding` of a model."""
        return {
            "normalised": self.normalised,
            "prefixes": list(self.prefixes),
            "catalogue_offset_file": self.catalogue_offset_file,
        }

    def check_width(self, width: int) -> None:
        """Raises BundleError unless the prefixes rise and end at the width of the embedding."""
        rising = tuple(sorted(set(self.prefixes)))
        if self.prefixes != rising or self.prefixes[-1:] != (width,):
            raise BundleError(
                f"Expected prefixes that rise to {width}, the width of the embedding. Received "
                f"{list(self.prefixes)}. Export the bundle again."
            )


def offset_file(offset: NDArray[np.floating]) -> bytes:
    """Return the file of a catalogue offset `[width]`."""
    return offset.astype("<f4").tobytes()


def read_offset(data: bytes, width: int) -> NDArray[np.float32]:
    """Return a catalogue offset, float32 `[width]`. Raises BundleError for any other content."""
    if len(data) == 4 * width:
        offset = np.frombuffer(data, "<f4").astype(np.float32)
        if np.isfinite(offset).all():
            return offset
    raise BundleError(
        f"Expected {width} finite float32 numbers as the catalogue offset. Received "
        f"{len(data)} bytes of something else. Export the bundle again."
    )
