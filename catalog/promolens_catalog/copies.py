"""What a phone's copy of the catalog holds: the rows of the change log, small and in plain JSON.

A page of changes and a bootstrap file have the same rows, so that a client needs one way to take
them. What a phone does not use is left out (hashes, who saw what when, chains' own keys), and so is
every field without a value: three months of changes are to fit into two megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from promolens_catalog.changes import Change
from promolens_catalog.items import OFFER
from promolens_catalog.links import CERTAIN_METHODS

_PROMOTION = (
    "chain",
    "item_id",
    "kind",
    "name",
    "price_krw",
    "regular_price_krw",
    "barcode",
    "category",
    "image_url",
    "valid_from",
    "valid_until",
    "gift_name",
    "gift_price_krw",
    "gift_barcode",
    "gift_image_url",
)
_ITEM = ("maker", "category", "size_amount", "size_unit")


def copied(change: Change) -> dict[str, Any] | None:
    """Return what a copy keeps of an entity, ready for JSON; `None` for a deleted one.

    - `promotion`: the row's columns; `valid_until_inferred` and `link` only where they are `True`
      and not certain.
    - `item`: `name`, maker, category, size, and `keys`: kind to sorted values.
    - `source`: `state` and `since`.
    - `data_source`: its declaration with `loaded_at` and `rows`.
    """
    if change.data is None:
        return None
    return _COPIED[change.entity](change.data) if change.entity in _COPIED else {}


def _promotion(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = _some(row, _PROMOTION)
    if row["valid_until_inferred"]:
        kept["valid_until_inferred"] = True
    # How a row came to its item is worth telling only where a machine guessed.
    if row["link_method"] not in CERTAIN_METHODS:
        kept["link"] = row["link_method"]
    return kept


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, list[str]] = {}
    for key in row["keys"]:
        if key["kind"] != OFFER:
            keys.setdefault(key["kind"], []).append(key["value"])
    kept = {"name": row["canonical_name"], **_some(row, _ITEM)}
    return kept | {"keys": keys} if keys else kept


def _source(row: Mapping[str, Any]) -> dict[str, Any]:
    return _some(row, ("state", "since"))


def _data_source(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "declaration": row["declaration"],
        "loaded_at": _plain(row["loaded_at"]),
        "rows": row["row_count"],
    }


def _some(row: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _plain(row[name]) for name in names if row[name] is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).isoformat(timespec='seconds')[:19]}Z"
    return value.isoformat() if isinstance(value, date) else value


_COPIED: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "promotion": _promotion,
    "item": _item,
    "source": _source,
    "data_source": _data_source,
}
