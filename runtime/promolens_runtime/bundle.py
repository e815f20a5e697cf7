"""A bundle as read from disk: signature first, then the manifest, then every file it lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from promolens_runtime.errors import BundleError, SignatureError
from promolens_runtime.folder import locate, read_file, read_listed, stray_problems
from promolens_runtime.labels import Label, read_labels
from promolens_runtime.manifest import MANIFEST_FILE, SIGNATURE_FILE, Manifest, ModelEntry
from promolens_runtime.signing import verify


@dataclass(frozen=True)
class Bundle:
    """What was verified, in memory: later readers use these bytes and never the disk again.

    Attributes:
        folder: where it was read from.
        manifest: the verified manifest.
        files: bytes of every listed file by name; their size and SHA-256 are the manifest's.
        signed_by: the public key that checked the signature, None when unsigned was allowed.
    """

    folder: Path
    manifest: Manifest
    files: Mapping[str, bytes]
    signed_by: str | None

    def labels(self, entry: ModelEntry) -> tuple[Label, ...]:
        """Return the labels of that model in output order. Raises BundleError."""
        return checked_labels(self.files, entry)


def read_bundle(path: Path, public_key: str | None, *, allow_unsigned: bool = False) -> Bundle:
    """Read and check a bundle folder, or a folder that holds `bundle/`.

    Checks the signature, the schema, every file's size and hash, and that nothing else lies there;
    it does not open the model (see `Recognizer.open` and `verify_bundle`).

    Raises SignatureError and BundleError, at the first thing that is wrong.
    """
    folder = locate(path)
    data = read_file(folder, MANIFEST_FILE)
    signed_by = check_signature(folder, data, public_key, allow_unsigned=allow_unsigned)
    manifest = Manifest.from_bytes(data)
    files = {name: read_listed(folder, name, entry) for name, entry in manifest.files.items()}
    strays = stray_problems(folder, manifest.files)
    if strays:
        raise BundleError(strays[0])
    return Bundle(folder, manifest, files, signed_by)


def check_signature(
    folder: Path, manifest_bytes: bytes, public_key: str | None, *, allow_unsigned: bool
) -> str | None:
    """Return the key that signed the manifest; None when there is none and that is allowed.

    A signature that is there and a key that is given are always compared, whatever is allowed.
    Raises SignatureError, and BundleError when manifest.sig cannot be read.
    """
    present = (folder / SIGNATURE_FILE).exists() or (folder / SIGNATURE_FILE).is_symlink()
    signature = read_file(folder, SIGNATURE_FILE) if present else None
    if signature is not None and public_key is not None:
        verify(manifest_bytes, signature, public_key)
        return public_key
    if allow_unsigned:
        return None
    if signature is None:
        raise SignatureError(
            f"Expected a signed bundle. Received no {SIGNATURE_FILE}. "
            "Export it again with a key, or allow unsigned bundles (--allow-unsigned)."
        )
    raise SignatureError(
        "Expected a public key to check the signature with. Received none. "
        "Pass --public-key or set PROMOLENS_PUBLIC_KEY."
    )


def checked_labels(files: Mapping[str, bytes], entry: ModelEntry) -> tuple[Label, ...]:
    """Return the model's labels, as many as its logits are wide. Raises BundleError."""
    if entry.labels_file is None:
        return ()
    labels = read_labels(files[entry.labels_file])
    width = entry.tensor("logits").shape[-1]
    if len(labels) != width:
        raise BundleError(
            f"Expected {entry.labels_file} with {width} classes, as the logits are wide. "
            f"Received {len(labels)}. Export the bundle again."
        )
    return labels
