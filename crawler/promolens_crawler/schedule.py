"""When is a chain crawled? Pure: a plan in Korean time in, instants out.

Lists are exchanged at the start of a month, emart24's also in the middle of it. So there are daily
crawls, and several more in the first hours of the 1st, the 15th and the 16th, because nobody knows
how long after midnight a shop turns its list. Instants are the same after a restart: the jitter
comes from the chain and the day, not from a random generator, so that a missed one can be named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from promolens_catalog.calendar import KOREA, clock_time, korean_day
from promolens_catalog.chains import Chain
from promolens_runtime.errors import InputError

MAX_JITTER_S = 6 * 3600
_SEARCH_DAYS = 40
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class VisitWindow:
    """The part of a day (UTC) in which a shop wants to be visited; may reach over midnight.

    Attributes:
        start: first minute.
        end: not included.
    """

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError("a visit window must have a beginning and another end")

    def is_open(self, instant: datetime) -> bool:
        """Say whether `instant` (with a zone) is within the window."""
        now = instant.astimezone(UTC).time()
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end

    def next_open(self, instant: datetime) -> datetime:
        """Return `instant` if the window is open then, else when it opens next (UTC)."""
        if self.is_open(instant):
            return instant
        at = instant.astimezone(UTC)
        opening = datetime.combine(at.date(), self.start, UTC)
        return opening if opening > at else opening + _DAY


@dataclass(frozen=True)
class SchedulePlan:
    """When to crawl, in Korean time.

    Attributes:
        daily_at: every day.
        turn_days: days of the month on which lists change at midnight.
        turn_at: on those days as well.
        jitter_s: up to so many seconds later, different for each chain and day.
        misfire_grace_s: a crawl missed by more than that (machine off) waits for the next time.
        retry_after_s: after a crawl that could not reach its shop.
        max_retries: so many times before the next planned time.
    """

    daily_at: tuple[time, ...] = (time(6, 40),)
    turn_days: tuple[int, ...] = (1, 15, 16)
    turn_at: tuple[time, ...] = (time(0, 20), time(2, 0), time(4, 0))
    jitter_s: int = 900
    misfire_grace_s: int = 12 * 3600
    retry_after_s: int = 1800
    max_retries: int = 3

    def __post_init__(self) -> None:
        if not self.daily_at:
            raise ValueError("daily_at must name at least one time of day")
        if not all(1 <= day <= 31 for day in self.turn_days):
            raise ValueError(f"turn_days must be days of a month, not {self.turn_days}")
        if not 0 <= self.jitter_s <= MAX_JITTER_S:
            raise ValueError(f"jitter_s must be within 0..{MAX_JITTER_S}, not {self.jitter_s}")
        if self.misfire_grace_s < 60 or self.retry_after_s < 60 or not 0 <= self.max_retries <= 20:
            raise ValueError(
                "misfire_grace_s and retry_after_s must be at least 60, max_retries within 0..20"
            )


@dataclass(frozen=True)
class ChainPlan:
    """When one chain is crawled.

    Attributes:
        window: the hours at which it wants to be visited; `None` for all.
    """

    schedule: SchedulePlan = field(default_factory=SchedulePlan)
    window: VisitWindow | None = None

    def is_open(self, at: datetime) -> bool:
        """Say whether the chain may be visited then."""
        return self.window is None or self.window.is_open(at)


# What a shop's robots.txt was last seen to ask for; a configured window goes before it.
KNOWN_WINDOWS: dict[Chain, VisitWindow] = {Chain.GS25: VisitWindow(time(4, 0), time(8, 45))}


def visit_window(text: str) -> VisitWindow:
    """Read `0400-0845` (UTC), as robots.txt spells a Visit-time. Raises InputError."""
    start, dash, end = text.replace(" ", "").partition("-")
    if not dash:
        raise InputError(f"Expected a window such as 0400-0845 (UTC). Received {text[:20]!r}.")
    try:
        return VisitWindow(clock_time(start), clock_time(end))
    except ValueError as error:
        raise InputError(
            f"Expected a window with a beginning and another end. Received {text[:20]!r}."
        ) from error


def next_fire(
    plan: SchedulePlan, chain: Chain, after: datetime, window: VisitWindow | None = None
) -> datetime:
    """Return the first planned instant later than `after`, in UTC."""
    day = korean_day(after) - 2 * _DAY
    coming = (at for at in _instants(plan, chain, day, window) if at > after)
    return next(coming)


def last_fire(
    plan: SchedulePlan, chain: Chain, now: datetime, window: VisitWindow | None = None
) -> datetime | None:
    """Return the newest planned instant that is not later than `now`; `None` if long ago."""
    last = None
    for at in _instants(plan, chain, korean_day(now) - 3 * _DAY, window):
        if at > now:
            return last
        last = at
    return last


def is_missed(
    plan: SchedulePlan,
    chain: Chain,
    now: datetime,
    last_started: datetime | None,
    window: VisitWindow | None = None,
) -> bool:
    """Say whether a planned crawl was missed recently enough to be made up for.

    However many were missed, one crawl makes up for them.

    Args:
        last_started: when the chain's last crawl began, planned or not; `None` before the first,
            which is always due.
    """
    if last_started is None:
        return True
    due = last_fire(plan, chain, now, window)
    if due is None or last_started >= due:
        return False
    return now - due <= timedelta(seconds=plan.misfire_grace_s)


def _instants(
    plan: SchedulePlan, chain: Chain, first: date, window: VisitWindow | None
) -> Iterator[datetime]:
    """Give the planned instants of the days from `first` on, rising, each once."""
    last: datetime | None = None
    for offset in range(_SEARCH_DAYS):
        day = first + offset * _DAY
        for at in sorted(_moved(plan, chain, day, clock, window) for clock in _clocks(plan, day)):
            if last is None or at > last:
                yield at
                last = at


def _clocks(plan: SchedulePlan, day: date) -> tuple[time, ...]:
    return (*plan.turn_at, *plan.daily_at) if day.day in plan.turn_days else plan.daily_at


def _moved(
    plan: SchedulePlan, chain: Chain, day: date, clock: time, window: VisitWindow | None
) -> datetime:
    """Return the instant of a planned time: jitter added, then put into the visit window."""
    at = datetime.combine(day, clock, KOREA).astimezone(UTC)
    jitter = timedelta(seconds=_jitter_s(plan.jitter_s, f"{chain} {day} {clock}"))
    if window is None:
        return at + jitter
    moved = window.next_open(at + jitter)
    # Everybody who waits for an opening would knock at its first second.
    late = moved + jitter
    return late if moved != at + jitter and window.is_open(late) else moved


def _jitter_s(limit_s: int, seed: str) -> int:
    digest = hashlib.sha256(seed.encode()).digest()
    return int.from_bytes(digest[:8], "big") % (limit_s + 1)
