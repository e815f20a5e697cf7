"""A verified gallery in memory, and how it is searched.

vectors.bin is little-endian: int8 codes `[count, dimensions]`, zero bytes up to a multiple of 4,
float32 scales `[count]`, uint32 owners `[count]`: the place of each vector's product in
products.json, rising. products.json has the form of a bundle's labels.json; centre.bin is float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.bundle import Bundle
from promolens_runtime.errors import BundleError, SignatureError
from promolens_runtime.folder import read_file, read_listed, stray_problems
from promolens_runtime.gallery.manifest import (
    CENTRE_FILE,
    DELEGATED_KEY,
    PRODUCTS_FILE,
    VECTORS_FILE,
    GalleryManifest,
)
from promolens_runtime.gallery.vectors import STEPS, Quantised, cosines, unit
from promolens_runtime.labels import Label, labels_json, read_labels
from promolens_runtime.manifest import MANIFEST_FILE, SIGNATURE_FILE
from promolens_runtime.signing import verify


@dataclass(frozen=True)
class Hit:
    """A product and the cosine, -1..1, of its most similar picture with the query."""

    product: Label
    cosine: float


@dataclass(frozen=True)
class Gallery:
    """Vectors and whose they are.

    Attributes:
        manifest: the verified manifest.
        products: what the vectors show.
        vectors: the catalogue pictures in eight bits, a product's pictures side by side.
        owners: int64 `[count]`, places in `products`, rising; every product has a vector.
        centre: float32 `[dimensions]`, taken off a query's unit embedding; None where not centred.
    """

    manifest: GalleryManifest
    products: tuple[Label, ...]
    vectors: Quantised
    owners: NDArray[np.int64]
    centre: NDArray[np.float32] | None

    def search(self, embedding: NDArray[np.float32], *, top: int = 5) -> tuple[Hit, ...]:
        """Return the most similar products, best first; equal ones in gallery order.

        `embedding` is float32 `[dimensions]` as the model gives it, of any length. Raises
        InputError when it has not the gallery's dimensions, NaN, or no length.
        """
        return self.best(self.product_cosines(embedding), top=top)

    def best(self, product_cosines: NDArray[np.float64], *, top: int) -> tuple[Hit, ...]:
        """Return the first products by their cosines, float64 `[products]`, as `search` does."""
        order = np.argsort(-product_cosines, kind="stable")[:top]
        return tuple(Hit(self.products[i], float(product_cosines[i])) for i in order)

    def place_of(self, item_id: str) -> int | None:
        """Return a product's place in `products`, None where the gallery has none of it."""
        return next((one.index for one in self.products if one.item_id == item_id), None)

    def product_cosines(self, embedding: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each product's best cosine, float64 `[products]`; raises as `search`."""
        scores = cosines(unit(embedding, self.centre), self.vectors)
        starts = np.flatnonzero(np.diff(self.owners, prepend=-1))
        return np.asarray(np.maximum.reduceat(scores, starts))

    def cosine_of(self, embedding: NDArray[np.float32], item_id: str) -> float | None:
        """Return the cosine of one product's best picture, None where the gallery has none of it.

        Raises InputError as `search`.
        """
        place = self.place_of(item_id)
        return None if place is None else float(self.product_cosines(embedding)[place])


def read_gallery(path: Path, bundle: Bundle, *, installed_version: int = 0) -> Gallery:
    """Read and check a gallery folder against the bundle whose model made its vectors.

    The signature must be by the key that the bundle's manifest delegates for galleries; a gallery
    of a bundle that was itself read without a signature may be unsigned.

    Raises SignatureError and BundleError: a wrong or missing signature, damage, a model that is not
    the bundle's, and a version below `installed_version`.
    """
    data = read_file(path, MANIFEST_FILE)
    _check_signature(path, data, bundle)
    manifest = GalleryManifest.from_bytes(data)
    _check_fit(manifest, bundle, installed_version)
    files = {name: read_listed(path, name, entry) for name, entry in manifest.files.items()}
    strays = stray_problems(path, manifest.files)
    if strays:
        raise BundleError(strays[0])
    return gallery_of(manifest, files)


def gallery_of(manifest: GalleryManifest, files: Mapping[str, bytes]) -> Gallery:
    """Build a gallery from the bytes of its files. Raises BundleError when they do not fit."""
    products = read_labels(files[PRODUCTS_FILE])
    vectors, owners = _read_vectors(manifest, files[VECTORS_FILE])
    if len(products) != manifest.products or not _are_owners(owners, len(products)):
        raise _refused(f"vectors of each of {manifest.products} products, in their order")
    return Gallery(manifest, products, vectors, owners, _read_centre(manifest, files))


def vectors_file(vectors: Quantised, owners: NDArray[np.integer]) -> bytes:
    """Return vectors.bin."""
    codes = vectors.codes.astype("<i1").tobytes()
    padding = b"\0" * (-len(codes) % 4)
    return codes + padding + vectors.scales.astype("<f4").tobytes() + owners.astype("<u4").tobytes()


def products_file(products: tuple[Label, ...]) -> bytes:
    """Return products.json. Raises BundleError as its reader does."""
    return labels_json(products)


def _read_vectors(manifest: GalleryManifest, data: bytes) -> tuple[Quantised, NDArray[np.int64]]:
    count, dimensions = manifest.count, manifest.dimensions
    scales_at = (count * dimensions + 3) // 4 * 4
    if len(data) != scales_at + 8 * count:
        raise _refused(f"{scales_at + 8 * count} bytes in {VECTORS_FILE}")
    codes = np.frombuffer(data, "<i1", count * dimensions).reshape(count, dimensions)
    scales = np.frombuffer(data, "<f4", count, scales_at).astype(np.float32)
    owners = np.frombuffer(data, "<u4", count, scales_at + 4 * count).astype(np.int64)
    sound = np.isfinite(scales).all() and (scales > 0).all() and (codes >= -STEPS).all()
    if not sound or any(data[count * dimensions : scales_at]):
        raise _refused("codes from -127 to 127 and finite scales above 0")
    return Quantised(codes, scales), owners


def _are_owners(owners: NDArray[np.int64], products: int) -> bool:
    steps = np.diff(owners, prepend=-1)
    return bool(np.isin(steps, (0, 1)).all() and owners[0] == 0 and owners[-1] == products - 1)


def _read_centre(
    manifest: GalleryManifest, files: Mapping[str, bytes]
) -> NDArray[np.float32] | None:
    if not manifest.centred:
        return None
    data = files[CENTRE_FILE]
    if len(data) != 4 * manifest.dimensions:
        raise _refused(f"{4 * manifest.dimensions} bytes in {CENTRE_FILE}")
    centre = np.frombuffer(data, "<f4").astype(np.float32)
    if not np.isfinite(centre).all():
        raise _refused(f"finite numbers in {CENTRE_FILE}")
    return centre


def _check_signature(path: Path, data: bytes, bundle: Bundle) -> None:
    key = bundle.manifest.delegated_keys.get(DELEGATED_KEY)
    present = (path / SIGNATURE_FILE).exists() or (path / SIGNATURE_FILE).is_symlink()
    if key is not None and present:
        verify(data, read_file(path, SIGNATURE_FILE), key)
        return
    if bundle.signed_by is None and not present:
        return
    expected = "signed by the key that the bundle delegates for galleries"
    received = "no signature" if key else "a bundle that delegates none"
    raise SignatureError(
        f"Expected a gallery {expected}. Received {received}. Export the bundle with a gallery "
        "key, and build the gallery with that key."
    )


def _check_fit(manifest: GalleryManifest, bundle: Bundle, installed_version: int) -> None:
    model = bundle.manifest.model(manifest.role)
    sha256 = bundle.manifest.files[model.file].sha256
    if manifest.model_sha256 != sha256:
        raise BundleError(
            f"Expected a gallery of the model {sha256[:12]}. Received one of "
            f"{manifest.model_sha256[:12]}. Build the gallery with this bundle."
        )
    width = model.tensor("embedding").shape[-1]
    if manifest.dimensions != width:
        raise _refused(f"vectors of {width} numbers, as the model's embedding has")
    if manifest.version < installed_version:
        raise BundleError(
            f"Expected a gallery of version {installed_version} or later, which is in use. "
            f"Received {manifest.version}. Build a new one."
        )


def _refused(expected: str) -> BundleError:
    return BundleError(
        f"Expected a gallery with {expected}. Received something else. Get the gallery again."
    )
