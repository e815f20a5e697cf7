"""The Korean calendar: which day and month an instant belongs to, and where a month ends.

Promotions change at midnight in Seoul. A machine in another time zone, or a clock in UTC, is still
in the old month then; so a month is never taken from a local clock.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from promolens_runtime.errors import InputError

KOREA = ZoneInfo("Asia/Seoul")
_CLOCK = re.compile(r"([01]\d|2[0-3]):?([0-5]\d)")
_MONTH = re.compile(r"([12]\d{3})-(0[1-9]|1[0-2])")


def korean_day(instant: datetime) -> date:
    """Return the calendar day in Seoul.

    Raises:
        ValueError: `instant` has no time zone.

    >>> korean_day(datetime(2026, 2, 28, 15, 0, tzinfo=UTC))
    datetime.date(2026, 3, 1)
    """
    if instant.tzinfo is None:
        raise ValueError(f"expected an instant with a time zone, received {instant.isoformat()}")
    return instant.astimezone(KOREA).date()


def korean_month(instant: datetime) -> str:
    """Return the month in Seoul as `YYYY-MM`; `ValueError` for an instant without a time zone."""
    return month_of(korean_day(instant))


def month_of(day: date) -> str:
    """Return the month of a Korean calendar day as `YYYY-MM`."""
    return f"{day:%Y-%m}"


def first_day(month: str) -> date:
    """Return the first day of a `YYYY-MM`.

    Raises:
        InputError: it is no such month, 1000-01 to 2999-12.
    """
    found = _MONTH.fullmatch(month)
    if found is None:
        raise InputError(
            f"Expected a month such as 2026-02. Received {month[:40]!r}. Write year-month."
        )
    return date(int(found[1]), int(found[2]), 1)


def last_day(month: str) -> date:
    """Return the last day of a `YYYY-MM`; `InputError` as `first_day`."""
    return first_day(shift_month(month, 1)) - timedelta(days=1)


def shift_month(month: str, months: int) -> str:
    """Return the month so many months later (earlier, if negative); `InputError` as `first_day`.

    >>> shift_month("2026-01", -1)
    '2025-12'
    """
    start = first_day(month)
    count = start.year * 12 + start.month - 1 + months
    return f"{count // 12:04d}-{count % 12 + 1:02d}"


def start_of_day(day: date) -> datetime:
    """Return the instant, in UTC, at which a Korean calendar day begins."""
    return datetime.combine(day, time(), KOREA).astimezone(UTC)


def end_of_day(day: date) -> datetime:
    """Return the instant, in UTC, at which a Korean calendar day is over."""
    return start_of_day(day + timedelta(days=1))


def clock_time(text: str) -> time:
    """Read `06:40` or `0640`. Raises InputError."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise InputError(f"Expected a time of day such as 06:40. Received {text[:20]!r}.")
    return time(int(found[1]), int(found[2]))
