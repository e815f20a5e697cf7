"""Write a bundle folder whole or not at all; its version rises only with its content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from promolens_export.model_card import model_card
from promolens_runtime.bundle import read_bundle
from promolens_runtime.errors import BundleError, SignatureError
from promolens_runtime.manifest import MANIFEST_FILE, SIGNATURE_FILE, FileEntry, Manifest
from promolens_runtime.signing import SigningKey, sign
from promolens_runtime.verify import verify_bundle
from promolens_runtime.whole_folder import finish_swap, has_content, replace_folder

BUNDLE_FOLDER = "bundle"
CARD_FILE = "MODEL_CARD.md"


@dataclass(frozen=True)
class WrittenBundle:
    """Where the bundle is, its manifest, and whether it was there already, byte for byte."""

    folder: Path
    manifest: Manifest
    unchanged: bool


def file_entry(data: bytes) -> FileEntry:
    """Return the manifest's entry for a file."""
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def previous_manifest(out: Path) -> Manifest | None:
    """Return the manifest of the bundle in `out`, None where there is none.

    A swap that was cut off between its two renames is finished first.

    Raises:
        BundleError: something else lies there; its version cannot be known, so none may replace
            it.
    """
    folder = out / BUNDLE_FOLDER
    finish_swap(folder)
    if not os.path.lexists(folder):
        return None
    try:
        return read_bundle(folder, None, allow_unsigned=True).manifest
    except (BundleError, SignatureError, OSError) as error:
        raise BundleError(
            f"Expected a whole bundle or nothing in {folder}. Received one that is damaged "
            f"({error}) Move it away, or choose another --out."
        ) from error


def _complete(manifest: Manifest, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return every file of the bundle for that manifest, the card and the manifest included."""
    listed = {name: file_entry(data) for name, data in files.items()}
    manifest = replace(manifest, files=listed)
    n_classes = manifest.model("classifier").tensor("logits").shape[-1]
    card = model_card(manifest, n_classes).encode()
    manifest = replace(manifest, files={**listed, CARD_FILE: file_entry(card)})
    return {**files, CARD_FILE: card, MANIFEST_FILE: manifest.to_bytes()}


def _signed(content: dict[str, bytes], key: SigningKey | None) -> dict[str, bytes]:
    if key is None:
        return content
    return {**content, SIGNATURE_FILE: sign(content[MANIFEST_FILE], key)}


def _check(folder: Path, key: SigningKey | None) -> None:
    public = None if key is None else key.public
    report = verify_bundle(folder, public, allow_unsigned=key is None)
    if not report.ok:
        raise BundleError(
            f"Expected the new bundle to pass its own verification. Received: {report.findings[0]} "
            "The bundle that was there is kept."
        )


def write_bundle(
    out: Path, draft: Manifest, files: Mapping[str, bytes], key: SigningKey | None
) -> WrittenBundle:
    """Write `out/bundle`: card, manifest and signature are made here, the rest are `files`.

    Everything goes into a folder beside it first, is flushed to disk and verified there (hashes,
    signature, golden vectors), then takes the place of the old bundle by a rename.

    Args:
        draft: the manifest; its `version`, `files` and `signing_key` are filled in here. The
            version is the old bundle's where the content is the same, else one more.
        key: None writes an unsigned bundle.

    Raises:
        BundleError: the old bundle is damaged, or the new one does not pass verification.
        OSError: the disk is full or the folder cannot be written; the old bundle is untouched.
    """
    out.mkdir(parents=True, exist_ok=True)
    old = previous_manifest(out)
    draft = replace(draft, signing_key=None if key is None else key.public)
    version = 1 if old is None else old.version
    content = _signed(_complete(replace(draft, version=version), files), key)
    folder = out / BUNDLE_FOLDER
    if old is not None:
        if has_content(folder, content):
            return WrittenBundle(folder, Manifest.from_bytes(content[MANIFEST_FILE]), True)
        version += 1
        content = _signed(_complete(replace(draft, version=version), files), key)
    replace_folder(folder, content, lambda work: _check(work, key))
    return WrittenBundle(folder, Manifest.from_bytes(content[MANIFEST_FILE]), False)
