"""What all pages share: a session, forms that come from our own pages, and clear errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from promolens_catalog.database import Database
from promolens_runtime.errors import InputError
from promolens_server.admin.deeds import Deeds, Message, TakenError
from promolens_server.admin.forms import BadFormError, read_form
from promolens_server.admin.pages import HEADERS, Words, render
from promolens_server.admin.sessions import Session
from promolens_server.admin.signing_in import LANGUAGE, NOTICE, ROOT, Door, Refusal, inside
from promolens_server.admin.texts import LANGUAGES, TEXTS, choose_language
from promolens_server.admin.tokens import read_tokens
from promolens_server.bundles.store import BUNDLES, GALLERIES, ArtefactStore
from promolens_server.failures import is_database_trouble
from promolens_server.services import Services

YEAR_S = 365 * 86_400
# Publishing a long list takes longer than a phone's request may.
DEED_S = 300.0
_log = logging.getLogger(__name__)


class MissingPageError(Exception):
    """There is nothing under this address."""


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is logged in.

    Attributes:
        form: the fields that were sent; empty for a page.
        stores: of bundles and of galleries, by kind; `None` where none is configured.
        here: the address without its language, to go back to.
    """

    request: Request
    session: Session
    language: str
    now: datetime
    db: Database
    stores: Mapping[str, ArtefactStore | None]
    here: str
    notice: str | None = None
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def deeds(self) -> Deeds:
        """What this person can do."""
        return Deeds(self.db, self.stores, self.session.token.id, self.now)

    def page(self, name: str, **values: Any) -> Response:
        """Return a page for this person."""
        values = {"notice": self.notice, **values}
        return render(name, self.language, self.session, here=self.here, **values)

    def error(self, key: str, status: int, detail: str = "") -> Response:
        """Return a page that says what went wrong; `here` is where its link leads."""
        return render(
            "error",
            self.language,
            self.session,
            here=self.here,
            status=status,
            key=key,
            detail=detail,
            back=self.here,
            section="",
        )


@dataclass(frozen=True)
class Done:
    """What a form did, and which page comes next."""

    message: Message
    next_page: str


Endpoint = Callable[[Request], Any]


