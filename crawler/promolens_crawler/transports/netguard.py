"""Every request of the browser passes here before it leaves: the gate, built into the browser.

The browser's own protocol (CDP, domain `Fetch`) pauses each request of each page, frame and worker
until we say what becomes of it. The page's document and its list requests wait for their turn at
the gate; its own scripts and styles belong to the document and pass; pictures, fonts, films,
frames, further windows, beacons, event streams, what a page would fetch ahead, other hosts and what
robots.txt disallows are refused. If our connection to the browser breaks,
the browser is killed: without us nothing guards it.

Selenium's interception (WebDriver BiDi) cannot be used for this: its answers wait in one queue
behind the very command that opens the page.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from http.client import HTTPConnection, HTTPException
from typing import Any

from promolens_crawler.backoff import RETRIED_STATUS, TransientError, retry_after_s
from promolens_crawler.errors import CrawlError, FetchFailedError, NotAllowedError
from promolens_crawler.limits import Limits
from promolens_crawler.manners import Gate, Turn, same_host
from promolens_crawler.transports.http import refused
from promolens_crawler.transports.wire import left_home, too_large, too_many_redirects

log = logging.getLogger(__name__)

_COUNTED = frozenset({"Document", "XHR", "Fetch"})
_OWN = frozenset({"Script", "Stylesheet"})
_INSIDE = ("about:", "blob:", "data:", "chrome:", "chrome-error:", "chrome-untrusted:", "devtools:")
_START_WITHIN_S = 15.0
_ANSWER_WITHIN_S = 10.0
_TARGETS = [{"type": kind} for kind in ("page", "iframe", "worker", "service_worker")]
_TARGETS += [{"type": "shared_worker"}, {"exclude": True}]  # type: ignore[dict-item]


class Verdict(Enum):
    """What becomes of a request."""

    PASS = "pass"  # noqa: S105 - no password
    WAIT = "wait"
    BLOCK = "block"


def judge(url: str, kind: str, home: str, headers: Mapping[str, str] | None = None) -> Verdict:
    """Say what becomes of a request that nothing forbids.

    Args:
        kind: the browser's word: Document, XHR, Fetch, Script, Stylesheet, Image, Font, Other...
        home: the only host that may be asked.
        headers: of the request. What a page fetches ahead and streams of events have the kind of
            list requests, and are told by these.
    """
    if url.startswith(_INSIDE):
        return Verdict.PASS
    try:
        at_home = same_host(url, home)
    except NotAllowedError:
        return Verdict.BLOCK
    if not at_home:
        return Verdict.BLOCK
    if kind in _OWN:
        return Verdict.PASS
    said = {name.lower(): text.lower() for name, text in (headers or {}).items()}
    ahead = "prefetch" in said.get("sec-purpose", "") + said.get("purpose", "")
    if kind not in _COUNTED or ahead or "text/event-stream" in said.get("accept", ""):
        return Verdict.BLOCK
    return Verdict.WAIT


@dataclass
class Exchange:
    """One request that was let through, or waits to be.

    Attributes:
        main: the document of the page itself, and not of a frame in it or of another window.
        session: the browser's name of the page that asks.
    """

    url: str
    kind: str
    method: str
    body: str
    main: bool
    session: str
    network_id: str
    hops: int = 0
    received_bytes: int = 0
    status: int = 0
    content_type: str = ""
    retry_after: str = ""

    @property
    def same_again(self) -> tuple[str, str, str]:
        """What a second try of this request has in common with it."""
        return self.method, self.url, self.body


@dataclass(frozen=True)
class Traffic:
    """How the page's requests stand.

    Attributes:
        quiet: none waits or is under way.
        failed: one that failed since the step began, and why.
        released_s: `time.monotonic()` when the last request was let go.
    """

    quiet: bool
    failed: tuple[Exchange, CrawlError | TransientError] | None
    released_s: float


@dataclass
class _Step:
    """What the page's requests are compared with until the next step."""

    prepaid: Turn | None = None
    insist: tuple[str, str, str] | None = None
    failed: tuple[Exchange, CrawlError | TransientError] | None = None
    last: Exchange | None = None


@dataclass
class _Reply:
    arrived: threading.Event = field(default_factory=threading.Event)
    message: dict[str, Any] = field(default_factory=dict)


