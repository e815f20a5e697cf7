"""One interface for plain HTTP, a real browser and replay."""

from __future__ import annotations

from typing import Protocol

from promolens_crawler.pages import Answer
from promolens_crawler.sites.base import Listing, Site


class ListSession(Protocol):
    """One listing being paged through."""

    def fetch(self, number: int) -> Answer:
        """Return page `number` (from 1).

        Numbers rise by one; plain HTTP may begin anywhere (resume), a browser begins at 1.

        Raises:
            CrawlError: the page cannot be had; retries are already behind us.
        """
        ...

    def close(self) -> None:
        """Let go of connections and browsers; never raises."""
        ...


class Transport(Protocol):
    """A way to get pages, with the manners of `promolens_crawler.manners` built in."""

    name: str
    resumes_anywhere: bool

    def open(self, site: Site, home: str, listing: Listing) -> ListSession:
        """Begin a listing: the opening page and its tokens, where the chain has one."""
        ...

    def close(self) -> None:
        """Let go of everything; never raises."""
        ...
