"""What a host's robots.txt asks of us. Reading it is pure; fetching it is `manners`' business."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, time

from protego import Protego

from promolens_crawler.errors import NotAllowedError
from promolens_crawler.schedule import VisitWindow

log = logging.getLogger(__name__)

PRODUCT_TOKEN = "promolens"  # noqa: S105 - the name by which a robots.txt may address us
# RFC 9309 asks for at least 500 KiB.
MAX_ROBOTS_BYTES = 512 * 1024
ABSENT_STATUS = frozenset({404, 410})


@dataclass(frozen=True)
class RobotsRules:
    """The rules of one host that hold for us.

    Attributes:
        parsed: `None` where there is no robots.txt: everything is allowed.
    """

    parsed: Protego | None = None

    def allows(self, url: str) -> bool:
        """Say whether an address may be fetched."""
        return self.parsed is None or self.parsed.can_fetch(url, PRODUCT_TOKEN)

    def delay_s(self, now: datetime) -> float:
        """Return the least seconds between two requests: Crawl-delay and Request-rate, else 0."""
        if self.parsed is None:
            return 0.0
        delays = [self.parsed.crawl_delay(PRODUCT_TOKEN) or 0.0]
        rate = self.parsed.request_rate(PRODUCT_TOKEN)
        if rate is not None and _in_force(rate.start_time, rate.end_time, now):
            delays.append(rate.seconds / rate.requests)
        return max(delays)

    def visit_window(self) -> VisitWindow | None:
        """Return when the host wants to be visited; `None` for always."""
        times = self.parsed.visit_time(PRODUCT_TOKEN) if self.parsed is not None else None
        if times is None or times.start_time == times.end_time:
            return None
        return VisitWindow(times.start_time, times.end_time)


def read_robots(status: int, body: bytes, host: str) -> RobotsRules:
    """Return the rules of an answer to `/robots.txt`.

    A missing file allows everything. Any other status than success says nothing about what is
    allowed, so nothing is.

    Args:
        body: at most `MAX_ROBOTS_BYTES` of it are read.

    Raises:
        NotAllowedError: the rules cannot be known.
    """
    if status in ABSENT_STATUS:
        return RobotsRules()
    if not 200 <= status < 300:
        raise unreadable(host, f"status {status}")
    text = body[:MAX_ROBOTS_BYTES].decode("utf-8-sig", "replace")
    return RobotsRules(Protego.parse(text))


def unreadable(host: str, received: str) -> NotAllowedError:
    """Return the error for rules that cannot be known."""
    return NotAllowedError(
        f"Expected robots.txt of {host} to be readable, or to be missing (404). Received "
        f"{received}. Nothing is fetched without it; run the crawl again later."
    )


def closed(host: str, window: VisitWindow, now: datetime) -> NotAllowedError:
    """Return the error for a visit outside the host's hours."""
    return NotAllowedError(
        f"Expected to visit {host} within {window.start:%H:%M}-{window.end:%H:%M} UTC, as its "
        f"robots.txt asks (Visit-time). Received {now.astimezone(UTC):%H:%M} UTC. The window opens "
        f"next at {window.next_open(now).astimezone(UTC):%Y-%m-%d %H:%M} UTC; run the crawl then."
    )


def _in_force(start: time | None, end: time | None, now: datetime) -> bool:
    if start is None or end is None or start == end:
        return True
    return VisitWindow(start, end).is_open(now)
