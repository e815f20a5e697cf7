"""A real browser: Selenium with headless Chromium, for lists that only a page's scripts can show.

Steps wait on rows, never on time alone: a step is over when the page's requests have ended, no
overlay covers it and its rows have grown (or changed, for a pager). Elements are never kept, so
none can grow stale; page functions are called by script, so nothing can cover a button.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from promolens_crawler.backoff import TransientError, try_again
from promolens_crawler.errors import (
    BotPageError,
    BrowserError,
    CrawlError,
    FetchFailedError,
    NotAllowedError,
    PageDriftError,
    SourceGoneError,
)
from promolens_crawler.limits import Limits
from promolens_crawler.manners import Clock, Gate, host_of
from promolens_crawler.pages import Answer
from promolens_crawler.sites.base import BrowserPlan, Listing, Site
from promolens_crawler.transports.chromium import Chromium, Programs
from promolens_crawler.transports.netguard import Exchange, NetworkGuard
from promolens_crawler.transports.rendered import CONTENT_TYPE, rendered_page
from promolens_crawler.transports.steps import Probe, more_script, probe_script, take_script
from promolens_crawler.transports.wire import too_large, too_slow
from promolens_runtime.errors import InputError, MissingError

log = logging.getLogger(__name__)

_POLL_S = 0.05
# Rows that did not come so long after the last request ended will not come.
_SETTLED_S = 1.0
_MAX_ALERTS = 5
# Time for the browser's own work besides that for answers.
_SLACK_S = 5.0


class BrowserTransport:
    """Pages as a browser shows them; one browser for all listings of a home."""

    name = "browser"
    resumes_anywhere = False

    def __init__(
        self, gate: Gate, agent: str, limits: Limits, clock: Clock, programs: Programs
    ) -> None:
        """Start nothing yet."""
        self._gate, self._agent, self._limits = gate, agent, limits
        self._clock, self._programs = clock, programs
        self._browser: Chromium | None = None
        self._guard: NetworkGuard | None = None
        self._host = ""

    @property
    def requests(self) -> int:
        """Documents and list requests so far, and robots.txt."""
        return self._gate.requests

    def open(self, site: Site, home: str, listing: Listing) -> BrowserSession:
        """Begin a listing without the cookies of the one before; raises CrawlError."""
        plan = site.browser
        if plan is None:
            raise NotAllowedError(
                f"Expected a chain with pages. Received {site.chain}, which has none any more. "
                "Import its lists from files."
            )
        self._gate.check(home + plan.address(listing))
        if self._host != host_of(home) or not self._sound():
            try:
                self._start(home)
            except (MissingError, InputError) as error:
                raise BrowserError(str(error)) from error
        assert self._browser is not None
        assert self._guard is not None
        driver = self._browser.driver
        return BrowserSession(
            self._gate, self._limits, self._clock, driver, self._guard, site, plan, home, listing
        )

    def close(self) -> None:
        """End the browser; never raises."""
        if self._guard is not None:
            self._guard.close()
        if self._browser is not None:
            self._browser.close()
        self._browser = self._guard = None

    def _sound(self) -> bool:
        """Say whether the browser still serves; it forgets its cookies by the way."""
        if self._browser is None or self._guard is None:
            return False
        try:
            self._guard.traffic()
            self._browser.driver.delete_all_cookies()
        except Exception as error:
            log.debug("starting another browser after %s", type(error).__name__)
            return False
        return True

    def _start(self, home: str) -> None:
        self.close()
        timeout_s = self._limits.total_timeout_s + _SLACK_S
        self._browser = Chromium(self._programs, self._agent, home, timeout_s)
        self._host = host_of(home)
        try:
            self._guard = NetworkGuard(
                self._browser.debugger, home, self._gate, self._limits, self._browser.close
            )
        except BaseException:
            self.close()
            raise


class BrowserSession:
    """One listing in the browser."""

    def __init__(
        self,
        gate: Gate,
        limits: Limits,
        clock: Clock,
        driver: Any,
        guard: NetworkGuard,
        site: Site,
        plan: BrowserPlan,
        home: str,
        listing: Listing,
    ) -> None:
        """Keep the parts; page 1 opens the list."""
        self._gate, self._limits, self._clock = gate, limits, clock
        self._driver, self._guard = driver, guard
        self._site, self._home, self._listing = site, home, listing
        self._plan = plan
        self._number = 0
        self._at: Probe | None = None
        self._failed: Exchange | None = None
        self.opening: Answer | None = None

    def fetch(self, number: int) -> Answer:
        """Return the next page; raises CrawlError.

        A page past the end has no rows and costs no request.
        """
        if number != self._number + 1:
            raise ValueError(f"expected page {self._number + 1} next, received {number}")
        before = self._at
        try:
            probe = self._step(before)
        finally:
            self._guard.rest()
        answer = self._take(number, probe, before)
        self._number, self._at = number, probe
        return answer

    def close(self) -> None:
        """Leave the page; never raises."""
        with contextlib.suppress(Exception):
            self._guard.begin()
            self._driver.get("about:blank")

    # ---- steps

    def _step(self, before: Probe | None) -> Probe:
        if before is None:
            return self._patiently(self._first)
        if before.done:
            return before
        self._failed = None
        return self._patiently(lambda: self._next(before))

    def _first(self) -> Probe:
        """Open the list and choose the listing."""
        address = self._home + self._plan.address(self._listing)
        self._load(address)
        probe = self._await(None)
        prepare = self._plan.prepare(self._listing) if self._plan.prepare else ""
        if not prepare:
            return probe
        if probe.count == 0:
            self._diagnose(1, BotPageError, SourceGoneError)
        self._pay()
        self._run(prepare)
        return self._await(probe, replaced=True)

    def _next(self, before: Probe) -> Probe:
        """Ask for more rows; a second try asks for the very same ones or fails."""
        failed = self._failed
        if failed is not None and failed.main and failed.method == "GET":
            self._load(failed.url)
        else:
            self._pay(insist=failed)
            self._run(more_script(self._plan), self._plan.row_selector)
        return self._await(before, replaced=self._plan.replaces)

    def _load(self, address: str) -> None:
        self._guard.begin()
        with self._driving():
            # To an address that differs by its #fragment only, a browser asks for nothing.
            self._driver.get("about:blank")
        self._guard.begin(self._gate.enter(address))
        with self._driving():
            self._driver.get(address)

    def _pay(self, insist: Exchange | None = None) -> None:
        # Before the page asks, so that the browser need not hold the request.
        self._guard.begin()
        self._guard.begin(self._gate.turn(self._home), insist)

    def _patiently(self, step: Callable[[], Probe]) -> Probe:
        what = f"{self._listing.key} of {self._home}, page {self._number + 1}"
        return try_again(step, what, self._limits, self._clock.sleep)

    # ---- waiting

    def _await(self, before: Probe | None, *, replaced: bool = False) -> Probe:
        """Return how the page stands when the step is over.

        Raises:
            CrawlError, TransientError: a request failed and brought no rows.
        """
        began_s = time.monotonic()
        last, same_since_s = None, began_s
        while True:
            traffic = self._guard.traffic()
            probe = self._probe()
            now_s = time.monotonic()
            rests = traffic.quiet and not probe.covered and probe.ready != "loading"
            if last is None or not rests or not probe.same_rows(last):
                same_since_s = now_s
            if traffic.quiet and traffic.failed is not None and traffic.failed[0].main:
                # Half a document stays "loading" for ever.
                self._raise(traffic.failed)
            if rests and last is not None and probe.same_rows(last):
                if _changed(before, probe, replaced=replaced):
                    return probe
                if traffic.failed is not None:
                    self._raise(traffic.failed)
                if now_s - same_since_s >= _SETTLED_S:
                    return probe
            if now_s - max(began_s, traffic.released_s) > self._limits.total_timeout_s:
                raise too_slow(probe.url, self._limits.total_timeout_s)
            last = probe
            self._clock.sleep(_POLL_S)

    def _raise(self, failed: tuple[Exchange, CrawlError | TransientError]) -> None:
        self._failed = failed[0]
        raise failed[1]

    def _probe(self) -> Probe:
        plan = self._plan
        return Probe.of(self._ask(probe_script(plan), plan.row_selector, plan.overlay))

    # ---- taking rows

    def _take(self, number: int, probe: Probe, before: Probe | None) -> Answer:
        first = 0 if before is None or self._plan.replaces else before.count
        if before is probe:
            first = probe.count
        taken = self._ask(
            take_script(), self._plan.row_selector, self._plan.context_selector, first
        )
        body = rendered_page(taken["rows"], taken["context"])
        if len(body) > self._limits.max_body_bytes:
            raise too_large(probe.url, self._limits.max_body_bytes)
        if not taken["rows"] and before is not probe:
            self._diagnose(number, CrawlError)
        return self._answer(number, taken["url"], body)

    def _diagnose(self, number: int, *raised: type[CrawlError]) -> None:
        """Let the chain's own reader say what a page without rows is: it knows its bot page."""
        last = self._guard.last_body()
        if last is not None:
            exchange, body = last
            plain = self._answer(
                number, exchange.url, body, rendered=False, content_type=exchange.content_type
            )
            # Not every answer is a list: only what no list ever is counts here.
            self._read(plain, BotPageError, SourceGoneError)
        with self._driving():
            source, url = self._driver.page_source, self._driver.current_url
        self._read(self._answer(number, url, source.encode("utf-8", "replace")), *raised)

    def _read(self, answer: Answer, *raised: type[CrawlError]) -> None:
        try:
            self._site.read(answer, self._listing)
        except raised:
            raise
        except Exception as error:
            # Whoever reads the rows that were taken will say so.
            log.debug("a page without rows is no list: %s", error)

    def _answer(
        self,
        number: int,
        url: str,
        body: bytes,
        *,
        rendered: bool = True,
        content_type: str = CONTENT_TYPE,
    ) -> Answer:
        return Answer(
            listing=self._listing.key,
            number=number,
            url=url.partition("#")[0],
            status=200,
            body=body,
            content_type=content_type,
            fetched_at=self._clock.now(),
            rendered=rendered,
        )

    # ---- the driver

    def _ask(self, script: str, *arguments: object) -> dict[str, Any]:
        """Run a script that returns an object; an alert that comes up takes its answer away."""
        for _ in range(_MAX_ALERTS):
            value = self._run(script, *arguments)
            if isinstance(value, dict):
                return value
        raise FetchFailedError(
            f"Expected a page behind {_MAX_ALERTS} alerts of {self._home}. Received another alert. "
            "Look at the page in a browser."
        )

    def _run(self, script: str, *arguments: object) -> Any:
        with self._driving():
            return self._driver.execute_script(script, *arguments)

    def _accept_alert(self) -> bool:
        """Accept the alert that is open; return whether there was one."""
        from selenium.common.exceptions import WebDriverException

        try:
            self._driver.switch_to.alert.accept()
        except WebDriverException:
            return False
        return True

    @contextlib.contextmanager
    def _driving(self) -> Iterator[None]:
        """Turn the driver's errors into ours; what the guard knows goes before them."""
        from selenium.common.exceptions import (
            JavascriptException,
            TimeoutException,
            UnexpectedAlertPresentException,
            WebDriverException,
        )
        from urllib3.exceptions import HTTPError

        try:
            yield
        except UnexpectedAlertPresentException:
            self._accept_alert()
        except (WebDriverException, HTTPError, OSError) as error:
            # An alert that opens just as a script begins may hold the script up without a word.
            if isinstance(error, TimeoutException) and self._accept_alert():
                return
            failed = self._guard.traffic().failed
            if failed is not None and failed[0].main:
                self._failed = failed[0]
                raise failed[1] from error
            if isinstance(error, TimeoutException):
                raise too_slow(self._home, self._limits.total_timeout_s) from error
            line = (getattr(error, "msg", "") or type(error).__name__).strip().splitlines()[0]
            kind = PageDriftError if isinstance(error, JavascriptException) else FetchFailedError
            raise kind(
                f"Expected the page of {self._listing.key} to go on. Received: {line[:200]}. Look "
                "at the page in a browser."
            ) from error


def _changed(before: Probe | None, now: Probe, *, replaced: bool) -> bool:
    if before is None:
        return now.count > 0
    return now.count > 0 and not now.same_rows(before) if replaced else now.count > before.count
