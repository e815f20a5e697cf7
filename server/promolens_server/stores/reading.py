"""What providers' JSON may hold: every field is looked at before it is believed."""

from __future__ import annotations

import math
from typing import Any

from promolens_catalog.chains import Chain
from promolens_catalog.store_brands import brand_of
from promolens_server.stores.failures import Outcome, ProviderError

MAX_TEXT_CHARACTERS = 200


def text_of(value: object) -> str | None:
    """Return a text without control characters and blanks around it; `None` for anything else."""
    if not isinstance(value, str):
        return None
    shown = "".join(letter if letter.isprintable() else " " for letter in value)
    return " ".join(shown.split())[:MAX_TEXT_CHARACTERS] or None


def place_of(latitude: object, longitude: object) -> tuple[float, float] | None:
    """Return coordinates given as numbers or as texts; `None` for what is no place."""
    if isinstance(latitude, bool) or isinstance(longitude, bool):
        return None
    try:
        north, east = float(latitude), float(longitude)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    sound = math.isfinite(north) and math.isfinite(east) and abs(north) <= 90 and abs(east) <= 180
    return (north, east) if sound else None


def chain_of(*names: str | None) -> tuple[Chain | None, str | None]:
    """Return the chain that the first telling name says, and the branch that the last one has."""
    brands = [brand_of(name) for name in names if name]
    chain = next((brand.stores_of for brand in brands if brand.chain), None)
    return chain, (brands[-1].branch or None) if brands else None


def url_of(value: object) -> str | None:
    """Return a web address; `None` for anything else, such as `javascript:`."""
    text = text_of(value)
    return text if text and text.startswith(("https://", "http://")) else None


def list_of(found: dict[str, Any], name: str, most: int) -> list[Any]:
    """Return a list of an object; `ProviderError` if it is none or too long."""
    values = found.get(name)
    if not isinstance(values, list) or len(values) > most:
        raise ProviderError(Outcome.GARBAGE, f"no list of {name}")
    return values


def check_readable(read: int, given: int) -> None:
    """Raise `ProviderError` if most of the rows could not be read: then the rest is not trusted."""
    if given and read * 2 < given:
        raise ProviderError(Outcome.GARBAGE, f"{given - read} of {given} rows unreadable")
