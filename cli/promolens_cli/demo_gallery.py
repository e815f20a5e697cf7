"""The gallery of `promolens demo`: products that nobody trained on, from one picture each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from promolens_runtime.errors import BundleError

if TYPE_CHECKING:
    from promolens_demo.catalogue import Product
    from promolens_demo.sheet.pictures import SheetPictures
    from promolens_retrieval.gallery.artefact import Draft
    from promolens_runtime.bundle import Bundle
    from promolens_runtime.signing import SigningKey
    from promolens_server.bundles.store import ArtefactStore

GALLERY_ID = "demo"
_CHANNEL = "stable"
_BY = "promolens demo"


def signing_key_of(bundle: Bundle) -> SigningKey:
    """Return this machine's gallery key, where it is the one that the bundle delegates.

    Raises:
        BundleError: the bundle delegates another one, or has no model that makes embeddings.
    """
    from promolens_runtime.embedder import embedding_model
    from promolens_runtime.gallery.manifest import DELEGATED_KEY
    from promolens_runtime.signing import gallery_signing_key

    embedding_model(bundle)
    delegated = bundle.manifest.delegated_keys.get(DELEGATED_KEY)
    key = None if delegated is None else gallery_signing_key().key
    if key is None or key.public != delegated:
        raise BundleError(
            "Expected a bundle that lets this machine's key sign galleries. Received one that "
            f"delegates {delegated or 'none'}. Set PROMOLENS_GALLERY_SIGNING_KEY, or export the "
            "bundle here."
        )
    return key


def is_offered(
    folder: Path, bundle: Bundle, store: ArtefactStore, products: Sequence[Product]
) -> bool:
    """Tell whether phones are offered the gallery in `folder`, and it is of these products."""
    from promolens_runtime.gallery.gallery import read_gallery
    from promolens_runtime.manifest import MANIFEST_FILE

    current = store.channel(_CHANNEL).current
    if current is None or not folder.is_dir():
        return False
    try:
        gallery = read_gallery(folder, bundle)
    except BundleError:
        return False
    has = {one.item_id for one in gallery.products} == {one.item_id for one in products}
    release = hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest()
    return has and current.id == release


def make_gallery(
    folder: Path,
    database: Path,
    bundle: Bundle,
    products: Sequence[Product],
    pictures: SheetPictures,
) -> int:
    """Embed one picture of each product and write the gallery; returns its version.

    Args:
        database: the catalog, which keeps the vectors.

    Raises:
        PromolensError: the bundle or this machine cannot make one, or `folder` holds no gallery.
    """
    from promolens_retrieval.gallery.artefact import write_gallery

    key = signing_key_of(bundle)
    draft = _draft(database, bundle, products, pictures)
    return write_gallery(folder, draft, key).manifest.version


def _draft(
    database: Path, bundle: Bundle, products: Sequence[Product], pictures: SheetPictures
) -> Draft:
    from promolens_cli.crawl_places import opened_catalog
    from promolens_cli.recognizers import open_embedder
    from promolens_retrieval.faiss_index import FaissIndex
    from promolens_retrieval.gallery import build as building
    from promolens_retrieval.gallery.artefact import draft
    from promolens_retrieval.gallery.pictures import CataloguePicture
    from promolens_retrieval.gallery.products import Product as Entry
    from promolens_retrieval.gallery.rule import UNFITTED

    shown = [
        CataloguePicture(
            pictures.file(one),
            Entry(
                one.item_id, one.item_id, (one.barcode,), one.name_ko, one.name_en, one.family.slug
            ),
        )
        for one in products
    ]
    embedder = open_embedder(bundle)
    with opened_catalog(str(database)) as catalog:
        index = FaissIndex(catalog, building.space_of(GALLERY_ID, embedder))
        try:
            building.build(index, embedder, shown)
            return draft(index, GALLERY_ID, embedder.entry.role, UNFITTED)
        finally:
            index.close()


def offer_gallery(
    folder: Path, bundle: Bundle, store: ArtefactStore, bundles: ArtefactStore, now: datetime
) -> None:
    """Offer the gallery to all phones.

    Raises:
        PromolensError: the store offers another gallery, or a newer one.
    """
    from promolens_server.bundles.galleries import publish_gallery
    from promolens_server.bundles.publishing import Order

    publish_gallery(store, bundles, folder, bundle.signed_by, Order(_CHANNEL, by=_BY), now)
