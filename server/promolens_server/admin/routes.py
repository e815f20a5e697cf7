"""/admin: every address, and what its forms do."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from promolens_catalog.chains import Chain
from promolens_runtime.errors import InputError
from promolens_server.admin import desk
from promolens_server.admin.forms import number_in
from promolens_server.admin.office import Done, MissingPageError, Office, Visit
from promolens_server.admin.pages import ROOT, style
from promolens_server.bundles.channels import CHANNELS
from promolens_server.bundles.store import NOUNS
from promolens_server.services import Services


def router(services: Services) -> APIRouter:
    """Return the routes; none at all where no token is configured."""
    routes = APIRouter(include_in_schema=False)
    token = services.config.admin_token
    if token is None:
        return routes
    office = Office(services, token)
    _add(routes, "/login", office.show_login)
    _add(routes, "/login", office.log_in, "POST")
    _add(routes, "/logout", office.log_out, "POST")
    _add(routes, "/static/{hash}/admin.css", _style)
    for path, show in PAGES:
        _add(routes, path, office.page(show))
    for path, act, back in DEEDS:
        _add(routes, path, office.deed(act, back), "POST")
    _add(routes, "/{rest:path}", office.page(_missing))
    return routes


def _add(
    routes: APIRouter, path: str, endpoint: Callable[..., object], method: str = "GET"
) -> None:
    routes.add_api_route(
        ROOT + path, endpoint, methods=[method], include_in_schema=False, response_model=None
    )


async def _style() -> Response:
    # Its address changes with it.
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(style()[0], media_type="text/css", headers=headers)


# ---- pages


def _missing(_visit: Visit) -> Response:
    raise MissingPageError


def _overview(visit: Visit) -> Response:
    return visit.page("overview", found=desk.overview(visit.db, list(visit.stores.values())))


def _snapshots(visit: Visit) -> Response:
    return visit.page("snapshots", found=desk.overview(visit.db, ()))


def _snapshot(visit: Visit) -> Response:
    found = _snapshot_page(visit, number_in(visit.request.path_params["number"]))
    return visit.page("snapshot", found=found, section="snapshots")


def _chain(visit: Visit) -> Response:
    chain = _chain_of(visit.request.path_params["chain"])
    state, found = desk.chain_page(visit.db, chain)
    return visit.page("chain", state=state, found=found, section="snapshots")


def _rollback_page(visit: Visit) -> Response:
    chain = _chain_of(visit.request.path_params["chain"])
    found = _snapshot_page(visit, number_in(visit.request.query_params.get("to")))
    if found.snapshot.chain != chain or found.diff is None:
        raise MissingPageError
    return visit.page("rollback", found=found, section="snapshots")


def _review(visit: Visit) -> Response:
    asked = visit.request.query_params.get("chain")
    chain = _chain_of(asked) if asked else None
    found = desk.review_page(visit.db, chain)
    return visit.page("review", found=found, chain=chain, chains=list(Chain))


def _releases(kind: str) -> Callable[[Visit], Response]:
    def show(visit: Visit) -> Response:
        found = desk.releases_page(visit.stores[kind])
        return visit.page("releases", found=found, kind=kind, section=kind)

    return show


PAGES: tuple[tuple[str, Callable[[Visit], Response]], ...] = (
    ("", _overview),
    ("/snapshots", _snapshots),
    ("/snapshots/{number}", _snapshot),
    ("/chains/{chain}", _chain),
    ("/chains/{chain}/rollback", _rollback_page),
    ("/review", _review),
    *((f"/{kind}", _releases(kind)) for kind in NOUNS),
)


# ---- forms


def _approve(visit: Visit) -> Done:
    return Done(visit.deeds.approve(_number(visit, "number")), f"{ROOT}/snapshots")


def _reject(visit: Visit) -> Done:
    message = visit.deeds.reject(_number(visit, "number"), visit.form.get("reason", ""))
    return Done(message, f"{ROOT}/snapshots")


def _rollback(visit: Visit) -> Done:
    chain = _chain_of(visit.request.path_params["chain"])
    message = visit.deeds.rollback(chain, _sent(visit, "to"), _sent(visit, "live"))
    return Done(message, f"{ROOT}/chains/{chain}")


def _decide_link(visit: Visit) -> Done:
    decision = visit.form.get("decision")
    if decision not in ("accept", "reject"):
        raise MissingPageError
    message = visit.deeds.decide_link(_sent(visit, "proposal"), accept=decision == "accept")
    return Done(message, _back_to_review(visit.form.get("chain")))


def _set_share(kind: str) -> Callable[[Visit], Done]:
    def act(visit: Visit) -> Done:
        percent, revision = _sent(visit, "percent"), _revision(visit)
        message = visit.deeds.set_share(kind, _channel(visit), percent, revision)
        return Done(message, f"{ROOT}/{kind}")

    return act


def _roll_release_back(kind: str) -> Callable[[Visit], Done]:
    def act(visit: Visit) -> Done:
        message = visit.deeds.roll_release_back(kind, _channel(visit), _revision(visit))
        return Done(message, f"{ROOT}/{kind}")

    return act


def _to_snapshot(request: Request) -> str:
    number = number_in(request.path_params["number"])
    return f"{ROOT}/snapshots" if number is None else f"{ROOT}/snapshots/{number}"


def _to_chain(request: Request) -> str:
    chain = request.path_params["chain"]
    return f"{ROOT}/chains/{chain}" if chain in tuple(Chain) else f"{ROOT}/snapshots"


def _to(page: str) -> Callable[[Request], str]:
    return lambda _request: f"{ROOT}/{page}"


DEEDS: tuple[tuple[str, Callable[[Visit], Done], Callable[[Request], str]], ...] = (
    ("/snapshots/{number}/approve", _approve, _to_snapshot),
    ("/snapshots/{number}/reject", _reject, _to_snapshot),
    ("/chains/{chain}/rollback", _rollback, _to_chain),
    ("/review", _decide_link, _to("review")),
    *((f"/{kind}/{{channel}}/share", _set_share(kind), _to(kind)) for kind in NOUNS),
    *((f"/{kind}/{{channel}}/rollback", _roll_release_back(kind), _to(kind)) for kind in NOUNS),
)


# ---- what was sent


def _chain_of(name: str) -> Chain:
    try:
        return Chain(name)
    except ValueError:
        raise MissingPageError from None


def _channel(visit: Visit) -> str:
    name: str = visit.request.path_params["channel"]
    if name not in CHANNELS:
        raise MissingPageError
    return name


def _number(visit: Visit, name: str) -> int:
    number = number_in(visit.request.path_params[name])
    if number is None:
        raise MissingPageError
    return number


def _sent(visit: Visit, name: str) -> int:
    number = number_in(visit.form.get(name))
    if number is None:
        raise InputError(f"Expected a whole number as {name}. Received something else. Correct it.")
    return number


def _revision(visit: Visit) -> int:
    return _sent(visit, "revision")


def _snapshot_page(visit: Visit, number: int | None) -> desk.SnapshotPage:
    rows = number_in(visit.request.query_params.get("rows")) or desk.DIFF_ROWS
    if number is None or desk.snapshot_state(visit.db, number) is None:
        raise MissingPageError
    return desk.snapshot_page(visit.db, number, rows)


def _back_to_review(chain: str | None) -> str:
    return f"{ROOT}/review?chain={chain}" if chain in tuple(Chain) else f"{ROOT}/review"
