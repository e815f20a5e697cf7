"""Publishing: copied into the store, verified there as phones verify it, then offered.

What is verified is the copy, so that nothing can change between the look and the use.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from promolens_runtime.errors import BundleError
from promolens_runtime.folder import locate, read_file, stray_problems
from promolens_runtime.manifest import MANIFEST_FILE, SIGNATURE_FILE, Manifest
from promolens_server.bundles import channels
from promolens_server.bundles.channels import Channel
from promolens_server.bundles.releases import Release, ReleaseFile, Stored
from promolens_server.bundles.store import ArtefactStore, Checkpoint, nothing, write_synced

# A coding that saves less is not worth a second copy of the file.
WORTH_IT = 0.95
SMALLEST_ENCODED_BYTES = 512


class RefusedBundleError(BundleError):
    """The bundle does not verify; `findings` has a line for each thing that is wrong."""

    def __init__(self, findings: tuple[str, ...]) -> None:
        self.findings = findings
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__("".join(findings[:1]) + more)


@dataclass(frozen=True)
class Order:
    """How something is to be offered.

    Attributes:
        channel: `stable` or `beta`.
        percent: of the phones that are offered it at first, 1..100.
        by: who publishes, for the channel's list of deeds.
        allow_downgrade: offer it though phones may have a higher version.
    """

    channel: str = "stable"
    percent: int = 100
    by: str = ""
    allow_downgrade: bool = False


@dataclass(frozen=True)
class Published:
    """What a publication came to; `new` is false where the store had the release already."""

    release: Release
    channel: Channel
    new: bool


@dataclass(frozen=True)
class Facts:
    """What a verified copy says of itself.

    Attributes:
        name, version, minimum_app_version, signed_by, model_sha256: as in `Release`.
        files: names of its files, without manifest and signature.
    """

    name: str
    version: int
    signed_by: str
    files: Collection[str]
    minimum_app_version: str | None = None
    model_sha256: str | None = None


@dataclass(frozen=True)
class Artefact:
    """A kind of thing that can be published.

    Attributes:
        locate: returns its folder from the path that a person gave. Raises BundleError.
        listed: returns the names of the files in its manifest.json. Raises BundleError.
        verified: checks a copy and returns its facts. Raises BundleError.
    """

    locate: Callable[[Path], Path]
    listed: Callable[[bytes], Collection[str]]
    verified: Callable[[Path], Facts]


def publish_bundle(
    store: ArtefactStore,
    path: Path,
    public_key: str | None,
    order: Order,
    now: datetime,
    *,
    checkpoint: Checkpoint = nothing,
) -> Published:
    """Verify the bundle in `path` or `path/bundle`, keep it, and offer it on a channel.

    Raises RefusedBundleError when it does not verify (bundles without a signature never do), else
    as `publish`.
    """
    bundle = Artefact(
        locate, _listed_by_bundle, lambda folder: _verified_bundle(folder, public_key)
    )
    return publish(store, bundle, path, order, now, checkpoint=checkpoint)


def publish(
    store: ArtefactStore,
    artefact: Artefact,
    path: Path,
    order: Order,
    now: datetime,
    *,
    checkpoint: Checkpoint = nothing,
) -> Published:
    """Copy what lies in `path`, verify the copy, keep it, and offer it on a channel.

    Raises:
        BundleError: it cannot be read, or does not verify.
        InputError: the channel refuses it (`channels.publish`), or its version has another content.
        OSError: the store cannot be written; it is as it was.
    """
    store.channel(order.channel)
    store.folder.mkdir(parents=True, exist_ok=True)
    with store.incoming() as folder:
        _copy(artefact, path, folder / "files")
        checkpoint("staged")
        release = _described(folder, artefact.verified(folder / "files"), now)
        checkpoint("verified")
        # Tried before the release is kept: a refused one leaves nothing behind.
        _offer(store.channel(order.channel), release, order, now)
        write_synced(folder / "release.json", release.to_bytes())
        checkpoint("described")
        new = store.place(folder, release)
        checkpoint("placed")
    channel = store.change_channel(
        order.channel, lambda before: _offer(before, release, order, now), checkpoint=checkpoint
    )
    return Published(release, channel, new)


def _offer(before: Channel, release: Release, order: Order, now: datetime) -> Channel:
    return channels.publish(
        before, release, order.percent, now, order.by, allow_downgrade=order.allow_downgrade
    )


def _copy(artefact: Artefact, path: Path, target: Path) -> None:
    """Copy manifest, signature and the listed files; each is read once, within its limit."""
    source = artefact.locate(path)
    data = read_file(source, MANIFEST_FILE)
    names = artefact.listed(data)
    strays = stray_problems(source, names)
    if strays:
        raise RefusedBundleError(tuple(strays))
    target.mkdir(mode=0o755)
    write_synced(target / MANIFEST_FILE, data)
    for name in (SIGNATURE_FILE, *sorted(names)):
        write_synced(target / name, read_file(source, name))


def _listed_by_bundle(data: bytes) -> Collection[str]:
    return Manifest.from_bytes(data).files


def _verified_bundle(folder: Path, public_key: str | None) -> Facts:
    from promolens_runtime.verify import verify_bundle

    report = verify_bundle(folder, public_key)
    manifest = report.manifest
    if not report.ok or manifest is None or report.signed_by is None:
        raise RefusedBundleError(report.findings)
    return Facts(
        manifest.bundle_id,
        manifest.version,
        report.signed_by,
        manifest.files,
        minimum_app_version=manifest.minimum_app_version,
    )


def _described(folder: Path, facts: Facts, now: datetime) -> Release:
    """Write the compressed files of a verified copy and describe it."""
    names = (MANIFEST_FILE, SIGNATURE_FILE, *facts.files)
    files = {name: _file(folder, name) for name in sorted(names)}
    return Release(
        id=files[MANIFEST_FILE].sha256,
        name=facts.name,
        version=facts.version,
        minimum_app_version=facts.minimum_app_version,
        signed_by=facts.signed_by,
        added_at=now,
        files=files,
        model_sha256=facts.model_sha256,
    )


def _file(folder: Path, name: str) -> ReleaseFile:
    data = (folder / "files" / name).read_bytes()
    encoded: dict[str, Stored] = {}
    if len(data) >= SMALLEST_ENCODED_BYTES:
        (folder / "encoded").mkdir(mode=0o755, exist_ok=True)
        for coding, compressed in _compressed(data):
            if len(compressed) <= WORTH_IT * len(data):
                write_synced(folder / "encoded" / f"{name}.{coding}", compressed)
                encoded[coding] = _stored(compressed)
    stored = _stored(data)
    return ReleaseFile(stored.sha256, stored.size_bytes, encoded)


def _compressed(data: bytes) -> list[tuple[str, bytes]]:
    import brotli

    pair = [
        ("br", bytes(brotli.compress(data, quality=11))),
        ("gzip", gzip.compress(data, mtime=0)),
    ]
    backs = (brotli.decompress(pair[0][1]), gzip.decompress(pair[1][1]))
    assert all(back == data for back in backs), "compressed files are served to every phone"
    return pair


def _stored(data: bytes) -> Stored:
    return Stored(hashlib.sha256(data).hexdigest(), len(data))
