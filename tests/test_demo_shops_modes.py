"""Every hostile mode as a visitor meets it, over real HTTP."""

from __future__ import annotations

import json
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from promolens_catalog.chains import Chain
from promolens_demo.shops.assortment import SHOPS
from promolens_demo.shops.modes import MODES, End, modes_of, parse_modes
from promolens_demo.shops.running import Shops
from promolens_demo.shops.view import fixed, middle_page, pages_of
from promolens_runtime.errors import InputError
from shops_readers import (
    CSPACE_CATEGORIES,
    READERS,
    TIMEOUT_S,
    Seen,
    cspace_cards,
    cspace_page,
    cspace_pages,
    cu_cards,
    cu_page,
    emart24_cards,
    emart24_page,
    emart24_total,
    gs25_answer,
    gs25_cards,
    gs25_page,
    gs25_session,
    post,
    seven_cards,
    seven_more,
    seven_opening,
    seven_total,
)
from shops_support import open_shops

# 330 rows: more than one page of every chain's 1+1 and 2+1 lists at the sizes used here.
N_ROWS = 330


@pytest.fixture(scope="module")
def opened() -> Iterator[Shops]:
    with open_shops(n_rows=N_ROWS) as shops:
        yield shops


@pytest.fixture
def shops(opened: Shops) -> Iterator[Shops]:
    yield opened
    for chain in SHOPS:
        opened.set_modes(chain, "")


def first_list(home: str, chain: Chain, page: int = 1) -> requests.Response:
    """Ask for one page of each chain's list, in whatever way the chain wants."""
    if chain is Chain.CU:
        return cu_page(home, page)
    if chain is Chain.GS25:
        return gs25_page(home, *gs25_session(home), "TOTAL", page)
    if chain is Chain.SEVEN:
        return seven_more(home, "2", page)
    if chain is Chain.EMART24:
        return requests.get(f"{home}/goods/event?page={page}", timeout=TIMEOUT_S)
    return requests.get(f"{home}/service/product.html?cpage={page}", timeout=TIMEOUT_S)


def cards_of(chain: Chain, response: requests.Response) -> list[Seen]:
    if chain is Chain.GS25:
        return gs25_cards(gs25_answer(response))
    readers: dict[Chain, Callable[[str], list[Seen]]] = {
        Chain.CU: cu_cards,
        Chain.SEVEN: seven_cards,
        Chain.EMART24: emart24_cards,
        Chain.CSPACE: cspace_cards,
    }
    return readers[chain](response.content.decode())


def names_of(chain: Chain, home: str) -> list[str]:
    return [card.name for card in READERS[chain](home)]


# How modes are switched


@pytest.mark.parametrize("chain", SHOPS)
def test_a_mode_of_one_request_is_no_mode_of_the_next(shops: Shops, chain: Chain) -> None:
    start = shops.start_page(chain)
    mark = "&" if "?" in start else "?"
    by_query = requests.get(f"{start}{mark}standin=bot", timeout=TIMEOUT_S)
    by_header = requests.get(start, headers={"X-Standin-Mode": "bot"}, timeout=TIMEOUT_S)
    plain = requests.get(start, timeout=TIMEOUT_S)
    assert "검색 로봇" in by_query.text
    assert by_header.text == by_query.text
    assert "검색 로봇" not in plain.text


def test_several_modes_at_once(shops: Shops) -> None:
    shops.set_modes(Chain.CU, "slow:0.2")
    start = time.monotonic()
    answer = requests.get(
        shops.home(Chain.CU) + "/event/plusAjax.do",
        headers={"X-Standin-Mode": "price,badge"},
        timeout=TIMEOUT_S,
    )
    assert time.monotonic() - start >= 0.2
    assert len(cu_cards(answer.text)) == 40
    middle = post(
        shops.home(Chain.CU),
        "/event/plusAjax.do",
        {"pageIndex": "5"},
        headers={"X-Standin-Mode": "price,badge"},
    )
    assert (cu_cards(middle.text)[0].price, cu_cards(middle.text)[0].badge) == ("가격문의", "4+1")


