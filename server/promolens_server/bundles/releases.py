"""A release: one signed manifest and its files, named by the SHA-256 of the manifest's bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from promolens_runtime.errors import InputError

FORMAT = 1
RELEASE_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Stored:
    """Bytes on disk: lower-case hex SHA-256 and size in bytes."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class ReleaseFile:
    """One file of a release.

    Attributes:
        sha256, size_bytes: of the file itself.
        encoded: the same file compressed, by content coding (`br`, `gzip`); those that save enough.
    """

    sha256: str
    size_bytes: int
    encoded: Mapping[str, Stored]


@dataclass(frozen=True)
class Release:
    """What was published once and never changes.

    Attributes:
        id: SHA-256 of manifest.json, lower-case hex.
        name: which line of artefacts (`bundle_id` of a bundle, `gallery_id` of a gallery).
        version: rises within a name; one content for each.
        minimum_app_version: an older app leaves it alone; `None` of a gallery.
        model_sha256: the model that a gallery belongs to; `None` of a bundle.
        signed_by: the public key that the signature was checked with.
        added_at: when it came into the store, UTC.
        files: by name, manifest and signature among them.
    """

    id: str
    name: str
    version: int
    minimum_app_version: str | None
    signed_by: str
    added_at: datetime
    files: Mapping[str, ReleaseFile]
    model_sha256: str | None = None

    @property
    def size_bytes(self) -> int:
        """What a phone downloads where nothing is compressed, in bytes."""
        return sum(file.size_bytes for file in self.files.values())

    def to_bytes(self) -> bytes:
        """Return release.json."""
        value = asdict(self) | {"format": FORMAT, "added_at": self.added_at.isoformat()}
        if self.model_sha256 is None:  # as it was written before there were galleries
            del value["model_sha256"]
        return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes, place: str) -> Release:
        """Read release.json; `place` is for the message. Raises InputError."""
        try:
            value = json.loads(data)
            if value.pop("format") != FORMAT:
                raise ValueError("another format")
            files = {name: _file(entry) for name, entry in value.pop("files").items()}
            added_at = datetime.fromisoformat(value.pop("added_at"))
            return cls(files=files, added_at=added_at, **value)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(place, error) from None


def damaged(place: str, error: BaseException) -> InputError:
    """Return the error for a file of the store that cannot be read."""
    reason = " ".join(str(error).split())[:200]
    return InputError(
        f"Expected {place} as this version of promolens writes it. Received something else "
        f"({type(error).__name__}: {reason}). Use a newer promolens, or restore the store."
    )


def _file(entry: dict[str, Any]) -> ReleaseFile:
    encoded = {coding: Stored(**stored) for coding, stored in entry.pop("encoded").items()}
    return ReleaseFile(encoded=encoded, **entry)
