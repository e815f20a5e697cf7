"""Plain HTTP with requests: the quick way, for lists that need no script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from promolens_crawler.backoff import try_again
from promolens_crawler.errors import BotPageError, CrawlError, FetchFailedError, SourceGoneError
from promolens_crawler.limits import Limits
from promolens_crawler.manners import Clock, Gate
from promolens_crawler.pages import Answer, Request
from promolens_crawler.sites.base import Listing, Site, Tokens
from promolens_crawler.transports.wire import Reply, Wire

Kept = Callable[[str], Answer | None]
"""An address -> the newest answer to it that an archive keeps, with its body."""

REFUSED_STATUS = frozenset({401, 403, 451})
GONE_STATUS = frozenset({404, 410})
_NOT_MODIFIED = 304


def nothing_kept(_url: str) -> Answer | None:
    """Keep nothing: every page is read anew."""
    return None


class HttpTransport:
    """Pages by plain HTTP."""

    name = "http"
    resumes_anywhere = True

    def __init__(
        self, gate: Gate, agent: str, limits: Limits, clock: Clock, kept: Kept | None = None
    ) -> None:
        """Open no connection yet.

        Args:
            agent: the user agent.
            kept: earlier answers; the shop is asked whether they still hold.
        """
        self._gate, self._agent, self._limits = gate, agent, limits
        self._clock, self._kept = clock, kept or nothing_kept
        self._sessions: set[HttpSession] = set()

    @property
    def requests(self) -> int:
        """Requests so far."""
        return self._gate.requests

    def open(self, site: Site, home: str, listing: Listing) -> HttpSession:
        """Begin a listing with fresh cookies; raises CrawlError."""
        wire = Wire(self._agent, self._limits, self._clock.now)
        session = HttpSession(self._gate, wire, self._limits, self._clock, self._kept)
        try:
            session.begin(site, home, listing)
        except BaseException:
            session.close()
            raise
        self._sessions.add(session)
        return session

    def close(self) -> None:
        """Let go of the connections."""
        for session in self._sessions:
            session.close()
        self._sessions.clear()


class HttpSession:
    """One listing over plain HTTP."""

    def __init__(self, gate: Gate, wire: Wire, limits: Limits, clock: Clock, kept: Kept) -> None:
        """Keep the parts; `begin` comes next."""
        self._gate, self._wire, self._limits = gate, wire, limits
        self._clock, self._kept = clock, kept
        self._tokens: Tokens = {}
        self.opening: Answer | None = None

    def begin(self, site: Site, home: str, listing: Listing) -> None:
        """Fetch the opening page and its tokens, where the chain has one. Raises CrawlError."""
        self._site, self._home, self._listing = site, home, listing
        self._gate.check(home + "/")
        self._open()

    def fetch(self, number: int) -> Answer:
        """Return page `number`; raises CrawlError.

        A refusal of a chain that hands out tokens may mean that they are too old: the opening page
        is then fetched once more.
        """
        reply, earlier = self._page(number)
        if reply.status in REFUSED_STATUS and self._site.tokens is not None:
            self._open()
            reply, earlier = self._page(number)
        if reply.status == _NOT_MODIFIED and earlier is not None:
            return replace(
                earlier,
                listing=self._listing.key,
                number=number,
                fetched_at=self._clock.now(),
            )
        return self._answer(number, reply)

    def close(self) -> None:
        """Let go of the connection."""
        self._wire.close()

    def _open(self) -> None:
        site = self._site
        if site.opening is None:
            return
        request = site.opening(self._home, self._listing)
        self.opening = self._answer(0, self._ask(request))
        self._tokens = site.tokens(self.opening) if site.tokens is not None else {}

    def _page(self, number: int) -> tuple[Reply, Answer | None]:
        request = self._site.page_request(self._home, self._listing, number, self._tokens)
        # What a session hands out may be in the page: such a one is never taken from the archive.
        plain = request.form is None and self._site.tokens is None
        earlier = self._kept(request.url) if plain else None
        return self._ask(request, _conditions(earlier)), earlier

    def _ask(self, request: Request, headers: Mapping[str, str] | None = None) -> Reply:
        return try_again(
            lambda: self._wire.follow(request, self._gate.enter, headers),
            request.url[:200],
            self._limits,
            self._clock.sleep,
        )

    def _answer(self, number: int, reply: Reply) -> Answer:
        if reply.status != 200:
            raise refused(reply.url, reply.status)
        return Answer(
            listing=self._listing.key,
            number=number,
            url=reply.url,
            status=reply.status,
            body=reply.body,
            content_type=reply.headers.get("content-type", ""),
            fetched_at=self._clock.now(),
            etag=reply.headers.get("etag", ""),
            last_modified=reply.headers.get("last-modified", ""),
        )


def _conditions(earlier: Answer | None) -> Mapping[str, str]:
    if earlier is None:
        return {}
    named = {"If-None-Match": earlier.etag, "If-Modified-Since": earlier.last_modified}
    return {name: value for name, value in named.items() if value}


def refused(url: str, status: int) -> CrawlError:
    """Return the error for a status that no second try changes."""
    if status in REFUSED_STATUS:
        return BotPageError(
            f"Expected a page at {url[:200]}. Received status {status}: the shop refuses. "
            "Stop crawling it, and ask the shop if in doubt."
        )
    if status in GONE_STATUS:
        return SourceGoneError(
            f"Expected a list at {url[:200]}. Received status {status}: it is no longer there. "
            "Look at the shop's site."
        )
    return FetchFailedError(
        f"Expected status 200 at {url[:200]}. Received {status}. Look at the address in a browser."
    )
