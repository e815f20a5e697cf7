"""One row of a shop's list: what is true of it, and what the page shows of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

from promolens_catalog.calendar import first_day, last_day
from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import Gift, Offer
from promolens_demo.shops.goods import Goods


@dataclass(frozen=True)
class Faults:
    """What a hostile mode prints in place of the truth; `None` prints the truth."""

    price: str | None = None
    badge: str | None = None
    name_html: str | None = None
    name_json: str | None = None
    image: str | None = None


@dataclass(frozen=True)
class Row:
    """One promotion of one chain.

    Attributes:
        barcode: the code in the image's address; not a valid one where the shop made a mistake.
        barcode_valid: the code is what stands on the product.
        image: path of the picture below the shop's home; `""` where a placeholder is shown.
        regular_price_krw: the price before a discount.
        regular_price_listed: the list shows it (emart24), and not only the product's own page.
        gift: its image address is a path, as `image`.
        badge_shown: the card has its badge; without it the requested list tells the kind.
        file_id_shown: GS25's `attFileId` is there.
        section: the chain's own, where its pages can be asked for one (emart24).
        linked_card: CU's older card, a link around the whole.
        printed_twice: the shop prints the same card a second time, further down.
    """

    chain: Chain
    goods: Goods
    name: str
    price_krw: int
    kind: Kind
    barcode: str | None = None
    barcode_valid: bool = True
    image: str = ""
    site_id: str | None = None
    regular_price_krw: int | None = None
    regular_price_listed: bool = False
    gift: Gift | None = None
    is_new: bool = False
    own_brand: bool = False
    badge_shown: bool = True
    file_id_shown: bool = True
    section: str | None = None
    linked_card: bool = False
    printed_twice: bool = False
    faults: Faults = Faults()

    @property
    def price_text(self) -> str:
        """The price as most pages print it: `4,800`."""
        return self.faults.price or f"{self.price_krw:,}"

    @property
    def name_html(self) -> str:
        """The name, escaped for text and attributes."""
        return self.faults.name_html or escape(self.name)

    @property
    def image_shown(self) -> str:
        """The picture's path as the page gives it; `""` where there is none."""
        return self.faults.image or self.image

    def offer(self, home: str, month: str) -> Offer:
        """Return what a perfect crawl of the lists reads, with pictures below `home`."""
        gift = self.gift
        if gift is not None and gift.image_url is not None:
            gift = replace(gift, image_url=home + gift.image_url)
        return Offer(
            chain=self.chain,
            name=self.name,
            price_krw=self.price_krw,
            kind=self.kind,
            valid_from=first_day(month),
            valid_until=last_day(month),
            barcode=self.barcode if self.barcode_valid else None,
            site_id=self.site_id,
            regular_price_krw=self.regular_price_krw if self.regular_price_listed else None,
            gift=gift,
            image_url=home + self.image if self.image else None,
            category=self.section,
        )
