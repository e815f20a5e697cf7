"""What the end-to-end tests share: the whole product, built and filled by its own programs.

A small recogniser is really trained, converted and signed (`e2e_bundle.py`, about a minute of one
processor); stand-in shops are really crawled by `promolens crawl run`; the app is built as
`make app` builds it. All three are made once for all files. PROMOLENS_E2E_KEPT names a folder in
which the recogniser stays between runs, for who works on these tests.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from app_shell_support import Phone, camera_arguments, phone
from app_support import APP
from conftest import Keys, made_once
from e2e_bundle import COUNTS, photo_path, products
from promolens_catalog.chains import Chain
from promolens_demo.catalogue import Product
from promolens_demo.maps import stores as demo_stores
from promolens_demo.shops.assortment import SHOPS, Assortment, list_of
from promolens_runtime.canonical import canonical_json
from promolens_runtime.manifest import Manifest
from promolens_runtime.recognizer import Recognizer
from promolens_runtime.signing import PRIVATE_VARIABLE, SigningKey, sign
from server_support import ServeProcess, serve_process

# What `promolens demo-shops` sells by default.
ROWS = 120
# In the middle of the second of the towns with invented stores.
HERE = (37.2651, 127.0309)
EARTH_M = 6_371_008.8
# A phone held upright.
FRAME_PX = (480, 640)
FRAMES_PER_SECOND = 30
SHOWN_S, BETWEEN_S = 4.0, 0.8
# Pieces paid for, and pieces carried home.
PIECES = {"1+1": (1, 2), "2+1": (2, 3), "3+1": (3, 4)}
LONG_S = 180.0


def run_promolens(*words: str, key: SigningKey | None = None, **environment: str) -> str:
    """Run a command of the program in a process of its own; returns what it printed."""
    clean = {name: value for name, value in os.environ.items() if "PROMOLENS" not in name}
    secret = {PRIVATE_VARIABLE: key.to_text()} if key else {}
    done = subprocess.run(
        [sys.executable, "-m", "promolens_cli.main", *words],
        capture_output=True, text=True, timeout=600, env=clean | environment | secret,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    """A folder with `data/` and a signed `bundle/` that knows `products()`."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("no TensorFlow here: a recogniser cannot be made")
    kept = os.environ.get("PROMOLENS_E2E_KEPT")
    if not kept:
        return made_once(tmp_path_factory, "e2e_trained", lambda folder: train(folder, keys.own))
    if not (Path(kept) / "bundle/manifest.sig").is_file():
        train(Path(kept), keys.own)
    return Path(kept)


