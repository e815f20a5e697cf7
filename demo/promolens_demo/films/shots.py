"""One shot of a film: the camera sweeps from an empty place to a product, rests on it, and leaves.

A shot is drawn once, wide, from one place; the camera then only turns, zooms and is shaken, which
moves a picture by a homography exactly (Hartley and Zisserman, Multiple View Geometry, 8.4). Shake,
missed focus, exposure and the passing arm are drawn anew for each frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from promolens_demo import photo
from promolens_demo.arrays import Array
from promolens_demo.camera import Camera
from promolens_demo.catalogue import Product
from promolens_demo.fonts import PRINT_RUNS
from promolens_demo.hand import SKINS, SLEEVES, Limb, draw_limb
from promolens_demo.lights import Light
from promolens_demo.photo import Visit, visit_of
from promolens_demo.render import SRGB_TO_LINEAR
from promolens_demo.seeds import stream

WIDE_PX, HIGH_PX = 640, 480
# What is drawn once, around the frame: enough for the whole sweep.
PANORAMA_PX = (2600, 760)
# The camera comes from so far aside, as a share of the way to the panorama's edge.
_ASIDE = 0.92
_TONE_STEPS = 4096
_TONE = (np.linspace(0, 1, _TONE_STEPS) ** (1 / 2.2)).astype(np.float32)
# The exposure of one frame, as a share of the time to the next.
_SHUTTER = 0.5
_SUBFRAMES = 4


@dataclass(frozen=True)
class Timing:
    """Lengths of a shot's parts, in seconds: empty place, sweep, rest on the product, leaving."""

    empty_s: float = 0.6
    sweep_s: float = 0.4
    rest_s: float = 2.3
    leave_s: float = 0.3

    @property
    def shot_s(self) -> float:
        """Length of a whole shot, seconds."""
        return self.empty_s + self.sweep_s + self.rest_s + self.leave_s


@dataclass(frozen=True)
class Scene:
    """What a shot shows: linear light `[h, w, 3]` around a camera, and how it is lit.

    Attributes:
        panorama: float32, `PANORAMA_PX`; its middle is the product's.
        focal_px: of the panorama and of the frames at zoom 1.
        light: for the arm that passes.
        gain: brings the rest to a phone's brightness.
    """

    panorama: Array
    focal_px: float
    light: Light
    gain: float


@dataclass(frozen=True)
class View:
    """Where the camera looks: turns in radians from the product, and its zoom."""

    yaw: float
    pitch: float
    roll: float
    zoom: float


def make_scene(product: Product, siblings: tuple[Product, ...], seed: int, number: int) -> Scene:
    """Arrange and draw a product in one of the places of the test photos, wide."""
    visit = visit_of(seed, "test", number * photo.PHOTOS_A_VISIT)
    rng = stream(seed, "film", product.item_id)
    face = PRINT_RUNS["test"][int(rng.integers(len(PRINT_RUNS["test"])))]
    fill = float(rng.uniform(0.6, 0.9))
    held = visit.scene.floor is None
    draw = _draw_held if held else _draw_standing
    side = draw_play(stream(seed, "play", product.item_id)).side
    frame, camera = draw(product, siblings, visit, (face, fill, side), rng)
    left, top = (PANORAMA_PX[0] - WIDE_PX) // 2, (PANORAMA_PX[1] - HIGH_PX) // 2
    middle = frame[top : top + HIGH_PX, left : left + WIDE_PX]
    level = float(np.percentile(middle[::8, ::8].max(axis=-1), 92))
    stops = float(np.clip(rng.normal(0.0, 0.25), -0.6, 0.5))
    gain = 0.75 * 2.0**stops / max(level, 0.05)
    own = np.exp2(rng.normal(0, 0.12, 3)).astype(np.float32)
    return Scene(frame * (visit.light.gains * own), camera.focal_px, visit.light, gain)


def _widened(camera: Camera) -> Camera:
    return Camera(*PANORAMA_PX, camera.focal_px, camera.position, camera.axes)


