"""From light to a phone's picture: glare, shake, exposure, white balance, noise, tone."""

from __future__ import annotations

import numpy as np

from promolens_demo.arrays import Array
from promolens_demo.lights import Light

_TONE_STEPS = 4096
_TONE = (np.linspace(0, 1, _TONE_STEPS) ** (1 / 2.2)).astype(np.float32)


def _shake(frame: Array, rng: np.random.Generator) -> Array:
    """Blur by a short move of the hand, or by a missed focus; never so much that print dies."""
    import cv2

    kind = rng.random()
    if kind < 0.3:
        length = float(rng.uniform(2.0, 7.0))
        angle = float(rng.uniform(0, np.pi))
        side = int(length) | 1
        kernel = np.zeros((side + 2, side + 2), np.float32)
        middle = (side + 2) // 2
        for t in np.linspace(-length / 2, length / 2, 4 * side):
            x, y = middle + t * np.cos(angle), middle + t * np.sin(angle)
            kernel[int(np.clip(round(y), 0, side + 1)), int(np.clip(round(x), 0, side + 1))] += 1
        return np.asarray(cv2.filter2D(frame, -1, kernel / kernel.sum()))
    if kind < 0.6:
        return np.asarray(cv2.GaussianBlur(frame, (0, 0), float(rng.uniform(0.5, 1.7))))
    return frame


def _glare(frame: Array, rng: np.random.Generator) -> None:
    """Add a veil of stray light around one spot, in place."""
    if rng.random() > 0.35:
        return
    high, wide = frame.shape[:2]
    x = (np.arange(wide, dtype=np.float32) - rng.uniform(-0.2, 1.2) * wide) / wide
    y = (np.arange(high, dtype=np.float32) - rng.uniform(-0.3, 0.6) * high) / wide
    distance = x[None, :] ** 2 + y[:, None] ** 2
    veil = float(rng.uniform(0.05, 0.35)) * np.exp(-distance / float(rng.uniform(0.02, 0.15)))
    frame += veil[..., None]


def _expose(frame: Array, light: Light, rng: np.random.Generator) -> Array:
    """Bring the picture to a phone's brightness, with its errors of exposure and white."""
    level = float(np.percentile(frame[::8, ::8].max(axis=-1), 92))
    stops = float(np.clip(rng.normal(0.0, 0.35), -0.9, 0.7))
    high, wide = frame.shape[:2]
    x = np.linspace(-1, 1, wide, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, high, dtype=np.float32)[:, None]
    corner = 1 - float(rng.uniform(0.0, 0.3)) * (x * x + y * y) / 2
    gain = 0.75 * 2.0**stops / max(level, 0.05)
    own = np.exp2(rng.normal(0, 0.12, 3)).astype(np.float32)
    return np.asarray(frame * (gain * corner)[..., None] * (light.gains * own), np.float32)


def wear(frame: Array, light: Light, rng: np.random.Generator) -> Array:
    """Turn linear light (float32 `[h, w, 3]`) into a phone's picture (uint8, sRGB)."""
    frame = _shake(frame, rng)
    _glare(frame, rng)
    frame = _expose(frame, light, rng)
    index = np.clip(frame * (_TONE_STEPS - 1), 0, _TONE_STEPS - 1).astype(np.uint16)
    shown = _TONE[index]
    contrast = float(rng.uniform(0.85, 1.15))
    shown = (shown - 0.5) * contrast + 0.5
    noise = float(np.exp(rng.uniform(np.log(0.004), np.log(0.035))))
    shown += rng.standard_normal(shown.shape, dtype=np.float32) * noise
    return np.asarray(np.clip(shown * 255 + 0.5, 0, 255).astype(np.uint8))
