"""Distances on the globe, and the boxes that hold all points within one."""

from __future__ import annotations

import math
from dataclasses import dataclass

# The mean radius of the Earth. On a sphere: in Korea within 0.4 % of the ellipsoid.
EARTH_RADIUS_M = 6_371_008.8
# What a box reaches out further, against rounding.
_SLACK = 1e-9


@dataclass(frozen=True)
class Box:
    """South to north and west to east, degrees; `west <= east`."""

    south: float
    north: float
    west: float
    east: float

    def holds(self, latitude: float, longitude: float) -> bool:
        """Say whether a point is in it, edges included."""
        return self.south <= latitude <= self.north and self.west <= longitude <= self.east


def distance_m(
    latitude: float, longitude: float, other_latitude: float, other_longitude: float
) -> float:
    """Return the great-circle distance in metres (haversine); degrees in, at most half a globe."""
    here, there = math.radians(latitude), math.radians(other_latitude)
    north = math.sin((there - here) / 2)
    east = math.sin(math.radians(other_longitude - longitude) / 2)
    part = north * north + math.cos(here) * math.cos(there) * east * east
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(part)))


def boxes_around(latitude: float, longitude: float, radius_m: float) -> tuple[Box, ...]:
    """Return boxes that together hold every point within `radius_m`; two at the date line."""
    reach = math.degrees(radius_m / EARTH_RADIUS_M) + _SLACK
    south, north = latitude - reach, latitude + reach
    if south <= -90 or north >= 90:
        # A pole is inside: every meridian is near.
        return (Box(max(south, -90.0), min(north, 90.0), -180.0, 180.0),)
    # The widest place of a circle is nearer to the pole than its centre.
    widest = math.sin(math.radians(reach)) / math.cos(math.radians(latitude))
    across = math.degrees(math.asin(widest)) + _SLACK if widest < 1 else 180.0
    west, east = longitude - across, longitude + across
    if across >= 180:
        return (Box(south, north, -180.0, 180.0),)
    if west < -180:
        return Box(south, north, west + 360, 180.0), Box(south, north, -180.0, east)
    if east > 180:
        return Box(south, north, west, 180.0), Box(south, north, -180.0, east - 360)
    return (Box(south, north, west, east),)