# The photos' own arrangement and drawing, so that films show what photos show.
def _draw_standing(
    product: Product,
    siblings: tuple[Product, ...],
    visit: Visit,
    choice: tuple[str, float, float],
    rng: np.random.Generator,
) -> tuple[Array, Camera]:
    face, fill, side = choice
    body, room, around = photo._standing(product, siblings, visit, face, rng)
    # Nothing stands where the camera comes from: the shot begins between products.
    around = [(other, radius) for other, radius in around if other.position[0] * side <= 0]
    narrow = photo._fit_camera(body, fill, (WIDE_PX, HIGH_PX), rng, held=False)
    camera = _widened(narrow)
    return photo._draw_standing(camera, visit, (body, room, around), rng), camera


def _draw_held(
    product: Product,
    siblings: tuple[Product, ...],
    visit: Visit,
    choice: tuple[str, float, float],
    rng: np.random.Generator,
) -> tuple[Array, Camera]:
    face, fill, _ = choice
    body, room = photo._held(product, visit, face, rng)
    narrow = photo._fit_camera(body, fill, (WIDE_PX, HIGH_PX), rng, held=True)
    camera = _widened(narrow)
    others = photo._held_neighbours(product, siblings, face, rng)
    return photo._draw_held(camera, visit, (body, room), others, rng), camera


def homography(view: View, focal_px: float) -> Array:
    """Return the `[3, 3]` matrix from a frame's pixels to the panorama's."""
    turn = _turn(view.yaw, view.pitch, view.roll)
    wide, high = PANORAMA_PX
    to_rays = np.linalg.inv(_intrinsics(focal_px * view.zoom, WIDE_PX, HIGH_PX))
    return np.asarray(_intrinsics(focal_px, wide, high) @ turn @ to_rays)


def _intrinsics(focal_px: float, wide: int, high: int) -> Array:
    return np.array([[focal_px, 0, wide / 2], [0, focal_px, high / 2], [0, 0, 1.0]])


def _turn(yaw: float, pitch: float, roll: float) -> Array:
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z)


def middle_of_product(view: View, focal_px: float) -> tuple[float, float]:
    """Return where the product's middle is in a frame, pixels; anywhere when it is behind."""
    x, y, depth = np.linalg.inv(homography(view, focal_px)) @ np.array(
        [PANORAMA_PX[0] / 2, PANORAMA_PX[1] / 2, 1.0]
    )
    return (float(x / depth), float(y / depth)) if depth > 1e-6 else (np.inf, np.inf)


def is_in_square(view: View, focal_px: float) -> bool:
    """Say whether the product's middle is in the centre square, which the network sees."""
    x, y = middle_of_product(view, focal_px)
    left = (WIDE_PX - HIGH_PX) / 2
    return left <= x <= WIDE_PX - left and 0 <= y <= HIGH_PX


class Hand:
    """A hand's unsteadiness: a slow wander and a tremor, the same for the same seed."""

    def __init__(self, rng: np.random.Generator, focal_px: float) -> None:
        """Draw amplitudes and phases; the wander is some pixels, the tremor about one."""
        hertz = np.concatenate([rng.uniform(0.3, 1.6, 3), rng.uniform(5.0, 9.0, 2)])
        size_px = np.concatenate([rng.uniform(4.0, 12.0, 3), rng.uniform(0.5, 1.8, 2)])
        self._hertz = hertz
        self._size = size_px[:, None] * rng.uniform(0.5, 1.0, (5, 3)) / focal_px
        self._phase = rng.uniform(0, 2 * np.pi, (5, 3))

    def at(self, t_s: float) -> tuple[float, float, float]:
        """Return yaw, pitch and roll at a time, radians."""
        waves = self._size * np.sin(2 * np.pi * self._hertz[:, None] * t_s + self._phase)
        yaw, pitch, roll = waves.sum(axis=0)
        return float(yaw), float(pitch), float(roll)


@dataclass(frozen=True)
class Play:
    """What happens in a shot besides the sweep, drawn once.

    Attributes:
        side: -1 or 1: from where the camera comes.
        focus_s: how long the focus hunts after the sweep; hunt_px: how far it is off at first.
        off_stops: error of exposure when the camera arrives; it settles within a second.
        drift_stops: how far the exposure wanders while resting.
        arm: when an arm passes before the product, seconds after the sweep; None for never.
        noise, contrast: of the sensor and of the phone.
    """

    side: float
    zoom: tuple[float, float]
    focus_s: float
    hunt_px: float
    off_stops: float
    drift_stops: float
    arm: float | None
    noise: float
    contrast: float
    corner: float


