"""EAN-13 numbers of the in-store range: prefixes 20 to 29, which GS1 gives to no maker."""

from __future__ import annotations

IN_STORE_PREFIXES = tuple(str(prefix) for prefix in range(20, 30))
_ITEM_DIGITS = 10


def ean13_check_digit(first_twelve: str) -> str:
    """Return the thirteenth digit (GS1 General Specifications, section 7.9).

    >>> ean13_check_digit("400638133393")
    '1'
    """
    total = sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(first_twelve))
    return str(-total % 10)


def is_ean13(code: str) -> bool:
    """Say whether `code` is thirteen digits with the right check digit."""
    plain = len(code) == 13 and code.isascii() and code.isdigit()
    return plain and ean13_check_digit(code[:12]) == code[12]


def in_store_ean13(number: int) -> str:
    """Return the in-store code of item `number` (0 to 10**10 - 1), prefix 20 to 29 by its decade.

    >>> in_store_ean13(7)
    '2700000000077'
    """
    body = IN_STORE_PREFIXES[number % 10] + f"{number:0{_ITEM_DIGITS}d}"
    return body + ean13_check_digit(body)


# Bars of the left half (odd and even parity) and of the right half, as 7-module strings.
_LEFT_ODD = (
    "0001101", "0011001", "0010011", "0111101", "0100011",
    "0110001", "0101111", "0111011", "0110111", "0001011",
)  # fmt: skip
_PARITY = (
    "OOOOOO", "OOEOEE", "OOEEOE", "OOEEEO", "OEOOEE",
    "OEEOOE", "OEEEOO", "OEOEOE", "OEOEEO", "OEEOEO",
)  # fmt: skip


def ean13_modules(code: str) -> str:
    """Return the 95 modules of the symbol, "1" for a bar (GS1 General Specifications, 5.2.1)."""
    right = [bars.translate(str.maketrans("01", "10")) for bars in _LEFT_ODD]
    even = [bars[::-1] for bars in right]
    left = "".join(
        (_LEFT_ODD if parity == "O" else even)[int(digit)]
        for digit, parity in zip(code[1:7], _PARITY[int(code[0])], strict=True)
    )
    return "101" + left + "01010" + "".join(right[int(digit)] for digit in code[7:]) + "101"
