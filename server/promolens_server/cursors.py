"""Where a list of promotions goes on, as text for an address.

A cursor names the version and the day of the list, the place in it, and which list it is; so the
pages of a list fit together whatever is published, or whatever day it becomes, between them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from promolens_catalog.promotion_list import Place, Sort
from promolens_server.problems import Problem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST = 2**62
# What a place in each order is made of.
_PLACES: dict[Sort, tuple[type, ...]] = {
    Sort.UNIT_PRICE: (int, int),
    Sort.PER_100: (int, float, int, int),
    Sort.NEWEST: (datetime, int),
}


@dataclass(frozen=True)
class Cursor:
    """A place in one list.

    Attributes:
        version: of the catalog.
        day: that the rows hold on.
        list_id: `list_id` of the parameters.
        place: of the last row before.
    """

    version: int
    day: date
    list_id: str
    place: Place


def list_id(parameters: Mapping[str, Any]) -> str:
    """Return what names a list: equal for equal parameters, but for page and size of pages."""
    told = json.dumps(parameters, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(told.encode("ascii")).hexdigest()[:12]


def written(cursor: Cursor) -> str:
    """Return the cursor for an address."""
    place = [
        (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value
        for value in cursor.place
    ]
    parts = [cursor.version, cursor.day.toordinal(), cursor.list_id, *place]
    text = json.dumps(parts, separators=(",", ":")).encode("ascii")
    return base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")


def read(text: str, sort: Sort, expected_list: str) -> Cursor:
    """Read what `written` wrote.

    Raises:
        Problem: 404 if it is none, or one of another list.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        version, ordinal, name, *place = json.loads(raw)
        kinds = _PLACES[sort]
        if len(place) != len(kinds) or name != expected_list:
            raise ValueError("a place of another list")
        values = tuple(_value(kind, one) for kind, one in zip(kinds, place, strict=True))
        return Cursor(_whole(version), date.fromordinal(_whole(ordinal)), expected_list, values)
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise no_page() from None


def no_page() -> Problem:
    """Return the problem of a page that no list has."""
    return Problem(
        404,
        "no-such-page",
        "Expected next_cursor of a page before, with the same other parameters. Received another "
        "text. Begin with the first page.",
    )


def _value(kind: type, value: object) -> int | float | datetime:
    if kind is float:
        if isinstance(value, (int, float)) and math.isfinite(value):
            return float(value)
        raise ValueError("not a number")
    whole = _whole(value)
    return _EPOCH + whole * _MICROSECOND if kind is datetime else whole


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST:
        raise ValueError("not a whole number")
    return value
