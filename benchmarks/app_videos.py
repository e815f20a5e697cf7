"""Which products the camera app recognises in a film, how fast, and whether it shows a wrong one.

    .venv/bin/python benchmarks/app_videos.py android_assets/bundle --seed 4201
    .venv/bin/python benchmarks/app_videos.py android_assets/bundle --seed 4202 --strangers 1
    .venv/bin/python benchmarks/app_videos.py BUNDLE --seed 4201 --film film.mjpeg --out app.json

Draws a film of the 24 products of the demo catalogue (`promolens_demo.films`) in places, light and
print that training never draws: each shot begins over an empty place with a hand moving through,
sweeps to the product with motion blur, rests on it with shaking hands, hunting focus, settling and
drifting exposure and now and then an arm before it, and leaves. Chromium takes the film for its
camera, and the built app scans it with BUNDLE; nothing stands in for anything. A frame's number is
read from the screen, so delays are those that a person sees: from the first frame on the screen
with the product's middle in the centre square to its card on the page.

`--strangers 0` or `1` draws look-alikes outside the catalogue instead (one of the two halves of
`promolens_demo.strangers`): every card is then a mistake.

Seeds 3000 to 3999 are for tuning, 4000 to 4999 for reporting. Needs Node, Chromium and its driver.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from promolens_demo.films.writer import (
    CODE_BITS,
    CODE_LEFT_PX,
    CODE_SIDE_PX,
    Film,
    Shot,
    read_film,
    write_film,
)
from promolens_demo.seeds import stream
from promolens_demo.strangers import look_alikes
from promolens_runtime.errors import PromolensError
from promolens_runtime.recognizer import Recognizer
from promolens_runtime.signing import verification_key

REPOSITORY = Path(__file__).resolve().parents[1]
WITHIN_S = 2.0
GOAL = 23
STRANGERS = 24
READY_S = 120.0

# Notes which frame is on the screen and what the page says, both on the page's clock.
WATCH = """
const [left, side, bits] = arguments;
const video = document.querySelector('video.preview');
const canvas = new OffscreenCanvas(1, 480);
const pen = canvas.getContext('2d', { willReadFrequently: true });
const log = { frames: [], cards: [] };
let [lastFrame, lastCard] = [-1, ''];
const look = () => {
  pen.drawImage(video, left + side / 2, 0, 1, 480, 0, 0, 1, 480);
  const { data } = pen.getImageData(0, 0, 1, 480);
  const at = (row) => (data[(side * (row + 2) + side / 2) * 4] > 127 ? 1 : 0);
  let [number, ones] = [0, 0];
  for (let bit = 0; bit < bits; bit += 1) { number += at(bit) << bit; ones += at(bit); }
  if (at(bits) === (ones & 1) && at(bits + 1) === 1 && number !== lastFrame) {
    lastFrame = number;
    log.frames.push([number, performance.now()]);
  }
  video.requestVideoFrameCallback(look);
};
video.requestVideoFrameCallback(look);
const sheet = document.querySelector('.sheet');
const read = () => {
  // A card without its heading is still being filled; a sheet without a card offers a choice.
  const card = sheet.querySelector('.card');
  const heading = card?.querySelector('h2')?.textContent ?? lastCard;
  const name = sheet.hidden ? '' : card === null ? '?' : heading;
  if (name === lastCard) return;
  lastCard = name;
  log.cards.push([name, performance.now()]);
};
new MutationObserver(read).observe(sheet, { subtree: true, childList: true, attributes: true });
window.filmLog = log;
"""


@dataclass(frozen=True)
class Seen:
    """What came of one shot.

    Attributes:
        shot: what was to be seen.
        delay_s: from the product's appearing to its card; None where its card never came.
        others: labels of other products whose cards came meanwhile.
    """

    shot: Shot
    delay_s: float | None
    others: tuple[str, ...]


def timeline(frames: Sequence[tuple[int, float]], length: int) -> list[tuple[int, float]]:
    """Turn frame numbers that begin anew with each round of the film into ones that only rise."""
    rounds, last, rising = 0, -1, []
    for number, at_ms in frames:
        rounds += number < last
        last = number
        rising.append((rounds * length + number, at_ms))
    return rising


def judge(
    film: Film, frames: Sequence[tuple[int, float]], cards: Sequence[tuple[str, float]]
) -> list[Seen]:
    """Say what came of each shot, the first time that it was on the screen as a whole.

    Args:
        frames: (number, ms): when each frame came on the screen.
        cards: (label, ms): when a product's card came.
    """
    rising = timeline(frames, film.frames)
    seen: dict[str, Seen] = {}
    for turn in range(3):
        for shot in film.shots:
            base = turn * film.frames
            begins = _time_of(rising, base + shot.first)
            appears = _time_of(rising, base + shot.appears)
            # The card may still come while the camera leaves; the next product is not there yet.
            ends = _time_of(rising, base + shot.leaves + film.fps // 2)
            if begins is None or appears is None or ends is None or shot.item_id in seen:
                continue
            if rising[0][0] > base + shot.first:
                continue
            meanwhile = [(label, at) for label, at in cards if begins <= at < ends]
            right = [at for label, at in meanwhile if label == shot.label]
            delay_s = None if not right else round((right[0] - appears) / 1000, 3)
            others = tuple(label for label, _ in meanwhile if label != shot.label)
            seen[shot.item_id] = Seen(shot, delay_s, others)
    return list(seen.values())


def _time_of(rising: Sequence[tuple[int, float]], number: int) -> float | None:
    return next((at_ms for shown, at_ms in rising if shown >= number), None)


def make_film(path: Path, seed: int, strangers: int | None) -> Film:
    """Draw the film, unless it is there."""
    if path.is_file() and path.with_suffix(".json").is_file():
        return read_film(path)
    print(f"drawing {path}: a few minutes", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    if strangers is None:
        return write_film(path, seed)
    all_of_them = look_alikes(strangers)
    chosen = stream(seed, "pick").permutation(len(all_of_them))[:STRANGERS]
    return write_film(path, seed, strangers=tuple(all_of_them[i] for i in chosen))


def built_app(out: Path, key: str) -> Path:
    """Build the app as `make app` does, into `out`."""
    subprocess.run(
        ["node", "build.mjs", "--out", str(out), "--no-compression"],
        cwd=REPOSITORY / "app", check=True, stdout=subprocess.DEVNULL,
        env=os.environ | {"PROMOLENS_PUBLIC_KEY": key},
    )  # fmt: skip
    return out


@contextmanager
def scanning(www: Path, bundle: Path, film: Path) -> Iterator[Any]:
    """Open the app on its camera page, with the film for a camera; yields the phone."""
    sys.path.insert(0, str(REPOSITORY / "tests"))
    from app_devtools import KEEP_MEMORIES
    from app_shell_support import camera_arguments, phone
    from app_support import TYPES, serve

    TYPES.setdefault("", "text/html; charset=utf-8")
    with serve({"www": www, "bundle": bundle}) as server:
        server.files["www/"] = (www / "index.html").read_bytes()
        # Only so that its memory can be measured.
        server.files["www/recognise.js"] = KEEP_MEMORIES + (www / "recognise.js").read_bytes()
        # A page that is not hidden and not slowed down, though no window shows it.
        arguments = (*camera_arguments(film.resolve()), "--disable-renderer-backgrounding")
        url = server.url("www/").replace("127.0.0.1", "localhost")
        with phone(url, *arguments) as held:
            held.open("#/scan")
            yield held


def wait_until_it_scans(held: Any) -> None:
    """Wait until the recogniser is there and frames go through it."""
    ready = "return !/(준비|MB)/.test(document.querySelector('.hint')?.textContent ?? '준비')"
    deadline = time.monotonic() + READY_S
    while not held.driver.execute_script(ready):
        if time.monotonic() > deadline:
            raise SystemExit(f"error: the app did not get ready: {held.text()[:300]}")
        time.sleep(0.2)


def watch(held: Any, film: Film) -> tuple[list[Any], list[Any]]:
    """Watch until every shot has been on the screen as a whole; returns frames and cards."""
    held.driver.execute_script(WATCH, CODE_LEFT_PX, CODE_SIDE_PX, CODE_BITS)
    longest = film.frames // max(1, len(film.shots))
    time.sleep((film.frames + 2 * longest) / film.fps + 2)
    log = held.driver.execute_script("return window.filmLog")
    return log["frames"], log["cards"]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Film, app, browser; returns what came of each shot."""
    key = verification_key()
    if key is None:
        raise SystemExit("error: Expected PROMOLENS_PUBLIC_KEY or a development key.")
    recognizer = Recognizer.open(arguments.bundle, public_key=key, num_threads=1)
    labels = {label.name_ko: label.label for label in recognizer.labels}
    kind = "known" if arguments.strangers is None else f"strangers{arguments.strangers}"
    path = arguments.film or Path(f"runs/films/{kind}-{arguments.seed}.mjpeg")
    film = make_film(path, arguments.seed, arguments.strangers)
    with tempfile.TemporaryDirectory() as folder:
        www = arguments.www or built_app(Path(folder) / "www", key)
        with scanning(www, arguments.bundle, path) as held:
            wait_until_it_scans(held)
            frames, cards = watch(held, film)
            if arguments.picture is not None:
                held.driver.save_screenshot(str(arguments.picture))
    # A choice among several products claims none of them.
    shown = [(labels.get(name, name), at) for name, at in cards if name not in ("", "?")]
    return {
        "bundle": recognizer.manifest.bundle_id,
        "seed": film.seed,
        "kind": kind,
        "frames_seen": len(frames),
        "film_frames": film.frames,
        "shots": [asdict(one) for one in judge(film, frames, shown)],
        "load_average": os.getloadavg(),
    }


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a result."""
    shots = result["shots"]
    delays = sorted(shot["delay_s"] for shot in shots if shot["delay_s"] is not None)
    return {
        "shots": len(shots),
        "recognised_in_time": sum(delay <= WITHIN_S for delay in delays),
        "recognised": len(delays),
        "with_a_wrong_card": sum(bool(shot["others"]) for shot in shots),
        "median_delay_s": delays[len(delays) // 2] if delays else None,
    }


def table(result: dict[str, Any]) -> str:
    """Return the Markdown table."""
    figures = summary(result)
    lines = [
        "| film | seed | shots | recognised within 2 s | later | with a wrong card | "
        "median delay |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| {result['kind']} | {result['seed']} | {figures['shots']} | "
        f"{figures['recognised_in_time']} | "
        f"{figures['recognised'] - figures['recognised_in_time']} | "
        f"{figures['with_a_wrong_card']} | {figures['median_delay_s']} s |",
        "",
    ]
    for shot in result["shots"]:
        late = shot["delay_s"] is None or shot["delay_s"] > WITHIN_S
        if shot["others"] or (late and shot["shot"]["label"] is not None):
            lines.append(
                f"- {shot['shot']['item_id']} ({shot['shot']['visit']}): "
                f"{shot['delay_s']} s, other cards: {', '.join(shot['others']) or 'none'}"
            )
    return "\n".join(lines)


def main() -> int:
    """Measure and print; 1 where the goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--strangers", type=int, choices=(0, 1), help="which half of them")
    parser.add_argument("--film", type=Path, help="where the film is, or will be (runs/films/...)")
    parser.add_argument("--www", type=Path, help="a built app, instead of building one")
    parser.add_argument("--picture", type=Path, help="write the last screen here")
    parser.add_argument("--out", type=Path, help="write JSON")
    arguments = parser.parse_args()
    try:
        result = measure(arguments)
    except PromolensError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    result["summary"] = summary(result)
    print(table(result))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    figures = result["summary"]
    good = figures["with_a_wrong_card"] == 0
    if arguments.strangers is None:
        good = good and figures["recognised_in_time"] >= GOAL
    return int(not good)


if __name__ == "__main__":
    raise SystemExit(main())
