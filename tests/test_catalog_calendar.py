"""The Korean calendar, whatever the machine's time zone says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.calendar import (
    end_of_day,
    first_day,
    korean_day,
    korean_month,
    last_day,
    month_of,
    shift_month,
    start_of_day,
)
from promolens_runtime.errors import InputError


@pytest.mark.parametrize(
    ("instant", "month"),
    [
        (datetime(2026, 2, 28, 14, 59, 59, tzinfo=UTC), "2026-02"),
        (datetime(2026, 2, 28, 15, 0, 0, tzinfo=UTC), "2026-03"),
        # The last day of February in New York is the first of March in Seoul.
        (datetime(2026, 2, 28, 10, 0, tzinfo=ZoneInfo("America/New_York")), "2026-03"),
        (datetime(2026, 3, 1, 0, 30, tzinfo=ZoneInfo("Pacific/Auckland")), "2026-02"),
        (datetime(2025, 12, 31, 15, 0, tzinfo=UTC), "2026-01"),
    ],
)
def test_a_month_is_koreas(instant: datetime, month: str) -> None:
    assert korean_month(instant) == month


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        korean_day(datetime(2026, 2, 28))


@pytest.mark.parametrize(
    ("month", "last"),
    [
        ("2026-02", date(2026, 2, 28)),
        ("2024-02", date(2024, 2, 29)),
        ("2026-12", date(2026, 12, 31)),
    ],
)
def test_a_month_ends(month: str, last: date) -> None:
    assert first_day(month) == last.replace(day=1)
    assert last_day(month) == last
    assert month_of(last) == month


@pytest.mark.parametrize("month", ["2026-13", "2026-2", "26-02", "2026-02-01", "", "0026-02"])
def test_what_is_no_month_is_refused_in_one_line(month: str) -> None:
    with pytest.raises(InputError, match=r"Expected a month such as 2026-02\. Received"):
        first_day(month)


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_a_day_is_its_own_from_start_to_end(day: date) -> None:
    assert korean_day(start_of_day(day)) == day
    assert korean_day(end_of_day(day) - timedelta(microseconds=1)) == day
    assert end_of_day(day) - start_of_day(day) == timedelta(days=1)


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(-600, 600))
def test_months_forth_and_back(day: date, months: int) -> None:
    assert shift_month(shift_month(month_of(day), months), -months) == month_of(day)
