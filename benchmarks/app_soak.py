"""Whether the camera app's memory stays where it is while it scans, and the page stays smooth.

    .venv/bin/python benchmarks/app_soak.py android_assets/bundle
    .venv/bin/python benchmarks/app_soak.py BUNDLE --film FILM --minutes 1 --base-minute 0.25

Chromium scans a film of the demo products (drawn where there is none) for `--minutes`. Every half
minute the browser is made to collect its garbage in page and worker; JavaScript heap, array buffers
and WebAssembly memory together may at the end be at most 1.05 times what they were at
`--base-minute`.
For a while in the middle the tasks of the page's main thread are traced: none may work for 50 ms
or more. What counts is the processor's time, since on a busy machine any task may have to wait.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app_videos import REPOSITORY, built_app, make_film, scanning, wait_until_it_scans

from promolens_runtime.signing import verification_key

GROWTH_BOUND = 1.05
FILM_SEED = 3201
LONG_TASK_MS = 50.0
EVERY_S = 30.0
TRACED_S = 30.0


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Scan, and measure meanwhile."""
    sys.path.insert(0, str(REPOSITORY / "tests"))
    from app_devtools import devtools, growth, long_tasks_ms, watch_memory

    key = verification_key()
    if key is None:
        raise SystemExit("error: Expected PROMOLENS_PUBLIC_KEY or a development key.")
    make_film(arguments.film, FILM_SEED, None)
    seconds = arguments.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        www = arguments.www or built_app(Path(folder) / "www", key)
        with (
            scanning(www, arguments.bundle, arguments.film) as held,
            devtools(held.driver) as tools,
        ):
            wait_until_it_scans(held)
            time.sleep(10)
            page, worker = tools.attach("page"), tools.attach("worker", "recognise")
            traced_s = min(TRACED_S, seconds / 4)
            tasks = long_tasks_ms(tools, traced_s)
            seen = watch_memory(tools, page, worker, seconds, min(EVERY_S, seconds / 8))
    return {
        "seconds": seconds,
        "base_s": arguments.base_minute * 60,
        "growth": round(growth(seen, arguments.base_minute * 60), 4),
        "memory": [{"at_s": round(at_s, 1), **asdict(m), "total": m.total} for at_s, m in seen],
        "traced_s": traced_s,
        "tasks_of_50_ms_on_the_clock": [round(wall) for wall, _ in tasks],
        "tasks_of_50_ms_of_work": [round(work) for _, work in tasks if work >= LONG_TASK_MS],
    }


def main() -> int:
    """Measure and print; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--film", type=Path, default=Path("runs/films/known-3201.mjpeg"))
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--base-minute", type=float, default=2.0)
    parser.add_argument("--www", type=Path, help="a built app, instead of building one")
    parser.add_argument("--out", type=Path, help="write JSON")
    arguments = parser.parse_args()
    result = measure(arguments)
    print(
        "| after | page | worker | WebAssembly | together |\n| ---: | ---: | ---: | ---: | ---: |"
    )
    for row in result["memory"]:
        sizes = " | ".join(f"{row[k] / 1e6:.2f} MB" for k in ("page", "worker", "wasm", "total"))
        print(f"| {row['at_s']:.0f} s | {sizes} |")
    print(f"\ngrowth since {result['base_s']:.0f} s: {result['growth']:.3f}")
    print(f"tasks of 50 ms of work in {result['traced_s']:.0f} s: "
          f"{result['tasks_of_50_ms_of_work'] or 'none'} "
          f"(on the clock: {result['tasks_of_50_ms_on_the_clock'] or 'none'})")  # fmt: skip
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return int(result["growth"] > GROWTH_BOUND or bool(result["tasks_of_50_ms_of_work"]))


if __name__ == "__main__":
    raise SystemExit(main())
