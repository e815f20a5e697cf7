"""Barcodes (GTINs): check digits, and the one spelling under which a code is stored and looked up.

The same code is met in several spellings: a scanner reports twelve digits where a chain prints
thirteen, a UPC-E symbol holds a UPC-A in eight. Codes are joined only after `normalise`.
"""

from __future__ import annotations

MAX_TEXT_CHARACTERS = 64
_LENGTHS = (8, 12, 13, 14)
# GS1 gives no thirteen-digit code five leading zeros, so that short codes can be padded.
_SHORT_PADDING = "00000"
_BLANKS = str.maketrans("", "", " \t\r\n-")


def check_digit(payload: str) -> str:
    """Return the last digit of a GTIN of any length (GS1 General Specifications, section 7.9).

    Args:
        payload: the ASCII digits before it.

    >>> check_digit("400638133393")
    '1'
    >>> check_digit("9638507")
    '4'
    """
    total = sum(int(digit) * (1 if n % 2 else 3) for n, digit in enumerate(reversed(payload)))
    return str(-total % 10)


def has_check_digit(code: str) -> bool:
    """Say whether `code` is 8, 12, 13 or 14 digits, the last of them the right check digit."""
    plain = len(code) in _LENGTHS and code.isascii() and code.isdigit()
    return plain and code.strip("0") != "" and check_digit(code[:-1]) == code[-1]


def normalise(text: str) -> str | None:
    """Return the one spelling of a barcode, or `None` where `text` is no barcode.

    EAN-13 (in-store codes such as 1500000189402 included) and EAN-8 stay as they are; UPC-A gets
    its leading zero; UPC-E becomes the UPC-A that it stands for; zeros that pad a code to 13 or 14
    digits go. Blanks and hyphens between digits are no part of it. Eight digits that are right
    both as EAN-8 and as UPC-E are taken for an EAN-8.

    >>> normalise("8 801056-150013")
    '8801056150013'
    >>> normalise("034000239344"), normalise("03424005"), normalise("8801056150014")
    ('0034000239344', '0034000002405', None)
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        return None
    code = text.translate(_BLANKS)
    if not has_check_digit(code):
        code = _upc_a_of_upc_e(code) or ""
    if not code or (len(code) == 14 and code[0] != "0"):
        return None
    thirteen = code[-13:].zfill(13)
    return thirteen[5:] if thirteen.startswith(_SHORT_PADDING) else thirteen


def _upc_a_of_upc_e(code: str) -> str | None:
    """Return the twelve digits that a UPC-E's eight stand for (GS1 specifications, 5.2.2.4)."""
    plain = len(code) == 8 and code.isascii() and code.isdigit()
    if not plain or code[0] not in "01":
        return None
    system, a, b, c, d, e, last, check = list(code)
    if last in "012":
        body = f"{a}{b}{last}0000{c}{d}{e}"
    elif last == "3":
        body = f"{a}{b}{c}00000{d}{e}"
    elif last == "4":
        body = f"{a}{b}{c}{d}00000{e}"
    else:
        body = f"{a}{b}{c}{d}{e}0000{last}"
    upc_a = system + body + check
    return upc_a if has_check_digit(upc_a) else None
