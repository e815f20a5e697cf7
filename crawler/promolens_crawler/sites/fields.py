"""Readers for single fields, common to all chains: prices, names, image addresses. All strict."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote, urljoin, urlsplit

from promolens_catalog.offers import MAX_PRICE_KRW

MAX_ADDRESS_CHARACTERS = 2_000
_PRICE = re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,7})(?:\.0+)?\s*원?", re.ASCII)
_LAYOUT = str.maketrans("\t\n\r\f\u00a0\u3000", "      ")
_BLANK = "Zs"
_REPLACEMENT = "\ufffd"
# How often an address may be encoded in itself before it counts as a trick.
_DECODINGS = 3


def price_krw(text: str) -> int | None:
    """Return integer won, 1 to `MAX_PRICE_KRW`; `None` for anything that is no plain price.

    >>> price_krw("4,800"), price_krw(" 1,700 원 "), price_krw("4900.0")
    (4800, 1700, 4900)
    >>> price_krw("가격문의"), price_krw("1,2"), price_krw("0"), price_krw("1 700")
    (None, None, None, None)
    """
    found = _PRICE.fullmatch(text.translate(_LAYOUT).strip())
    if found is None or found[1].startswith("0"):
        return None
    price = int(found[1].replace(",", ""))
    return price if price <= MAX_PRICE_KRW else None


def clean_name(text: str) -> tuple[str, bool]:
    """Return a name with single blanks and without what cannot be printed, and if any was there.

    Layout (tabs, line ends) becomes blanks; control, format and private characters, lone
    surrogates and U+FFFD go.

    >>> clean_name("  칠성)펩시\\n콜라 355ml ")
    ('칠성)펩시 콜라 355ml', False)
    >>> clean_name("콜\\x07라")
    ('콜라', True)
    """
    text = text.translate(_LAYOUT)
    unclean = not text.isprintable() or _REPLACEMENT in text
    if unclean:
        spaced = "".join(" " if unicodedata.category(one) == _BLANK else one for one in text)
        kept = "".join(one for one in spaced if one.isprintable() and one != _REPLACEMENT)
        unclean = kept != spaced
        text = kept
    return " ".join(text.split()), unclean


def image_address(text: str, page_url: str) -> str | None:
    """Return an absolute http(s) address, or `None` for one that is not to be trusted.

    Refused are `..` as a part of it (encoded too), other schemes, user names, backslashes,
    control characters and endless ones.

    >>> image_address("//images.example/product/1.jpg", "https://shop.example/list")
    'https://images.example/product/1.jpg'
    >>> image_address("/upload/../etc/1.jpg", "https://shop.example/list")
    """
    text = text.strip()
    if len(text) > MAX_ADDRESS_CHARACTERS or not text.isprintable() or _has_tricks(text):
        return None
    try:
        address = urljoin(page_url, text.replace(" ", "%20"))
        parts = urlsplit(address)
        plain = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return address if plain and "@" not in parts.netloc else None


def path_of(address: str) -> str:
    """Return the path of an address that `image_address` gave."""
    return urlsplit(address).path


def _has_tricks(text: str) -> bool:
    for _ in range(_DECODINGS):
        if "\\" in text or ".." in re.split(r"[/?=&;#]", text):
            return True
        decoded = unquote(text)
        if decoded == text:
            return False
        text = decoded
    return True
