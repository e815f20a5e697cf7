"""Shops that run: addresses, access log, admin address, robots.txt, pictures, the command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import IO

import pytest
import requests
from PIL import Image

from promolens_catalog.chains import Chain
from promolens_cli.main import main
from promolens_demo.catalogue import make_catalogue
from promolens_demo.shops.assortment import SHOPS
from promolens_demo.shops.image_paths import PLACEHOLDERS, image_path, nameless_path, number_of
from promolens_demo.shops.modes import MODES
from promolens_demo.shops.running import Shops
from promolens_demo.shops.settings import ShopSettings
from promolens_runtime.errors import InputError
from shops_readers import READERS, TIMEOUT_S
from shops_support import MONTH, open_shops

REPOSITORY = Path(__file__).parent.parent
PROGRAM = (sys.executable, "-m", "promolens_cli.main", "demo-shops")


@pytest.fixture(scope="module")
def opened() -> Iterator[Shops]:
    with open_shops() as shops:
        yield shops


@pytest.fixture
def shops(opened: Shops) -> Iterator[Shops]:
    opened.log.clear()
    yield opened
    for chain in SHOPS:
        opened.set_modes(chain, "")
    opened.set_month(MONTH)
    opened.set_robots("open")


# Addresses


def test_each_chain_has_a_port_of_its_own_on_loopback(shops: Shops) -> None:
    homes = [shops.home(chain) for chain in SHOPS]
    assert len(set(homes)) == len(SHOPS)
    assert all(home.startswith("http://127.0.0.1:") for home in homes)
    for chain in SHOPS:
        answer = requests.get(shops.home(chain), timeout=TIMEOUT_S)
        assert answer.url == shops.start_page(chain)
        assert f"stand-in of {shops.shops[chain].name_en}" in answer.text


def test_ports_are_free_again_after_closing() -> None:
    with open_shops(n_rows=12) as shops:
        ports = [int(shops.home(chain).rpartition(":")[2]) for chain in SHOPS]
    for port in ports:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", port))


def test_closing_does_not_wait_for_a_dripping_visitor() -> None:
    with open_shops(n_rows=12, modes={Chain.CU: "drip:1"}) as shops:
        answer = requests.get(shops.start_page(Chain.CU), stream=True, timeout=TIMEOUT_S)
        answer.raw.read(1)
        start = time.monotonic()
    assert time.monotonic() - start < 15
    answer.close()


def test_a_taken_port_is_refused_in_one_line() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(InputError, match=f"Expected port {port} of 127.0.0.1 to be free"):
            Shops(ShopSettings(month=MONTH, n_rows=12), first_port=port)


@pytest.mark.parametrize("port", [-1, 65532, 70000, 10**12])
def test_a_port_that_no_machine_has_is_not_called_taken(port: int) -> None:
    """Five shops from 65532 on would need port 65536."""
    with pytest.raises(InputError, match=r"of 1 to 65531: .* 1\.\.65535\. Received -?\d+\. Name"):
        Shops(ShopSettings(month=MONTH, n_rows=12), first_port=port)


def test_unknown_addresses_are_not_found_and_lead_to_no_file(shops: Shops) -> None:
    home = shops.home(Chain.SEVEN)
    for path in ("/x", "/upload/", "/css/../../settings.py", "/css/nothing.css", "/%2e%2e/x"):
        request = requests.Request("GET", home).prepare()
        request.url = home + path
        assert requests.Session().send(request, timeout=TIMEOUT_S).status_code == 404


def test_a_large_request_body_is_not_kept(shops: Shops) -> None:
    answer = requests.post(
        shops.home(Chain.CU) + "/event/plusAjax.do",
        data={"pageIndex": "2", "searchWord": "x" * 1_000_000},
        timeout=TIMEOUT_S,
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("page", ["0", "-1", "", "x", "9" * 400, "１", "1e3", "2 "])
def test_a_strange_page_number_is_no_crash(shops: Shops, page: str) -> None:
    for chain, name in (
        (Chain.CU, "pageIndex"),
        (Chain.EMART24, "page"),
        (Chain.CSPACE, "cpage"),
        (Chain.SEVEN, "intCurrPage"),
    ):
        start = shops.start_page(chain)
        if chain in (Chain.CU, Chain.SEVEN):
            lists = {Chain.CU: "/event/plusAjax.do", Chain.SEVEN: "/product/listMoreAjax.asp"}
            start = shops.home(chain) + lists[chain]
        answer = requests.get(start, params={name: page}, timeout=TIMEOUT_S)
        assert answer.status_code == 200


def test_a_visitors_words_come_back_escaped(shops: Shops) -> None:
    word = '"><script>x</script>'
    for chain in SHOPS:
        names = ("search", "category", "pTab", "searchCondition", "align", "category_seq")
        answer = requests.get(
            shops.start_page(chain), params=dict.fromkeys(names, word), timeout=TIMEOUT_S
        )
        assert answer.status_code == 200
        assert "<script>x" not in answer.text


# Truth and month


def test_the_truth_of_a_month_is_what_the_shop_shows_then(shops: Shops) -> None:
    november = {offer.name for offer in shops.truth(Chain.SEVEN)}
    shops.set_month("2026-12")
    december = {card.name for card in READERS[Chain.SEVEN](shops.home(Chain.SEVEN))}
    assert december == {offer.name for offer in shops.truth(Chain.SEVEN)} != november
    assert {offer.name for offer in shops.truth(Chain.SEVEN, MONTH)} == november
    days = {
        (offer.valid_from.isoformat(), offer.valid_until.isoformat())
        for offer in shops.truth(Chain.SEVEN)
    }
    assert days == {("2026-12-01", "2026-12-31")}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"month": "2026-00"}, "Expected a month"),
        ({"month": MONTH, "n_rows": 3}, "12 to 2328 products"),
        ({"month": MONTH, "robots": "strict"}, "open or real"),
        ({"month": MONTH, "modes": {Chain.CU: "x"}}, "Expected a mode"),
        ({"month": MONTH, "modes": {Chain.MINISTOP: "drop"}}, "no stand-in"),
        ({"month": MONTH, "pictures": Path("/nowhere")}, "folder catalogue/"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(settings: dict[str, object], line: str) -> None:
    with pytest.raises(InputError, match=line) as caught:
        ShopSettings(**settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


# Access log


def test_the_log_tells_what_was_asked_for_and_when(shops: Shops) -> None:
    before_s, before = time.monotonic(), datetime.now(UTC)
    offer = next(offer for offer in shops.truth(Chain.EMART24) if offer.image_url)
    for address in (
        shops.start_page(Chain.EMART24) + "?page=2",
        shops.home(Chain.EMART24) + "/css/standin.css",
        str(offer.image_url),
        shops.home(Chain.EMART24) + "/robots.txt",
        shops.home(Chain.EMART24) + "/nothing",
    ):
        requests.get(address, headers={"User-Agent": "한글 agent".encode()}, timeout=TIMEOUT_S)
    entries = shops.log.entries(Chain.EMART24)
    assert [(entry.kind, entry.status) for entry in entries] == [
        ("document", 200),
        ("asset", 200),
        ("image", 200),
        ("robots", 200),
        ("other", 404),
    ]
    assert entries[0].path == "/goods/event?page=2"
    assert entries[0].method == "GET"
    assert [entry.at_s for entry in entries] == sorted(entry.at_s for entry in entries)
    assert before_s <= entries[0].at_s <= time.monotonic()
    assert before <= entries[0].at_utc <= datetime.now(UTC)
    assert entries[0].at_utc.utcoffset() == timedelta(0)
    assert shops.log.entries(Chain.EMART24, "image", "robots") == [entries[2], entries[3]]
    assert shops.log.entries(Chain.CU) == []


def test_a_request_is_in_the_log_before_its_answer(shops: Shops) -> None:
    for count in range(1, 30):
        requests.get(shops.start_page(Chain.CSPACE), timeout=TIMEOUT_S)
        assert len(shops.log.entries(Chain.CSPACE, "document")) == count


def test_gaps_are_the_visitors_own(shops: Shops) -> None:
    """The time that the answer takes is no part of the visitor's patience."""
    shops.set_modes(Chain.CSPACE, "slow:0.2")
    for _ in range(3):
        requests.get(shops.start_page(Chain.CSPACE), timeout=TIMEOUT_S)
        time.sleep(0.1)
    gaps_s = shops.log.gaps_s(Chain.CSPACE, "document")
    assert len(gaps_s) == 2
    assert all(0.3 <= gap_s < 20 for gap_s in gaps_s)


