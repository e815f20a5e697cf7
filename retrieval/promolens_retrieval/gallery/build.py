"""Catalogue pictures to vectors in the catalog database; only what changed is embedded."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from promolens_retrieval.entries import Entry, VectorKey
from promolens_retrieval.gallery.pictures import CataloguePicture
from promolens_retrieval.gallery.products import Product, unique
from promolens_retrieval.index import VectorIndex
from promolens_retrieval.spaces import Space
from promolens_runtime.errors import ImageError, InputError
from promolens_runtime.images import load_rgb
from promolens_runtime.quality import quality_problem

CATALOGUE, ADDED = "catalogue", "added"
_ORIGIN, _OFFSET = "origin", "catalogue_offset"
_BATCH = 64
# Pictures of two products above this cosine cannot be told apart by the gallery.
ALIKE = 0.995

Done = Callable[[int], object]
Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
# A picture's file -> upright RGB pixels [h, w, 3], and what makes them no good to match, or None.
Read = Callable[[Path], tuple[NDArray[np.uint8], str | None]]


class Embeds(Protocol):
    """What makes vectors: `promolens_runtime.embedder.Embedder`."""

    model_sha256: str
    dimensions: int
    catalogue_offset: NDArray[np.float32] | None

    def embed(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the embedding of upright RGB pixels [h, w, 3], float32 [dimensions]."""
        ...

    def embed_catalogue(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `embed`, of a catalogue picture: with the catalogue offset, where there is one."""
        ...


@dataclass(frozen=True)
class Refused:
    """A picture that is not in the gallery, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        embedded, kept, removed: pictures that are new, unchanged, and gone.
        refused: pictures that cannot be used.
        products: in the gallery now.
    """

    embedded: int
    kept: int
    removed: int
    refused: tuple[Refused, ...] = field(default=())
    products: int = 0


def space_of(gallery_id: str, embedder: Embeds) -> Space:
    """Return the space of a gallery's vectors: they belong to one model."""
    return Space(f"gallery.{gallery_id}", embedder.model_sha256, embedder.dimensions)


def build(
    index: VectorIndex,
    embedder: Embeds,
    pictures: Sequence[CataloguePicture],
    *,
    read: Read | None = None,
    done: Done = lambda count: None,
) -> BuildReport:
    """Bring the catalogue pictures of a space in line with `pictures`.

    A picture is known by the SHA-256 of its file and by the catalogue offset that its vector has,
    so a second build embeds only new ones. Pictures that were added by hand (`add`) stay. Work is
    stored in batches: what a crash interrupts goes on where it stopped.

    Args:
        read: how files are decoded; None decodes here, which is for pictures of one's own.

    Raises:
        InputError: no picture can be used, or a product id is used twice.
    """
    wanted = _by_content(pictures)
    stored = _stored(index, CATALOGUE)
    refused: list[Refused] = []
    batch: list[tuple[Entry, NDArray[np.float32]]] = []
    embedded = kept = 0
    for content, picture in wanted.items():
        entry = _entry(content, picture.product, CATALOGUE, _offset_mark(embedder))
        if _is_same(stored.get(entry.image_id), entry):
            kept += 1
        else:
            vector = _embedded(embedder.embed_catalogue, picture.path, read or _read, refused)
            if vector is not None:
                batch.append((entry, vector))
                embedded += 1
        if len(batch) == _BATCH:
            _store(index, batch)
        done(1)
    _store(index, batch)
    if embedded + kept == 0:
        raise InputError(
            f"Expected at least one picture that can be used. Received {len(wanted)}, of which "
            f"the first is {refused[0].reason}: {refused[0].path}. Give better ones."
        )
    gone = [VectorKey(image_id) for image_id in stored if image_id not in wanted]
    index.delete(gone)
    return BuildReport(embedded, kept, len(gone), tuple(refused), len(products_of(index)))


def add(
    index: VectorIndex,
    embedder: Embeds,
    photos: Sequence[Path],
    product: Product,
) -> BuildReport:
    """Add photos of one product by hand; they stay when the catalogue is built again.

    They are a shopper's photos, so they get no catalogue offset.

    Raises:
        InputError: none of the photos can be used.
    """
    refused: list[Refused] = []
    batch: list[tuple[Entry, NDArray[np.float32]]] = []
    for content, path in {_sha256(path): path for path in photos}.items():
        vector = _embedded(embedder.embed, path, _read, refused)
        if vector is not None:
            name = f"{content}.{_short(product.item_id)}"
            batch.append((_entry(name, product, ADDED), vector))
    if not batch:
        raise InputError(
            f"Expected at least one photo that can be used. Received {len(photos)}, of which the "
            f"first is {refused[0].reason}: {refused[0].path}. Take better ones."
        )
    count = len(batch)
    _store(index, batch)
    return BuildReport(count, 0, 0, tuple(refused), len(products_of(index)))


def products_of(index: VectorIndex) -> tuple[Product, ...]:
    """Return the products of a space, sorted by item id."""
    entries = index.fetch(index.keys()).entries
    return unique(Product.of(entry.item_id, entry.attributes) for entry in entries)


def alike(index: VectorIndex) -> tuple[tuple[str, str, float], ...]:
    """Return pairs of products (item ids) that the gallery cannot tell apart, with their cosine."""
    vectors = index.fetch(index.keys())
    units = vectors.units.astype(np.float32)
    items = [entry.item_id for entry in vectors.entries]
    found: dict[tuple[str, str], float] = defaultdict(float)
    for start in range(0, len(units), 1024):
        rows, columns = np.nonzero(units[start : start + 1024] @ units.T > ALIKE)
        for row, column in zip(rows + start, columns, strict=True):
            if items[row] < items[column]:
                cosine = float(units[row] @ units[column])
                pair = (items[row], items[column])
                found[pair] = max(found[pair], cosine)
    return tuple((one, other, cosine) for (one, other), cosine in sorted(found.items()))


def _by_content(pictures: Iterable[CataloguePicture]) -> dict[str, CataloguePicture]:
    """Return pictures by content and product, each once."""
    found: dict[str, CataloguePicture] = {}
    owners: dict[str, Product] = {}
    for picture in pictures:
        product = picture.product
        if owners.setdefault(product.item_id, product) != product:
            raise InputError(
                f"Expected one product of the id {product.item_id!r}. Received two with other "
                "names. Give each product an id of its own."
            )
        found[f"{_sha256(picture.path)}.{_short(product.item_id)}"] = picture
    return found


def _stored(index: VectorIndex, origin: str) -> dict[str, Entry]:
    entries = index.fetch(index.keys()).entries
    return {one.image_id: one for one in entries if origin in one.attributes.get(_ORIGIN, ())}


def _entry(content: str, product: Product, origin: str, offset: tuple[str, ...] = ()) -> Entry:
    about = {**product.attributes(), _ORIGIN: (origin,)}
    return Entry(content, product.item_id, 0, {**about, _OFFSET: offset} if offset else about)


def _offset_mark(embedder: Embeds) -> tuple[str, ...]:
    """Return what tells vectors with one offset from those with another, or with none."""
    offset = embedder.catalogue_offset
    return () if offset is None else (hashlib.sha256(offset.tobytes()).hexdigest()[:16],)


def _is_same(stored: Entry | None, entry: Entry) -> bool:
    if stored is None:
        return False
    old, new = (Product.of(one.item_id, one.attributes) for one in (stored, entry))
    offsets = [tuple(one.attributes.get(_OFFSET, ())) for one in (stored, entry)]
    return old == new and offsets[0] == offsets[1]


def _read(path: Path) -> tuple[NDArray[np.uint8], str | None]:
    pixels = load_rgb(path)
    return pixels, quality_problem(pixels)


def _embedded(
    embed: Embed, path: Path, read: Read, refused: list[Refused]
) -> NDArray[np.float32] | None:
    try:
        pixels, problem = read(path)
    except ImageError as error:
        pixels, problem = None, str(error)
    if pixels is None or problem is not None:
        refused.append(Refused(path, problem or "no picture"))
        return None
    return embed(pixels)


def _store(index: VectorIndex, batch: list[tuple[Entry, NDArray[np.float32]]]) -> None:
    if batch:
        vectors = np.stack([vector for _, vector in batch])
        entries = [entry for entry, _ in batch]
        index.upsert(entries, vectors, model_id=index.space.model_id)
        batch.clear()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
