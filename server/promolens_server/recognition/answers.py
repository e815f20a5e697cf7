"""What was found out about pictures, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from promolens_retrieval.entries import Stats
from promolens_runtime.labels import Label
from promolens_server.recognition.assets import Loaded, Said
from promolens_server.recognition.corpora import CorpusState, Judged

_BY_BARCODE = "/v1/products/by-barcode/"
_BY_LABEL = "/v1/products/by-label/"


def recognised_json(loaded: Loaded, said: Said, abstain_reason: str | None) -> dict[str, Any]:
    """Return `models.recognition.RecogniseAnswer` as JSON."""
    product = None if abstain_reason else said.fused.product
    return {
        "known": product is not None,
        "by": said.fused.by if product is not None else "nobody",
        "product": None if product is None else product_json(product),
        "candidates": [
            {**product_json(one.label), "probability": round(one.probability, 6)}
            for one in said.classifier.top
        ],
        "similar": [
            {**product_json(hit.product), "cosine": round(hit.cosine, 6)} for hit in said.hits
        ],
        "abstain_reason": abstain_reason,
        **versions_json(loaded),
    }


def product_json(label: Label) -> dict[str, Any]:
    """Return `models.recognition.RecognisedProduct` as JSON."""
    code = next(iter(label.barcodes), None)
    address = _BY_BARCODE + quote(code) if code else _BY_LABEL + quote(label.label, safe="")
    return {
        "label": label.label,
        "item_id": label.item_id,
        "barcodes": list(label.barcodes),
        "name_ko": label.name_ko,
        "name_en": label.name_en,
        "address": address,
    }


def versions_json(loaded: Loaded) -> dict[str, Any]:
    """Return which bundle and gallery answered."""
    bundle, gallery = loaded.bundle.manifest, loaded.gallery
    return {
        "model": {
            "bundle_id": bundle.bundle_id,
            "version": bundle.version,
            "embedding_model": loaded.model_sha256,
        },
        "gallery": None
        if gallery is None
        else {"gallery_id": gallery.manifest.gallery_id, "version": gallery.manifest.version},
    }


def searched_json(
    corpus: str,
    loaded: Loaded,
    found: Sequence[Judged],
    abstain_reason: str | None,
    *,
    calibrated: bool,
) -> dict[str, Any]:
    """Return `models.recognition.ImageSearchAnswer` as JSON."""
    return {
        "corpus": corpus,
        "calibrated": calibrated,
        "abstain_reason": abstain_reason,
        "matches": [_match_json(one) for one in found],
        **versions_json(loaded),
    }


def _match_json(one: Judged) -> dict[str, Any]:
    return {
        "image_id": one.hit.image_id,
        "region_id": one.hit.region_id,
        "item_id": one.hit.item_id,
        "score": round(float(one.hit.score), 6),
        "normalised_score": None if one.normalised is None else round(one.normalised, 6),
        "band": one.band,
        "estimated_precision": None if one.precision is None else round(one.precision, 4),
    }


def state_json(state: CorpusState) -> dict[str, Any]:
    """Return `models.recognition.CorpusModel` as JSON."""
    stats = state.stats
    return {
        "corpus": state.space.corpus,
        "embedding_model": state.space.model_id,
        "dimensions": state.space.dim,
        "searchable": state.searchable,
        "calibrated": state.calibrated,
        "index": None if stats is None else _stats_json(stats),
    }


def _stats_json(stats: Stats) -> dict[str, Any]:
    return {
        "rows": stats.rows,
        "sequence": stats.seq,
        "kind": stats.kind,
        "newer_rows": stats.newer_rows,
        "gone_rows": stats.gone_rows,
        "size_bytes": stats.size_bytes,
        "note": stats.note,
    }