def test_a_broken_answer_is_in_the_log_too(shops: Shops) -> None:
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(
            shops.start_page(Chain.CSPACE),
            headers={"X-Standin-Mode": "drop"},
            timeout=TIMEOUT_S,
        )
    assert [entry.kind for entry in shops.log.entries(Chain.CSPACE)] == ["document"]


def test_the_log_can_be_a_file_of_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for _ in range(2):
        with open_shops(n_rows=12, access_log=path) as shops:
            requests.get(shops.start_page(Chain.GS25), timeout=TIMEOUT_S)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [(line["chain"], line["kind"], line["status"]) for line in lines] == [
        ("gs25", "document", 200)
    ] * 2
    assert set(lines[0]) == {
        "at_s", "at_utc", "chain", "method", "path", "kind", "status", "user_agent",
    }  # fmt: skip
    assert datetime.fromisoformat(lines[0]["at_utc"]).tzinfo is not None


# Admin address


def test_another_process_can_switch_modes_and_month(shops: Shops) -> None:
    address = shops.home(Chain.GS25) + "/__standin/state"
    changed = requests.post(
        address,
        json={"modes": "slow:0.1,bot,drop@90", "month": "2026-12", "robots": "real"},
        timeout=TIMEOUT_S,
    )
    expected = {
        "month": "2026-12",
        "robots": "real",
        "modes": {"slow": 0.1, "bot": 0.0, "drop": 0.0},
        "after": {"drop": 90},
    }
    assert changed.json() == expected == requests.get(address, timeout=TIMEOUT_S).json()
    assert "검색 로봇" in requests.get(shops.start_page(Chain.GS25), timeout=TIMEOUT_S).text
    assert shops.shops[Chain.CU].month == MONTH


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"modes": "nonsense"}', "application/json", 400),
        (b'{"modes": 5}', "application/json", 400),
        (b'["modes"]', "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"month": "2026-99"}', "application/json", 400),
        (b'{"modes": "drop"}', "text/plain", 415),
    ],
)
def test_wrong_changes_are_refused(
    shops: Shops, body: bytes, content_type: str, status: int
) -> None:
    answer = requests.post(
        shops.home(Chain.CU) + "/__standin/state",
        data=body,
        headers={"Content-Type": content_type},
        timeout=TIMEOUT_S,
    )
    assert answer.status_code == status
    assert answer.json()["error"].startswith("Expected ")
    assert not shops.shops[Chain.CU].modes
    assert shops.shops[Chain.CU].month == MONTH


