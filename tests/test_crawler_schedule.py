"""When a chain is crawled: Korean turns of lists, visit windows, and what was missed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promolens_catalog.calendar import clock_time
from promolens_catalog.chains import Chain
from promolens_crawler.schedule import (
    SchedulePlan,
    VisitWindow,
    is_missed,
    last_fire,
    next_fire,
    visit_window,
)
from promolens_runtime.errors import InputError

SHARP = SchedulePlan(jitter_s=0)
GS25_WINDOW = visit_window("0400-0845")


def utc(day: int, hour: int, minute: int = 0, month: int = 2) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def fires(plan: SchedulePlan, start: datetime, end: datetime) -> list[datetime]:
    found = []
    at = next_fire(plan, Chain.CU, start)
    while at < end:
        found.append(at)
        at = next_fire(plan, Chain.CU, at)
    return found


def test_an_ordinary_day_has_one_crawl() -> None:
    """06:40 in Korea is 21:40 UTC of the day before."""
    assert fires(SHARP, utc(10, 0), utc(12, 0)) == [utc(10, 21, 40), utc(11, 21, 40)]


def test_the_first_of_the_month_begins_at_korean_midnight() -> None:
    """1 March 00:20, 02:00, 04:00 and 06:40 in Korea are still 28 February in UTC."""
    found = fires(SHARP, utc(28, 0), utc(1, 0, month=3))
    assert found == [utc(28, 15, 20), utc(28, 17), utc(28, 19), utc(28, 21, 40)]


@pytest.mark.parametrize("day", [15, 16])
def test_half_month_windows_have_their_own_crawls(day: int) -> None:
    assert utc(day - 1, 15, 20) in fires(SHARP, utc(day - 1, 15), utc(day - 1, 16))


def test_a_machine_in_another_zone_plans_the_same_instants() -> None:
    from zoneinfo import ZoneInfo

    here = utc(28, 14, 59).astimezone(ZoneInfo("America/Los_Angeles"))
    assert next_fire(SHARP, Chain.CU, here) == utc(28, 15, 20)


def test_jitter_is_the_chains_own_and_the_same_after_a_restart() -> None:
    plan = SchedulePlan(jitter_s=900)
    by_chain = {chain: next_fire(plan, chain, utc(10, 0)) for chain in Chain}
    again = {chain: next_fire(plan, chain, utc(10, 0)) for chain in Chain}
    assert by_chain == again
    assert len(set(by_chain.values())) == len(Chain)
    for at in by_chain.values():
        assert utc(10, 21, 40) <= at <= utc(10, 21, 55)


@given(st.sampled_from(Chain), st.integers(0, 40 * 24 * 60), st.integers(0, 6 * 3600))
def test_firing_never_stands_still_or_repeats(chain: Chain, minutes: int, jitter_s: int) -> None:
    plan = SchedulePlan(jitter_s=jitter_s)
    now = utc(1, 0) + timedelta(minutes=minutes)
    first = next_fire(plan, chain, now)
    second = next_fire(plan, chain, first)
    assert now < first < second
    assert first - now <= timedelta(hours=24) + timedelta(seconds=jitter_s)
    assert last_fire(plan, chain, second) == second
    assert last_fire(plan, chain, second - timedelta(microseconds=1)) == first


def test_a_shop_with_a_visit_time_is_visited_within_it() -> None:
    at = next_fire(SHARP, Chain.GS25, utc(10, 0), GS25_WINDOW)
    assert at == utc(10, 4)  # the morning's crawl of 21:40 UTC waits for the opening
    assert next_fire(SHARP, Chain.GS25, at, GS25_WINDOW) == utc(11, 4)


@given(st.integers(0, 40 * 24 * 60), st.integers(0, 6 * 3600))
def test_no_planned_instant_is_outside_the_window(minutes: int, jitter_s: int) -> None:
    plan = SchedulePlan(jitter_s=jitter_s)
    at = next_fire(plan, Chain.GS25, utc(1, 0) + timedelta(minutes=minutes), GS25_WINDOW)
    assert GS25_WINDOW.is_open(at)


def test_a_window_over_midnight() -> None:
    window = VisitWindow(time(22, 0), time(2, 0))
    assert window.is_open(utc(3, 23))
    assert window.is_open(utc(3, 1, 59))
    assert not window.is_open(utc(3, 2))
    assert window.next_open(utc(3, 2)) == utc(3, 22)


def test_a_crawl_missed_while_the_machine_was_off_is_made_up_for_once() -> None:
    now = utc(11, 3)  # 12:00 in Korea; due was 06:40
    assert is_missed(SHARP, Chain.CU, now, utc(9, 21, 40))  # the 10th and the 11th are missing
    assert not is_missed(SHARP, Chain.CU, now, utc(10, 21, 40))
    assert not is_missed(SHARP, Chain.CU, now, utc(11, 2))


def test_a_crawl_missed_too_long_ago_waits_for_the_next_time() -> None:
    """Due 21:40 UTC, twelve hours' grace."""
    assert is_missed(SHARP, Chain.CU, utc(11, 9, 40), utc(9, 0))
    assert not is_missed(SHARP, Chain.CU, utc(11, 9, 41), utc(9, 0))


def test_the_first_crawl_of_all_is_due_at_once() -> None:
    assert is_missed(SHARP, Chain.CU, utc(11, 15), None)


def test_a_clock_that_went_back_does_not_crawl_twice() -> None:
    assert not is_missed(SHARP, Chain.CU, utc(10, 22), utc(11, 22))


@pytest.mark.parametrize("text", ["6:40", "24:00", "06:60", "", "0640x", "아침"])
def test_times_of_day_are_checked(text: str) -> None:
    with pytest.raises(InputError, match="Expected a time of day"):
        clock_time(text)


@pytest.mark.parametrize("text", ["0400", "0400-2460", "0400-0400", "-"])
def test_windows_are_checked(text: str) -> None:
    with pytest.raises(InputError, match="Expected a "):
        visit_window(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"daily_at": ()},
        {"turn_days": (0,)},
        {"turn_days": (32,)},
        {"jitter_s": -1},
        {"jitter_s": 21_601},
        {"misfire_grace_s": 59},
        {"retry_after_s": 0},
        {"max_retries": 21},
    ],
)
def test_plans_are_checked_when_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        SchedulePlan(**wrong)  # type: ignore[arg-type]
