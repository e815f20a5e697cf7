"""How much of a hostile answer is taken before it is given up."""

from __future__ import annotations

from dataclasses import dataclass

from promolens_crawler.paging import PagingLimits

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Where an answer, a wait or a listing counts as broken.

    Attributes:
        max_body_bytes: of one decompressed answer; the largest known page has 1 MB.
        connect_timeout_s: until the connection stands.
        read_timeout_s: between two pieces of an answer; tried again.
        total_timeout_s: for one answer as a whole, however steadily it drips; not tried again.
        max_redirects: of one request, within its host.
        tries: of one request that fails in a way that may pass.
        backoff_s: the first wait before trying again is a random part of it, the next of twice it.
        max_backoff_s: no wait is longer; a shop that asks for more (`Retry-After`) is left alone.
        max_pages, max_rows: of one listing.
    """

    max_body_bytes: int = 20_000_000
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    total_timeout_s: float = 90.0
    max_redirects: int = 5
    tries: int = 3
    backoff_s: float = 2.0
    max_backoff_s: float = 120.0
    max_pages: int = 400
    max_rows: int = 20_000

    def __post_init__(self) -> None:
        if not 1_000 <= self.max_body_bytes <= 200 * MIB:
            raise ValueError(
                f"max_body_bytes must be within 1000..{200 * MIB}, not {self.max_body_bytes}"
            )
        for name in ("connect_timeout_s", "read_timeout_s", "total_timeout_s"):
            if not 0 < getattr(self, name) <= 600:
                raise ValueError(f"{name} must be above 0 and at most 600")
        if not 0 <= self.max_redirects <= 20:
            raise ValueError(f"max_redirects must be within 0..20, not {self.max_redirects}")
        if not 1 <= self.tries <= 10:
            raise ValueError(f"tries must be within 1..10, not {self.tries}")
        if not 0 <= self.backoff_s <= self.max_backoff_s <= 3600:
            raise ValueError("backoff_s must be within 0..max_backoff_s, that at most 3600")
        _ = self.paging

    @property
    def paging(self) -> PagingLimits:
        """The part that the end-of-listing logic needs."""
        return PagingLimits(self.max_pages, self.max_rows)
