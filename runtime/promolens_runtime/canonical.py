"""JSON with exactly one spelling, and a reader that refuses what JSON leaves open."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from promolens_runtime.errors import BundleError

MAX_DEPTH = 64


def canonical_json(value: Any) -> bytes:
    """Return UTF-8 JSON with sorted keys and no spaces; NaN and infinities raise ValueError."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode("utf-8")


def parse_json(data: bytes, name: str) -> Any:
    """Parse `data`; `name` is for the message.

    Raises BundleError for damaged UTF-8 or JSON, a key given twice, NaN or Infinity, and nesting
    deeper than MAX_DEPTH.
    """
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constants
        )
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"Expected {name} to be JSON in UTF-8. Received something else "
            f"({' '.join(str(error).split())}). Get the bundle again."
        ) from error
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return value


def _no_constants(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        children: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                children.extend(item.values())
            elif isinstance(item, list):
                children.extend(item)
        level = children