@pytest.mark.parametrize(
    "words",
    [
        "nonsense",
        "drop:1",
        "slow:-1",
        "slow:nan",
        "slow:x",
        "slow:1e9",
        "드롭",
        "price:",
        "drop@",
        "drop@-1",
        "@3",
    ],
)
def test_a_wrong_mode_is_refused_in_one_line(shops: Shops, words: str) -> None:
    with pytest.raises(InputError, match=r"^Expected [^\n]+$"):
        shops.set_modes(Chain.CU, words)
    answer = requests.get(
        f"{shops.home(Chain.CU)}/event/plus.do", params={"standin": words}, timeout=TIMEOUT_S
    )
    assert answer.status_code == 400
    assert answer.text.startswith("Expected ")


@pytest.mark.parametrize("chain", [Chain.CU, Chain.CSPACE])
def test_a_chain_without_a_total_cannot_change_it(chain: Chain) -> None:
    with pytest.raises(InputError, match="declares no total"):
        parse_modes("total", chain)
    assert MODES["total"] not in modes_of(chain)
    assert MODES["total"] in modes_of(Chain.GS25)


def test_numbers_have_defaults_and_can_be_given() -> None:
    modes = parse_modes("slow, gzip-bomb:5,drop", Chain.CU)
    assert dict(modes.numbers) == {"slow": 10, "gzip-bomb": 5, "drop": 0}
    assert dict(parse_modes("", Chain.CU).numbers) == {}


def test_a_mode_can_begin_in_the_middle_of_a_crawl(shops: Shops) -> None:
    home = shops.home(Chain.CU)
    shops.set_modes(Chain.CU, "bot@3,price")
    for page in range(1, 4):
        assert len(cu_cards(cu_page(home, page).text)) == 40
        requests.get(f"{home}/css/cu.css", timeout=TIMEOUT_S)
    assert "검색 로봇" in cu_page(home, 4).text
    assert "검색 로봇" in cu_page(home, 1).text
    shops.set_modes(Chain.CU, "gone@1")
    assert len(cu_cards(cu_page(home, 1).text)) == 40
    assert cu_page(home, 2).url.endswith("/brand/cu")


def test_the_page_in_the_docs_lists_the_modes() -> None:
    page = (Path(__file__).parent.parent / "docs" / "demo-shops.md").read_text("utf-8")
    rows = dict(re.findall(r"(?m)^\| `([a-z0-9-]+)(?::[\d.]+)?` \| (.+) \|$", page))
    assert list(rows) == list(MODES)
    for mode in MODES.values():
        cells = rows[mode.name].split(" | ")
        assert cells[0].startswith(mode.summary)
        assert cells[1] == mode.end.value


def test_every_mode_says_how_a_crawl_must_end() -> None:
    for mode in MODES.values():
        assert mode.summary
        assert bool(mode.reason) == (mode.end is not End.FULL)


# Modes that a crawl survives


@pytest.mark.parametrize("chain", SHOPS)
def test_503_fails_once_and_then_works(shops: Shops, chain: Chain) -> None:
    shops.set_modes(chain, "503")
    start = shops.start_page(chain)
    statuses = [requests.get(start, timeout=TIMEOUT_S).status_code for _ in range(3)]
    assert statuses == [503, 200, 200]
    mark = "&" if "?" in start else "?"
    new = [requests.get(f"{start}{mark}n={n}", timeout=TIMEOUT_S) for n in range(4)]
    assert [answer.status_code for answer in new] == [200, 200, 200, 503]
    assert new[3].headers["retry-after"] == "1"
    assert requests.get(f"{start}{mark}n=3", timeout=TIMEOUT_S).status_code == 200


def test_slow_delays_lists_and_documents_but_no_pictures(shops: Shops) -> None:
    shops.set_modes(Chain.EMART24, "slow:0.4")
    home = shops.home(Chain.EMART24)
    durations: dict[str, list[float]] = {}
    for path in ("/goods/event", "/css/emart24.css", "/robots.txt") * 3:
        start = time.monotonic()
        assert requests.get(home + path, timeout=TIMEOUT_S).status_code == 200
        durations.setdefault(path, []).append(time.monotonic() - start)
    assert min(durations["/goods/event"]) >= 0.4
    assert min(durations["/css/emart24.css"]) < 0.4


