"""Pages that are not what they should be: charsets, shells, robots pages, drift, costly markup."""

from __future__ import annotations

import json
import time

import pytest

from promolens_catalog.chains import Chain
from promolens_crawler.errors import BotPageError, CrawlError, PageDriftError, SourceGoneError
from promolens_crawler.sites import SITES
from promolens_crawler.sites.decoding import text_of
from promolens_crawler.sites.markup import tree_of
from promolens_crawler.transports.rendered import rendered_page
from site_pages import GOLDENS, HTML, SAVED, Saved, answer, read, read_saved

BOT = (GOLDENS / "any" / "bot.html").read_bytes()
SHELL = (GOLDENS / "any" / "shell.html").read_bytes()
# What each chain's reader holds on to, and what a redesign might write there.
REDESIGNS = {
    Chain.CU: [
        ("prodListWrap", "goodsWrap"),
        ('class="name"', 'class="title"'),
        ('class="price"', 'class="won_price"'),
        ('class="badge"', 'class="ribbon"'),
    ],
    Chain.SEVEN: [
        ("infowrap", "info"),
        ("class='name'", "class='title'"),
        ("class='price'", "class='cost'"),
    ],
    Chain.EMART24: [
        ("itemWrap", "goodsWrap"),
        ("itemtitle", "goodsTitle"),
        ("itemTit", "goodsTit"),
        ('class="price"', 'class="cost"'),
    ],
    Chain.CSPACE: [
        ("product-list", "goods-list"),
        ("<dl>", "<div>"),
        ("<dt>", "<p>"),
        ("<dd>", "<p>"),
    ],
}
PAGES = [
    one for one in SAVED if not one.rendered and one.path.stem in ("first", "last", "more", "plus1")
]
HTML_PAGES = [one for one in PAGES if one.file.endswith(".html")]


def fails(saved: Saved, body: bytes | str) -> CrawlError:
    with pytest.raises(CrawlError) as caught:
        read_saved(saved, body.encode() if isinstance(body, str) else body)
    return caught.value


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html;charset=UTF-8", "물 4,800원".encode()),
        ("text/html; charset=utf8", "물 4,800원".encode()),
        ("text/html", "물 4,800원".encode()),
        ("", "물 4,800원".encode()),
        ("text/html", "\ufeff물 4,800원".encode()),
        ('text/html; charset="EUC-KR"', "물 4,800원".encode("euc-kr")),
        ("text/html; charset=MS949", "물 4,800원".encode("cp949")),
        ("text/html; charset=euc-kr", b"no hangul at all"),
    ],
)
def test_text_is_decoded_as_declared(content_type: str, body: bytes) -> None:
    text = text_of(answer(Chain.CU, body, content_type=content_type))
    assert text in ("물 4,800원", "no hangul at all")


def test_a_meta_charset_counts_where_the_header_names_none() -> None:
    page = '<html><head><META http-equiv="x" content="text/html; charset=euc-kr"></head>물'
    assert text_of(answer(Chain.CU, page.encode("euc-kr"), content_type="text/html")) == page


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html; charset=EUC-KR", "새벽)안개숲보리차".encode()),  # UTF-8 all the same
        ("text/html; charset=UTF-8", "새벽)안개숲보리차".encode("euc-kr")),
        ("text/html", "새벽)안개숲보리차".encode("euc-kr")),
        ("text/html; charset=UTF-8", "새벽".encode() + b"\xff"),
        ("text/html; charset=UTF-8", b"\xed\xa0\xbd"),  # a lone surrogate
        ("text/html; charset=UTF-8", "새벽".encode()[:-1]),
        ("text/html; charset=ISO-8859-1", "새벽".encode()),
        ("text/html; charset=utf-16", "새벽".encode("utf-16")),
        ("text/html; charset=rot13", b"abc"),
        ("text/html; charset=" + "x" * 5_000, b"abc"),
    ],
)
def test_a_wrong_charset_is_noticed(content_type: str, body: bytes) -> None:
    with pytest.raises(PageDriftError, match="Expected"):
        text_of(answer(Chain.CU, body, content_type=content_type))


def test_utf8_that_happens_to_be_euc_kr_is_noticed() -> None:
    # Six bytes of UTF-8 that are three characters of CP949 too.
    body = "각아".encode()
    assert len(body.decode("cp949")) == 3
    with pytest.raises(PageDriftError, match="Received UTF-8"):
        text_of(answer(Chain.CU, body, content_type="text/html; charset=euc-kr"))


def test_text_that_a_browser_decoded_wrongly_is_noticed() -> None:
    name = "새벽)안개숲보리차".encode("euc-kr").decode("utf-8", "replace")
    body = rendered_page([f"<li>{name}</li>"])
    with pytest.raises(PageDriftError, match="replaced characters"):
        text_of(answer(Chain.CU, body, rendered=True))
    one = rendered_page(["<li>콜\ud83d라</li>"])
    assert "콜\ufffd라" in text_of(answer(Chain.CU, one, rendered=True))


@pytest.mark.parametrize("status", [204, 302, 403, 500, 503])
def test_other_statuses_are_no_pages(status: int) -> None:
    with pytest.raises(PageDriftError, match=f"Received {status}"):
        text_of(answer(Chain.CU, b"", status=status))


@pytest.mark.parametrize("one", PAGES, ids=str)
def test_empty_pages_are_no_empty_lists(one: Saved) -> None:
    for body in (b"", b"   \n", b"<html><body></body></html>", b"{}", b"[]", b"null", b'"x"'):
        assert isinstance(fails(one, body), PageDriftError)