class NetworkGuard:
    """Guards one browser for one home."""

    def __init__(
        self, debugger: str, home: str, gate: Gate, limits: Limits, on_lost: Callable[[], None]
    ) -> None:
        """Connect, and return when every request of the page is paused until we answer.

        Args:
            debugger: `127.0.0.1:PORT`.
            on_lost: called from another thread when the connection ends: kills the browser.

        Raises:
            FetchFailedError: the browser does not answer.
        """
        self._home, self._gate, self._limits, self._on_lost = home, gate, limits, on_lost
        self._lock, self._send_lock = threading.RLock(), threading.Lock()
        self._open: dict[tuple[str, str], Exchange] = {}
        self._page = ""
        self._replies: dict[int, _Reply] = {}
        self._step = _Step()
        self._fatal: CrawlError | None = None
        self._released_s = time.monotonic()
        self._number = 0
        self._closing = False
        self._ready = threading.Event()
        self._socket = _connect(debugger)
        threading.Thread(target=self._listen, name="browser requests", daemon=True).start()
        self._send("Browser.setDownloadBehavior", {"behavior": "deny"})
        self._send("Target.setAutoAttach", _attach())
        if not self._ready.wait(_START_WITHIN_S):
            raise _lost()

    # ---- what the session asks

    def begin(self, prepaid: Turn | None = None, insist: Exchange | None = None) -> None:
        """Begin a step.

        Args:
            prepaid: the turn of the step's first counted request.
            insist: the first counted request must be this one again; another one is refused.
        """
        self.rest()
        with self._lock:
            self._step = _Step(prepaid, insist.same_again if insist else None)
            self._released_s = time.monotonic()

    def rest(self) -> None:
        """Give a turn back that no request used; the host would stay locked with it."""
        with self._lock:
            unused, self._step.prepaid = self._step.prepaid, None
        if unused is not None:
            unused.started()

    def traffic(self) -> Traffic:
        """Return how the requests stand; raises CrawlError where the page must not go on."""
        with self._lock:
            if self._fatal is not None:
                raise self._fatal
            return Traffic(not self._open, self._step.failed, self._released_s)

    def last_body(self) -> tuple[Exchange, bytes] | None:
        """Return the last document or list answer of this step, if the browser still has it."""
        with self._lock:
            last = self._step.last
        if last is None:
            return None
        params = {"requestId": last.network_id}
        result = self._ask("Network.getResponseBody", params, last.session)
        if not isinstance(result.get("body"), str):
            return None
        text = result["body"]
        with contextlib.suppress(ValueError):
            return last, base64.b64decode(text) if result.get("base64Encoded") else text.encode()
        return None

    def close(self) -> None:
        """Let go of the browser, which is about to be ended; never raises."""
        self._closing = True
        self.rest()
        with contextlib.suppress(Exception):
            self._socket.close()

    # ---- what the browser tells

    def _listen(self) -> None:
        try:
            while True:
                message = json.loads(self._socket.recv())
                self._take(message)
        except Exception as error:
            if not self._closing:
                log.debug("browser connection ended: %s", type(error).__name__)
                self._end(_lost())

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            reply = self._replies.pop(message["id"], None)
            if reply is not None:
                reply.message = message
                reply.arrived.set()
            return
        handler = _HANDLERS.get(message.get("method", ""))
        if handler is not None:
            handler(self, message.get("sessionId", ""), message["params"])

    def _attached(self, _session: str, params: dict[str, Any]) -> None:
        session, target = params["sessionId"], params["targetInfo"]
        is_page = target["type"] == "page"
        if is_page:
            self._page = self._page or target["targetId"]
        self._send("Target.setAutoAttach", _attach(), session)
        self._send("Network.enable", {}, session)
        self._send("Network.setBypassServiceWorker", {"bypass": True}, session)
        waiter = self._send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]}, session, wait=True)
        self._send("Runtime.runIfWaitingForDebugger", {}, session)
        if is_page and target["targetId"] != self._page:
            # In front of the page it would keep it from being drawn, and so from loading.
            self._send("Target.closeTarget", {"targetId": target["targetId"]})
        elif is_page and waiter is not None:
            threading.Thread(target=self._guarded, args=(waiter,), daemon=True).start()

    def _guarded(self, waiter: _Reply) -> None:
        if waiter.arrived.wait(_START_WITHIN_S) and "error" not in waiter.message:
            self._ready.set()

    def _paused(self, session: str, params: dict[str, Any]) -> None:
        exchange = self._exchange(session, params)
        verdict = judge(exchange.url, exchange.kind, self._home, params["request"].get("headers"))
        if exchange.kind == "Document" and not exchange.main:
            verdict = Verdict.BLOCK
        if verdict is Verdict.BLOCK:
            if exchange.kind in _COUNTED and (exchange.main or exchange.hops):
                self._fail(exchange, left_home(self._home, exchange.url))
            self._refuse(session, params, exchange)
        elif exchange.url.startswith(_INSIDE):
            self._release(session, params, None)
        else:
            self._admit(session, params, exchange, waits=verdict is Verdict.WAIT)

    def _admit(
        self, session: str, params: dict[str, Any], exchange: Exchange, *, waits: bool
    ) -> None:
        try:
            self._gate.check(exchange.url)
            self._check(exchange)
        except CrawlError as error:
            if waits:
                self._fail(exchange, error)
            self._refuse(session, params, exchange)
            return
        with self._lock:
            if exchange.main:
                # What the page before asked for is over, and its end may never be told.
                for key in [key for key in self._open if key[0] == session]:
                    del self._open[key]
            if exchange.network_id and exchange.kind != "Stylesheet":
                self._open[session, exchange.network_id] = exchange
            turn = self._step.prepaid if waits else None
            if turn is not None:
                self._step.prepaid = None
        if not waits:
            self._release(session, params, None)
        elif turn is not None:
            self._release(session, params, turn)
        else:
            hold = threading.Thread(
                target=self._hold, args=(session, params, exchange), daemon=True
            )
            hold.start()

    def _hold(self, session: str, params: dict[str, Any], exchange: Exchange) -> None:
        try:
            turn = self._gate.enter(exchange.url)
        except Exception as error:
            known = error if isinstance(error, CrawlError) else _lost()
            self._fail(exchange, known)
            self._refuse(session, params, exchange)
        else:
            self._release(session, params, turn)

    def _exchange(self, session: str, params: dict[str, Any]) -> Exchange:
        asked, network_id = params["request"], params.get("networkId", "")
        before = self._open.get((session, network_id))
        return Exchange(
            url=asked["url"],
            kind=params["resourceType"],
            method=asked["method"],
            body=asked.get("postData", ""),
            main=params["resourceType"] == "Document" and params.get("frameId") == self._page,
            session=session,
            network_id=network_id,
            hops=before.hops + 1 if before and network_id else 0,
        )

    def _check(self, exchange: Exchange) -> None:
        if exchange.hops > self._limits.max_redirects:
            raise too_many_redirects(exchange.url, self._limits.max_redirects)
        with self._lock:
            insist, self._step.insist = self._step.insist, None
        if exchange.kind in _COUNTED and insist not in (None, exchange.same_again):
            raise FetchFailedError(
                f"Expected the page to ask for {insist[1][:200] if insist else ''} again. Received "
                f"{exchange.url[:200]}: a page of the list would be missing. Run the crawl again."
            )

    def _response(self, session: str, params: dict[str, Any]) -> None:
        exchange = self._open.get((session, params["requestId"]))
        if exchange is None:
            return
        response = params["response"]
        headers = {name.lower(): text for name, text in response.get("headers", {}).items()}
        exchange.status = int(response["status"])
        exchange.content_type = str(headers.get("content-type", ""))
        exchange.retry_after = str(headers.get("retry-after", ""))

    def _data(self, session: str, params: dict[str, Any]) -> None:
        exchange = self._open.get((session, params["requestId"]))
        if exchange is None:
            return
        exchange.received_bytes += int(params["dataLength"])
        if exchange.received_bytes > self._limits.max_body_bytes:
            self._end(too_large(exchange.url, self._limits.max_body_bytes))

    def _finished(self, session: str, params: dict[str, Any]) -> None:
        with self._lock:
            exchange = self._open.pop((session, params["requestId"]), None)
            if exchange is None:
                return
            if exchange.kind in _COUNTED:
                self._step.last = exchange
        self._judge_status(exchange)

    def _judge_status(self, exchange: Exchange) -> None:
        if exchange.status in RETRIED_STATUS:
            wait_s = retry_after_s(exchange.retry_after, datetime.now(UTC))
            self._fail(exchange, TransientError(f"status {exchange.status}", wait_s))
        elif exchange.status >= 400:
            self._fail(exchange, refused(exchange.url, exchange.status))

    def _broken(self, session: str, params: dict[str, Any]) -> None:
        with self._lock:
            exchange = self._open.pop((session, params["requestId"]), None)
        if exchange is None or params.get("blockedReason"):
            return
        # A page that is left breaks off what it was asking for; that is no failure.
        if exchange.status >= 400:
            self._judge_status(exchange)
        elif not params.get("canceled") or exchange.main:
            text = str(params.get("errorText", "")).removeprefix("net::")
            self._fail(exchange, TransientError(f"a broken connection ({text[:60]})"))

    # ---- what we tell the browser

    def _release(self, session: str, params: dict[str, Any], turn: Turn | None) -> None:
        answer: dict[str, Any] = {"requestId": params["requestId"]}
        if turn is not None:
            # A list that is read again must be the shop's, not the browser's own copy.
            headers = {**params["request"].get("headers", {}), "Cache-Control": "no-cache"}
            answer["headers"] = [{"name": name, "value": text} for name, text in headers.items()]
        self._send("Fetch.continueRequest", answer, session)
        if turn is not None:
            turn.started()
            with self._lock:
                self._released_s = time.monotonic()

    def _refuse(self, session: str, params: dict[str, Any], exchange: Exchange) -> None:
        log.debug("refused: %s %s", exchange.kind, exchange.url[:200])
        with self._lock:
            self._open.pop((session, exchange.network_id), None)
        reason = {"requestId": params["requestId"], "errorReason": "BlockedByClient"}
        self._send("Fetch.failRequest", reason, session)

    def _fail(self, exchange: Exchange, error: CrawlError | TransientError) -> None:
        with self._lock:
            failed = self._step.failed
            # What no second try changes is not forgotten over what follows from it.
            if failed is None or isinstance(failed[1], TransientError):
                self._step.failed = exchange, error

    def _end(self, error: CrawlError) -> None:
        """Let nothing go on: what happened cannot be made good in this browser."""
        with self._lock:
            self._fatal = self._fatal or error
        self._on_lost()

    def _send(
        self, method: str, params: dict[str, Any], session: str = "", *, wait: bool = False
    ) -> _Reply | None:
        with self._send_lock:
            self._number += 1
            message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
            if session:
                message["sessionId"] = session
            reply = _Reply() if wait else None
            if reply is not None:
                self._replies[self._number] = reply
            with contextlib.suppress(Exception):
                # A connection that is gone is noticed by the listener.
                self._socket.send(json.dumps(message))
        return reply

    def _ask(self, method: str, params: dict[str, Any], session: str) -> dict[str, Any]:
        reply = self._send(method, params, session, wait=True)
        assert reply is not None
        reply.arrived.wait(_ANSWER_WITHIN_S)
        result = reply.message.get("result", {})
        return result if isinstance(result, dict) else {}


