"""Replay: the archived answers of an earlier crawl as a transport. The network is not touched."""

from __future__ import annotations

from collections.abc import Mapping

from promolens_crawler.archive import ArchiveRun, Entry
from promolens_crawler.errors import FetchFailedError
from promolens_crawler.pages import Answer
from promolens_crawler.sites.base import Listing, Site


class ReplayTransport:
    """Pages of one archived crawl."""

    name = "replay"
    resumes_anywhere = True
    requests = 0

    def __init__(self, run: ArchiveRun) -> None:
        """Read the run's index."""
        self._run, self._entries = run, run.entries()

    def open(self, site: Site, home: str, listing: Listing) -> ReplaySession:
        """Begin a listing; a listing that was not crawled fails at its first page."""
        return ReplaySession(self._run, self._entries, listing)

    def close(self) -> None:
        """Nothing is open."""


class ReplaySession:
    """One archived listing."""

    def __init__(
        self, run: ArchiveRun, entries: Mapping[tuple[str, int], Entry], listing: Listing
    ) -> None:
        """Keep where the answers are."""
        self._run, self._entries, self._listing = run, entries, listing
        opening = entries.get((listing.key, 0))
        self.opening = run.read(opening) if opening is not None else None

    def fetch(self, number: int) -> Answer:
        """Return the archived page; raises FetchFailedError where there is none."""
        entry = self._entries.get((self._listing.key, number))
        if entry is None:
            raise FetchFailedError(
                f"Expected page {number} of {self._listing.key} in the archive {self._run.name}. "
                "Received a crawl without it. Replay a crawl that was read whole."
            )
        return self._run.read(entry)

    def close(self) -> None:
        """Nothing is open."""
