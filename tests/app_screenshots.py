"""Takes the pictures of the app for README and docs: `python tests/app_screenshots.py [OUT]`.

The app is shown by its real programs as in the end-to-end tests: crawled stand-in shops, a trained
recogniser, a film before the camera. Only invented products and stores are to be seen. Writes one
strip of four screens for each language, one in light and one in dark, and single screens for the
top of the README.

PROMOLENS_E2E_KEPT names a folder in which the recogniser stays between runs.
"""

from __future__ import annotations

import os
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

from app_shell_support import Phone, camera_arguments, phone
from e2e_support import (
    HERE,
    allow_position,
    build,
    crawl,
    lay_out,
    publish_bundle,
    server_environment,
    train,
    write_film,
)
from promolens_demo.fronts import write_fronts
from promolens_runtime.signing import SigningKey
from server_support import serve_process

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"
KEY = SigningKey(bytes(range(32)))
# Sold by most chains, so that its card has much to show.
SHOWN = "byeolsolsaem-soda-lemon-250ml"
GAP_PX = 24
PAPER = {"light": (226, 219, 210), "dark": (8, 7, 6)}
MOST_BYTES = 150_000
STYLES = (("ko", "light"), ("en", "dark"))
# Single screens: language and number in the strip.
SINGLE = {("ko", 0): "scan-ko", ("ko", 2): "stores-ko", ("en", 0): "scan-en"}


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="promolens-pictures-") as name:
        folder = Path(name)
        film, url_folder = _prepare(folder)
        environment = server_environment(folder)
        words = ("--app", str(url_folder))
        with serve_process(folder, *words, environment=environment) as server:
            url = f"http://localhost:{server.port}/app/"
            for language, theme in STYLES:
                with phone(url, *camera_arguments(film), language=language) as held:
                    screens = _screens(held, theme)
                _save(_strip(screens, PAPER[theme]), out / f"app-{language}-{theme}.webp")
                for number, screen in enumerate(screens):
                    if single := SINGLE.get((language, number)):
                        _save(screen, out / f"{single}.webp")


def _prepare(folder: Path) -> tuple[Path, Path]:
    kept = Path(os.environ.get("PROMOLENS_E2E_KEPT") or folder / "trained")
    if not (kept / "bundle/manifest.sig").is_file():
        print("training the recogniser of the pictures", flush=True)
        train(kept, KEY)
    crawled = folder / "crawled"
    crawled.mkdir()
    print("crawling the stand-in shops", flush=True)
    crawl(crawled)
    photos = lay_out(folder, kept, crawled)
    build(folder / "assets", KEY.public)
    write_fronts(folder / "assets/pictures")
    publish_bundle(folder, kept / "bundle", KEY)
    film = write_film(folder / "film.mjpeg", [photos[SHOWN]], between_s=0)
    return film, folder / "assets"


def _screens(held: Phone, theme: str) -> list[Image.Image]:
    """Return the camera with its card, the card raised, the stores, and the search."""
    keep = "localStorage.setItem('promolens.theme', arguments[0])"
    held.driver.execute_script(keep, theme)
    allow_position(held, HERE)
    held.cdp("Emulation.setScrollbarsHidden", hidden=True)
    held.open("#/scan")
    held.one(".sheet:not([hidden]) .hero a")
    screens = [_screen(held)]
    held.one(".sheet-handle").click()
    held.one(".sheet.whole")
    screens.append(_screen(held))
    held.go("#/stores")
    held.one(".marker")
    held.one(".store")
    screens.append(_screen(held))
    held.go("#/browse")
    held.one(".rows .row")
    screens.append(_screen(held))
    return screens


def _screen(held: Phone) -> Image.Image:
    # Tiles and the sheet take a moment to come to rest.
    held.driver.execute_async_script("setTimeout(arguments[0], 1500)")
    picture: Image.Image = Image.open(BytesIO(held.driver.get_screenshot_as_png()))
    return picture.convert("RGB").resize((360, 740), Image.Resampling.LANCZOS)


def _strip(screens: list[Image.Image], paper: tuple[int, int, int]) -> Image.Image:
    width, height = screens[0].size
    size = (len(screens) * (width + GAP_PX) + GAP_PX, height + 2 * GAP_PX)
    strip = Image.new("RGB", size, paper)
    for number, screen in enumerate(screens):
        strip.paste(screen, (GAP_PX + number * (width + GAP_PX), GAP_PX))
    return strip


def _save(picture: Image.Image, path: Path) -> None:
    for quality in (88, 80, 70, 60):
        picture.save(path, "WEBP", quality=quality, method=6)
        if path.stat().st_size <= MOST_BYTES:
            break
    print(f"{path}: {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
