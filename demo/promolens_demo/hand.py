"""A drawn hand that holds a package: rounded limbs, shaded as tubes, with nails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from promolens_demo.arrays import Array
from promolens_demo.camera import Camera
from promolens_demo.lights import Light

SKINS = ("#f2cdb2", "#e6b68f", "#d39d74", "#b67f58", "#8a5a3c")
SLEEVES = ("#2f3a4f", "#7b2f36", "#d7d2c6", "#3f5b46", "#6b6f7a")


@dataclass(frozen=True)
class Limb:
    """A chain of points `[n, 3]` (cm, world) with a radius each; `nail` at its last point."""

    points: Array
    radii_cm: tuple[float, ...]
    colour: Array
    nail: bool = False


def _span(
    frame: Array, a: Array, b: Array, radii: tuple[float, float], colour: Array, light: Light
) -> None:
    """Draw one tube with round ends between two pixel places, in place."""
    high, wide = frame.shape[:2]
    reach = max(radii) + 2
    left, right = int(max(0, min(a[0], b[0]) - reach)), int(min(wide, max(a[0], b[0]) + reach))
    top, bottom = int(max(0, min(a[1], b[1]) - reach)), int(min(high, max(a[1], b[1]) + reach))
    if right <= left or bottom <= top:
        return
    x, y = np.meshgrid(
        np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)
    )
    along = b - a
    share = ((x - a[0]) * along[0] + (y - a[1]) * along[1]) / max(1e-3, float(along @ along))
    share = np.clip(share, 0, 1)
    dx, dy = x - a[0] - share * along[0], y - a[1] - share * along[1]
    radius = radii[0] + (radii[1] - radii[0]) * share
    distance = np.sqrt(dx * dx + dy * dy) / radius
    nz = np.sqrt(np.clip(1 - distance * distance, 0, 1))
    facing = (dx / radius) * light.direction[0] - (dy / radius) * light.direction[1]
    facing = facing + nz * max(0.3, float(light.direction[2]))
    lit = light.ambient * (0.55 + 0.45 * nz) + light.key * np.clip(facing * 0.8 + 0.2, 0, None)
    cover = np.clip((1 - distance) * radius / 1.2, 0, 1)[..., None]
    view = frame[top:bottom, left:right]
    view *= 1 - cover
    view += cover * colour * lit[..., None]


def draw_limb(frame: Array, camera: Camera, limb: Limb, light: Light) -> None:
    """Draw a limb over `frame` (float32 `[h, w, 3]`, linear, in place)."""
    places, depth = camera.project(limb.points)
    radii = [r * camera.focal_px / d for r, d in zip(limb.radii_cm, depth, strict=True)]
    for k in range(len(places) - 1):
        _span(frame, places[k], places[k + 1], (radii[k], radii[k + 1]), limb.colour, light)
    if limb.nail:
        back = places[-1] + 0.45 * (places[-2] - places[-1]) * min(
            1.0, radii[-1] / max(1.0, float(np.linalg.norm(places[-2] - places[-1])))
        )
        nail = limb.colour * 0.7 + np.array([0.3, 0.21, 0.2], np.float32)
        _span(frame, places[-1], back, (radii[-1] * 0.5, radii[-1] * 0.55), nail, light)


def _limb(
    points: list[tuple[float, float, float]], radii: tuple[float, ...], colour: Array
) -> Limb:
    return Limb(np.array(points, np.float64), radii, colour)


def holding_hand(
    half_wide: float,
    front: float,
    grip_y: float,
    rng: np.random.Generator,
    tones: tuple[Array, Array],
) -> tuple[list[Limb], list[Limb]]:
    """Return the limbs behind and in front of a package held at height `grip_y`.

    Args:
        half_wide: half the package's width at the grip, cm.
        front: how far its front edge stands out there, cm.
        tones: linear colours of skin and sleeve, `[3]` each.
    """
    skin, sleeve = tones
    side = float(rng.choice([-1.0, 1.0]))
    edge = half_wide + 0.35

    def at(x: float, y: float, z: float) -> tuple[float, float, float]:
        return (side * x, grip_y + y, z)

    wrist = at(edge + 2.0, -6.0, -3.0)
    behind = [
        _limb([at(edge + 5.0, -24, -1), wrist], (3.2, 2.8), skin),
        _limb([wrist, at(edge - 1.2, -1.0, -2.4)], (2.7, 3.2), skin),
        _limb([at(edge + 7.5, -34, 0), at(edge + 4.2, -15, -2)], (4.6, 4.0), sleeve),
    ]
    # The far side's fingers come round the back and show their tips; the near side is the thumb.
    ahead = []
    for k in range(4):
        y = 1.8 * (k - 2.2) + float(rng.uniform(-0.25, 0.25))
        # Short of a quarter of the front, so that the print stays readable.
        tip = edge - min(float(rng.uniform(0.9, 1.8)), 0.36 * half_wide)
        points = [at(-edge + 0.2, y - 0.4, -1.4), at(-edge - 0.15, y, 0.3), at(-tip, y, front)]
        ahead.append(Limb(np.array(points), (0.85, 0.85, 0.68), skin, nail=True))
    thumb_y = float(rng.uniform(0.2, 1.8))
    tip = edge - min(1.5, 0.36 * half_wide)
    base, joint = at(edge + 0.9, -3.6, -0.8), at(edge + 0.35, -1.0, 0.6)
    points = [base, joint, at(tip, thumb_y, front + 0.1)]
    ahead.append(Limb(np.array(points), (1.35, 1.1, 0.85), skin, nail=True))
    return behind, ahead
