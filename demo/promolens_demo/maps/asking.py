"""What the stand-in services have in common: stores by circle or square, and refusals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promolens_catalog.store_distance import Box, distance_m
from promolens_demo.maps.stores import DemoStore


class RefusedError(Exception):
    """A question that the real service would refuse; `code` is its own word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Circle:
    """All points within `radius_m` of a place."""

    latitude: float
    longitude: float
    radius_m: float

    def away_m(self, store: DemoStore) -> float:
        """Return a store's distance from the centre."""
        return distance_m(self.latitude, self.longitude, store.latitude, store.longitude)


def inside(stores: Sequence[DemoStore], area: Circle | Box | None) -> list[DemoStore]:
    """Return the stores of an area, nearest first in a circle; all without one."""
    if area is None:
        return list(stores)
    if isinstance(area, Box):
        return [one for one in stores if area.holds(one.latitude, one.longitude)]
    near = [one for one in stores if area.away_m(one) <= area.radius_m]
    return sorted(near, key=area.away_m)


def number(query: Mapping[str, str], name: str, low: float, high: float) -> float | None:
    """Return a parameter as a number; `None` where it is missing, refused outside its range."""
    text = query.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise RefusedError("InvalidArgument", f"{name} must be between {low:g} and {high:g}")
    return value


def whole(query: Mapping[str, str], name: str, low: int, high: int, default: int) -> int:
    """Return a parameter as a whole number."""
    value = number(query, name, low, high)
    if value is None:
        return default
    if value != int(value):
        raise RefusedError("InvalidArgument", f"{name} must be a whole number")
    return int(value)