@pytest.mark.parametrize("one", PAGES, ids=str)
def test_a_page_for_robots_stops_the_crawl(one: Saved) -> None:
    if one.chain is not Chain.MINISTOP:
        assert isinstance(fails(one, BOT), BotPageError)


@pytest.mark.parametrize("one", PAGES, ids=str)
def test_the_shell_of_another_application_means_that_the_source_is_gone(one: Saved) -> None:
    if one.chain is not Chain.MINISTOP:
        assert isinstance(fails(one, SHELL), SourceGoneError)


def test_goods_against_the_sun_are_no_page_for_robots() -> None:
    saved = next(one for one in SAVED if str(one) == "cu/last.html")
    body = saved.path.read_text("utf-8").replace("안개숲보리차P500", "자외선차단크림")
    assert read_saved(saved, body.encode()).cards[0].name == "새벽)자외선차단크림"


def test_rows_that_nobody_rendered_are_no_shell() -> None:
    body = rendered_page([], ["<script>var intTotalCount = '23';</script>"])
    for chain in SITES:
        listing = SITES[chain].listings[0]
        with pytest.raises(PageDriftError):
            read(chain, answer(chain, body, rendered=True), listing)


def test_a_redirect_of_gs25_to_its_company_means_that_the_source_is_gone() -> None:
    saved = next(one for one in SAVED if str(one) == "gs25/first.json")
    moved = answer(Chain.GS25, saved.path.read_bytes(), url="https://www.gsretail.com/brand/gs25")
    with pytest.raises(SourceGoneError, match=r"www\.gsretail\.com"):
        read(Chain.GS25, moved, SITES[Chain.GS25].listings[0])


@pytest.mark.parametrize("one", HTML_PAGES, ids=str)
def test_renamed_classes_are_drift_and_no_empty_list(one: Saved) -> None:
    body = one.path.read_text("utf-8")
    for old, new in REDESIGNS[one.chain]:
        assert old in body
        assert isinstance(fails(one, body.replace(old, new)), PageDriftError), old


def test_renamed_fields_of_json_are_drift() -> None:
    saved = next(one for one in SAVED if str(one) == "gs25/first.json")
    body = saved.path.read_text("utf-8")
    for field in ("results", "pagination", "goodsNm", "price", "eventTypeSp", "eventTypeNm"):
        changed = body.replace(f'\\"{field}\\"', f'\\"new_{field}\\"')
        assert changed != body
        assert isinstance(fails(saved, changed), PageDriftError), field


def test_json_that_was_decoded_once_already_is_read_the_same() -> None:
    saved = next(one for one in SAVED if str(one) == "gs25/first.json")
    once = json.loads(saved.path.read_text("utf-8"))
    assert read_saved(saved, once.encode("utf-8")) == read_saved(saved)


@pytest.mark.parametrize(
    "body",
    [
        "{" * 100_000,
        "[" * 100_000,
        '{"results": [1, null, "x", {}], "pagination": {}}',
        '{"results": {}, "pagination": {}}',
        '{"results": [], "pagination": []}',
        '"\\"\\""',
        '{"results": [{"price": ' + "9" * 5_000 + "}]}",
        "NaN",
    ],
)
def test_hostile_json_is_drift(body: str) -> None:
    saved = next(one for one in SAVED if str(one) == "gs25/first.json")
    assert isinstance(fails(saved, body), PageDriftError)


def test_odd_values_in_json_are_problems() -> None:
    saved = next(one for one in SAVED if str(one) == "gs25/first.json")
    data = json.loads(json.loads(saved.path.read_text("utf-8")))
    prices = [True, None, [], {}, float("nan"), float("inf"), 1e16, -5, 4900.5]
    for row, price in zip(data["results"], prices, strict=True):
        row["price"] = price
    data["pagination"]["totalNumberOfResults"] = True
    page = read_saved(saved, json.dumps(data).encode())
    assert page.cards == ()
    assert page.declared_total is None
    wrong = [problem.code for problem in page.problems]
    assert wrong.count("price-unreadable") == page.cards_seen == 9
    assert "total-missing" in wrong


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 100_000,
        "<div></x>" * 50_000,
        "<ul><li>" * 50_000,
        # Formatting that is left open is made anew in each later block.
        "<div>" + "".join(f"<b id={n}>" for n in range(2_000)) + "</div>" + "<div>x</div>" * 5_000,
        "<div>" + "".join(f'<b x=">" id={n}>' for n in range(2_000)) + "</div><p>x" * 5_000,
        "<div>" + "".join(f"<b {' ' * 600} id={n}>" for n in range(2_000)) + "</div><p>x" * 5_000,
    ],
)
def test_markup_that_would_cost_minutes_is_refused_at_once(text: str) -> None:
    began_s = time.process_time()
    with pytest.raises(PageDriftError, match="at most"):
        tree_of(text)
    assert time.process_time() - began_s < 5


def test_large_honest_pages_are_not_refused() -> None:
    saved = next(one for one in SAVED if str(one) == "seven/more.html")
    body = saved.path.read_text("utf-8")
    start, end = body.index("<li>\n\t"), body.index('<li class="btn_more"')
    many = body[:start] + body[start:end] * 70 + body[end:]
    assert read_saved(saved, many.encode()).cards_seen == 7 * 70


def test_the_content_type_may_be_anything() -> None:
    for given in ("", ";;;", "text/html; charset", "\x00\xff", "a" * 10_000, HTML * 3):
        try:
            text_of(answer(Chain.CU, b"abc", content_type=given))
        except CrawlError:
            continue
