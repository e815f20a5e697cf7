"""How long until a service that runs knows 500 more products, and does anybody notice?

    .venv/bin/promolens demo-data runs/shop --products 2000 --photos 3 --test-photos 1
    .venv/bin/python benchmarks/gallery_adding.py android_assets/bundle runs/shop/catalogue
    .venv/bin/python benchmarks/gallery_adding.py BUNDLE PICTURES --before 300 --add 100 --out OUT

A service is started over a gallery of the first `--before` pictures. Then `--add` more are laid
into the folder, and the clock runs: `promolens gallery build`, `promolens gallery publish`, until
the service finds one of the new pictures (`POST /v1/search/image`), names it with the new gallery
(`POST /v1/recognise`), and offers the new version to phones (`GET /v1/meta`). Meanwhile a
client asks 20 times a second; none of its requests may fail, and the process must be the same. The
goal for 500 products is 60 s. Needs this machine's gallery key.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

GOAL_S = 60.0
PROMOLENS = Path(sys.executable).parent / "promolens"
CONFIG = """
[recognition]
assets = "{assets}"
per_s = 1000
burst = 1000

[bundles]
store = "{store}"

[rate]
per_s = 100000
burst = 100000
"""


class Service:
    """`promolens serve` in a folder of its own."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        config = home / "server.toml"
        config.write_text(CONFIG.format(assets=home / "assets", store=home / "store"), "utf-8")
        command: list[str | Path] = [PROMOLENS, "serve", "--port", str(port), "--config", config]
        self.log = home / "serve.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=home, env=environment(home), stderr=log)

    def get(self, path: str) -> Any:
        """Return an answer's JSON."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def post(self, path: str, picture: Path) -> Any:
        """Ask with a picture; return the answer's JSON."""
        headers = {"Content-Type": "image/png"}
        asked = urllib.request.Request(self.url + path, picture.read_bytes(), headers)  # noqa: S310
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def wait(self) -> None:
        """Return when it answers."""
        for _ in range(600):
            try:
                self.get("/readyz")
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise SystemExit(f"error: the service did not start: {self.log.read_text()[-2000:]}")


class Client(threading.Thread):
    """Somebody who asks all the time; keeps the slowest answer and what failed."""

    def __init__(self, service: Service) -> None:
        super().__init__(daemon=True)
        self._service, self.ended = service, threading.Event()
        self.asked, self.slowest_s, self.failed = 0, 0.0, []  # type: ignore[var-annotated]

    def run(self) -> None:
        """Ask until told to end."""
        while not self.ended.wait(0.05):
            began = time.perf_counter()
            try:
                self._service.get("/v1/meta")
            except OSError as error:
                self.failed.append(str(error))
            self.asked += 1
            self.slowest_s = max(self.slowest_s, time.perf_counter() - began)


def environment(home: Path) -> dict[str, str]:
    """Return the environment of everything that runs in `home`."""
    own = {
        "PROMOLENS_DATABASE_URL": str(home / "catalog.db"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    return os.environ | own


def promolens(home: Path, *words: str | Path) -> float:
    """Run a command; return its seconds."""
    began = time.perf_counter()
    done = subprocess.run(
        [PROMOLENS, *words], cwd=home, env=environment(home), capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"error: promolens {words[0]} {words[1]}: {done.stderr[-2000:]}")
    return time.perf_counter() - began


def build_and_publish(home: Path) -> dict[str, float]:
    """Build the gallery of the pictures that lie there, and offer it to everybody."""
    gallery = home / "assets/gallery"
    bundle = ("--bundle", home / "assets/bundle")
    return {
        "build": promolens(home, "gallery", "build", home / "pictures", "--out", gallery, *bundle),
        "publish": promolens(home, "gallery", "publish", gallery, "--store", home / "store"),
    }


def until(check: Any) -> float:
    """Return the seconds until a check is true."""
    began = time.perf_counter()
    while True:
        try:
            if check():
                return time.perf_counter() - began
        except (OSError, urllib.error.HTTPError):
            pass
        if time.perf_counter() - began > 120:
            raise SystemExit("error: the service does not know the new products after 120 s")
        time.sleep(0.1)


def measure(args: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Fill, start, add, and wait."""
    pictures = sorted(args.pictures.glob("*.png"))[: args.before + args.add]
    if len(pictures) < args.before + args.add:
        raise SystemExit(f"error: Expected {args.before + args.add} pictures in {args.pictures}.")
    (home / "pictures").mkdir()
    shutil.copytree(args.bundle, home / "assets/bundle")
    for picture in pictures[: args.before]:
        shutil.copy(picture, home / "pictures")
    promolens(home, "bundle", "publish", home / "assets/bundle", "--store", home / "store")
    build_and_publish(home)
    service = Service(home)
    try:
        service.wait()
        client = Client(service)
        client.start()
        new = pictures[-1]
        before = service.post("/v1/search/image?corpus=gallery.default&k=1", new)
        began = time.perf_counter()
        for picture in pictures[args.before :]:
            shutil.copy(picture, home / "pictures")
        seconds = build_and_publish(home)

        def is_found() -> bool:
            found = service.post("/v1/search/image?corpus=gallery.default&k=1", new)
            return bool(found["matches"][0]["item_id"] == new.stem)

        def is_named() -> bool:
            said = service.post("/v1/recognise", new)
            return bool(said["similar"][0]["item_id"] == new.stem)

        def is_offered() -> bool:
            return bool(service.get("/v1/meta")["releases"]["gallery"]["version"] == 2)

        seconds |= {
            "found": until(is_found),
            "named": until(is_named),
            "offered": until(is_offered),
        }
        total = time.perf_counter() - began
        client.ended.set()
        client.join()
        return {
            "before": args.before,
            "added": args.add,
            "known_before": before["matches"][0],
            "seconds": seconds,
            "total_s": total,
            "client": {
                "asked": client.asked,
                "failed": client.failed,
                "slowest_s": client.slowest_s,
            },
            "same_process": service.process.poll() is None,
        }
    finally:
        service.process.terminate()
        service.process.wait(20)


def main() -> int:
    """Measure and print; 1 where the goal is missed or somebody noticed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pictures", type=Path, help="folder of catalogue pictures (PNG)")
    parser.add_argument("--before", type=int, default=1500, help="products to begin with (1500)")
    parser.add_argument("--add", type=int, default=500, help="products to add (500)")
    parser.add_argument("--out", type=Path, help="write JSON")
    args = parser.parse_args()
    args.bundle, args.pictures = args.bundle.resolve(), args.pictures.resolve()
    with tempfile.TemporaryDirectory(prefix="promolens-adding-") as name:
        found = measure(args, Path(name))
    steps = ", ".join(f"{step} {value:.1f} s" for step, value in found["seconds"].items())
    client = found["client"]
    print(
        f"{found['added']} products added to {found['before']} in {found['total_s']:.1f} s "
        f"(goal {GOAL_S:.0f} s): {steps}. Meanwhile {client['asked']} requests, "
        f"{len(client['failed'])} failed, the slowest took {client['slowest_s']:.2f} s; "
        f"{'the same' if found['same_process'] else 'another'} process."
    )
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return int(found["total_s"] > GOAL_S or bool(client["failed"]) or not found["same_process"])


if __name__ == "__main__":
    raise SystemExit(main())