def train(folder: Path, key: SigningKey) -> None:
    """Make the recogniser in a process of its own, which takes TensorFlow with it."""
    program = Path(__file__).with_name("e2e_bundle.py")
    environment = os.environ | {PRIVATE_VARIABLE: key.to_text()}
    done = subprocess.run(
        [sys.executable, str(program), str(folder)],
        capture_output=True, text=True, timeout=1800, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="session")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `catalog.db` (five crawled shops, invented stores) and `month.txt`."""
    return made_once(tmp_path_factory, "e2e_crawled", crawl)


def crawl(folder: Path) -> None:
    """Open the stand-in shops, crawl them all, and import invented stores."""
    catalog = str(folder / "catalog.db")
    with demo_shops(folder) as month:
        words = ("crawl", "run", "--all", "--config", str(folder / "demo.toml"))
        told = json.loads(run_promolens(*words, "--database", catalog, "--json"))
    assert {one["outcome"] for one in told} == {"published"}
    (folder / "month.txt").write_text(month, "utf-8")
    table = folder / "stores.csv"
    demo_stores.write_stores(table, demo_stores.demo_stores())
    about = ("--source", demo_stores.SOURCE, "--attribution", demo_stores.ATTRIBUTION)
    run_promolens("stores", "import", str(table), "--database", catalog, *about)


@contextmanager
def demo_shops(folder: Path) -> Iterator[str]:
    """Run `promolens demo-shops` until the end of the block; gives the month that they show."""
    words = ("demo-shops", "--config", str(folder / "demo.toml"), "--json")
    process = subprocess.Popen(
        [sys.executable, "-m", "promolens_cli.main", *words], stdout=subprocess.PIPE, cwd=folder
    )
    assert process.stdout is not None
    try:
        yield str(json.loads(process.stdout.readline())["month"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        process.stdout.close()


@pytest.fixture(scope="session")
def built_app(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    """The app as `make app` builds it, compressed files included; trusts `keys.own`."""

    folder = made_once(tmp_path_factory, "e2e_app", lambda out: build(out, keys.own.public))
    return folder / "www"


def build(folder: Path, public_key: str) -> None:
    """Build the app into `folder/www`, compressed files included."""
    done = subprocess.run(
        ["node", "build.mjs", "--out", str(folder / "www")],
        cwd=APP, env=os.environ | {"PROMOLENS_PUBLIC_KEY": public_key},
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def resigned(bundle: Path, out: Path, version: int, key: SigningKey) -> Path:
    """Copy a bundle under another version, with names that say so, signed anew."""
    shutil.copytree(bundle, out)
    manifest = Manifest.from_bytes((bundle / "manifest.json").read_bytes())
    labels = json.loads((bundle / "labels.json").read_bytes())
    for one in labels["classes"]:
        one["name_ko"] += f" (판 {version})"
    data = canonical_json(labels)
    (out / "labels.json").write_bytes(data)
    entry = replace(
        manifest.files["labels.json"], sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)
    )
    files = {**manifest.files, "labels.json": entry}
    newer = replace(manifest, version=version, files=files, signing_key=key.public)
    signed = canonical_json(newer.to_json())
    (out / "manifest.json").write_bytes(signed)
    (out / "manifest.sig").write_bytes(sign(signed, key))
    return out


# ---- the film


def scene(photo: Path, shift_px: int = 0) -> Image.Image:
    """Return a photo as an upright phone sees it: whole, before its own blurred colours."""
    with Image.open(photo) as opened:
        picture = opened.convert("RGB")
    around = picture.resize(FRAME_PX).filter(ImageFilter.GaussianBlur(24))
    picture.thumbnail(FRAME_PX)
    left, top = ((whole - part) // 2 for whole, part in zip(FRAME_PX, picture.size, strict=True))
    around.paste(picture, (left + shift_px, top))
    return around


def _jpeg(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


def write_film(path: Path, photos: Sequence[Path], between_s: float = BETWEEN_S) -> Path:
    """Write a film for the fake camera: nothing, then each photo in a hand that trembles."""
    noise = np.random.default_rng(9).integers(96, 128, (30, 40, 3), np.uint8)
    nothing = _jpeg(Image.fromarray(noise).resize(FRAME_PX))
    turns = 24
    with path.open("wb") as film:
        for photo in photos:
            film.write(nothing * round(between_s * FRAMES_PER_SECOND))
            frames = [
                _jpeg(scene(photo, round(8 * math.sin(2 * math.pi * turn / turns))))
                for turn in range(turns)
            ]
            for number in range(round(SHOWN_S * FRAMES_PER_SECOND)):
                film.write(frames[number % turns])
    return path


def recognised_photos(folder: Path, recognizer: Recognizer) -> dict[str, Path]:
    """Return a held-out photo of each product that Python's own Recognizer knows, by item id."""
    found: dict[str, Path] = {}
    for product in products():
        paths = [
            folder / "data" / photo_path(product, "test", number)
            for number in range(COUNTS["test"])
        ]
        # Upright ones first: they fill the screen of a phone.
        for photo in sorted(paths, key=_is_wide):
            told = recognizer.predict(np.asarray(scene(photo)))
            best = told.top[0]
            if told.known and best.label.item_id == product.item_id and best.probability >= 0.6:
                found[product.item_id] = photo
                break
    return found


def _is_wide(path: Path) -> bool:
    with Image.open(path) as picture:
        return picture.width > picture.height


# ---- what is true


@dataclass(frozen=True)
class Deal:
    """What a shop lists, as a person reads it: chain, kind, won for one piece, won at the till."""

    chain: str
    kind: str
    each_krw: int
    till_krw: int


