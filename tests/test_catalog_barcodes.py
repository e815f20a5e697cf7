"""Barcodes: check digits and the one spelling that joins chains, scanners and data sources."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.barcodes import check_digit, has_check_digit, normalise

DIGITS = st.text("0123456789", min_size=1, max_size=14)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("4006381333931", "EAN-13: 4*1+0*3+0*1+6*3+3+8*3+1+3*3+3+3*3+9+3*3 = 89 -> 1"),
        ("8801056150013", "EAN-13 of a Korean maker"),
        ("1500000189402", "a chain's internal code"),
        ("2700000000076", "in-store"),
        ("96385074", "EAN-8"),
        ("42332619", "EAN-8"),
        ("034000239344", "UPC-A"),
    ],
)
def test_codes_with_the_right_check_digit(code: str, kind: str) -> None:
    assert has_check_digit(code), kind
    assert check_digit(code[:-1]) == code[-1]


@pytest.mark.parametrize(
    "code",
    ["4006381333932", "0003090001099", "88010561500", "", "00000000", "880105615001a", "٨٨٠١٠٥٦١٥"],
)
def test_codes_that_are_none(code: str) -> None:
    assert not has_check_digit(code)
    assert normalise(code) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8801056150013", "8801056150013"),
        (" 8 801056-150013\n", "8801056150013"),
        ("08801056150013", "8801056150013"),  # GTIN-14 of one piece
        ("18801056150010", None),  # GTIN-14 of a carton
        ("034000239344", "0034000239344"),  # UPC-A and its EAN-13
        ("0034000239344", "0034000239344"),
        ("96385074", "96385074"),  # EAN-8, and padded as some data bases spell it
        ("0000096385074", "96385074"),
        ("03424005", "0034000002405"),  # UPC-E 0-34240-0: last 0 -> 34 0 0000 240
        ("04252614", "0042100005264"),  # UPC-E 0-42526-1: last 1 -> 42 1 0000 526
        ("8" * 65, None),
        ("barcode", None),
    ],
)
def test_one_spelling(text: str, expected: str | None) -> None:
    assert normalise(text) == expected


def test_upc_e_expands_by_its_last_digit() -> None:
    """The four shapes of the specification's table, check digits added by `check_digit`."""
    for short, body in [
        ("123452", "01220000345"),
        ("123453", "01230000045"),
        ("123454", "01234000005"),
        ("123457", "01234500007"),
    ]:
        code = f"0{short}{check_digit(body)}"
        if not has_check_digit(code):  # else it is taken for an EAN-8
            assert normalise(code) == f"0{body}{check_digit(body)}"


@given(DIGITS)
def test_every_single_wrong_digit_is_seen(payload: str) -> None:
    code = (payload.zfill(12)[-12:]) + check_digit(payload.zfill(12)[-12:])
    for place in range(13):
        wrong = code[:place] + str((int(code[place]) + 1) % 10) + code[place + 1 :]
        assert not has_check_digit(wrong)


@given(st.text(max_size=70))
def test_any_text_gives_a_code_or_none_and_twice_is_once(text: str) -> None:
    code = normalise(text)
    if code is not None:
        assert len(code) in (8, 13)
        assert has_check_digit(code)
        assert normalise(code) == code


@given(DIGITS)
def test_padding_never_changes_the_code(payload: str) -> None:
    body = payload[:7].zfill(7)
    code = body + check_digit(body)
    if body.strip("0"):
        assert normalise(code.zfill(13)) == normalise(code.zfill(14)) == code


def test_the_recorded_lists_hold_barcodes() -> None:
    """One CU row of the recorded half has a code whose check digit is wrong; no other list has."""
    root = os.environ.get("PROMOLENS_DATA")
    if root is None:
        pytest.skip("PROMOLENS_DATA does not say where recorded lists are")
    wrong = []
    for path in sorted((Path(root) / "promotions" / "2026-02").glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            wrong += [
                (path.stem, row["barcode"])
                for row in csv.DictReader(file)
                if row["barcode"] and normalise(row["barcode"]) is None
            ]
    assert wrong == [("CU", "0003090001099")]
