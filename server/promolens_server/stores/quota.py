"""How many requests a provider may still get today."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from promolens_catalog.calendar import korean_day

_FAR_DAYS = 7


class DailyQuota:
    """Counts requests of a Korean day, in one process; a new one begins with a full day."""

    def __init__(self, per_day: int, clock: Callable[[], datetime]) -> None:
        self._per_day, self._clock = per_day, clock
        self._day: date | None = None
        self._used = 0

    def take(self) -> bool:
        """Take one request; `False` if none is left."""
        today = korean_day(self._clock())
        # A clock that is set back gives nothing back, unless it had been far from right.
        if self._day is None or today > self._day or (self._day - today).days > _FAR_DAYS:
            self._day, self._used = today, 0
        if self._used >= self._per_day:
            return False
        self._used += 1
        return True
