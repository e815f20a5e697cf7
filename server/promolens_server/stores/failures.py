"""How a provider can fail; each failure leads to the next provider."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What came of asking a provider; answers name it, metrics count it."""

    ANSWERED = "answered"
    NOTHING = "nothing"
    REFUSED = "refused"
    THROTTLED = "throttled"
    DOWN = "down"
    SLOW = "slow"
    GARBAGE = "garbage"
    BUSY = "busy"
    RESTING = "resting"
    SPENT = "quota-spent"
    NO_LIST = "no-list"
    NOT_COVERED = "not-covered"
    DEFECT = "defect"


# They say something about the provider, and so about the next question too.
COUNTED = frozenset(
    {Outcome.REFUSED, Outcome.THROTTLED, Outcome.DOWN, Outcome.SLOW, Outcome.GARBAGE}
)


class ProviderError(Exception):
    """A provider that gives no answer.

    Args:
        outcome: how.
        detail: for the log; without coordinates, keys and what the provider sent.
        rest_s: how long it asked, or can be expected, to be left alone.
    """

    def __init__(self, outcome: Outcome, detail: str, rest_s: float = 0.0) -> None:
        super().__init__(f"{outcome}: {detail}")
        self.outcome = outcome
        self.detail = detail
        self.rest_s = rest_s
