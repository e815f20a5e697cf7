"""The chains, one file each: where their lists are, how to page, how to read one card."""

from __future__ import annotations

from dataclasses import replace

from promolens_catalog.chains import Chain
from promolens_crawler.sites import cspace, cu, emart24, gs25, seven
from promolens_crawler.sites.base import Site
from promolens_runtime.errors import InputError

SITES: dict[Chain, Site] = {
    Chain.CU: cu.SITE,
    Chain.GS25: gs25.SITE,
    Chain.SEVEN: seven.SITE,
    Chain.EMART24: emart24.SITE,
    Chain.CSPACE: cspace.SITE,
}


def site_of(chain: Chain, page_size: int | None = None) -> Site:
    """Return a chain's site.

    Args:
        page_size: rows a page; only where the shop honours a wish, else its pages stay as they are.

    Raises:
        InputError: the chain is historic, or the size is not positive.
    """
    site = SITES.get(chain)
    if site is None:
        raise InputError(
            f"Expected one of {', '.join(SITES)}. Received {chain}. Nothing of it is left to "
            "crawl; import its rows from a file."
        )
    return site if page_size is None else _sized(site, page_size)


def _sized(site: Site, page_size: int) -> Site:
    if page_size < 1:
        raise InputError(
            f"Expected at least 1 row a page. Received {page_size}. Change page_size of "
            f"{site.chain}."
        )
    if not site.page_size_parameter:
        return site
    size = {site.page_size_parameter: str(page_size)}
    return replace(
        site,
        page_size=page_size,
        listings=tuple(
            replace(listing, parameters={**listing.parameters, **size}) for listing in site.listings
        ),
    )
