"""Sets a gallery's rule by labelled photos, and counts what the fusion wins and loses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from promolens_retrieval.gallery.rule import ask, fit_rule
from promolens_runtime.bundle import Bundle
from promolens_runtime.embedder import Embedder
from promolens_runtime.errors import InputError
from promolens_runtime.gallery.gallery import Gallery
from promolens_runtime.gallery.manifest import AnswerRule
from promolens_runtime.recognizer import Recognizer
from promolens_training.data.photos import Photo
from promolens_training.evaluation.predictions import Done, photo_pixels


def fit_on_photos(
    gallery: Gallery,
    bundle: Bundle,
    embedder: Embedder,
    photos: Sequence[Photo],
    done: Done = lambda count: None,
) -> AnswerRule:
    """Return the rule that labelled photos of the gallery's products set; others are left out.

    A photo's label is matched with a product's label, item id and barcodes.

    Raises:
        InputError: too few photos of the gallery's products.
        ImageError: a photo cannot be decoded.
    """
    place = {
        name: product.index
        for product in gallery.products
        for name in (product.label, product.item_id, *product.barcodes)
    }
    known = [photo for photo in photos if photo.label in place]
    done(len(photos) - len(known))
    if not known:
        raise InputError(
            "Expected photos of the gallery's products. Received none: no label is a label, item "
            "id or barcode of the gallery. Check both lists."
        )
    own = np.array([place[photo.label] for photo in known])
    classifier = Recognizer(bundle) if embedder.entry.role == "classifier" else None
    scores, right = [], []
    for photo, index in zip(known, own, strict=True):
        pixels = photo_pixels(photo)
        if classifier is None:
            embedding = embedder.embed(pixels)
        else:
            said = classifier.predict(pixels, top=1)
            embedding = said.embedding
            item_id = gallery.products[index].item_id
            right.append(said.known and said.top[0].label.item_id == item_id)
        scores.append(gallery.product_cosines(embedding))
        done(1)
    asked = ask(np.stack(scores), own, [photo.source_id for photo in known])
    return fit_rule(asked, np.array(right) if right else None)
