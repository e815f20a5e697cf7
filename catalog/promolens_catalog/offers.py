"""One promotion as a chain states it: the row that crawls stage and snapshots are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind

MAX_PRICE_KRW = 1_000_000
MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class Gift:
    """What is given with a purchase."""

    name: str
    price_krw: int | None = None
    barcode: str | None = None
    image_url: str | None = None


@dataclass(frozen=True)
class Offer:
    """A promotion row of one chain.

    Two rows with equal content are one offer: identity is the whole content, so that a changed
    price is an offer that ended and another that began, and nothing published is ever rewritten.

    Attributes:
        name: as the chain prints it, blanks trimmed, without control characters.
        price_krw: what one piece costs at the till, integer won, 1..MAX_PRICE_KRW.
        barcode: EAN-13, EAN-8, UPC-A or in-store code with a valid check digit; `None` if the
            chain shows none.
        site_id: the chain's own number for the row (CU `gdIdx`, 7-Eleven `pCd`), where it has one.
        regular_price_krw: the price before a discount, where stated.
        image_url: absolute http(s) address; referenced, never fetched by a crawl.
        category: the chain's own section, where the listing says it.
        valid_from, valid_until: Korean calendar days, both included.
        valid_until_inferred: the page shows no end; it is taken for the last day of the month.
    """

    chain: Chain
    name: str
    price_krw: int
    kind: Kind
    valid_from: date
    valid_until: date
    valid_until_inferred: bool = True
    barcode: str | None = None
    site_id: str | None = None
    regular_price_krw: int | None = None
    gift: Gift | None = None
    image_url: str | None = None
    category: str | None = None

    def key(self) -> str:
        """Return what names the thing on sale across snapshots: barcode, else site id, else name.

        `barcode:8809422041125`, `site:062386` or `name:마쉼아메리카노320ml`.
        """
        if self.barcode:
            return f"barcode:{self.barcode}"
        if self.site_id:
            return f"site:{self.site_id}"
        return f"name:{self.name}"
