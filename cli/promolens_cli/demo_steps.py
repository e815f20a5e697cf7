"""The steps of `promolens demo`: each looks first whether it was done already."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from promolens_cli.demo_filling import PRODUCTS
from promolens_runtime.errors import BundleError, InputError, PromolensError

if TYPE_CHECKING:
    from promolens_demo.catalogue import Product
    from promolens_demo.sheet.pictures import SheetPictures
    from promolens_runtime.bundle import Bundle

_FILLED = "filled.json"
_DEMO_DATA = Path("demo_data")
_MAX_SCRIPT_BYTES = 5_000_000
_CATALOG = "catalog.db"
_STORE = "bundles"
_MAX_INDEX_BYTES = 4_000_000
# A chain's products are among the first so many, each chain with others.
_FRONTS = 2 * PRODUCTS


@dataclass(frozen=True)
class Steps:
    """All steps, in the order in which they stand here.

    Attributes:
        assets: folder with `bundle` and `www`.
        state: the demo's own folder.
        now: UTC.
    """

    assets: Path
    state: Path
    now: datetime

    def forget(self) -> None:
        """Remove the catalog and the bundle store of earlier demos, and nothing else."""
        for path in (self.state / _FILLED, *self.state.glob(f"{_CATALOG}*")):
            path.unlink(missing_ok=True)
        for name in (_STORE, "sync"):
            if (self.state / name).is_dir():
                shutil.rmtree(self.state / name)

    def bundle(self) -> Bundle:
        """Verify the bundle and return it.

        Raises:
            BundleError: it is missing or does not verify.
        """
        from promolens_runtime.bundle import read_bundle
        from promolens_runtime.quiet import quiet_stderr
        from promolens_runtime.signing import verification_key
        from promolens_runtime.verify import verify_bundle

        folder = self.assets / "bundle"
        if not folder.is_dir():
            raise InputError(
                f"Expected a bundle in {folder}. Received no such folder. "
                "Make it, and everything else: make demo"
            )
        key = verification_key(None)
        with quiet_stderr():  # LiteRT says on stderr which delegate it made
            report = verify_bundle(folder, key)
        if not report.ok:
            raise BundleError(
                f"Expected a good bundle in {folder}. Received: {report.findings[0]} "
                f"All findings: promolens bundle verify {folder}"
            )
        bundle = read_bundle(folder, key)
        manifest = bundle.manifest
        _say("recogniser", f"{manifest.bundle_id} version {manifest.version}, verified")
        return bundle

    def app(self, bundle: Bundle) -> None:
        """Check that the app is built, and trusts the key that signed the bundle.

        Raises:
            InputError: it is not, or does not.
        """
        from promolens_server.config import AppConfig, built_app

        folder = built_app(self.assets, AppConfig()).folder
        assert folder is not None
        assert bundle.signed_by is not None
        scripts = sorted(folder.rglob("*.js"))
        if not any(bundle.signed_by in _text(script) for script in scripts):
            raise InputError(
                f"Expected the app in {folder} to trust the key that signed the bundle "
                f"({bundle.signed_by}). Received an app with another key. Build it anew: make app"
            )
        _say("app", f"{folder}")

    def catalog(self) -> None:
        """Crawl the stand-in shops, unless that was done for this month; import stores."""
        from promolens_catalog.calendar import korean_month
        from promolens_cli.demo_filling import fill_in_own_process

        month = korean_month(self.now)
        marker, database = self.state / _FILLED, self.state / _CATALOG
        if database.is_file() and _filled(marker) == month:
            _say("catalog", f"{database}, crawled for {month}")
            return
        self.state.mkdir(parents=True, exist_ok=True)
        _say("catalog", f"{database}: crawling stand-in shops for {month}, about a minute")
        marker.unlink(missing_ok=True)
        fill_in_own_process(str(database))
        part = marker.with_suffix(".part")
        part.write_text(json.dumps({"month": month}), encoding="utf-8")
        part.replace(marker)

    def offer(self, bundle: Bundle) -> None:
        """Publish the bundle for phones, unless that very release is offered already.

        Raises:
            InputError: the store offers a newer one, or another line.
        """
        import hashlib

        from promolens_runtime.manifest import MANIFEST_FILE
        from promolens_runtime.quiet import quiet_stderr
        from promolens_server.bundles.publishing import Order, publish_bundle
        from promolens_server.bundles.store import ArtefactStore

        store = ArtefactStore(self.state / _STORE)
        release = hashlib.sha256((bundle.folder / MANIFEST_FILE).read_bytes()).hexdigest()
        current = store.channel("stable").current if store.folder.is_dir() else None
        if current is not None and current.id == release:
            _say("offer", f"version {current.version}, to all phones already")
            return
        try:
            with quiet_stderr():
                publish_bundle(
                    store, bundle.folder, bundle.signed_by, Order(by="promolens demo"), self.now
                )
        except InputError as error:
            raise InputError(f"{error} Or begin anew: promolens demo --fresh") from None
        _say("offer", f"version {bundle.manifest.version}, to all phones")

    def products(self, bundle: Bundle) -> tuple[Sequence[Product], str | None]:
        """Return the invented products that the bundle knows, and what is to be said of them."""
        from promolens_demo.catalogue import make_catalogue, max_products

        known = _taught(bundle)
        found = [one for one in make_catalogue(max_products()) if one.barcode in known]
        if found:
            return found, None
        return make_catalogue(), (
            f"the recogniser {bundle.manifest.bundle_id} knows none of the invented products; "
            "for one that does: make demo OUT=demo_assets"
        )

    def newcomers(self, bundle: Bundle) -> tuple[Product, ...]:
        """Return products that the shops sell and the bundle was not taught, for a gallery.

        None, with a line that says why, where this machine can make no gallery for the bundle.
        """
        from promolens_cli.demo_gallery import signing_key_of
        from promolens_demo.newcomers import newcomers

        try:
            signing_key_of(bundle)
        except PromolensError as error:
            _say("gallery", f"left out: {error}")
            return ()
        return newcomers(_FRONTS, _taught(bundle))

    def gallery(
        self, bundle: Bundle, products: Sequence[Product], pictures: SheetPictures
    ) -> Sequence[Product]:
        """Offer a gallery of these products, unless that is done; returns what it names.

        A recogniser does without one, so nothing that is wrong with it ends the demo.
        """
        from promolens_cli import demo_gallery
        from promolens_server.bundles.store import GALLERIES, ArtefactStore

        if not products:
            return ()
        bundles = ArtefactStore(self.state / _STORE)
        store = ArtefactStore(self.state / _STORE, GALLERIES)
        folder, database = self.state / "gallery", self.state / _CATALOG
        try:
            if demo_gallery.is_offered(folder, bundle, store, products):
                _say("gallery", f"{len(products)} products, to all phones already")
                return products
            version = demo_gallery.make_gallery(folder, database, bundle, products, pictures)
            demo_gallery.offer_gallery(folder, bundle, store, bundles, self.now)
        except PromolensError as error:
            _say("gallery", f"not offered: {error}")
            return ()
        _say("gallery", f"version {version}, {len(products)} products from one picture each")
        return products

    def pictures(self, products: Sequence[Product]) -> SheetPictures:
        """Draw what was not drawn yet."""
        from promolens_demo.sheet.pictures import SheetPictures

        pictures = SheetPictures(self.state / "pictures", _DEMO_DATA)
        missing = [one for one in products if not pictures.has(one)]
        if missing:
            _say("pictures", f"drawing {len(missing)} products to scan")
        for product in missing:
            pictures.png(product)
        if not missing:
            _say("pictures", f"{len(products)} products to scan")
        return pictures

    def fronts(self, count: int = _FRONTS) -> None:
        """Draw what the app shows beside names, beside its folder, unless it is there.

        Pictures of other products that somebody put there are left alone.
        """
        from promolens_demo.catalogue import make_catalogue, max_products
        from promolens_demo.fronts import write_fronts
        from promolens_server.config import AppConfig, built_app

        www = built_app(self.assets, AppConfig()).folder
        assert www is not None
        folder = www.parent / "pictures"
        listed = _listed(folder / "index.json")
        invented = [one.barcode for one in make_catalogue(max_products())]
        if listed - set(invented):
            _say("fronts", f"{folder}, with pictures of other products: left as it is")
        elif listed >= set(invented[:count]):
            _say("fronts", f"{folder}, {count} products")
        else:
            _say("fronts", f"{folder}: drawing {count} products")
            try:
                write_fronts(folder, count)
            except OSError as error:
                _say("fronts", f"not drawn ({error.strerror}); the app shows letters instead")


def _taught(bundle: Bundle) -> set[str]:
    """Return the barcodes of the products that a bundle knows."""
    return {
        code
        for entry in bundle.manifest.models
        for label in bundle.labels(entry)
        for code in label.barcodes
    }


def _say(step: str, words: str) -> None:
    print(f"{step:<10} {words}", file=sys.stderr, flush=True)


def _text(script: Path) -> str:
    with script.open("rb") as file:
        return file.read(_MAX_SCRIPT_BYTES).decode("utf-8", "replace")


def _filled(marker: Path) -> str | None:
    try:
        told = json.loads(marker.read_text(encoding="utf-8"))
        return str(told["month"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _listed(index: Path) -> set[str]:
    try:
        with index.open("rb") as file:
            told = json.loads(file.read(_MAX_INDEX_BYTES))
    except (OSError, ValueError, RecursionError):
        return set()
    return {one for one in told if isinstance(one, str)} if isinstance(told, list) else set()