@pytest.mark.parametrize("chain", SHOPS)
def test_malformed_pages_hold_the_same_rows_for_a_tolerant_reader(
    shops: Shops, chain: Chain
) -> None:
    home = shops.home(chain)
    expected = [] if chain is Chain.GS25 else names_of(chain, home)
    shops.set_modes(chain, "malformed")
    if chain is Chain.GS25:
        with pytest.raises(json.JSONDecodeError):
            names_of(chain, home)
        return
    assert "</li>" not in first_list(home, chain).text
    assert names_of(chain, home) == expected


def test_alerts_and_stale_lists_are_scripts_of_the_document(shops: Shops) -> None:
    for chain in SHOPS:
        shops.set_modes(chain, "alert,stale")
        text = requests.get(shops.start_page(chain), timeout=TIMEOUT_S).text
        assert text.count("alert(") == 2
        assert "list.innerHTML = list.innerHTML" in text


# Modes that break an answer


@pytest.mark.parametrize("chain", SHOPS)
def test_drop_breaks_the_connection_in_mid_body(shops: Shops, chain: Chain) -> None:
    with pytest.raises(
        (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)
    ):
        requests.get(shops.start_page(chain), headers={"X-Standin-Mode": "drop"}, timeout=TIMEOUT_S)
    shops.set_modes(chain, "drop")
    with pytest.raises(requests.exceptions.RequestException):
        first_list(shops.home(chain), chain)