def draw_play(rng: np.random.Generator) -> Play:
    """Draw what happens in one shot."""
    return Play(
        side=float(rng.choice([-1.0, 1.0])),
        zoom=(float(rng.uniform(0.88, 1.0)), float(rng.uniform(0.95, 1.1))),
        focus_s=float(rng.uniform(0.2, 0.7)),
        hunt_px=float(rng.uniform(1.5, 4.0)),
        off_stops=float(rng.uniform(-0.9, 0.9)),
        drift_stops=float(rng.uniform(0.0, 0.35)),
        arm=float(rng.uniform(0.6, 1.6)) if rng.random() < 0.4 else None,
        noise=float(np.exp(rng.uniform(np.log(0.006), np.log(0.03)))),
        contrast=float(rng.uniform(0.88, 1.12)),
        corner=float(rng.uniform(0.0, 0.3)),
    )


def _eased(share: float) -> float:
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)


def view_at(t_s: float, timing: Timing, play: Play, hand: Hand, focal_px: float) -> View:
    """Return where the camera looks at a time of the shot."""
    half = np.arctan(PANORAMA_PX[0] / 2 / focal_px)
    frame_half = np.arctan(WIDE_PX / 2 / (focal_px * min(play.zoom)))
    aside = (half - frame_half) * _ASIDE
    arrived = _eased((t_s - timing.empty_s) / timing.sweep_s)
    left = _eased((t_s - timing.shot_s + timing.leave_s) / timing.leave_s)
    yaw, pitch, roll = hand.at(t_s)
    resting = (t_s - timing.empty_s - timing.sweep_s) / timing.rest_s
    zoom = play.zoom[0] + (play.zoom[1] - play.zoom[0]) * _eased(resting)
    yaw += play.side * aside * (1 - arrived) - play.side * aside * left
    return View(float(yaw), pitch, roll, zoom)


def blur_at(t_s: float, timing: Timing, play: Play) -> float:
    """Return the missed focus at a time, as the sigma of a blur in pixels."""
    since = t_s - timing.empty_s - timing.sweep_s
    hunting = max(0.0, 1 - max(0.0, since) / play.focus_s)
    return 0.4 + play.hunt_px * hunting * abs(float(np.cos(9 * max(0.0, since))))


def stops_at(t_s: float, timing: Timing, play: Play) -> float:
    """Return the error of exposure at a time, in stops."""
    since = max(0.0, t_s - timing.empty_s - timing.sweep_s)
    settling = play.off_stops * float(np.exp(-since / 0.35))
    return settling + play.drift_stops * float(np.sin(2 * np.pi * 0.35 * t_s))


def arm_at(t_s: float, timing: Timing, play: Play, rng: np.random.Generator) -> list[Limb]:
    """Return the limbs of an arm that passes: always over the empty place, sometimes later."""
    skin = np.asarray(SRGB_TO_LINEAR[_bytes_of(str(rng.choice(SKINS)))])
    sleeve = np.asarray(SRGB_TO_LINEAR[_bytes_of(str(rng.choice(SLEEVES)))])
    start_s = [0.0] if play.arm is None else [0.0, timing.empty_s + timing.sweep_s + play.arm]
    for start in start_s:
        share = (t_s - start) / 0.55
        if 0 <= share <= 1:
            # In from below and out again, the hand at most at the middle of the frame.
            reach = float(np.sin(np.pi * share))
            tip = np.array([-2.0 + 9 * share, -19 + 17 * reach, 0.0])
            wrist, elbow = tip + np.array([3.5, -7.0, 0]), tip + np.array([12.0, -26.0, 0])
            cuff = wrist + np.array([1.0, -3.0, 0.0])
            knuckles, tips = wrist + np.array([0, 1.5, 0]), tip + np.array([-2.4, 0, 0])
            aside, apart = np.array([0.6, 0, 0]), np.array([1.6, 0.4, 0])
            fingers = [
                Limb(np.stack([knuckles + k * aside, tips + k * apart]),
                     (1.0, 0.8), skin, nail=True)
                for k in range(4)
            ]  # fmt: skip
            return [
                Limb(np.stack([elbow, cuff]), (4.2, 3.6), sleeve),
                Limb(np.stack([cuff, wrist + np.array([0.0, 2.0, 0.0])]), (2.7, 3.0), skin),
                *fingers,
            ]
    return []


