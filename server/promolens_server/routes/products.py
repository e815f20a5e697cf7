"""/v1/products: one product by barcode, by a recogniser's label, by id; and its past."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from promolens_catalog import barcodes, items
from promolens_catalog.calendar import korean_day
from promolens_catalog.database import now_version
from promolens_catalog.history import history_in
from promolens_catalog.items import CLASS, ItemKey
from promolens_catalog.promotion_list import Filters
from promolens_catalog.reading import Match
from promolens_catalog.search import MAX_QUERY_CHARACTERS
from promolens_server.answers import Built, answered
from promolens_server.caching import json_bytes
from promolens_server.known import KnownBodies
from promolens_server.models.products import HistoryAnswer, ProductAnswer
from promolens_server.models.promotions import TEXT_FORM
from promolens_server.models.search import LabelAnswer
from promolens_server.problems import Problem, shown
from promolens_server.quick import BARCODE_FORM
from promolens_server.services import Services
from promolens_server.views import chains_json, history_json, known_json, match_json

_MATCHES = 10

Barcode = Annotated[
    str,
    Path(
        description="EAN-13, EAN-8, UPC-A, UPC-E or in-store code with a right check digit; blanks "
        "and hyphens between digits mean nothing.",
        pattern=f"^{BARCODE_FORM.pattern}$",
        examples=["8801056150013"],
    ),
]
ItemId = Annotated[int, Path(ge=1, le=2**53 - 1, description="`id` of a product.", examples=[1])]
Label = Annotated[
    str,
    Path(
        min_length=1,
        max_length=MAX_QUERY_CHARACTERS,
        pattern=TEXT_FORM,
        description="As the bundle's labels say it.",
        examples=["콜라 500ml"],
    ),
]


def router(services: Services) -> APIRouter:
    """Return the routes of products."""
    routes = APIRouter(prefix="/v1/products", tags=["products"])
    bodies = KnownBodies(services)

    @routes.get("/by-barcode/{barcode}", response_model=ProductAnswer)
    def by_barcode(request: Request, barcode: Barcode) -> Response:
        """Return what is known about a barcode. What no list ever had is an answer too."""
        code = barcodes.normalise(barcode)
        if code is None:
            raise _no_barcode(barcode)
        return answered(request, services, lambda now: Built(*bodies.by_barcode(code, now)))

    @routes.get("/by-label/{label:path}", response_model=LabelAnswer)
    def by_label(request: Request, label: Label) -> Response:
        """Return the product that a recogniser's label names, or products that are like its words.

        A key of the kind `class` counts first; only where no product has it, the text is searched.
        """
        return answered(request, services, lambda now: _labelled(services, label, now))

    @routes.get("/{item_id}", response_model=ProductAnswer)
    def by_id(request: Request, item_id: ItemId) -> Response:
        """Return what is known about a product."""
        return answered(request, services, lambda now: _by_id(services, bodies, item_id, now))

    @routes.get("/{item_id}/history", response_model=HistoryAnswer)
    def history(request: Request, item_id: ItemId) -> Response:
        """Return everything that was published for a product: was this 1+1 before?"""
        return answered(request, services, lambda now: _history(services, item_id, now))

    return routes


def _by_id(services: Services, bodies: KnownBodies, item_id: int, now: datetime) -> Built:
    known = services.lookup.by_item(item_id, now)
    if known.answer.item is None:
        raise _no_product(item_id)
    return Built(*bodies.body(known, now))


def _labelled(services: Services, label: str, now: datetime) -> Built:
    known = services.lookup.by_key(ItemKey(CLASS, label), now)
    answer = known_json(known, korean_day(now))
    chains, matched_by = known.answer.chains, "class"
    matches: tuple[Match, ...] = ()
    if known.answer.item is None:
        found = services.texts.by_text(
            label, now, filters=Filters(), limit=_MATCHES, offered_only=False
        )
        answer |= {"status": str(found.status), "version": found.version}
        chains, matches = found.chains, found.matches
        matched_by = "text" if matches else "nothing"
    answer |= {
        "label": label,
        "matched_by": matched_by,
        "matches": [match_json(match) for match in matches],
        "chains": chains_json(chains),
    }
    return Built(int(answer["version"]), json_bytes(answer))


def _history(services: Services, item_id: int, now: datetime) -> Built:
    with services.catalog.read() as connection:
        version = now_version(connection)
        item = items.get(connection, [item_id]).get(item_id)
        if item is None:
            raise _no_product(item_id)
        entries = history_in(connection, item_id)
    head = {
        "version": version,
        "day": korean_day(now).isoformat(),
        "item_id": item.id,
        "name": item.name,
    }
    return Built(version, json_bytes(head | history_json(entries, now)))


def _no_product(item_id: int) -> Problem:
    return Problem(
        404,
        "no-such-product",
        f"Expected the id of a product. Received {item_id}, which none has. Look it up by barcode "
        "or search.",
    )


def _no_barcode(barcode: str) -> Problem:
    return Problem(
        404,
        "no-barcode",
        f"Expected a barcode of 8, 12 or 13 digits with a right check digit. Received "
        f"{shown(barcode)}. Scan it again.",
    )
