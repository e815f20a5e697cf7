"""Answers that are kept between publications."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from promolens_server.kept import Kept

DAY = date(2026, 2, 24)


def test_bodies_of_another_version_or_day_are_forgotten() -> None:
    kept = Kept()
    kept.keep(3, DAY, "a", b"old")
    assert kept.get(3, DAY, "a") == b"old"
    assert kept.get(4, DAY, "a") is None
    assert kept.get(3, DAY + timedelta(days=1), "a") is None
    kept.keep(4, DAY, "b", b"new")
    assert kept.get(3, DAY, "a") is None
    assert kept.get(4, DAY, "a") is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=60))
def test_never_more_bytes_than_allowed_and_the_last_one_stays(puts: list[tuple[str, int]]) -> None:
    kept = Kept(most_bytes=100)
    for key, size in puts:
        kept.keep(1, DAY, key, b"x" * size)
        assert kept.get(1, DAY, key) == b"x" * size
        held = [kept.get(1, DAY, one) for one in "abcdef"]
        assert sum(len(body) for body in held if body is not None) <= 100


def test_what_was_asked_for_last_stays_longest() -> None:
    kept = Kept(most_bytes=3)
    for key in "abc":
        kept.keep(1, DAY, key, b"x")
    assert kept.get(1, DAY, "a") == b"x"
    kept.keep(1, DAY, "d", b"x")
    assert kept.get(1, DAY, "b") is None
    assert kept.get(1, DAY, "a") == b"x"
