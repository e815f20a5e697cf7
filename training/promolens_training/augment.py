"""What a phone camera does to a picture, drawn at random from a seed: pure functions on pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from promolens_training.recipes import Augmentation

Pixels = npt.NDArray[np.uint8]
Rng = np.random.Generator


def _crop_corners(rng: Rng, side: int, config: Augmentation) -> npt.NDArray[np.float32]:
    """Draw a rotated, stretched, slightly tilted window; returns its corners `[4, 2]` (x, y)."""
    area = rng.uniform(config.min_area, 1.0)
    aspect = np.exp(rng.uniform(-1, 1) * np.log(config.max_aspect))
    half = 0.5 * side * np.sqrt(area) * np.array([np.sqrt(aspect), 1 / np.sqrt(aspect)])
    slack = np.maximum(0.0, side / 2 - half)
    centre = side / 2 + rng.uniform(-1, 1, 2) * slack
    angle = np.deg2rad(rng.uniform(-config.rotate_deg, config.rotate_deg))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    corners = centre + square @ turn.T
    corners += rng.uniform(-1, 1, (4, 2)) * config.perspective * 2 * half
    return np.asarray(corners, np.float32)


def _warp(pixels: Pixels, rng: Rng, px: int, config: Augmentation) -> Pixels:
    import cv2

    source = _crop_corners(rng, pixels.shape[0], config)
    if rng.random() < config.flip:
        source = source[[1, 0, 3, 2]]
    target = np.array([[0, 0], [px, 0], [px, px], [0, px]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, target)
    warped: Any = cv2.warpPerspective(
        pixels, matrix, (px, px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, np.uint8)


def _tone(pixels: Pixels, rng: Rng, config: Augmentation) -> Pixels:
    """Exposure, contrast, gamma and white balance in one look-up table a channel."""
    import cv2

    levels = np.arange(256, dtype=np.float32) / 255
    gamma = np.exp(rng.uniform(-1, 1) * np.log1p(config.gamma))
    gain = 1 + rng.uniform(-1, 1) * config.exposure
    contrast = 1 + rng.uniform(-1, 1) * config.contrast
    curve = (levels**gamma * gain - 0.5) * contrast + 0.5
    balance = 1 + rng.uniform(-1, 1, 3) * config.white_balance
    table = np.clip(curve[:, None] * balance[None, :] * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels, table[:, None, :]), np.uint8)


def _blur(pixels: Pixels, rng: Rng) -> Pixels:
    import cv2

    if rng.random() < 0.5:
        sigma = rng.uniform(0.5, max(0.6, 0.009 * pixels.shape[0]))
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)
    length = int(rng.integers(3, max(4, pixels.shape[0] // 32)))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    offset = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    middle = (length - 1) / 2
    start, end = (np.rint(middle - offset).astype(int), np.rint(middle + offset).astype(int))
    cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0)
    return np.asarray(cv2.filter2D(pixels, -1, kernel / kernel.sum()), np.uint8)


def _noise(pixels: Pixels, rng: Rng) -> Pixels:
    sigma = rng.uniform(2, 10)
    grain = rng.standard_normal(pixels.shape, np.float32) * sigma
    return np.clip(pixels + grain, 0, 255).astype(np.uint8)


def _jpeg(pixels: Pixels, rng: Rng) -> Pixels:
    import cv2

    quality = int(rng.integers(35, 90))
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def _erase(pixels: Pixels, rng: Rng) -> Pixels:
    """Cover a random rectangle with one colour, as a finger or a price tag would (1708.04896)."""
    px = pixels.shape[0]
    height, width = (rng.uniform(0.1, 0.4, 2) * px).astype(int)
    top, left = int(rng.integers(0, px - height)), int(rng.integers(0, px - width))
    pixels = pixels.copy()
    pixels[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return pixels


def augment(pixels: Pixels, rng: Rng, px: int, config: Augmentation) -> Pixels:
    """Make one random view of a square picture.

    Args:
        pixels: uint8 `[side, side, 3]` RGB.
        rng: the only source of randomness; the same state gives the same view.
        px: side of the result.
        config: how far each change may go.

    Returns:
        uint8 `[px, px, 3]`.
    """
    # What happens is drawn before anything that depends on `px`, so that a teacher sees the same
    # view at its own resolution.
    blur, noise, jpeg, erase = rng.random(4) < (
        config.blur,
        config.noise,
        config.jpeg,
        config.erase,
    )
    view = _tone(_warp(pixels, rng, px, config), rng, config)
    if blur:
        view = _blur(view, rng)
    if noise:
        view = _noise(view, rng)
    if jpeg:
        view = _jpeg(view, rng)
    if erase:
        view = _erase(view, rng)
    return view


def mix_batch(
    images: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    rng: Rng,
    *,
    mixup_alpha: float,
    cutmix_alpha: float,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mix each picture with the batch reversed: mixup (1710.09412) or CutMix (1905.04899).

    Args:
        images: float32 `[n, h, w, 3]`.
        targets: float32 `[n, classes]`, rows sum to 1.

    Returns:
        Mixed images and targets of the same shapes; unchanged where both alphas are 0.
    """
    use_cutmix = cutmix_alpha > 0 and (mixup_alpha == 0 or rng.random() < 0.5)
    alpha = cutmix_alpha if use_cutmix else mixup_alpha
    if alpha == 0:
        return images, targets
    keep = np.float32(rng.beta(alpha, alpha))
    if use_cutmix:
        height, width = images.shape[1:3]
        cut_h, cut_w = int(height * np.sqrt(1 - keep)), int(width * np.sqrt(1 - keep))
        top = int(rng.integers(0, height - cut_h + 1))
        left = int(rng.integers(0, width - cut_w + 1))
        images = images.copy()
        patch = images[::-1, top : top + cut_h, left : left + cut_w].copy()
        images[:, top : top + cut_h, left : left + cut_w] = patch
        keep = np.float32(1 - cut_h * cut_w / (height * width))
    else:
        images = np.asarray(keep * images + (1 - keep) * images[::-1], np.float32)
    mixed = keep * targets + (1 - keep) * targets[::-1]
    return np.asarray(images, np.float32), np.asarray(mixed, np.float32)
