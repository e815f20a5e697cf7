"""One row of a chain's list as people keep it: column names, words for chains and kinds, cells."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from promolens_catalog import barcodes
from promolens_catalog.chains import CHAINS, Chain
from promolens_catalog.kinds import KINDS, Kind
from promolens_catalog.offers import MAX_NAME_CHARACTERS, MAX_PRICE_KRW, Gift, Offer
from promolens_catalog.records import Record, RecordFile
from promolens_catalog.rows import check_offer
from promolens_catalog.staging import AnomalyRow
from promolens_runtime.errors import InputError

MAX_ADDRESS_CHARACTERS = 2000

NEEDED = ("name", "price_krw", "promotion")
# Other words for a column that lists in circulation use.
OTHER_WORDS = {
    "price": "price_krw",
    "event": "promotion",
    "kind": "promotion",
    "img": "image_url",
    "img_url": "image_url",
    "store": "chain",
    "brand": "chain",
}
COLUMNS = (
    *NEEDED,
    "chain",
    "barcode",
    "image_url",
    "site_id",
    "category",
    "regular_price_krw",
    "gift_name",
    "gift_price_krw",
    "gift_barcode",
    "gift_image_url",
    "valid_from",
    "valid_until",
)
KIND_WORDS: dict[str, Kind] = {
    **{info.kind.value: info.kind for info in KINDS.values()},
    **{info.name_ko: info.kind for info in KINDS.values()},
    "one_to_one": Kind.ONE_PLUS_ONE,
    "two_to_one": Kind.TWO_PLUS_ONE,
    "three_to_one": Kind.THREE_PLUS_ONE,
    "덤": Kind.GIFT,
    "증정": Kind.GIFT,
    "증정(기타)": Kind.GIFT,
    "세일": Kind.DISCOUNT,
    "sale": Kind.DISCOUNT,
}
CHAIN_WORDS: dict[str, Chain] = {
    **{chain.value: chain for chain in Chain},
    **{info.name_ko: info.chain for info in CHAINS.values()},
    **{info.name_en.casefold(): info.chain for info in CHAINS.values()},
    "7eleven": Chain.SEVEN,
    "seveneleven": Chain.SEVEN,
    "c-space24": Chain.CSPACE,
}

_PRICE = re.compile(r"(\d{1,7}|\d{1,3}(?:,\d{3})+)(?:\.0+)?(?: ?원)?")
# `8809422041125.jpg`, `GD_8809422041125_002.jpg`; 7-Eleven's `8809422/041125.1.jpg`.
_CODE_IN_ADDRESS = re.compile(
    r"/(?:GD_)?(\d{8}|\d{12,13})(?:_\d+)*\.\w+$|/(\d{7}/\d{6})\.[\d.]*\w+$"
)


@dataclass(frozen=True)
class ImportedRow:
    """One row of a list: an offer, or the reason why there is none."""

    offer: Offer | None
    problems: tuple[AnomalyRow, ...] = ()


def kind_of(text: str) -> Kind | None:
    """Return what a promotion text means, `None` for one that is not known."""
    return KIND_WORDS.get(_word(text))


def chain_of(text: str) -> Chain | None:
    """Return the chain that a text names, `None` for one that is not known."""
    return CHAIN_WORDS.get(_word(text))


def _word(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def price_of(value: object) -> int | None:
    """Return integer won from a number or a text such as `1,300`, `4900.0`, `1,300 원`.

    `None` for everything that is not one amount of 1 to `MAX_PRICE_KRW`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        match = _PRICE.fullmatch(value.strip())
        value = int(match[1].replace(",", "")) if match and match[1].isascii() else 0
    if not 1 <= value <= MAX_PRICE_KRW or value != int(value):
        return None
    return int(value)


def barcode_in_address(address: str) -> str | None:
    """Return the barcode that an image address holds, as chains name their pictures."""
    match = _CODE_IN_ADDRESS.search(urlsplit(address).path)
    if match is None:
        return None
    return barcodes.normalise((match[1] or match[2]).replace("/", ""))


def known_column(name: str) -> str | None:
    """Return which of `COLUMNS` a file's column is, `None` for one that means nothing here."""
    name = OTHER_WORDS.get(name, name)
    return name if name in COLUMNS else None


def columns_of(file: RecordFile) -> dict[str, str]:
    """Return which of the file's columns each of ours is.

    Raises:
        InputError: a needed one is missing, or two stand for the same.
    """
    words: dict[str, str] = {}
    for column in file.columns:
        ours = known_column(column)
        if ours in words:
            raise InputError(
                f"Expected one column for {ours} in {file.name}. Received {words[ours]} and "
                f"{column}. Leave one out."
            )
        if ours:
            words[ours] = column
    missing = [name for name in NEEDED if name not in words]
    if missing:
        raise InputError(
            f"Expected the columns {', '.join(NEEDED)} in {file.name}. Received "
            f"{', '.join(file.columns)[:200]}. Add or rename {', '.join(missing)}."
        )
    return words


def where(record: Record) -> str:
    """Return how problems name a record: `row 12`."""
    return f"row {record.place}"


