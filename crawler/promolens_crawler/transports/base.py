"""One interface for plain HTTP, a real browser and replay."""

from __future__ import annotations

from typing import Protocol

from promolens_crawler.pages import Answer
from promolens_crawler.sites.base import Listing, Site


class ListSession(Protocol):
    """One listing being paged through."""

    def fetch(self, number: int) -> Answer:
        """Return page `number` (from 1).

        Numbers rise by one; plain HTTP and replay may begin anywhere and read a page again, a
        browser begins at 1. A page past the end has no rows.

        Raises:
            CrawlError: the page cannot be had; retries are already behind us.
        """
        ...

    def close(self) -> None:
        """Let go of connections and browsers; never raises."""
        ...


class Transport(Protocol):
    """A way to get pages, with the manners of `promolens_crawler.manners` built in.

    Attributes:
        name: `http`, `browser` or `replay`.
        resumes_anywhere: `fetch` may begin at any page.
        requests: documents and list requests so far, robots.txt and retries included.
    """

    @property
    def name(self) -> str:
        """How the crawl's record names it."""
        ...

    @property
    def resumes_anywhere(self) -> bool:
        """Say whether `fetch` may begin at any page."""
        ...

    @property
    def requests(self) -> int:
        """How many documents and list requests were made."""
        ...

    def open(self, site: Site, home: str, listing: Listing) -> ListSession:
        """Begin a listing: the opening page and its tokens, where the chain has one.

        Raises:
            CrawlError: the opening page cannot be had.
        """
        ...

    def close(self) -> None:
        """Let go of everything; never raises."""
        ...