@dataclass(frozen=True)
class Truth:
    """What the shops list for a product: what must be shown, and what may be (matched by name)."""

    certain: frozenset[Deal]
    by_name: frozenset[Deal]


def truth_of(product: Product, month: str) -> Truth:
    """Return what the stand-in shops list for a product, from their own tables."""
    certain, by_name = set(), set()
    for chain in SHOPS:
        for row in list_of(Assortment(ROWS), chain, month):
            if row.goods.barcode != product.barcode:
                continue
            paid, carried = PIECES.get(row.kind.value, (1, 1))
            each_krw = (2 * row.price_krw * paid + carried) // (2 * carried)
            deal = Deal(str(chain), row.kind.value, each_krw, row.price_krw * paid)
            sure = row.barcode == product.barcode and row.barcode_valid
            (certain if sure else by_name).add(deal)
    return Truth(frozenset(certain), frozenset(by_name))


def distance_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the way over a round Earth, by the haversine formula."""
    (lat_a, lon_a), (lat_b, lon_b) = (tuple(map(math.radians, place)) for place in (a, b))
    half = math.sin((lat_b - lat_a) / 2) ** 2
    half += math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(half))


def nearest_store(here: tuple[float, float], chain: Chain | None = None) -> demo_stores.DemoStore:
    """Return the invented store that is nearest, of one chain or of any."""
    wanted = [one for one in demo_stores.demo_stores() if chain in (None, one.chain)]
    return min(wanted, key=lambda one: distance_m(here, (one.latitude, one.longitude)))


# ---- what is on the screen

# Remembers the last whole card of each product; a film goes on while one reads.
WATCH_CARDS = r"""
window.cardsSeen = {};
const won = (text) => Number((text ?? '').replace(/[^0-9]/g, ''));
const deal = (part) => {
  const classes = (selector) => [...part.querySelector(selector).classList];
  const name = (selector, start) =>
    classes(selector).find((one) => one.startsWith(start)).slice(start.length);
  const till = /\d개 ([\d,]+)원/.exec(part.querySelector('.terms')?.innerText ?? '');
  const store = part.querySelector('a[href^="#/stores/"]');
  const kind = name('.kind', 'kind-').replace('-', '+');
  const each = won(part.querySelector('.hero-price strong, .deal-line strong').textContent);
  const text = part.innerText;
  return { chain: name('.chain', 'chain-'), kind, each, till: till ? won(till[1]) : each,
           store: store?.textContent ?? '', text };
};
const look = () => {
  for (const card of document.querySelectorAll('.sheet:not([hidden]) article.card')) {
    const title = card.querySelector('h2')?.textContent;
    if (!title || card.querySelector('.refreshing')) continue;
    const deals = [...card.querySelectorAll('.hero, .deal')].map(deal);
    window.cardsSeen[title] = { deals, text: card.innerText };
  }
};
new MutationObserver(look).observe(document.body, { subtree: true, childList: true });
look();
"""


@dataclass(frozen=True)
class Card:
    """A card as it was last seen whole.

    Attributes:
        deals: in the order in which they stand.
        guessed: of `deals`, those that say that only names match.
        stores: words about the nearest store, by chain.
    """

    deals: tuple[Deal, ...]
    guessed: frozenset[Deal]
    stores: Mapping[str, str]
    text: str


def cards_seen(held: Phone) -> dict[str, Card]:
    """Return the cards that were shown since `watch_cards`, by the product's name."""
    told: dict[str, Any] = held.driver.execute_script("return window.cardsSeen")
    return {name: _card(one) for name, one in told.items()}


def _card(one: Mapping[str, Any]) -> Card:
    deals = [Deal(deal["chain"], deal["kind"], deal["each"], deal["till"]) for deal in one["deals"]]
    guessed = {
        deal for deal, told in zip(deals, one["deals"], strict=True) if "이름으로" in told["text"]
    }
    stores = {deal["chain"]: deal["store"] for deal in one["deals"]}
    return Card(tuple(deals), frozenset(guessed), stores, str(one["text"]))


