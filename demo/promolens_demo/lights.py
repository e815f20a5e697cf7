"""Light set-ups. Those of the test photos are never used for training photos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from promolens_demo.arrays import Array

Range = tuple[float, float]


@dataclass(frozen=True)
class LightKind:
    """Ranges that a light is drawn from.

    Attributes:
        azimuth_deg: where the key light stands, 0 is behind the camera, positive to the right.
        height_deg: its height above the horizon.
        key, ambient: their strengths, linear, for a white card.
        warmth: white balance error, log2 of red over blue; above 0 is warm.
        tint: green cast, log2.
        strips: how many lamps a glossy package mirrors.
    """

    azimuth_deg: Range
    height_deg: Range
    key: Range
    ambient: Range
    warmth: Range
    tint: Range
    strips: tuple[int, int]


LIGHTS = {
    "train": {
        "shop-tubes": LightKind(
            (-40, 40), (55, 80), (0.35, 0.6), (0.45, 0.7), (-0.3, 0.3), (-0.05, 0.2), (2, 4)
        ),
        "table-lamp": LightKind(
            (-80, 80), (25, 55), (0.6, 1.0), (0.2, 0.4), (0.3, 1.1), (-0.1, 0.1), (1, 2)
        ),
        "north-window": LightKind(
            (-100, -35), (10, 45), (0.5, 0.9), (0.25, 0.5), (-0.7, 0.0), (-0.1, 0.1), (1, 2)
        ),
        "flash": LightKind(
            (-10, 10), (-5, 15), (0.7, 1.0), (0.1, 0.3), (-0.4, 0.4), (-0.1, 0.1), (1, 1)
        ),
        "two-lamps": LightKind(
            (30, 100), (20, 60), (0.4, 0.8), (0.3, 0.5), (-0.2, 0.8), (-0.15, 0.1), (2, 3)
        ),
    },
    "test": {
        "cooler-led": LightKind(
            (-60, 60), (60, 85), (0.4, 0.7), (0.35, 0.6), (-0.8, -0.2), (0.0, 0.15), (2, 4)
        ),
        "low-sun": LightKind(
            (45, 85), (10, 30), (0.7, 1.0), (0.25, 0.4), (0.4, 1.0), (-0.1, 0.05), (1, 2)
        ),
        "overcast": LightKind(
            (-50, 50), (65, 88), (0.15, 0.3), (0.6, 0.85), (-0.5, 0.1), (-0.05, 0.1), (0, 1)
        ),
        "night-shop": LightKind(
            (-85, -45), (30, 60), (0.4, 0.7), (0.25, 0.4), (0.1, 0.7), (0.0, 0.25), (2, 3)
        ),
    },
}


@dataclass(frozen=True)
class Light:
    """One light, in world axes (y up, the camera looks roughly along -z).

    Attributes:
        direction: unit vector towards the key light, `[3]`.
        key, ambient: strengths, linear.
        gains: white balance error, `[3]`, RGB.
        strips: mirrored lamps, each (azimuth in radians, half width in radians, strength).
    """

    direction: Array
    key: float
    ambient: float
    gains: Array
    strips: tuple[tuple[float, float, float], ...]


def _between(rng: np.random.Generator, limits: Range) -> float:
    return float(rng.uniform(*limits))


def draw_light(kind: LightKind, rng: np.random.Generator) -> Light:
    """Draw one light of a kind."""
    azimuth = np.radians(_between(rng, kind.azimuth_deg))
    height = np.radians(_between(rng, kind.height_deg))
    direction = np.array(
        [np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)],
        np.float32,
    )
    warmth, tint = _between(rng, kind.warmth), _between(rng, kind.tint)
    gains = np.exp2(np.array([warmth / 2, tint, -warmth / 2], np.float32))
    n_strips = int(rng.integers(kind.strips[0], kind.strips[1] + 1))
    strips = tuple(
        (
            float(rng.uniform(-2.2, 2.2)),
            float(rng.uniform(0.08, 0.4)),
            float(rng.uniform(0.25, 1.1)),
        )
        for _ in range(n_strips)
    )
    key, ambient = _between(rng, kind.key), _between(rng, kind.ambient)
    return Light(direction, key, ambient, gains / gains.mean(), strips)
