"""The frame around every stand-in page: head, ribbon, banner and foot."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from promolens_demo.shops.site import Visit


@dataclass(frozen=True)
class Look:
    """What tells the shops apart; colours and words are invented.

    Attributes:
        banner: what the page says in large letters.
        links: (text, address) of the navigation.
        styles, scripts: addresses of the page's own files.
    """

    banner: str
    links: tuple[tuple[str, str], ...]
    styles: tuple[str, ...]
    scripts: tuple[str, ...] = ()


def marked(chosen: bool, name: str = "on") -> str:
    """Return a class attribute for the link that is chosen, with a blank before it."""
    return f' class="{name}"' if chosen else ""


def document(visit: Visit, look: Look, body: str, title: str = "행사 상품") -> str:
    """Return a whole page."""
    shop = visit.shop
    name = escape(shop.name_en)
    styles = "\n".join(
        f'<link rel="stylesheet" type="text/css" href="{path}" media="all" />'
        for path in ("/css/standin.css", *look.styles)
    )
    scripts = "\n".join(
        f'<script type="text/javascript" src="{path}"></script>'
        for path in ("/js/standin.js", *look.scripts)
    )
    links = "".join(f'<a href="{escape(to)}">{escape(text)}</a>' for text, to in look.links)
    year, month = shop.month.split("-")
    return f"""<!DOCTYPE html>
<html lang="ko">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<link rel="icon" href="data:," />
<title>{escape(title)} · stand-in of {name}</title>
{styles}
{scripts}
</head>
<body class="shop-{shop.chain}">
<p class="standin-ribbon">연습용 가게 · stand-in of {name} · 모든 상품은 지어낸 것입니다</p>
<header class="standin-head">
<h1>{escape(look.banner)}</h1>
<p>{year}년 {int(month)}월 행사 상품</p>
<nav>{links}</nav>
</header>
<main>
{body}
</main>
<footer class="standin-foot">promolens demo-shops · invented products, drawn pictures</footer>
</body>
</html>
"""
