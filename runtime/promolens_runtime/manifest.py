"""The bundle's manifest: the only thing that a reader trusts, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib import resources
from typing import Any

from promolens_runtime.canonical import canonical_json, parse_json
from promolens_runtime.errors import BundleError
from promolens_runtime.manifest_embedding import EmbeddingSpec
from promolens_runtime.preprocess import Preprocessing

FORMAT_VERSION = "1.0"
KNOWN_MAJOR = "1"
MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "manifest.sig"
# What each role's model must answer; a role that is not here is refused.
ROLE_OUTPUTS: dict[str, frozenset[str]] = {
    "classifier": frozenset({"logits", "embedding"}),
    "embedder": frozenset({"embedding"}),
    "pair_verifier": frozenset(),
    "detector": frozenset(),
}


@dataclass(frozen=True)
class FileEntry:
    """What a file of the bundle must be: lower-case hex SHA-256 and size in bytes."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class TensorSpec:
    """One input or output by name; scale and zero point where it is quantised, else both None."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None = None
    zero_point: int | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TensorSpec:
        """Read one entry of `inputs` or `outputs`."""
        return cls(
            value["name"],
            value["dtype"],
            tuple(value["shape"]),
            value.get("scale"),
            value.get("zero_point"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the entry; scale and zero point only where the tensor is quantised."""
        entry: dict[str, Any] = {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
        }
        if self.scale is not None:
            entry |= {"scale": self.scale, "zero_point": self.zero_point}
        return entry