def test_a_name_that_only_looks_like_loopback_is_refused(shops: Shops) -> None:
    """A web page whose host name leads to 127.0.0.1 must not reach the switches."""
    answer = requests.get(
        shops.home(Chain.CU) + "/__standin/state",
        headers={"Host": "evil.example"},
        timeout=TIMEOUT_S,
    )
    assert answer.status_code == 403


def test_the_log_can_be_read_and_forgotten_from_outside(shops: Shops) -> None:
    requests.get(shops.start_page(Chain.CU), timeout=TIMEOUT_S)
    address = shops.home(Chain.CU) + "/__standin/log"
    lines = requests.get(address, timeout=TIMEOUT_S).text.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["document"]
    requests.delete(address, timeout=TIMEOUT_S)
    assert requests.get(address, timeout=TIMEOUT_S).text == ""


# robots.txt


def test_robots_permits_everything_unless_asked_for_the_real_rules(shops: Shops) -> None:
    for chain in SHOPS:
        answer = requests.get(shops.home(chain) + "/robots.txt", timeout=TIMEOUT_S)
        assert (answer.status_code, answer.text) == (200, "User-agent: *\nAllow: /\n")


def test_the_real_rules(shops: Shops) -> None:
    shops.set_robots("real")
    answers = {
        chain: requests.get(shops.home(chain) + "/robots.txt", timeout=TIMEOUT_S) for chain in SHOPS
    }
    assert answers[Chain.CU].status_code == 404
    gs25 = answers[Chain.GS25].text.splitlines()
    assert "Crawl-delay: 10" in gs25
    assert "Visit-time: 0400-0845" in gs25
    seven = answers[Chain.SEVEN].text.splitlines()
    assert {"Disallow: /upload/", "Disallow: /front/", "Disallow: /library/"} <= set(seven)
    assert answers[Chain.EMART24].text.splitlines().count("Disallow: /founded/recommend") == 1


# Conditional requests


def test_an_unchanged_page_is_not_sent_again(shops: Shops) -> None:
    address = shops.start_page(Chain.EMART24)
    tag = requests.get(address, timeout=TIMEOUT_S).headers["etag"]
    again = requests.get(address, headers={"If-None-Match": tag}, timeout=TIMEOUT_S)
    assert (again.status_code, again.content) == (304, b"")
    shops.set_month("2026-12")
    changed = requests.get(address, headers={"If-None-Match": tag}, timeout=TIMEOUT_S)
    assert changed.status_code == 200


def test_another_declared_charset_is_another_page(shops: Shops) -> None:
    address = shops.start_page(Chain.EMART24)
    tag = requests.get(address, timeout=TIMEOUT_S).headers["etag"]
    shops.set_modes(Chain.EMART24, "euc-kr")
    answer = requests.get(address, headers={"If-None-Match": tag}, timeout=TIMEOUT_S)
    assert answer.status_code == 200


