"""What a promotion makes one piece cost, and which of several is the best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from promolens_catalog.kinds import KINDS, Kind
from promolens_catalog.offers import Offer

PER_AMOUNT = 100
_MEASURED_UNITS = ("ml", "g")

Order: TypeAlias = tuple[Fraction, int, int, bool, str, str]
"""A place among the offers of one item."""


@dataclass(frozen=True)
class Deal:
    """What a shopper who takes a whole promotion pays.

    Attributes:
        price_krw: one piece at the till.
        pieces: how many are carried home: 2 of 1+1, 3 of 2+1, else 1.
        unit_price: what one of them costs then, exact won; a gift is not divided in.
        gift_value_krw: what the gift sells for, where stated.
        regular_price_krw: the price before a discount, where stated and higher than `price_krw`.
    """

    price_krw: int
    pieces: int
    unit_price: Fraction
    gift_value_krw: int | None = None
    regular_price_krw: int | None = None

    @property
    def unit_price_krw(self) -> int:
        """`unit_price` in integer won, halves up."""
        return round_half_up(self.unit_price)

    @property
    def saving(self) -> Fraction:
        """The part of the ordinary price that is saved, 0 to under 1: 1/2 for 1+1."""
        return 1 - self.unit_price / (self.regular_price_krw or self.price_krw)


def round_half_up(value: Fraction) -> int:
    """Return the nearest integer; halves go up: 1/2 -> 1.

    >>> round_half_up(Fraction(5000, 3)), round_half_up(Fraction(1501, 2))
    (1667, 751)
    """
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def unit_price(kind: Kind, price_krw: int) -> Fraction:
    """Return the exact won of one piece: n+m pays n of n+m, every other kind pays the price.

    >>> unit_price(Kind.TWO_PLUS_ONE, 2500)
    Fraction(5000, 3)
    """
    info = KINDS[kind]
    if not info.buy_n:
        return Fraction(price_krw)
    return Fraction(price_krw * info.buy_n, info.buy_n + info.get_m)


def deal_of(offer: Offer) -> Deal:
    """Return what an offer makes one piece cost."""
    gift = offer.gift.price_krw if offer.gift else None
    return deal_of_terms(offer.kind, offer.price_krw, offer.regular_price_krw, gift)


# Prices are few and round: most deals have been made before.
@lru_cache(maxsize=4096)
def deal_of_terms(
    kind: Kind, price_krw: int, regular: int | None, gift_value_krw: int | None = None
) -> Deal:
    """Return what one piece costs; the arguments are those of an `Offer` and its gift's price."""
    info = KINDS[kind]
    return Deal(
        price_krw=price_krw,
        pieces=max(info.buy_n + info.get_m, 1),
        unit_price=unit_price(kind, price_krw),
        gift_value_krw=gift_value_krw,
        regular_price_krw=regular if regular and regular > price_krw else None,
    )


def price_per_100(price: Fraction, amount: float | None, unit: str | None) -> Fraction | None:
    """Return exact won for 100 ml or 100 g; `None` for counted or unknown sizes.

    Args:
        price: won for one piece, `Deal.unit_price` as a rule.
        amount: how much of `unit` one piece holds, above 0.
        unit: `ml` or `g` can be compared; anything else cannot.

    >>> price_per_100(Fraction(1250), 500, "ml")
    Fraction(250, 1)
    """
    if amount is None or amount <= 0 or unit not in _MEASURED_UNITS:
        return None
    return price * PER_AMOUNT / _exact(amount)


# Sizes are few and round, and to read a decimal costs more than to reckon with it.
@lru_cache(maxsize=4096)
def _exact(amount: float) -> Fraction:
    return Fraction(str(amount))


def best_first(offer: Offer, *, guessed: bool = False) -> Order:
    """Return the sorting key that puts the best offer of one item first.

    The lowest unit price; among equals the worthier gift, then the one of which fewer pieces must
    be bought, then what is certainly of this item; chain and key only make the order the same
    every time. The app sorts in the same way (`compareDeals`).

    Args:
        guessed: a matching method took the offer for one of the item.
    """
    deal = deal_of(offer)
    return (
        deal.unit_price,
        -(deal.gift_value_krw or 0),
        deal.pieces,
        guessed,
        offer.chain.value,
        offer.key(),
    )


def best_per_100_first(
    size_of: Callable[[Offer], tuple[float, str] | None],
) -> Callable[[Offer], tuple[bool, Fraction, Order]]:
    """Return a sorting key by price per 100 ml or g; offers of no known size come last.

    Args:
        size_of: an offer's amount and unit, `None` where it is not known.
    """

    def key(offer: Offer) -> tuple[bool, Fraction, Order]:
        amount, unit = size_of(offer) or (None, None)
        per_100 = price_per_100(deal_of(offer).unit_price, amount, unit)
        return (per_100 is None, per_100 or Fraction(0), best_first(offer))

    return key