def watch_cards(held: Phone) -> None:
    """Begin to remember the cards that are shown."""
    held.driver.execute_script(WATCH_CARDS)


def wait_for_cards(held: Phone, names: set[str]) -> dict[str, Card]:
    """Wait until each of these products was shown; the film may have to come round twice."""
    deadline = time.monotonic() + LONG_S
    while True:
        seen = cards_seen(held)
        if names <= seen.keys():
            return seen
        assert time.monotonic() < deadline, f"never shown: {names - seen.keys()}: {held.text()}"
        time.sleep(0.2)


# ---- all together


@dataclass
class World:
    """One phone, one server, and what is true of the shops that were crawled.

    Attributes:
        folder: with `store/` (bundles), `catalog.db` and `assets/` (app and bundle).
        shown: the products of the film.
    """

    folder: Path
    phone: Phone
    server: ServeProcess
    month: str
    shown: tuple[Product, ...]
    trained: Path
    keys: Keys

    def publish(self, version: int, key: SigningKey | None = None) -> None:
        """Offer a bundle of that version to all phones, signed by `key`."""
        key = key or self.keys.own
        made = self.folder / f"bundle-{version}-{key.public[8:12].encode().hex()}"
        publish_bundle(self.folder, resigned(self.trained / "bundle", made, version, key), key)

    def kill(self) -> None:
        """End the server as a power cut does."""
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait()


def publish_bundle(folder: Path, bundle: Path, key: SigningKey) -> None:
    """Offer a bundle by the program itself."""
    words = ("bundle", "publish", str(bundle), "--store", str(folder / "store"))
    run_promolens(*words, "--public-key", key.public)


def server_environment(folder: Path) -> dict[str, str]:
    """Return where a server finds its catalog and its bundles."""
    return {
        "PROMOLENS_DATABASE_URL": f"sqlite:///{folder / 'catalog.db'}",
        "PROMOLENS_BUNDLE_STORE": str(folder / "store"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def lay_out(folder: Path, trained: Path, crawled: Path) -> dict[str, Path]:
    """Lay out catalog and bundle; returns a photo of each recognised product, by item id."""
    shutil.copyfile(crawled / "catalog.db", folder / "catalog.db")
    shutil.copytree(trained / "bundle", folder / "assets/bundle")
    recognizer = Recognizer.open(
        trained / "bundle", public_key=SigningKey(bytes(range(32))).public, num_threads=1
    )
    photos = recognised_photos(trained, recognizer)
    assert len(photos) >= 4, "the small recogniser knows too few of its own products"
    return photos


def products_in(photos: Mapping[str, Path]) -> tuple[Product, ...]:
    """Return the products that these photos show."""
    return tuple(product for product in products() if product.item_id in photos)


@contextmanager
def open_world(
    folder: Path, trained: Path, crawled: Path, built: Path, keys: Keys, language: str = "ko"
) -> Iterator[World]:
    """Serve everything by the real programs, and hold a phone with the film before its camera."""
    photos = lay_out(folder, trained, crawled)
    film = write_film(folder / "film.mjpeg", list(photos.values()))
    shutil.copytree(built, folder / "assets/www")
    publish_bundle(folder, trained / "bundle", keys.own)
    month = (crawled / "month.txt").read_text("utf-8")
    environment = server_environment(folder)
    assets = str(folder / "assets")
    with serve_process(folder, "--app", assets, environment=environment) as server:
        url = f"http://localhost:{server.port}/app/"
        with phone(url, *camera_arguments(film), language=language) as held:
            yield World(folder, held, server, month, products_in(photos), trained, keys)


def allow_position(held: Phone, here: tuple[float, float]) -> None:
    """Let the phone be at a place, and let the app know it."""
    origin = "/".join(held.url.split("/")[:3])
    held.cdp("Browser.grantPermissions", origin=origin, permissions=["geolocation", "videoCapture"])
    held.cdp("Emulation.setGeolocationOverride", latitude=here[0], longitude=here[1], accuracy=10)
