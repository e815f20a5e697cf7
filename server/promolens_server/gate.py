"""The one layer between the network and the routes.

Everything that each request needs is here, in one pure ASGI layer, because every further layer
costs each request some microseconds: request id, limits, key, rate, CORS, security headers,
compression, time limit, errors, metrics, log. Each is a file of its own; the gate only calls them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from promolens_server.addresses import counted_as, forwarded, one_of, peer_of
from promolens_server.compression import coding_for
from promolens_server.exchange import Exchange
from promolens_server.failures import is_database_trouble, problem_of
from promolens_server.headers import ALWAYS, Cors, Header
from promolens_server.limits import check_address, declared_length
from promolens_server.logs import RequestLog
from promolens_server.problems import Problem
from promolens_server.rates import Allowance, Buckets, seconds_up
from promolens_server.recognition.config import limits_of_pictures
from promolens_server.request_ids import request_ids
from promolens_server.services import Services
from promolens_server.time_limits import TimeLimit

# Asked for by machines that keep the service running: no key, no rate.
UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})
_API = "/v1/"
_NO_ROUTE = "(none)"
_log = logging.getLogger(__name__)


class Gate:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        config = services.config
        self._app = app
        self._clock = services.clock
        self._metrics = services.metrics
        self._keys = services.keys
        self._limits = config.limits
        self._limits_of = limits_of_pictures(config.recognition, config.limits)
        self._keys_required = config.keys.required
        self._rate = config.rate
        self._by_address = Allowance("address", config.rate.per_s, config.rate.burst)
        self._buckets = Buckets(config.rate.clients)
        self._cors = Cors(config.cors)
        self._trusted = one_of(config.proxy.trusted)
        self._take_id = request_ids()
        self._time_limit = TimeLimit(min(config.limits.request_s, config.limits.body_s))
        self._log = RequestLog() if config.logs.requests else None
        self._route_texts: dict[tuple[str, str], str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = self._take_id(headers.get(b"x-request-id"))
        extra = [(b"x-request-id", request_id.encode("ascii")), *ALWAYS]
        limits = self._limits_of.get(scope["path"], self._limits)
        exchange = Exchange(request_id, limits, receive, send, extra)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        # A route whose work takes long by its nature gives itself more time (`Exchange.allow`).
        state["exchange"] = exchange
        method: str = scope["method"]
        self._time_limit.begin(exchange)
        try:
            if not await self._kept_out(scope, headers, exchange):
                if method == "HEAD":
                    # The same answer as to GET; the server itself leaves the body out.
                    scope = {**scope, "method": "GET"}
                await self._app(scope, self._body(scope, headers, exchange), exchange.send)
        except asyncio.CancelledError:
            if not exchange.overdue:
                raise
            await _end_overdue(exchange)
        except Exception as error:
            await self._failed(exchange, error, scope)
        finally:
            self._time_limit.end(exchange)
            self._note(scope, method, exchange, time.perf_counter() - began_s)
            # The request holds its state and the exchange holds the request: without this the
            # collector has to find and take apart every one of these circles.
            state.pop("exchange", None)

    async def _kept_out(
        self, scope: Scope, headers: dict[bytes, bytes], exchange: Exchange
    ) -> bool:
        """Answer what no route needs to see; return whether it was answered."""
        path: str = scope["path"]
        api = path.startswith(_API)
        origin = headers.get(b"origin")
        if api and self._cors.enabled:
            exchange.extra += self._cors.answer(origin)
        if len(self._time_limit) > self._limits.requests:
            raise Problem(
                503,
                "busy",
                "Expected room for a request. Received too many at once. Ask again soon.",
                headers={"retry-after": "1"},
            )
        check_address(scope, self._limits)
        if path not in UNCOUNTED:
            self._count(scope, headers, exchange, api)
        asked = b"access-control-request-method" in headers
        if asked and origin is not None and api and scope["method"] == "OPTIONS":
            lines = self._cors.preflight(origin)[2:] if self._cors.enabled else []
            await exchange.answer(204, lines)
            return True
        accepted = headers.get(b"accept-encoding")
        if accepted is not None:
            exchange.coding = coding_for(accepted)
        return False

    def _count(
        self, scope: Scope, headers: dict[bytes, bytes], exchange: Exchange, api: bool
    ) -> None:
        """Count the request for its key or its address; raises Problem 401 or 429."""
        text = headers.get(b"x-api-key")
        key = self._keys.find(text, self._clock()) if text is not None else None
        if key is not None:
            exchange.key_id = key.id
            who = key.id
            allowance = Allowance(
                "key", key.per_s or self._rate.key_per_s, key.burst or self._rate.key_burst
            )
        else:
            peer = peer_of(scope.get("client"))
            who = counted_as(forwarded(peer, headers.get(b"x-forwarded-for"), self._trusted))
            allowance = self._by_address
        exchange.who = who
        if self._rate.enabled:
            self._charge(who, allowance, exchange.extra)
        if key is None and (text is not None or (api and self._keys_required)):
            if api and scope["method"] == "OPTIONS":
                return  # a browser asks without the key whether it may send one
            raise Problem(
                401,
                "key-needed" if text is None else "key-unknown",
                "Expected a good key in X-API-Key. Received "
                f"{'none' if text is None else 'another'}. Ask whoever runs this service for one.",
                headers={"www-authenticate": "ApiKey"},
            )

    def _charge(self, who: str, allowance: Allowance, extra: list[Header]) -> None:
        left = self._buckets.take(who, allowance, time.monotonic())
        # A client with plenty left need not be told, and an answer that is kept for many must not.
        if left > allowance.burst // 4:
            return
        wait_s = seconds_up(-left) if left < 0 else seconds_up(1 / allowance.per_s)
        extra.append((b"ratelimit-policy", allowance.policy))
        extra.append(
            (b"ratelimit", f'"{allowance.name}";r={max(0, int(left))};t={wait_s}'.encode())
        )
        if left < 0:
            raise Problem(
                429,
                "too-many-requests",
                f"Expected at most {allowance.per_s:g} requests a second. Received more. "
                f"Wait {wait_s} s.",
                headers={"retry-after": str(wait_s)},
            )

    def _body(self, scope: Scope, headers: dict[bytes, bytes], exchange: Exchange) -> Receive:
        if declared_length(headers, exchange.limits) is not None:
            exchange.deadline_s = time.monotonic() + exchange.limits.body_s
        return exchange.receive

    async def _failed(self, exchange: Exchange, error: Exception, scope: Scope) -> None:
        if isinstance(error, ClientDisconnect):
            return
        problem = problem_of(error)
        members = {"request_id": exchange.request_id, "route": _template(scope)}
        if problem is None:
            _log.error("defect", exc_info=error, extra={"members": members})
            problem = Problem(
                500,
                "defect",
                "Expected an answer. Received a defect of this service, which is logged. "
                "Report it with the request id.",
            )
        elif is_database_trouble(error) or problem.code == "catalog-unavailable":
            _log.error("database: %s", error, extra={"members": members})
        if exchange.status:
            # Half an answer cannot be taken back: the connection is closed instead.
            raise error
        await exchange.refuse(problem)

    def _note(self, scope: Scope, method: str, exchange: Exchange, seconds: float) -> None:
        route = _template(scope)
        status = exchange.status or 499
        self._metrics.observe(route, method, status, seconds, exchange.size)
        log = self._log
        if log is None:
            return
        texts = self._route_texts
        text = texts.get((method, route))
        if text is None:
            text = json.dumps({"method": method, "route": route}, ensure_ascii=False)[1:-1]
            if len(texts) < 1_000:
                texts[method, route] = text
        key = f',"key":"{exchange.key_id}"' if exchange.key_id else ""
        line = (
            f'{{"time":"{log.time_text()}","level":"info","event":"request",'
            f'"request_id":"{exchange.request_id}",{text},"status":{status},'
            f'"ms":{seconds * 1000:.2f},"bytes":{exchange.size}{key}}}\n'
        )
        if log.add(line):
            asyncio.get_running_loop().call_later(log.wait_s, log.flush)


async def _end_overdue(exchange: Exchange) -> None:
    if exchange.task is not None:
        exchange.task.uncancel()
    if exchange.status:
        # The reader stands still in the middle of an answer.
        raise ConnectionAbortedError("an answer that stood still was ended")
    await exchange.refuse(
        Problem(
            503,
            "time-limit",
            "Expected to be done in time. Received no end. Ask again later, or for less.",
            headers={"retry-after": "5", "connection": "close"},
        )
    )


def _template(scope: Any) -> str:
    return getattr(scope.get("route"), "path", _NO_ROUTE)
