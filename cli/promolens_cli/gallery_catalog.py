"""`promolens gallery build --from-catalog`: pictures of what the chains offer now."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promolens_cli.crawl_places import open_config, opened_database
from promolens_runtime.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from promolens_catalog.chains import Chain
    from promolens_catalog.offered_pictures import OfferedPicture
    from promolens_crawler.pictures import WantedPicture
    from promolens_retrieval.gallery.build import Read, Refused
    from promolens_retrieval.gallery.pictures import CataloguePicture
    from promolens_retrieval.gallery.products import Product
    from promolens_runtime.bundle import Bundle


@dataclass(frozen=True)
class FromCatalog:
    """What was fetched: pictures with their products, and what is missing and why."""

    pictures: tuple[CataloguePicture, ...]
    missing: tuple[Refused, ...]


def fetched(args: argparse.Namespace) -> FromCatalog:
    """Fetch one picture of each product that is on offer, where the configuration allows it.

    Raises:
        InputError: no source allows pictures, nothing is on offer, or no picture came.
    """
    from promolens_catalog.offered_pictures import offered_pictures
    from promolens_crawler.pictures import fetch_pictures, picture_hosts
    from promolens_retrieval.gallery.build import Refused
    from promolens_retrieval.gallery.pictures import CataloguePicture
    from promolens_training.progress import progress

    config = open_config(args)
    hosts = picture_hosts(config)
    if not hosts:
        raise InputError(
            "Expected a source whose pictures may be fetched. Received a configuration that names "
            "no host of pictures. Read docs/crawling-manners.md, then set pictures in it."
        )
    with opened_database(args, must_exist=True) as database:
        offers = offered_pictures(database, list(hosts))
    wanted, missing, products = _wanted(offers, hosts)
    with progress("Fetching", len(wanted)) as bar:
        found = fetch_pictures(config, wanted, args.pictures, done=bar.advance)
    missing += found.missing
    if not found.files:
        raise InputError(
            f"Expected a picture of a product on offer. Received none of {len(offers)} products"
            f"{'; the first: ' + missing[0][1] if missing else ''}. Crawl first, or correct "
            "pictures in the configuration."
        )
    pictures = (CataloguePicture(path, products[name]) for name, path in found.files.items())
    return FromCatalog(
        tuple(pictures), tuple(Refused(Path(name), reason) for name, reason in missing)
    )


@contextmanager
def guarded_reading(bundle: Bundle) -> Iterator[Read]:
    """Give a way to decode pictures of strangers: in a confined process."""
    from promolens_runtime.guarded.decoder import GuardedDecoder

    decoder = GuardedDecoder(bundle.manifest.preprocessing)

    def read(path: Path) -> tuple[NDArray[np.uint8], str | None]:
        decoded = decoder.decode(path.read_bytes(), whole=True)
        return decoded.tensor, decoded.problem

    try:
        yield read
    finally:
        decoder.close()


def _wanted(
    offers: tuple[OfferedPicture, ...], hosts: dict[Chain, frozenset[str]]
) -> tuple[list[WantedPicture], list[tuple[str, str]], dict[str, Product]]:
    """Return the pictures to fetch, products without an allowed one, and the products by name."""
    from promolens_crawler.pictures import WantedPicture
    from promolens_retrieval.gallery.products import Product

    wanted: list[WantedPicture] = []
    missing: list[tuple[str, str]] = []
    products: dict[str, Product] = {}
    for one in offers:
        name = one.barcodes[0] if one.barcodes else f"item-{one.item_id}"
        products[name] = Product(name, name, one.barcodes, one.name, one.name)
        allowed = [(chain, url) for chain, url in one.urls if _host(url) in hosts[chain]]
        if allowed:
            wanted.append(WantedPicture(name, *allowed[0]))
        else:
            missing.append((name, f"Its picture is at {_host(one.urls[0][1])}, which is off."))
    return wanted, missing, products


def _host(url: str) -> str:
    from promolens_crawler.errors import NotAllowedError
    from promolens_crawler.manners import host_of

    try:
        return host_of(url)
    except NotAllowedError:
        return "no web address"
