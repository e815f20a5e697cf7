"""Everything that can be checked about a bundle, one line for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from promolens_runtime.bundle import check_signature, checked_labels
from promolens_runtime.canonical import canonical_json, parse_json
from promolens_runtime.embedder import catalogue_offset
from promolens_runtime.errors import BundleError
from promolens_runtime.folder import locate, read_file, read_listed, stray_problems
from promolens_runtime.golden import Golden, read_golden_json, read_golden_npz
from promolens_runtime.manifest import MANIFEST_FILE, Manifest, ModelEntry, schema_problems
from promolens_runtime.model_file import (
    Network,
    golden_problems,
    input_problems,
    operator_problems,
    tensor_problems,
)

T = TypeVar("T")


@dataclass(frozen=True)
class VerifyReport:
    """The outcome.

    Attributes:
        folder: the bundle's folder.
        findings: what is wrong, one line each; empty when all is well.
        notes: what the reader should know though nothing is wrong (an allowed missing signature).
        signed_by: the public key that checked the signature, None when none did.
        manifest: the manifest as far as it could be read.
    """

    folder: Path
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    signed_by: str | None
    manifest: Manifest | None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify_bundle(
    path: Path, public_key: str | None, *, allow_unsigned: bool = False
) -> VerifyReport:
    """Check the bundle in `path` or `path/bundle` from its signature to its golden vectors.

    A model whose signature or hash is wrong is not opened: a model is code. Never raises for what
    is wrong with the bundle; `findings` says it.
    """
    findings: list[str] = []
    notes: list[str] = []
    found = _attempt(findings, lambda: (locate(path), read_file(locate(path), MANIFEST_FILE)))
    if found is None:
        return VerifyReport(path, tuple(findings), (), None, None)
    folder, data = found
    signed_by = _attempt(
        findings, lambda: check_signature(folder, data, public_key, allow_unsigned=allow_unsigned)
    )
    trusted = not findings
    if trusted and signed_by is None:
        notes.append("The signature was not checked: unsigned bundles were allowed.")
    manifest = _manifest(data, findings)
    if manifest is not None:
        _check_signing_key(manifest, signed_by, findings)
        files = _files(folder, manifest, findings)
        if trusted:
            for entry in manifest.models:
                findings.extend(_model_findings(manifest, entry, files))
        else:
            notes.append("The model was not opened, because the signature is not good.")
    return VerifyReport(folder, tuple(findings), tuple(notes), signed_by, manifest)


def _attempt(findings: list[str], work: Callable[[], T]) -> T | None:
    try:
        return work()
    except BundleError as error:
        findings.append(str(error))
        return None


def _manifest(data: bytes, findings: list[str]) -> Manifest | None:
    value: Any = _attempt(findings, lambda: parse_json(data, MANIFEST_FILE))
    if value is None:
        return None
    manifest = _attempt(findings, lambda: Manifest.from_json(value))
    if manifest is None:  # from_json stops at the first problem; name the others too
        findings.extend(line for line in schema_problems(value) if line not in findings)
    elif canonical_json(value) != data:
        _attempt(findings, lambda: Manifest.from_bytes(data))
    return manifest


def _check_signing_key(manifest: Manifest, signed_by: str | None, findings: list[str]) -> None:
    if signed_by and manifest.signing_key and manifest.signing_key != signed_by:
        findings.append(
            f"Expected signing_key in {MANIFEST_FILE} to be {signed_by}, which signed it. "
            f"Received {manifest.signing_key}. Export the bundle again."
        )


def _files(folder: Path, manifest: Manifest, findings: list[str]) -> dict[str, bytes]:
    """Return the bytes of the files that are as the manifest says; the others become findings."""
    files: dict[str, bytes] = {}
    for name, entry in sorted(manifest.files.items()):
        try:
            files[name] = read_listed(folder, name, entry)
        except BundleError as error:
            findings.append(str(error))
    findings.extend(stray_problems(folder, manifest.files))
    return files


def _model_findings(manifest: Manifest, entry: ModelEntry, files: Mapping[str, bytes]) -> list[str]:
    findings: list[str] = []
    if entry.labels_file is None or entry.labels_file in files:
        _attempt(findings, lambda: checked_labels(files, entry))
    _attempt(findings, lambda: catalogue_offset(files, entry))
    golden = _golden(entry, files, findings)
    content = files.get(entry.file)
    if content is None:
        return findings
    # Read as a table before LiteRT runs any of it: the finding then names the op.
    wrong_ops = _attempt(findings, lambda: operator_problems(content, entry))
    if wrong_ops is None:
        return findings
    findings += wrong_ops + input_problems(entry, manifest.preprocessing)
    network = _attempt(findings, lambda: Network(content, entry))
    if network is None:
        return findings
    differing = tensor_problems(network, entry)
    findings += differing
    if golden is not None and not differing:
        findings.extend(golden_problems(network.run, entry, golden, manifest.golden))
    return findings


def _golden(entry: ModelEntry, files: Mapping[str, bytes], findings: list[str]) -> Golden | None:
    if entry.golden_file not in files:
        return None
    golden = _attempt(findings, lambda: read_golden_npz(files[entry.golden_file]))
    twin = str(Path(entry.golden_file).with_suffix(".json"))
    if twin not in files:
        findings.append(
            f"Expected {twin} beside {entry.golden_file}, for readers without NumPy. "
            "Received none. Export the bundle again."
        )
        return golden
    other = _attempt(findings, lambda: read_golden_json(files[twin]))
    if golden and other and not golden.equals(other):
        findings.append(
            f"Expected {twin} with the numbers of {entry.golden_file}. Received others. "
            "Export the bundle again."
        )
    return golden