@dataclass(frozen=True)
class ModelEntry:
    """One model of the bundle: its role, its files, its signature and its tensors by name.

    Attributes:
        embedding: how its embedding is to be used; None where the manifest says nothing of it.
    """

    role: str
    file: str
    signature: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    golden_file: str
    labels_file: str | None = None
    embedding: EmbeddingSpec | None = None

    def __post_init__(self) -> None:
        """Raises BundleError for an unknown role, and for outputs that the role misses."""
        if self.role not in ROLE_OUTPUTS:
            raise BundleError(
                f"Expected a model role among {', '.join(ROLE_OUTPUTS)}. Received {self.role!r}. "
                "Use a newer promolens."
            )
        names = [spec.name for spec in (*self.inputs, *self.outputs)]
        missing = sorted(ROLE_OUTPUTS[self.role] - {spec.name for spec in self.outputs})
        if missing or len(set(names)) != len(names):
            raise BundleError(
                f"Expected a {self.role} with outputs {sorted(ROLE_OUTPUTS[self.role])} and no "
                f"name twice. Received tensors {names}. Export the bundle again."
            )
        if self.role == "classifier" and self.labels_file is None:
            raise BundleError(
                "Expected a classifier with a labels_file. Received null. Export the bundle again."
            )
        if self.embedding is not None:
            self.embedding.check_width(self.tensor("embedding").shape[-1])

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelEntry:
        """Read one entry of `models`."""
        return cls(
            role=value["role"],
            file=value["file"],
            signature=value["signature"],
            inputs=tuple(TensorSpec.from_json(spec) for spec in value["inputs"]),
            outputs=tuple(TensorSpec.from_json(spec) for spec in value["outputs"]),
            golden_file=value["golden_file"],
            labels_file=value["labels_file"],
            embedding=EmbeddingSpec.from_json(value["embedding"]) if "embedding" in value else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `models`; `embedding` only where something is said of it."""
        said = {} if self.embedding is None else {"embedding": self.embedding.to_json()}
        return {
            **said,
            "role": self.role,
            "file": self.file,
            "signature": self.signature,
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
            "golden_file": self.golden_file,
            "labels_file": self.labels_file,
        }

    def named_files(self) -> tuple[str, ...]:
        """Return the files that the entry names."""
        offset = None if self.embedding is None else self.embedding.catalogue_offset_file
        names = (self.file, self.labels_file, self.golden_file, offset)
        return tuple(name for name in names if name is not None)

    def tensor(self, name: str) -> TensorSpec:
        """Return the input or output called `name`. Raises BundleError."""
        for spec in (*self.inputs, *self.outputs):
            if spec.name == name:
                return spec
        raise BundleError(
            f"Expected a {self.role} with a tensor {name!r}. Received none of that name. "
            "Export the bundle again."
        )


@dataclass(frozen=True)
class UnknownRule:
    """When an answer counts as known: score(raw logits) >= accept_at_least.

    `max_logit` is the largest logit, `energy` is log(sum(exp(logits))) (arXiv 2010.03759 with its
    sign turned and temperature 1). The rates were measured on n_known and n_unknown pictures.
    """

    score: str
    accept_at_least: float
    true_accept_rate: float
    false_accept_rate: float | None
    n_known: int
    n_unknown: int


@dataclass(frozen=True)
class GoldenTolerance:
    """Largest absolute difference that any runtime may show on a golden vector."""

    logits_tolerance: float
    embedding_tolerance: float


@dataclass(frozen=True)
class Measured:
    """Figures of one model: rates in 0..1 on n pictures, 95 % interval of top-1, ECE.

    `ece` is after temperature scaling and cross-fitted over sources (docs/evaluation.md), or, where
    the pictures have but one source, after the bundle's temperature; `evaluated_on` says which.
    """

    n: int
    top1: float
    top1_interval: tuple[float, float]
    top3: float
    top5: float
    coarse_top1: float | None
    ece: float

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Measured:
        """Read `metrics.float` or `metrics.shipped`."""
        low, high = value["top1_interval"]
        known = _known(cls, value)
        known["top1_interval"] = (low, high)
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """Return `metrics.float` or `metrics.shipped`."""
        return asdict(self) | {"top1_interval": list(self.top1_interval)}


@dataclass(frozen=True)
class Metrics:
    """The float model against the shipped one, on the photos that `evaluated_on` describes."""

    evaluated_on: str
    float_model: Measured
    shipped: Measured
    agreement: float
    won: int
    lost: int

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Metrics:
        """Read `metrics`."""
        return cls(
            evaluated_on=value["evaluated_on"],
            float_model=Measured.from_json(value["float"]),
            shipped=Measured.from_json(value["shipped"]),
            agreement=value["agreement"],
            won=value["won"],
            lost=value["lost"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return `metrics`."""
        return {
            "evaluated_on": self.evaluated_on,
            "float": self.float_model.to_json(),
            "shipped": self.shipped.to_json(),
            "agreement": self.agreement,
            "won": self.won,
            "lost": self.lost,
        }


@dataclass(frozen=True)
class Fingerprints:
    """SHA-256 (hex) of what the model was made from."""

    dataset: str
    calibration_set: str
    recipe: str


@dataclass(frozen=True)
class CalibrationImage:
    """One picture that chose the int8 ranges: path relative to the dataset, and its SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Licence:
    """Licence texts of the pretrained weights and of the bundle."""

    weights: str
    bundle: str


@dataclass(frozen=True)
class Manifest:
    """Everything in manifest.json. `signing_key` informs; trust comes from the reader's own key."""

    bundle_id: str
    version: int
    minimum_app_version: str
    files: Mapping[str, FileEntry]
    models: tuple[ModelEntry, ...]
    preprocessing: Preprocessing
    temperature: float
    unknown: UnknownRule
    golden: GoldenTolerance
    metrics: Metrics
    fingerprints: Fingerprints
    calibration_images: tuple[CalibrationImage, ...]
    recipe: Mapping[str, Any]
    backbone: str
    seed: int
    tools: Mapping[str, str]
    licence: Licence
    delegated_keys: Mapping[str, str | None]
    signing_key: str | None
    format_version: str = FORMAT_VERSION

    @classmethod
    def from_json(cls, value: Any) -> Manifest:
        """Check `value` against the schema and read it.

        Raises BundleError for an unknown major version, a field that the schema refuses, an
        unknown role, preprocessing that this version does not know, and files named nowhere.
        """
        _check_major(value)
        problems = schema_problems(value)
        if problems:
            raise BundleError(problems[0])
        simple = ("bundle_id", "version", "minimum_app_version", "temperature", "recipe",
                  "backbone", "seed", "tools", "delegated_keys", "signing_key",
                  "format_version")  # fmt: skip
        manifest = cls(
            files={name: FileEntry(**_known(FileEntry, e)) for name, e in value["files"].items()},
            models=tuple(ModelEntry.from_json(entry) for entry in value["models"]),
            preprocessing=Preprocessing.from_json(value["preprocessing"]),
            unknown=UnknownRule(**_known(UnknownRule, value["unknown"])),
            golden=GoldenTolerance(**_known(GoldenTolerance, value["golden"])),
            metrics=Metrics.from_json(value["metrics"]),
            fingerprints=Fingerprints(**_known(Fingerprints, value["fingerprints"])),
            calibration_images=tuple(
                CalibrationImage(**_known(CalibrationImage, image))
                for image in value["calibration_images"]
            ),
            licence=Licence(**_known(Licence, value["licence"])),
            **{name: value[name] for name in simple},
        )
        manifest.check_references()
        return manifest

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read manifest.json, which must be canonical JSON. Raises BundleError."""
        value = parse_json(data, MANIFEST_FILE)
        if canonical_json(value) != data:
            raise BundleError(
                "Expected manifest.json in canonical JSON (sorted keys, no spaces). Received "
                "another spelling. Export the bundle again; never edit it."
            )
        return cls.from_json(value)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of manifest.json."""
        return {
            "format_version": self.format_version,
            "bundle_id": self.bundle_id,
            "version": self.version,
            "minimum_app_version": self.minimum_app_version,
            "files": {name: asdict(entry) for name, entry in self.files.items()},
            "models": [model.to_json() for model in self.models],
            "preprocessing": self.preprocessing.to_json(),
            "temperature": self.temperature,
            "unknown": asdict(self.unknown),
            "golden": asdict(self.golden),
            "metrics": self.metrics.to_json(),
            "fingerprints": asdict(self.fingerprints),
            "calibration_images": [asdict(image) for image in self.calibration_images],
            "recipe": dict(self.recipe),
            "backbone": self.backbone,
            "seed": self.seed,
            "tools": dict(self.tools),
            "licence": asdict(self.licence),
            "delegated_keys": dict(self.delegated_keys),
            "signing_key": self.signing_key,
        }

    def to_bytes(self) -> bytes:
        """Return manifest.json: canonical JSON, checked by reading it back. Raises BundleError."""
        data = canonical_json(self.to_json())
        Manifest.from_bytes(data)
        return data

    def model(self, role: str) -> ModelEntry:
        """Return the first model of that role. Raises BundleError when the bundle has none."""
        for entry in self.models:
            if entry.role == role:
                return entry
        raise BundleError(
            f"Expected a bundle with a {role}. Received roles "
            f"{', '.join(entry.role for entry in self.models)}. Use another bundle."
        )

    def check_references(self) -> None:
        """Raises BundleError when a model names a file that `files` does not list."""
        for entry in self.models:
            for name in entry.named_files():
                if name not in self.files:
                    raise BundleError(
                        f"Expected every file of the {entry.role} under `files`. "
                        f"Received {name!r}, which is not there. Export the bundle again."
                    )
        if len({name.casefold() for name in self.files}) != len(self.files):
            raise BundleError(
                "Expected file names that differ by more than case. Received "
                f"{', '.join(sorted(self.files))}. Export the bundle again."
            )


def schema_problems(value: Any, limit: int = 20) -> list[str]:
    """Return one line for each place (at most `limit`) where `value` breaks the schema."""
    problems = []
    for error in _validator().iter_errors(value):
        place = "/".join(str(part) for part in error.absolute_path) or "the top level"
        reason = " ".join(error.message.split())[:200]
        problems.append(
            f"Expected manifest.json to follow its schema. Received at {place}: {reason}. "
            "Export the bundle again."
        )
        if len(problems) == limit:
            break
    return problems


def schema_text() -> str:
    """Return the JSON Schema of the manifest."""
    folder = resources.files("promolens_runtime") / "schemas"
    return (folder / "manifest.schema.json").read_text("utf-8")


@cache
def _validator() -> Any:
    import json

    import jsonschema

    return jsonschema.Draft202012Validator(json.loads(schema_text()))


def _check_major(value: Any) -> None:
    version = value.get("format_version") if isinstance(value, dict) else None
    if not isinstance(version, str) or version.split(".")[0] != KNOWN_MAJOR:
        raise BundleError(
            f"Expected a manifest of format {KNOWN_MAJOR}.x. Received format_version {version!r}. "
            "Use a promolens that knows it."
        )


def _known(cls: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the fields that `cls` has: a later minor version may add others."""
    return {field.name: value[field.name] for field in fields(cls)}
