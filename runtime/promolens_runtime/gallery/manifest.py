"""What a gallery says of itself, and who vouches for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from promolens_runtime.canonical import canonical_json, parse_json
from promolens_runtime.errors import BundleError
from promolens_runtime.gallery.vectors import MAX_DIMENSIONS
from promolens_runtime.manifest import FileEntry

FORMAT_VERSION = "1.0"
KNOWN_MAJOR = "1"
KIND = "gallery"
VECTORS_FILE = "vectors.bin"
PRODUCTS_FILE = "products.json"
CENTRE_FILE = "centre.bin"
FILES = frozenset({VECTORS_FILE, PRODUCTS_FILE})
# The name under which a bundle's manifest delegates the key of its galleries.
DELEGATED_KEY = "gallery"
MAX_VERSION = 2**53 - 1
MAX_VECTORS = 200_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY = re.compile(r"ed25519:[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True)
class AnswerRule:
    """When the best product of a gallery is an answer; cosines lie in -1..1.

    Attributes:
        accept_at_least: smallest cosine of the best product.
        margin_at_least: smallest lead over the second product.
        override_margin: the lead over the classifier's own product from which a known answer of
            the classifier gives way to the gallery's best product.
        true_accept_rate, false_accept_rate: measured on n_known and n_unknown pictures; None where
            there were none.
    """

    accept_at_least: float
    margin_at_least: float
    override_margin: float
    true_accept_rate: float | None
    false_accept_rate: float | None
    n_known: int
    n_unknown: int


@dataclass(frozen=True)
class GalleryManifest:
    """Everything in the gallery's manifest.json.

    Attributes:
        gallery_id, version: which line of galleries, and a number that only rises.
        model_sha256: SHA-256 (hex) of the model file whose embeddings these are.
        role: the role of that model in its bundle, "embedder" or "classifier".
        dimensions, count, products: numbers of a vector, vectors, products.
        centred: whether centre.bin holds what is taken off a query's unit embedding.
        answer: when the best product counts.
        files: size and SHA-256 of every file.
        signing_key: says who signed, for people; trust comes from the bundle's delegation.
    """

    gallery_id: str
    version: int
    model_sha256: str
    role: str
    dimensions: int
    count: int
    products: int
    centred: bool
    answer: AnswerRule
    files: Mapping[str, FileEntry]
    signing_key: str | None
    format_version: str = FORMAT_VERSION

    @classmethod
    def from_bytes(cls, data: bytes) -> GalleryManifest:
        """Read manifest.json, which must be canonical JSON. Raises BundleError."""
        value = parse_json(data, "the gallery's manifest.json")
        if canonical_json(value) != data:
            raise _refused("canonical JSON (sorted keys, no spaces)", "another spelling")
        return cls.from_json(value)

    @classmethod
    def from_json(cls, value: Any) -> GalleryManifest:
        """Check and read the JSON object. Raises BundleError, also for an unknown major version."""
        if not isinstance(value, dict) or value.get("kind") != KIND:
            raise _refused(f"kind {KIND!r}", _short(value))
        version = value.get("format_version")
        if not isinstance(version, str) or version.split(".")[0] != KNOWN_MAJOR:
            raise _refused(f"format {KNOWN_MAJOR}.x", f"format_version {_short(version)}")
        problem = _first_problem(value)
        if problem:
            raise _refused(*problem)
        names = AnswerRule.__dataclass_fields__
        return cls(
            **{name: value[name] for name in _SIMPLE},
            answer=AnswerRule(**{name: value["answer"][name] for name in names}),
            files={
                name: FileEntry(entry["sha256"], entry["size_bytes"])
                for name, entry in value["files"].items()
            },
        )

    def to_bytes(self) -> bytes:
        """Return manifest.json: canonical JSON, checked by reading it back. Raises BundleError."""
        value = {"kind": KIND, **{name: getattr(self, name) for name in _SIMPLE}}
        value["answer"] = asdict(self.answer)
        value["files"] = {name: asdict(entry) for name, entry in self.files.items()}
        data = canonical_json(value)
        GalleryManifest.from_bytes(data)
        return data


_SIMPLE = (
    "gallery_id", "version", "model_sha256", "role", "dimensions", "count", "products", "centred",
    "signing_key", "format_version",
)  # fmt: skip


def _first_problem(value: dict[str, Any]) -> tuple[str, str] | None:
    """Return what was expected and what was received at the first wrong field, or None."""
    checks: tuple[tuple[str, str, bool], ...] = (
        ("gallery_id", "a short plain name", _matches(_ID, value.get("gallery_id"))),
        ("version", "a whole number from 1", _whole(value.get("version"), 1, MAX_VERSION)),
        ("model_sha256", "64 hex digits", _matches(_SHA256, value.get("model_sha256"))),
        ("role", "embedder or classifier", value.get("role") in ("embedder", "classifier")),
        ("dimensions", "1 to 4096", _whole(value.get("dimensions"), 1, MAX_DIMENSIONS)),
        ("count", f"1 to {MAX_VECTORS}", _whole(value.get("count"), 1, MAX_VECTORS)),
        ("products", f"1 to {MAX_VECTORS}", _whole(value.get("products"), 1, MAX_VECTORS)),
        ("centred", "true or false", isinstance(value.get("centred"), bool)),
        ("signing_key", "a public key or null",
         "signing_key" in value
         and (value["signing_key"] is None or _matches(_KEY, value["signing_key"]))),
        ("answer", "an answer rule", _is_rule(value.get("answer"))),
        ("files", "its files with size and SHA-256",
         _are_files(value.get("files"), centred=value.get("centred") is True)),
    )  # fmt: skip
    for name, expected, fine in checks:
        if not fine:
            return f"{name} to be {expected}", _short(value.get(name))
    return None


def _is_rule(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    cosines = all(
        _number(value.get(name), -2, 2)
        for name in ("accept_at_least", "margin_at_least", "override_margin")
    )
    rates = all(
        name in value and (value[name] is None or _number(value[name], 0, 1))
        for name in ("true_accept_rate", "false_accept_rate")
    )
    counts = all(_whole(value.get(name), 0, MAX_VERSION) for name in ("n_known", "n_unknown"))
    return cosines and rates and counts


def _are_files(value: Any, *, centred: bool) -> bool:
    expected = FILES | {CENTRE_FILE} if centred else FILES
    return (
        isinstance(value, dict)
        and set(value) == expected
        and all(
            isinstance(entry, dict)
            and _matches(_SHA256, entry.get("sha256"))
            and _whole(entry.get("size_bytes"), 1, 2**30)
            for entry in value.values()
        )
    )


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _short(value: Any) -> str:
    return repr(value)[:80]


def _refused(expected: str, received: str) -> BundleError:
    return BundleError(
        f"Expected the gallery's manifest.json with {expected}. Received {received}. "
        "Build the gallery again, or use a promolens that knows it."
    )