def test_a_dropped_body_is_half_a_body(shops: Shops) -> None:
    home = shops.home(Chain.CU)
    whole = cu_page(home, 1).content
    with requests.post(
        f"{home}/event/plusAjax.do", headers={"X-Standin-Mode": "drop"}, stream=True, timeout=9
    ) as answer:
        assert int(answer.headers["content-length"]) == len(whole)
        assert answer.raw.read(len(whole) // 2) == whole[: len(whole) // 2]


@pytest.mark.parametrize("chain", SHOPS)
def test_euc_kr_is_declared_and_not_true(shops: Shops, chain: Chain) -> None:
    shops.set_modes(chain, "euc-kr")
    answer = first_list(shops.home(chain), chain)
    assert answer.headers["content-type"].endswith("charset=EUC-KR")
    assert re.search("[가-힣]{3}", answer.content.decode())


@pytest.mark.parametrize("chain", SHOPS)
def test_wrong_charset_is_euc_kr_declared_as_utf_8(shops: Shops, chain: Chain) -> None:
    home = shops.home(chain)
    plain = first_list(home, chain).content.decode()
    shops.set_modes(chain, "wrong-charset")
    answer = requests.get(shops.start_page(chain), timeout=TIMEOUT_S)
    assert answer.headers["content-type"].endswith("charset=UTF-8")
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode()
    assert "행사" in answer.content.decode("cp949")
    assert plain


@pytest.mark.parametrize("chain", SHOPS)
def test_broken_utf8_is_in_one_name_only(shops: Shops, chain: Chain) -> None:
    home = shops.home(chain)
    shops.set_modes(chain, "broken-utf8")
    pages = [first_list(home, chain, page).content for page in range(1, 10)]
    broken = [page for page in pages if b"\xed\xa0\xbd\xff" in page]
    assert len(broken) == 1
    assert broken[0].count(b"\xed\xa0\xbd\xff") in (1, 2, 3)  # a card may say its name thrice
    with pytest.raises(UnicodeDecodeError):
        broken[0].decode()


@pytest.mark.parametrize("chain", SHOPS)
def test_gzip_bomb_is_small_on_the_wire(shops: Shops, chain: Chain) -> None:
    answer = requests.get(
        shops.start_page(chain),
        headers={"X-Standin-Mode": "gzip-bomb:32"},
        stream=True,
        timeout=TIMEOUT_S,
    )
    assert answer.headers["content-encoding"] == "gzip"
    packed = answer.raw.read(decode_content=False)
    assert len(packed) < 200_000
    unpacked = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(packed)
    assert len(unpacked) > 32 * 2**20
    assert b"stand-in of" in unpacked[:20_000]


def test_huge_bodies_are_as_long_as_asked_for(shops: Shops) -> None:
    answer = requests.get(
        f"{shops.home(Chain.EMART24)}/goods/event?standin=huge:3", timeout=TIMEOUT_S
    )
    assert 2_900_000 < len(answer.content) < 3_100_000
    assert len(emart24_cards(answer.content.decode())) == 20


def test_a_reader_may_leave_a_huge_body(shops: Shops) -> None:
    """The shop must notice, and be there for the next one."""
    home = shops.home(Chain.EMART24)
    with requests.get(f"{home}/goods/event?standin=huge", stream=True, timeout=9) as answer:
        assert len(answer.raw.read(100_000)) == 100_000
    start = time.monotonic()
    assert requests.get(f"{home}/goods/event", timeout=TIMEOUT_S).status_code == 200
    assert time.monotonic() - start < 15


def test_drip_sends_byte_by_byte(shops: Shops) -> None:
    home = shops.home(Chain.CU)
    start = time.monotonic()
    with requests.post(
        f"{home}/event/plusAjax.do", headers={"X-Standin-Mode": "drip:0.05"}, stream=True, timeout=9
    ) as answer:
        assert answer.raw.read(6) == b"\n" * 6
    assert time.monotonic() - start >= 5 * 0.05


@pytest.mark.parametrize("chain", SHOPS)
def test_redirects_can_have_no_end(shops: Shops, chain: Chain) -> None:
    with pytest.raises(requests.exceptions.TooManyRedirects):
        requests.get(
            shops.start_page(chain), headers={"X-Standin-Mode": "redirect-loop"}, timeout=TIMEOUT_S
        )


@pytest.mark.parametrize("chain", SHOPS)
def test_gone_leads_every_address_to_another_hosts_shell(shops: Shops, chain: Chain) -> None:
    shops.set_modes(chain, "gone")
    for path in ("/robots.txt", "/css/standin.css", "/event/plus.do", "/x"):
        answer = requests.get(shops.home(chain) + path, timeout=TIMEOUT_S)
        assert answer.status_code == 200
        assert answer.history[0].status_code == 302
        assert answer.url.startswith("http://localhost:")
        assert answer.url.endswith(f"/brand/{chain}")
        assert len(answer.content) < 1000
        assert '<div id="app"></div>' in answer.text


@pytest.mark.parametrize("chain", SHOPS)
def test_the_bot_page_has_status_200(shops: Shops, chain: Chain) -> None:
    shops.set_modes(chain, "bot")
    answer = requests.get(shops.start_page(chain), timeout=TIMEOUT_S)
    assert answer.status_code == 200
    assert "검색 로봇" in answer.text
    assert "차단" in answer.text


@pytest.mark.parametrize("chain", SHOPS)
def test_drift_hides_the_rows_from_who_knows_the_old_names(shops: Shops, chain: Chain) -> None:
    home = shops.home(chain)
    assert cards_of(chain, first_list(home, chain))
    page_rows = len(cards_of(chain, first_list(home, chain)))
    shops.set_modes(chain, "drift")
    answer = first_list(home, chain)
    if chain is Chain.GS25:
        assert "goodsTitle" in answer.text
        assert "results" not in gs25_answer(answer)
        return
    assert cards_of(chain, answer) == []
    assert answer.text.count("원") >= page_rows or chain is Chain.SEVEN


def test_robots_503(shops: Shops) -> None:
    shops.set_modes(Chain.GS25, "robots-503")
    home = shops.home(Chain.GS25)
    assert requests.get(f"{home}/robots.txt", timeout=TIMEOUT_S).status_code == 503
    assert requests.get(shops.start_page(Chain.GS25), timeout=TIMEOUT_S).status_code == 200


# Modes that bend the list


@pytest.mark.parametrize("chain", SHOPS)
def test_fewer_shows_forty_percent_and_says_so(shops: Shops, chain: Chain) -> None:
    shops.set_modes(chain, "fewer")
    names = names_of(chain, shops.home(chain))
    assert 0.38 < len(names) / N_ROWS < 0.43


@pytest.mark.parametrize("chain", SHOPS)
def test_empty_shows_no_rows_with_status_200(shops: Shops, chain: Chain) -> None:
    shops.set_modes(chain, "empty")
    assert names_of(chain, shops.home(chain)) == []


@pytest.mark.parametrize("chain", SHOPS)
def test_half_of_the_pages_are_missing_while_totals_stay(shops: Shops, chain: Chain) -> None:
    home = shops.home(chain)
    shops.set_modes(chain, "half")
    if chain is Chain.CU:
        assert len(names_of(chain, home)) == 4 * 40  # of nine pages, four are there
    elif chain is Chain.GS25:
        session = gs25_session(home)
        answers = [gs25_answer(gs25_page(home, *session, "TOTAL", page)) for page in range(1, 5)]
        assert [len(answer["results"]) for answer in answers] == [100, 100, 0, 0]
        assert {answer["pagination"]["totalNumberOfResults"] for answer in answers} == {N_ROWS}
    elif chain is Chain.SEVEN:
        total = seven_total(seven_opening(home, "2").text)
        shown = [len(seven_cards(seven_more(home, "2", page, 50).text)) for page in range(1, 7)]
        assert sum(shown) < 0.7 * total
        assert shown[-1] == 0
    elif chain is Chain.EMART24:
        text = emart24_page(home, 1)
        assert emart24_total(text) > N_ROWS
        pages = pages_of(emart24_total(text), fixed(20))
        shown = [len(emart24_cards(emart24_page(home, page))) for page in range(1, pages + 1)]
        assert shown == [20] * (pages // 2) + [0] * (pages - pages // 2)
    else:
        assert len(names_of(chain, home)) < 0.7 * N_ROWS


@pytest.mark.parametrize("chain", SHOPS)
@pytest.mark.parametrize(
    ("mode", "part", "wrong"), [("price", "price", "가격문의"), ("badge", "badge", "")]
)
def test_one_card_of_a_list_is_wrong(
    shops: Shops, chain: Chain, mode: str, part: str, wrong: str
) -> None:
    home = shops.home(chain)
    if chain is Chain.GS25:
        session = gs25_session(home)
        shops.set_modes(chain, mode)
        rows = [
            row
            for page in range(1, 5)
            for row in gs25_answer(gs25_page(home, *session, "TOTAL", page))["results"]
        ]
        key, value = ("price", "가격문의") if mode == "price" else ("eventTypeNm", "4+1")
        assert len(rows) == N_ROWS
        assert sum(row[key] == value for row in rows) == 1
        return
    before = list(READERS[chain](home))
    shops.set_modes(chain, mode)
    after = list(READERS[chain](home))
    assert len(before) == len(after)
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    n_lists = {Chain.CU: 1, Chain.SEVEN: 4, Chain.EMART24: 5, Chain.CSPACE: 3}[chain]
    assert len(changed) == n_lists
    known = {"price": wrong, "badge": "fourPlus" if chain is Chain.CSPACE else "4+1"}
    assert {getattr(card, part) for card in changed} == {known[mode]}


def pages_in_mode(home: str, chain: Chain, pages: range) -> list[list[str]]:
    return [[c.name for c in cards_of(chain, first_list(home, chain, page))] for page in pages]


@pytest.mark.parametrize("chain", SHOPS)
def test_endless_lists_have_new_rows_on_every_page(shops: Shops, chain: Chain) -> None:
    home = shops.home(chain)
    shops.set_modes(chain, "endless")
    far = pages_in_mode(home, chain, range(60, 63))
    sizes = {len(page) for page in far}
    assert len(sizes) == 1
    assert sizes.pop() >= 12
    # Names may be alike (CU cuts them); whole pages are not.
    assert len({tuple(page) for page in far}) == 3


def test_an_endless_pager_always_leads_on(shops: Shops) -> None:
    home, category = shops.home(Chain.CSPACE), CSPACE_CATEGORIES[0]
    shops.set_modes(Chain.CSPACE, "endless")
    assert [cspace_pages(cspace_page(home, category, page)) > page for page in (1, 40, 400)] == [
        True,
        True,
        True,
    ]


def test_an_endless_list_never_adds_up_to_its_total(shops: Shops) -> None:
    home = shops.home(Chain.EMART24)
    shops.set_modes(Chain.EMART24, "endless")
    total = emart24_total(emart24_page(home, 1))
    assert total % 10 == 7
    assert total > 2 * N_ROWS


@pytest.mark.parametrize("chain", SHOPS)
def test_a_repeated_page_shows_the_page_before(shops: Shops, chain: Chain) -> None:
    home = shops.home(chain)
    plain = pages_in_mode(home, chain, range(1, 12))
    shops.set_modes(chain, "repeated")
    repeated = pages_in_mode(home, chain, range(1, 12))
    differ = [n for n, (old, new) in enumerate(zip(plain, repeated, strict=True)) if old != new]
    assert len(differ) == 1
    assert repeated[differ[0]] == plain[differ[0] - 1][: len(repeated[differ[0]])]


def test_totals_change_after_the_first_page(shops: Shops) -> None:
    for chain in (Chain.GS25, Chain.EMART24):
        shops.set_modes(chain, "total")
    session = gs25_session(shops.home(Chain.GS25))
    totals = [
        gs25_answer(gs25_page(shops.home(Chain.GS25), *session, "TOTAL", page))["pagination"][
            "totalNumberOfResults"
        ]
        for page in (1, 2)
    ]
    assert totals == [N_ROWS, N_ROWS + 7]
    texts = [emart24_page(shops.home(Chain.EMART24), page) for page in (1, 2)]
    assert emart24_total(texts[0]) + 7 == emart24_total(texts[1])


def test_sevens_total_is_not_that_of_its_list(shops: Shops) -> None:
    """It stands on the opening page only; the list has changed when the crawl gets to it."""
    home = shops.home(Chain.SEVEN)
    plain = seven_total(seven_opening(home, "2").text)
    shops.set_modes(Chain.SEVEN, "total")
    assert seven_total(seven_opening(home, "2").text) == plain + 7
    assert sum(len(seven_cards(seven_more(home, "2", page, 500).text)) for page in (1, 2)) == plain


@pytest.mark.parametrize("chain", SHOPS)
def test_shifted_rows_come_twice_and_others_never(shops: Shops, chain: Chain) -> None:
    home = shops.home(chain)
    pages = range(
        1, {Chain.CU: 10, Chain.GS25: 5, Chain.SEVEN: 4, Chain.EMART24: 18}.get(chain, 15)
    )
    plain = Counter(name for page in pages_in_mode(home, chain, pages) for name in page)
    shops.set_modes(chain, "shift")
    first = pages_in_mode(home, chain, range(1, 2))
    shops.set_modes(chain, "shift")
    shifted_pages = pages_in_mode(home, chain, pages)
    shifted = Counter(name for page in shifted_pages for name in page)
    assert shifted_pages[0] == first[0]
    assert shifted.total() == plain.total()
    assert shifted - plain
    assert plain - shifted
    # Reading a page once more does not show the same rows either.
    assert pages_in_mode(home, chain, range(1, 2)) != first


@pytest.mark.parametrize("chain", [Chain.CU, Chain.SEVEN])
def test_duplicate_ids_are_other_products_under_one_number(shops: Shops, chain: Chain) -> None:
    home = shops.home(chain)
    shops.set_modes(chain, "duplicate-ids")
    cards = list(READERS[chain](home))
    names: dict[str | None, set[str]] = {}
    for card in cards:
        names.setdefault(card.site_id, set()).add(card.name)
    assert len(cards) == N_ROWS
    assert sum(len(spelled) > 1 for spelled in names.values()) > 10


@pytest.mark.parametrize("chain", SHOPS)
def test_a_pictures_address_can_try_to_climb(shops: Shops, chain: Chain) -> None:
    home = shops.home(chain)
    shops.set_modes(chain, "image-path")
    pages = [cards_of(chain, first_list(home, chain, page)) for page in range(1, 10)]
    tricky = [card.image for page in pages for card in page if "/../" in card.image]
    assert len(tricky) == 1
    assert "/etc/" in tricky[0]


@pytest.mark.parametrize("chain", SHOPS)
def test_names_can_hold_control_characters_and_lone_surrogates(shops: Shops, chain: Chain) -> None:
    home = shops.home(chain)
    shops.set_modes(chain, "names")
    texts = [first_list(home, chain, page).content.decode() for page in range(1, 10)]
    wrong = [text for text in texts if "\x0b" in text or r"\\u000b" in text]
    assert len(wrong) == 1
    if chain is Chain.GS25:
        names = [row["goodsNm"] for row in json.loads(json.loads(wrong[0]))["results"]]
        assert any("\ud83d" in name for name in names)
        assert any("\x0b" in name for name in names)
    else:
        assert re.search(r"\x0b&#xD83D;\x07", wrong[0])


@pytest.mark.parametrize(
    ("n_rows", "pages", "middle"), [(0, 0, 1), (1, 1, 1), (20, 1, 1), (21, 2, 2), (41, 3, 2)]
)
def test_pages_are_counted(n_rows: int, pages: int, middle: int) -> None:
    assert pages_of(n_rows, fixed(20)) == pages
    assert middle_page(pages) == middle