class Office:
    """Makes endpoints of functions that are called with a `Visit`, in a thread."""

    def __init__(self, services: Services, tokens: str) -> None:
        assert services.primary is not None, "a token is configured, so there is a primary"
        self._db = services.primary
        self._stores = {BUNDLES: services.bundles, GALLERIES: services.galleries}
        self._clock = services.clock
        self._door = Door(read_tokens(tokens), services.config.proxy.trusted)

    def page(self, show: Callable[[Visit], Response]) -> Endpoint:
        """Return an endpoint for GET."""

        async def endpoint(request: Request) -> Response:
            session = self._door.session(request, self._clock())
            if session is None:
                return self._to_login(request)
            visit = self._visit(request, session)
            response = await run_in_threadpool(_guarded, show, visit)
            self._keep(visit, response)
            return response

        return endpoint

    def deed(self, act: Callable[[Visit], Done], back: Callable[[Request], str]) -> Endpoint:
        """Return an endpoint for POST.

        Args:
            back: where the page is that has the form.
        """

        async def endpoint(request: Request) -> Response:
            session = self._door.session(request, self._clock())
            if session is None:
                return RedirectResponse(f"{ROOT}/login", 303, HEADERS)
            visit = self._visit(request, session, here=back(request))
            form = await _own_form(request, session.allows)
            if form is None:
                return visit.error("e_form", 403)
            request.state.exchange.allow(DEED_S)
            response = await run_in_threadpool(_guarded, self._acting(act, form), visit)
            self._keep(visit, response)
            return response

        return endpoint

    # ---- logging in and out

    async def show_login(self, request: Request) -> Response:
        """Show the form; those who are in go on."""
        if self._door.session(request, self._clock()):
            return RedirectResponse(inside(request.query_params.get("next")), 303, HEADERS)
        return self._login_page(request, None)

    async def log_in(self, request: Request) -> Response:
        """Take the form."""
        form = await _own_form(request, lambda token: self._door.knocked(request, token))
        if form is None:
            return self._login_page(request, Refusal("e_form_text", 403))
        found = self._door.let_in(request, form.get("token", ""), self._clock())
        if isinstance(found, Refusal):
            _log_door(f"refused-{found.key}", "", self._door.address(request), self._clock())
            return self._login_page(request, found, form.get("next"))
        _log_door("log-in", found.token.id, self._door.address(request), self._clock())
        response = RedirectResponse(inside(form.get("next")), 303, HEADERS)
        self._door.keep_session(request, response, found)
        return response

    async def log_out(self, request: Request) -> Response:
        """End the session in this browser."""
        session = self._door.session(request, self._clock())
        form = await _own_form(request, session.allows) if session else None
        if session is not None and form is None:
            return self._visit(request, session, here=ROOT).error("e_form", 403)
        response = self._login_page(request, Refusal("logged_out", 200))
        self._door.set_cookie(request, response, "session", "", 0)
        return response

    def _login_page(
        self, request: Request, refusal: Refusal | None, next_page: str | None = None
    ) -> Response:
        language = self._language(request)
        knock = self._door.knock(request)
        said = TEXTS[language][refusal.key].format(seconds=refusal.wait_s) if refusal else None
        response = render(
            "login",
            language,
            None,
            here=f"{ROOT}/login",
            status=refusal.status if refusal else 200,
            headers={"retry-after": str(refusal.wait_s)} if refusal and refusal.wait_s else None,
            form_token=self._door.knock_token(knock),
            next_page=inside(next_page or request.query_params.get("next")),
            said=said,
            wrong=refusal is not None and refusal.status != 200,
            exposed=self._door.is_exposed(request),
        )
        self._door.set_cookie(request, response, "knock", knock, 3600)
        self._keep_language(request, response, language)
        return response

    def _to_login(self, request: Request) -> Response:
        wanted = inside(f"{request.url.path}{'?' if request.url.query else ''}{request.url.query}")
        query = f"?{urlencode({'next': wanted})}" if wanted != ROOT else ""
        return RedirectResponse(f"{ROOT}/login{query}", 303, HEADERS)

    # ---- inner parts

    def _visit(self, request: Request, session: Session, here: str | None = None) -> Visit:
        language = self._language(request)
        left = self._door.take_notice(request, session)
        return Visit(
            request,
            session,
            language,
            self._clock(),
            self._db,
            self._stores,
            here or _without_language(request),
            _notice(left, Words(language)),
        )

    def _acting(
        self, act: Callable[[Visit], Done], form: Mapping[str, str]
    ) -> Callable[[Visit], Response]:
        def respond(visit: Visit) -> Response:
            done = act(_with_form(visit, form))
            response = RedirectResponse(done.next_page, 303, HEADERS)
            notice: dict[str, object] = {"k": done.message.key, "v": done.message.values}
            self._door.leave_notice(visit.request, response, visit.session, notice)
            return response

        return respond

    def _keep(self, visit: Visit, response: Response) -> None:
        """Set the cookies that are due."""
        renewed = visit.session.renewed(visit.now)
        if renewed is not None:
            self._door.keep_session(visit.request, response, renewed)
        if visit.notice is not None and response.status_code == 200:
            self._door.set_cookie(visit.request, response, NOTICE, "", 0)
        self._keep_language(visit.request, response, visit.language)

    def _language(self, request: Request) -> str:
        return choose_language(
            request.query_params.get("lang"),
            self._door.cookie(request, LANGUAGE),
            request.headers.get("accept-language"),
        )

    def _keep_language(self, request: Request, response: Response, language: str) -> None:
        if request.query_params.get("lang") in LANGUAGES:
            self._door.set_cookie(request, response, LANGUAGE, language, YEAR_S)


def _log_door(action: str, who: str, address: str, now: datetime) -> None:
    members = {"action": action, "who": who, "when": now.isoformat(), "address": address}
    _log.info("admin", extra={"members": members})


async def _own_form(request: Request, allows: Callable[[str], bool]) -> Mapping[str, str] | None:
    """Return the fields of a form of our own pages; `None` for any other."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return None
    try:
        form = await read_form(request)
    except BadFormError:
        return None
    return form if allows(form.get("form", "")) else None


def _guarded(respond: Callable[[Visit], Response], visit: Visit) -> Response:
    """Answer, or say on a page why not."""
    try:
        return respond(visit)
    except TakenError as error:
        return visit.error("e_taken", 409, str(error))
    except MissingPageError:
        return visit.error("e_missing", 404)
    except InputError as error:
        if is_database_trouble(error):
            return visit.error("e_busy", 503, str(error))
        return visit.error("e_refused", 422, str(error))
    except OSError as error:
        return visit.error("e_busy", 503, str(error.strerror or error))


def _with_form(visit: Visit, form: Mapping[str, str]) -> Visit:
    return replace(visit, form=form)


def _without_language(request: Request) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return f"{request.url.path}{'?' if kept else ''}{urlencode(kept)}"


def _notice(left: dict[str, Any] | None, words: Words) -> str | None:
    if left is None or left.get("k") not in TEXTS["en"]:
        return None
    return words(left["k"], **left["v"])
