"""What a stand-in site is made of: a visit comes in, a draft of an answer goes out; no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from promolens_catalog.chains import Chain
from promolens_demo.shops.modes import Modes
from promolens_demo.shops.rows import Row
from promolens_demo.shops.shop import Shop
from promolens_demo.shops.view import Bounds, View


@dataclass(frozen=True)
class Visit:
    """One request as a site sees it.

    Attributes:
        home: `http://127.0.0.1:PORT` as the visitor wrote it.
        query, form: first value of each name; a form only where it was sent url-encoded.
        new_session: what names the visitor from now on, if nothing does yet.
        modes: what is switched on for this request, the shop's own included.
    """

    shop: Shop
    method: str
    home: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    cookies: Mapping[str, str]
    new_session: str
    modes: Modes

    def value(self, name: str) -> str:
        """Return a value of the form, else of the query, else `""`."""
        return self.form.get(name) or self.query.get(name) or ""

    def number(self, name: str, otherwise: int, most: int = 100_000) -> int:
        """Return a whole number from 1 to `most`; `otherwise` where none is given."""
        text = self.value(name)
        plain = text.isascii() and text.isdigit() and len(text) < 10
        return min(max(1, int(text)), most) if plain else otherwise

    def view(self, key: str, rows: list[Row], page: int, bounds: Bounds) -> View:
        """Return one page of a list, bent by what is switched on."""
        return self.shop.view(key, rows, page, bounds, self.modes)


@dataclass(frozen=True)
class Draft:
    """An answer before hostile modes and HTTP get hold of it.

    Attributes:
        headers: further headers.
        location: where a redirect leads; `""` for none.
    """

    text: str
    media_type: str = "text/html"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    location: str = ""


Handler = Callable[[Visit], Draft]


@dataclass(frozen=True)
class Page:
    """What answers at one path.

    Attributes:
        kind: `document`, `list` or `asset`, as the access log tells them apart.
    """

    handler: Handler
    kind: str


@dataclass(frozen=True)
class StandIn:
    """One chain's site.

    Attributes:
        start: path and query of the page that a person opens first.
        pages: path -> what answers there.
        robots: the real shop's rules; `None` where the real one answers 404.
        list_selector: CSS of the elements that hold the rows; mode `stale` renders them anew.
        drift: the site's words -> what mode `drift` writes instead.
    """

    chain: Chain
    start: str
    pages: Mapping[str, Page]
    robots: str | None
    list_selector: str
    drift: Mapping[str, str]