# Pictures


@pytest.mark.parametrize("chain", SHOPS)
def test_every_pictures_address_names_its_product(chain: Chain) -> None:
    for number, product in enumerate(make_catalogue(2000)[::97]):
        path = image_path(chain, product.barcode, number % 10 / 10)
        assert number_of(chain, path) == 1 + 97 * number
    assert number_of(chain, "/nothing") is None
    assert number_of(Chain.CU, nameless_path("2900000000094")) == 9


@pytest.mark.parametrize("chain", SHOPS)
def test_placeholders_are_pictures_of_their_kind(shops: Shops, chain: Chain) -> None:
    for path in PLACEHOLDERS[chain]:
        answer = requests.get(shops.home(chain) + path, timeout=TIMEOUT_S)
        with Image.open(BytesIO(answer.content)) as picture:
            assert f"image/{(picture.format or '').lower()}" == answer.headers["content-type"]


def test_pictures_come_from_demo_data_where_it_has_them(tmp_path: Path) -> None:
    first, second = make_catalogue()[:2]
    (tmp_path / "catalogue").mkdir()
    Image.new("RGB", (600, 600), "#ff0000").save(tmp_path / "catalogue" / f"{first.item_id}.png")
    with open_shops(n_rows=12, pictures=tmp_path) as shops:
        home = shops.home(Chain.EMART24)
        colours = []
        for product in (first, second):
            address = home + image_path(Chain.EMART24, product.barcode)
            answer = requests.get(address, timeout=TIMEOUT_S)
            with Image.open(BytesIO(answer.content)) as picture:
                assert picture.size == (300, 300)
                colours.append(picture.convert("RGB").getpixel((150, 150)))
    red = colours[0]
    assert isinstance(red, tuple)
    assert red[0] > 250
    assert max(red[1:]) < 5
    assert colours[1] != red


# Speed


def test_two_thousand_rows_a_chain_are_read_quickly() -> None:
    """Pages of 2,000 rows in all must cost far less than the delay between two requests."""
    with open_shops(n_rows=2000) as shops:
        for chain in SHOPS:
            shops.shops[chain].rows()
        start = time.process_time()
        seen = list(READERS[Chain.CU](shops.home(Chain.CU)))
        cpu_s = time.process_time() - start
    assert len(seen) == 2000
    assert cpu_s < 10


# The command


def test_modes_are_listed_for_people_and_programs() -> None:
    done = subprocess.run([*PROGRAM, "--list-modes", "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["mode"].partition(":")[0] for row in rows] == list(MODES)
    done = subprocess.run(
        [*PROGRAM, "--list-modes"], capture_output=True, text=True, env={"COLUMNS": "160"}
    )
    for mode in MODES.values():
        assert mode.name in done.stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--mode", "cu"],
        ["--mode", "lotte=drop"],
        ["--mode", "cu=fly"],
        ["--mode", "cspace=total"],
        ["--products", "5"],
        ["--month", "11"],
        ["--robots", "maybe"],
        ["--pictures", "/nowhere"],
        ["--port", "70000"],
    ],
)
def test_wrong_options_end_in_one_line(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo-shops", *options]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: Expected ")
    assert told.err.count("\n") == 1


def _first_line(stream: IO[str]) -> str:
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(60)
    return found[0] if found else ""


def _hang_up_early(address: str) -> None:
    """Leave in the middle of a body, as a crawler does that has had enough."""
    with requests.get(address, stream=True, timeout=TIMEOUT_S) as answer:
        answer.raw.read(1000)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_opens_shops_and_ends_cleanly(tmp_path: Path, ending: signal.Signals) -> None:
    log = tmp_path / "log.jsonl"
    options = ["--json", "--products", "12", "--mode", "cu=bot", "--access-log", str(log)]
    with subprocess.Popen(
        [*PROGRAM, *options, "--mode", "cu=slow:0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TZ": "America/Los_Angeles"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = json.loads(_first_line(process.stdout))
        pages = {shop["chain"]: shop["page"] for shop in told["shops"]}
        assert set(pages) == {str(chain) for chain in SHOPS}
        assert told["shops"][0]["modes"] == "bot,slow"
        assert "검색 로봇" in requests.get(pages["cu"], timeout=TIMEOUT_S).text
        for _ in range(3):
            _hang_up_early(pages["emart24"] + "?standin=huge")
        assert requests.get(pages["seven"], timeout=TIMEOUT_S).status_code == 200
        process.send_signal(ending)
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()
        assert process.stderr.read().strip() == "closed"
    assert len(log.read_text().splitlines()) == 2 + 3
