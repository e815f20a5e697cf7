"""HTTP for the sheet: every address is looked up in a table, none becomes a path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from promolens_demo.catalogue import Product
from promolens_demo.sheet.barcode_svg import ean13_svg
from promolens_demo.sheet.pages import one, overview, paper
from promolens_demo.sheet.pictures import SheetPictures
from promolens_demo.sheet.qr import qr_svg

_STATIC = Path(__file__).parent / "static"
_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_SVG = "image/svg+xml"


@dataclass(frozen=True)
class Shown:
    """What the sheet shows.

    Attributes:
        products: at least one.
        app: the app's address as the phone opens it.
        note: what to say at the top, or `None`.
        newcomers: further ones, which only a gallery names.
    """

    products: Sequence[Product]
    app: str
    note: str | None = None
    newcomers: Sequence[Product] = ()


def sheet_app(shown: Shown, pictures: SheetPictures) -> Starlette:
    """Return the application that serves the sheet."""
    products = (*shown.products, *shown.newcomers)
    places = {product.item_id: place for place, product in enumerate(products)}
    codes = {product.barcode for product in products}
    first = overview(shown.products, shown.newcomers, shown.app, shown.note)

    def page(*, barcode: bool) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            place = places.get(request.path_params["item_id"])
            return _missing() if place is None else _html(one(products, place, barcode=barcode))

        return answer

    def picture(request: Request) -> Response:
        place = places.get(request.path_params["item_id"])
        return _missing() if place is None else _data(pictures.png(products[place]), "image/png")

    def bars(request: Request) -> Response:
        code = request.path_params["code"]
        return _data(ean13_svg(code), _SVG) if code in codes else _missing()

    return Starlette(
        routes=[
            Route("/", lambda _: _html(first)),
            Route("/product/{item_id}", page(barcode=False)),
            Route("/barcode/{item_id}", page(barcode=True)),
            Route("/print", lambda _: _html(paper(products))),
            Route("/picture/{item_id}.png", picture),
            Route("/bars/{code}.svg", bars),
            Route("/qr.svg", lambda _: _data(qr_svg(shown.app), _SVG)),
            Route("/sheet.css", lambda _: _data(_static("sheet.css"), "text/css")),
            Route("/sheet.js", lambda _: _data(_static("sheet.js"), "text/javascript")),
        ]
    )


def _static(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


def _html(text: str) -> Response:
    return HTMLResponse(text, headers=_HEADERS)


def _data(data: bytes, media_type: str) -> Response:
    return Response(data, media_type=media_type, headers=_HEADERS)


def _missing() -> Response:
    return PlainTextResponse("404: no such product. Begin at /", status_code=404, headers=_HEADERS)
