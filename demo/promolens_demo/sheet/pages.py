"""The pages as HTML: an overview, one product a screen, its barcode, and sheets of paper."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from promolens_demo.catalogue import Product

_HEAD = """<!DOCTYPE html>
<html lang="ko">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/sheet.css">
<script src="/sheet.js" defer></script>
<title>{title}</title>
</head>
"""


def overview(
    products: Sequence[Product], newcomers: Sequence[Product], app: str, note: str | None
) -> str:
    """Return the first page.

    Args:
        newcomers: products that only a gallery names, under a heading of their own.
        app: the app's address as the phone opens it; its code is at `/qr.svg`.
        note: what does not fit between the products and the bundle, said at the top.
    """
    said = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"""{_HEAD.format(title="비춰 볼 상품 · Products to scan")}<body class="overview">
<header>
<div class="words">
<h1>휴대폰으로 비춰 보세요</h1>
<p lang="en" class="en">Invented products to hold a phone's camera to</p>
<ol>
<li>휴대폰으로 옆의 코드를 찍어 앱을 엽니다.
<span lang="en" class="en">Scan the code with the phone: the app opens.</span></li>
<li>아래 상품을 하나 골라 화면에 크게 띄웁니다.
<span lang="en" class="en">Choose a product below: it fills this screen.</span></li>
<li>앱의 카메라를 화면에 댑니다.
<span lang="en" class="en">Point the app's camera at this screen.</span></li>
</ol>
<p class="links"><a href="/print">종이에 인쇄
<span lang="en" class="en">Print on paper</span></a></p>
</div>
<figure><img src="/qr.svg" alt="QR: {escape(app)}" width="220" height="220">
<figcaption>{escape(app)}</figcaption></figure>
</header>
{said}
<main>
{_grid(products)}
{_of_gallery(newcomers)}</main>
<footer>모든 상표와 상품은 지어낸 것입니다.
<span lang="en" class="en">All brands and products are invented.</span></footer>
</body>
</html>
"""


def one(products: Sequence[Product], place: int, *, barcode: bool) -> str:
    """Return the page of `products[place]`: its front alone, or its barcode alone.

    Never both: the app reads barcodes too, and one would not know which of them it took.
    """
    product = products[place]
    kind = "barcode" if barcode else "product"
    around = {
        "prev": products[place - 1],
        "next": products[(place + 1) % len(products)],
    }
    prev, following = (
        f'<a rel="{rel}" href="/{kind}/{escape(other.item_id)}" aria-label="{label}">{sign}</a>'
        for (rel, other), label, sign in zip(
            around.items(), ("앞 상품 Previous", "다음 상품 Next"), ("‹", "›"), strict=True
        )
    )
    shown = (
        f'<img class="bars" src="/bars/{product.barcode}.svg" alt="{product.barcode}">'
        if barcode
        else f'<img class="front" src="/picture/{escape(product.item_id)}.png" '
        f'alt="{escape(product.name_ko)}">'
    )
    other, words, english = (
        ("product", "앞면", "Front") if barcode else ("barcode", "바코드", "Barcode")
    )
    return f"""{_HEAD.format(title=escape(product.name_ko))}<body class="one">
{prev}
<main>{shown}</main>
{following}
<footer>
<a href="/">모두 <span lang="en" class="en">All</span></a>
<p>{escape(product.name_ko)} <span lang="en" class="en">{escape(product.name_en)}</span>
<small>{place + 1} / {len(products)}</small></p>
<a rel="alternate" href="/{other}/{escape(product.item_id)}">{words}
<span lang="en" class="en">{english}</span></a>
</footer>
</body>
</html>
"""


def paper(products: Sequence[Product]) -> str:
    """Return all products for printing, four a sheet of A4, each with its barcode."""
    cells = "\n".join(
        f"<li>{_picture(product)}<h2>{escape(product.name_ko)}</h2>"
        f'<p lang="en">{escape(product.name_en)}</p>'
        f'<img class="bars" src="/bars/{product.barcode}.svg" alt="{product.barcode}"></li>'
        for product in products
    )
    return f"""{_HEAD.format(title="인쇄 · Print")}<body class="paper">
<p class="links screen"><a href="/">모두 <span lang="en" class="en">All</span></a>
<button type="button" id="print">인쇄 <span lang="en" class="en">Print</span></button></p>
<ul>
{cells}
</ul>
</body>
</html>
"""


def _of_gallery(newcomers: Sequence[Product]) -> str:
    if not newcomers:
        return ""
    return f"""<section class="newcomers">
<h2>갤러리가 알아보는 상품: 학습한 적이 없어요</h2>
<p lang="en" class="en">Named by the gallery: never trained, known from one picture each</p>
{_grid(newcomers)}
</section>
"""


def _grid(products: Sequence[Product]) -> str:
    cards = "\n".join(_card(product) for product in products)
    return f'<ul class="grid">\n{cards}\n</ul>'


def _card(product: Product) -> str:
    return (
        f'<li><a href="/product/{escape(product.item_id)}">{_picture(product)}'
        f'<b>{escape(product.name_ko)}</b><span lang="en" class="en">{escape(product.name_en)}'
        "</span></a></li>"
    )


def _picture(product: Product) -> str:
    return (
        f'<img src="/picture/{escape(product.item_id)}.png" alt="" width="600" height="600" '
        'loading="lazy">'
    )