_HANDLERS: dict[str, Callable[[NetworkGuard, str, dict[str, Any]], None]] = {
    "Target.attachedToTarget": NetworkGuard._attached,
    "Fetch.requestPaused": NetworkGuard._paused,
    "Network.responseReceived": NetworkGuard._response,
    "Network.dataReceived": NetworkGuard._data,
    "Network.loadingFinished": NetworkGuard._finished,
    "Network.loadingFailed": NetworkGuard._broken,
}


def _attach() -> dict[str, Any]:
    return {
        "autoAttach": True,
        "waitForDebuggerOnStart": True,
        "flatten": True,
        "filter": _TARGETS,
    }


def _connect(debugger: str) -> Any:
    import websocket

    try:
        # Not urllib's opener, which asks the environment for proxies.
        with contextlib.closing(HTTPConnection(debugger, timeout=10)) as connection:
            connection.request("GET", "/json/version")
            text = connection.getresponse().read(100_000)
        address = json.loads(text)["webSocketDebuggerUrl"]
        return websocket.create_connection(
            address, suppress_origin=True, timeout=None, http_no_proxy=["*"]
        )
    except (OSError, ValueError, KeyError, HTTPException, websocket.WebSocketException) as error:
        raise _lost() from error


def _lost() -> FetchFailedError:
    return FetchFailedError(
        "Expected a browser that answers. Received none: it ended or hangs. Run the crawl again."
    )