def _bytes_of(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


_ARM_CAMERA = Camera(WIDE_PX, HIGH_PX, 620.0, np.array([0.0, 0.0, 28.0]), np.diag([1.0, 1.0, -1.0]))


def frames(scene: Scene, timing: Timing, fps: int, seed: int, name: str) -> Iterator[Array]:
    """Yield a shot's frames, uint8 `[480, 640, 3]`, sRGB."""
    play = draw_play(stream(seed, "play", name))
    hand = Hand(stream(seed, "shake", name), scene.focal_px)
    noise = stream(seed, "noise", name)
    for number in range(round(timing.shot_s * fps)):
        t_s = number / fps
        light = _exposed(scene, timing, play, hand, t_s, 1 / fps)
        for limb in arm_at(t_s, timing, play, stream(seed, "arm", name)):
            draw_limb(light, _ARM_CAMERA, limb, scene.light)
        yield _developed(light, scene, play, stops_at(t_s, timing, play), noise)


def arrivals(scene: Scene, timing: Timing, fps: int, seed: int, name: str) -> tuple[int, int]:
    """Return the first frame with the product's middle in the square, and the first after."""
    play = draw_play(stream(seed, "play", name))
    hand = Hand(stream(seed, "shake", name), scene.focal_px)
    count = round(timing.shot_s * fps)
    inside = [
        is_in_square(view_at(n / fps, timing, play, hand, scene.focal_px), scene.focal_px)
        for n in range(count)
    ]
    first = inside.index(True)
    return first, count - inside[::-1].index(True)


def _exposed(
    scene: Scene, timing: Timing, play: Play, hand: Hand, t_s: float, frame_s: float
) -> Array:
    """Gather light while the shutter is open: moves smear, and the focus may be off."""
    import cv2

    times = t_s + np.linspace(0, _SHUTTER * frame_s, _SUBFRAMES)
    views = [view_at(float(t), timing, play, hand, scene.focal_px) for t in times]
    moved_px = abs(views[-1].yaw - views[0].yaw) * scene.focal_px
    # A long smear needs more samples, or it falls apart into ghosts; a still camera needs one.
    count = int(np.clip(np.ceil(moved_px / 3), 1, 24))
    if count > 1:
        times = t_s + np.linspace(0, _SHUTTER * frame_s, count)
        views = [view_at(float(t), timing, play, hand, scene.focal_px) for t in times]
    light = np.zeros((HIGH_PX, WIDE_PX, 3), np.float32)
    for view in views[:count]:
        light += cv2.warpPerspective(
            scene.panorama,
            homography(view, scene.focal_px),
            (WIDE_PX, HIGH_PX),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
    light /= count
    blur = blur_at(t_s, timing, play)
    return np.asarray(cv2.GaussianBlur(light, (0, 0), blur) if blur > 0.45 else light, np.float32)


def _developed(
    light: Array, scene: Scene, play: Play, stops: float, noise: np.random.Generator
) -> Array:
    x = np.linspace(-1, 1, WIDE_PX, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, HIGH_PX, dtype=np.float32)[:, None]
    gain = scene.gain * 2.0**stops * (1 - play.corner * (x * x + y * y) / 2)
    index = np.clip(light * (gain * (_TONE_STEPS - 1))[..., None], 0, _TONE_STEPS - 1)
    shown = (_TONE[index.astype(np.uint16)] - 0.5) * np.float32(play.contrast) + np.float32(0.5)
    shown += noise.standard_normal(shown.shape, dtype=np.float32) * np.float32(play.noise)
    return np.asarray(np.clip(shown * 255 + 0.5, 0, 255).astype(np.uint8))
