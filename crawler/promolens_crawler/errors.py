"""Why a crawl ends early. None of these publishes anything.

PromolensError
└── CrawlError          a source could not be read whole; `reason` goes into the crawl's record
    ├── SourceGoneError      the list is no longer where it was (redirect to another site's shell)
    ├── BotPageError         the site asks us to stop; nothing evades that
    ├── PageDriftError       the page's structure is not the known one
    ├── NotAllowedError      robots.txt, visit time or configuration forbids the request
    ├── FetchFailedError     retries are used up, or an answer breaks a limit
    ├── ListingBrokenError   pages repeat, never end, or their total changes or is not reached
    └── BrowserError         the browser is missing, or does not start
"""

from __future__ import annotations

from promolens_runtime.errors import PromolensError


class CrawlError(PromolensError):
    """A source could not be read whole."""

    exit_status = 6
    reason = "crawl-error"


class SourceGoneError(CrawlError):
    """The list is no longer where it was."""

    reason = "source-gone"


class BotPageError(CrawlError):
    """The site asks crawlers to stop."""

    reason = "bot-page"


class PageDriftError(CrawlError):
    """The page's structure is not the known one."""

    reason = "page-drift"


class NotAllowedError(CrawlError):
    """robots.txt, visit time or configuration forbids the request."""

    reason = "not-allowed"


class FetchFailedError(CrawlError):
    """Retries are used up, or an answer breaks a limit."""

    reason = "fetch-failed"


class ListingBrokenError(CrawlError):
    """Pages repeat, never end, or a declared total changes or is not reached."""

    reason = "listing-broken"


class BrowserError(CrawlError):
    """The browser is missing, or does not start."""

    reason = "browser"
