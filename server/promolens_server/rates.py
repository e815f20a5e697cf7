"""How many requests somebody may send: one token bucket an address or key.

A bucket is one number, the moment at which it will be full again (GCRA): a request moves it on by
one interval, and is refused where that would be further ahead than the burst allows. Each worker
counts for itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Allowance:
    """What somebody may send.

    Attributes:
        name: of the rule, as the RateLimit headers show it: `address` or `key`.
        per_s: requests a second, over time; above 0.
        burst: requests at once after a pause; at least 1.
    """

    name: str
    per_s: float
    burst: int

    @property
    def policy(self) -> bytes:
        """The RateLimit-Policy header: `"address";q=60;w=3`, so many in so many seconds."""
        window_s = max(1, math.ceil(self.burst / self.per_s))
        return f'"{self.name}";q={self.burst};w={window_s}'.encode()


class Buckets:
    """The buckets of everybody who sent something lately.

    Args:
        most: how many are remembered; those silent longest are forgotten.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, who: str, allowance: Allowance, now_s: float) -> float:
        """Count a request.

        Args:
            who: an address or a key.
            now_s: a clock that never goes back, seconds.

        Returns:
            how many more requests are allowed at once, 0 or more; below 0 the request is refused,
            and the number is the seconds to wait, negated.
        """
        buckets = self._full_at
        interval_s = 1.0 / allowance.per_s
        # Taken out and put back, the order of the dict is that of the last request.
        full_at = max(buckets.pop(who, now_s), now_s)
        ahead_s = full_at + interval_s - now_s
        wait_s = ahead_s - allowance.burst * interval_s
        if wait_s > 1e-9:
            buckets[who] = full_at
            return -wait_s
        buckets[who] = full_at + interval_s
        if len(buckets) > self._most:
            del buckets[next(iter(buckets))]
        return max(0.0, allowance.burst - ahead_s * allowance.per_s)


def seconds_up(wait_s: float) -> int:
    """Return whole seconds to wait, at least 1, as Retry-After has them."""
    return max(1, math.ceil(wait_s))