class _LostError(Exception):
    """The row gives no offer; the problem says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class RowReader:
    """Reads one record, collecting what is wrong with it; `words` as `columns_of` returns."""

    def __init__(self, record: Record, words: Mapping[str, str], chain: Chain) -> None:
        self.record = record
        self.words = words
        self.chain = chain
        self.problems: list[AnomalyRow] = []

    def row(self, window: tuple[date, date]) -> ImportedRow:
        """Return the offer, valid in `window` if it has no dates of its own, and all problems."""
        try:
            offer = self._offer(window)
            check_offer(offer)
        except _LostError as lost:
            self._note(lost.code, str(lost))
        except InputError as error:
            self._note("row-unreadable", str(error))
        else:
            return ImportedRow(offer, tuple(self.problems))
        return ImportedRow(None, tuple(self.problems))

    def _offer(self, window: tuple[date, date]) -> Offer:
        if self.record.fault:
            raise _LostError("row-unreadable", self.record.fault)
        self._check_chain()
        image_url = self._address("image_url")
        own_window = self._window()
        start, end = own_window or window
        return Offer(
            chain=self.chain,
            name=self._name(),
            price_krw=self._price(),
            kind=self._kind(),
            valid_from=start,
            valid_until=end,
            valid_until_inferred=own_window is None,
            barcode=self._barcode("barcode", image_url),
            site_id=self._text("site_id") or None,
            regular_price_krw=self._other_price("regular_price_krw"),
            gift=self._gift(),
            image_url=image_url,
            category=self._text("category") or None,
        )

    def _note(self, code: str, detail: str) -> None:
        self.problems.append(AnomalyRow(code, f"{where(self.record)}: {detail}"[:500]))

    def _value(self, column: str) -> Any:
        return self.record.fields.get(self.words.get(column, ""))

    def _text(self, column: str) -> str:
        """Return a cell as clean text; numbers of JSON as their digits."""
        value = self._value(column)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return _clean(value) if isinstance(value, str) else ""

    def _check_chain(self) -> None:
        text = self._text("chain")
        if text and chain_of(text) is not self.chain:
            raise _LostError("chain-disagrees", f"expected {self.chain}, received {text[:40]!r}")

    def _name(self) -> str:
        value = self._value("name")
        name = self._text("name")
        if not name:
            raise _LostError("name-missing", f"expected a name, received {str(value)[:40]!r}")
        if len(name) > MAX_NAME_CHARACTERS:
            raise _LostError(
                "row-unreadable",
                f"expected at most {MAX_NAME_CHARACTERS} characters of name, received {len(name)}",
            )
        if isinstance(value, str) and _clean(value) != " ".join(value.split()):
            self._note("name-unclean", f"control characters were taken out of {name[:60]!r}")
        return name

    def _price(self) -> int:
        price = price_of(self._value("price_krw"))
        if price is None:
            received = str(self._value("price_krw"))[:40]
            raise _LostError("price-unreadable", f"expected won, received {received!r}")
        return price

    def _other_price(self, column: str) -> int | None:
        value = self._value(column)
        price = price_of(value)
        if price is None and value not in (None, ""):
            self._note(
                "price-unreadable", f"expected won as {column}, received {str(value)[:40]!r}"
            )
        return price

    def _kind(self) -> Kind:
        kind = kind_of(self._text("promotion"))
        if kind is None:
            received = str(self._value("promotion"))[:40]
            raise _LostError("badge-unknown", f"expected a promotion kind, received {received!r}")
        return kind

    def _barcode(self, column: str, image_url: str | None) -> str | None:
        text = self._text(column)
        if not text:
            return barcode_in_address(image_url) if image_url else None
        code = barcodes.normalise(text)
        if code is None:
            self._note("barcode-check-digit", f"expected a barcode, received {text[:40]!r}")
        return code

    def _address(self, column: str) -> str | None:
        text = self._text(column)
        if text and not _is_address(text):
            self._note("image-address-refused", f"expected http(s), received {text[:100]!r}")
            return None
        return text or None

    def _gift(self) -> Gift | None:
        name = self._text("gift_name")[:MAX_NAME_CHARACTERS]
        if not name:
            return None
        image_url = self._address("gift_image_url")
        return Gift(
            name,
            self._other_price("gift_price_krw"),
            self._barcode("gift_barcode", image_url),
            image_url,
        )

    def _window(self) -> tuple[date, date] | None:
        texts = (self._text("valid_from"), self._text("valid_until"))
        if not any(texts):
            return None
        try:
            return date.fromisoformat(texts[0]), date.fromisoformat(texts[1])
        except ValueError:
            raise _LostError(
                "dates-unreadable", f"expected two days as YYYY-MM-DD, received {texts!r}"[:120]
            ) from None


def _clean(text: str) -> str:
    """Return text without control and format characters and lone surrogates, blanks collapsed."""
    kept = (one for one in text if one.isspace() or unicodedata.category(one)[0] != "C")
    return " ".join("".join(kept).split())


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    steps = parts.path.replace("%2e", ".").replace("%2E", ".").split("/")
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and ".." not in steps
        and " " not in text
        and len(text) <= MAX_ADDRESS_CHARACTERS
    )
