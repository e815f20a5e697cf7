"""A circuit breaker: who failed several times in a row is left alone for a while."""

from __future__ import annotations

from collections.abc import Callable

MAX_REST_S = 900.0


class Breaker:
    """Says whether a provider may be asked.

    After `failures` failures in a row it rests for `rest_s`, and as long as it asked for. Then one
    question tries it: an answer closes the circuit, a failure doubles the rest. Not for several
    threads: it lives in one event loop.
    """

    def __init__(self, failures: int, rest_s: float, clock_s: Callable[[], float]) -> None:
        self._failures, self._rest_s, self._clock_s = failures, rest_s, clock_s
        self._in_a_row = 0
        self._rests = 0
        self._until_s = 0.0
        self._trying = False

    def resting_s(self) -> float:
        """Return for how long nobody may ask; 0 if somebody may."""
        return max(0.0, self._until_s - self._clock_s())

    def enter(self) -> bool:
        """Say whether to ask now; who is let in must say how it ended."""
        if self._rests == 0:
            return True
        if self.resting_s() > 0 or self._trying:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """Note an answer."""
        self._in_a_row, self._rests, self._trying = 0, 0, False

    def failed(self, rest_s: float = 0.0) -> None:
        """Note a failure; `rest_s` is how long the provider asked to be left alone."""
        self._in_a_row += 1
        again, self._trying = self._trying, False
        if not (again or rest_s > 0 or self._in_a_row >= self._failures):
            return
        self._rests = min(self._rests + 1, 10)
        own_s = self._rest_s * 2.0 ** (self._rests - 1)
        until_s = self._clock_s() + min(max(rest_s, own_s), MAX_REST_S)
        self._until_s = max(self._until_s, until_s)

    def left(self) -> None:
        """Note that a question ended without saying anything about the provider."""
        self._trying = False
