"""Publishing a gallery: verified as phones do, against the bundle that its channel offers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from promolens_runtime.bundle import Bundle, read_bundle
from promolens_runtime.errors import BundleError, InputError
from promolens_runtime.gallery.gallery import read_gallery
from promolens_runtime.gallery.manifest import DELEGATED_KEY, GalleryManifest
from promolens_runtime.manifest import MANIFEST_FILE
from promolens_server.bundles.publishing import Artefact, Facts, Order, Published, publish
from promolens_server.bundles.store import ArtefactStore, Checkpoint, nothing

FOLDER = "gallery"


def publish_gallery(
    store: ArtefactStore,
    bundles: ArtefactStore,
    path: Path,
    public_key: str | None,
    order: Order,
    now: datetime,
    *,
    checkpoint: Checkpoint = nothing,
) -> Published:
    """Verify the gallery in `path` or `path/gallery`, keep it, and offer it on a channel.

    Args:
        store: of galleries.
        bundles: the store of the bundles; the channel's current one vouches for the gallery.
        public_key: the bundle's.

    Raises SignatureError and BundleError when it is not signed by the key that this bundle
    delegates, is of another model than the bundle's, or is damaged; InputError when the channel
    offers no bundle to all phones; else as `publish`.
    """
    bundle = _current_bundle(bundles, order.channel, public_key)
    key = bundle.manifest.delegated_keys.get(DELEGATED_KEY)
    if key is None:
        raise BundleError(
            f"Expected a bundle on the channel {order.channel} that delegates a gallery key. "
            "Received one without. Export it with PROMOLENS_GALLERY_PUBLIC_KEY and publish it."
        )
    gallery = Artefact(_locate, _listed, lambda folder: _verified(folder, bundle, key))
    return publish(store, gallery, path, order, now, checkpoint=checkpoint)


def _current_bundle(bundles: ArtefactStore, channel: str, public_key: str | None) -> Bundle:
    current = bundles.channel(channel).current
    if current is None:
        raise InputError(
            f"Expected a bundle on the channel {channel}, whose model the gallery is for. Received "
            "none that all phones are offered. Run first: promolens bundle publish"
        )
    files = bundles.path_of(bundles.release(current.id), MANIFEST_FILE).parent
    return read_bundle(files, public_key)


def _locate(path: Path) -> Path:
    for folder in (path, path / FOLDER):
        if (folder / MANIFEST_FILE).is_file():
            return folder
    raise BundleError(
        f"Expected a gallery with {MANIFEST_FILE} at {path}. Received none. "
        "Make one with: promolens gallery build"
    )


def _listed(data: bytes) -> Collection[str]:
    return GalleryManifest.from_bytes(data).files


def _verified(folder: Path, bundle: Bundle, key: str) -> Facts:
    manifest = read_gallery(folder, bundle).manifest
    return Facts(
        manifest.gallery_id,
        manifest.version,
        key,
        manifest.files,
        model_sha256=manifest.model_sha256,
    )
