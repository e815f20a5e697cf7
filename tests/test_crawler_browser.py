"""The browser: what leaves it, what it survives, and that nothing of it is left behind.

One Chromium serves most of these tests: a session each, on one tiny shop.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promolens_catalog.chains import Chain
from promolens_crawler.config import TransportName
from promolens_crawler.errors import (
    BotPageError,
    CrawlError,
    FetchFailedError,
    NotAllowedError,
    PageDriftError,
    SourceGoneError,
)
from promolens_crawler.limits import Limits
from promolens_crawler.sites.base import BrowserPlan, Site
from promolens_crawler.transports import chromium
from promolens_crawler.transports.base import Transport
from promolens_crawler.transports.build import open_transport
from promolens_crawler.transports.chromium import Programs, find_programs
from promolens_crawler.transports.netguard import Verdict, judge
from promolens_crawler.transports.rendered import rendered_page
from promolens_crawler.transports.steps import Probe
from promolens_runtime.errors import InputError, MissingError
from tiny_shop import (
    ALL,
    LISTING,
    PAGE,
    SERVER_JITTER_S,
    SITE,
    Hit,
    TinyShop,
    config_for,
    names,
    on_a_busy_machine,
    open_shop,
    read,
    rows_html,
)

HOME = "http://127.0.0.1:8001"
DELAY_S = 0.15
LIMITS = Limits(
    connect_timeout_s=5,
    read_timeout_s=10,
    total_timeout_s=25,
    backoff_s=0.05,
    max_redirects=2,
    max_body_bytes=200_000,
)
PAGE_HTML = """<!DOCTYPE html><html><head><meta charset="utf-8">
<link rel="stylesheet" href="/s.css"><link rel="icon" href="/favicon.ico">
<link rel="prefetch" href="/prefetched.html"><script src="/j.js"></script></head>
<body><ul id="rows"></ul><div class="loading" style="display:none">loading</div>%s</body></html>"""
SCRIPT = """
let page = 0, busy = false;
async function more() {
  if (busy) { return; }
  busy = true;
  const overlay = document.querySelector(".loading");
  overlay.style.display = "block";
  try {
    const answer = await fetch("/list?page=" + (page + 1));
    if (!answer.ok) { throw new Error("status " + answer.status); }
    const text = await answer.text();
    document.getElementById("rows").insertAdjacentHTML("beforeend", text);
    page += 1;
  } catch (error) { console.warn(error); }
  busy = false;
  overlay.style.display = "none";
}
document.addEventListener("DOMContentLoaded", more);
"""


def furnish(shop: TinyShop, body: str = "", script: str = SCRIPT) -> None:
    """Give the shop a page that loads its list by script, and forget what was asked."""
    shop.on.clear()
    shop.on["/plus.html"] = lambda hit: hit.send(PAGE_HTML % body)
    shop.on["/j.js"] = lambda hit: hit.send(script, content_type="text/javascript")
    shop.on["/s.css"] = lambda hit: hit.send(
        "@font-face{font-family:x;src:url(/f.woff2)}"
        "body{font-family:x;background:url(/img/background.png)}",
        content_type="text/css",
    )
    shop.hits.clear()


@pytest.fixture(scope="module")
def open_browser(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[TinyShop, Transport]]:
    with open_shop() as shop:
        shop.robots = "User-agent: *\nDisallow: /upload/\nDisallow: /tracking\n"
        config = config_for(
            shop.home,
            tmp_path_factory.mktemp("browser"),
            delay_s=DELAY_S,
            limits=LIMITS,
            transport=TransportName.BROWSER,
        )
        transport = open_transport(config, SITE)
        try:
            yield shop, transport
        finally:
            transport.close()


@pytest.fixture
def browser(open_browser: tuple[TinyShop, Transport]) -> tuple[TinyShop, Transport]:
    furnish(open_browser[0])
    return open_browser


def with_plan(**changes: Any) -> Site:
    assert SITE.browser is not None
    return replace(SITE, browser=replace(SITE.browser, **changes))


def error_of(browser: tuple[TinyShop, Transport], site: Site = SITE) -> CrawlError:
    shop, transport = browser
    with pytest.raises(CrawlError) as caught:
        names(transport, shop.home, site)
    assert "\n" not in str(caught.value)
    return caught.value


# ---- what leaves the browser


@on_a_busy_machine
def test_only_what_the_list_needs_leaves_the_browser(
    browser: tuple[TinyShop, Transport],
) -> None:
    """A page that asks for everything a page can ask for; the shop's log is the proof."""
    shop, transport = browser
    away = shop.home.replace("127.0.0.1", "localhost")
    wishes = f"""
    <img src="/img/a.png"><img src="/upload/product/b.jpg"><picture><source srcset="/img/c.webp">
    <img></picture><video src="/film.mp4"></video><audio src="/sound.mp3" autoplay></audio>
    <object data="/thing.svg"></object><embed src="/thing.pdf">
    <script src="/upload/forbidden.js"></script><script src="{away}/foreign.js"></script>
    <iframe src="{away}/advertisement.html"></iframe>
    <script>
      new Image().src = "/img/d.png";
      navigator.sendBeacon("/tracking/beacon", "x");
      fetch("/tracking/fetch").catch(() => 0);
      fetch("{away}/foreign").catch(() => 0);
      new EventSource("/stream");
      window.open("/popup.html");
      navigator.serviceWorker.register("/worker.js").catch(() => 0);
      document.fonts.load("12px x");
    </script>"""
    furnish(shop, wishes)
    assert names(transport, shop.home) == ALL
    time.sleep(0.3)
    asked = [path for path in shop.paths() if path != "/robots.txt"]
    needed = ["/plus.html", "/s.css", "/j.js", "/list?page=1", "/list?page=2", "/list?page=3"]
    assert sorted(asked) == sorted(needed)
    assert {hit.headers["User-Agent"] for hit in shop.hits} == {"promolens/0.1.0 (loopback only)"}
    assert min(shop.gaps_s()) >= DELAY_S - SERVER_JITTER_S


@on_a_busy_machine
def test_the_first_list_request_waits_for_its_document(
    browser: tuple[TinyShop, Transport],
) -> None:
    """The page asks for rows at once; the browser itself holds that back."""
    shop, transport = browser
    furnish(shop)
    transport.open(SITE, shop.home, LISTING).fetch(1)
    times = {hit.path: hit.at_s for hit in shop.hits}
    assert times["/list?page=1"] - times["/plus.html"] >= DELAY_S - SERVER_JITTER_S
    assert times["/j.js"] - times["/plus.html"] < 5


@pytest.mark.parametrize(
    ("url", "kind", "verdict"),
    [
        (f"{HOME}/plus.do", "Document", Verdict.WAIT),
        (f"{HOME}/plusAjax.do", "XHR", Verdict.WAIT),
        (f"{HOME}/plusAjax.do", "Fetch", Verdict.WAIT),
        (f"{HOME}/a.js", "Script", Verdict.PASS),
        (f"{HOME}/a.css", "Stylesheet", Verdict.PASS),
        (f"{HOME}/a.png", "Image", Verdict.BLOCK),
        (f"{HOME}/a.woff2", "Font", Verdict.BLOCK),
        (f"{HOME}/a.mp4", "Media", Verdict.BLOCK),
        (f"{HOME}/favicon.ico", "Other", Verdict.BLOCK),
        (f"{HOME}/beacon", "Ping", Verdict.BLOCK),
        (f"{HOME}/stream", "EventSource", Verdict.BLOCK),
        (f"{HOME}/x", "Something new", Verdict.BLOCK),
        ("http://127.0.0.1:8002/plus.do", "Document", Verdict.BLOCK),
        ("http://localhost:8001/plusAjax.do", "XHR", Verdict.BLOCK),
        ("https://cdn.example/a.js", "Script", Verdict.BLOCK),
        ("ftp://127.0.0.1:8001/x", "Document", Verdict.BLOCK),
        ("about:blank", "Document", Verdict.PASS),
        ("data:text/html,x", "Document", Verdict.PASS),
        ("blob:http://127.0.0.1:8001/1", "Script", Verdict.PASS),
    ],
)
def test_each_kind_of_request_has_its_verdict(url: str, kind: str, verdict: Verdict) -> None:
    assert judge(url, kind, HOME) is verdict


# ---- steps


def test_rows_come_in_steps_with_the_end_in_the_last(
    browser: tuple[TinyShop, Transport],
) -> None:
    shop, transport = browser
    session = transport.open(SITE, shop.home, LISTING)
    answers = [session.fetch(number) for number in (1, 2, 3)]
    pages = [read(answer, LISTING) for answer in answers]
    assert [len(page.cards) for page in pages] == [PAGE, PAGE, 2]
    assert [page.end_seen for page in pages] == [False, False, True]
    assert all(answer.rendered for answer in answers)
    assert answers[0].url == f"{shop.home}/plus.html"
    asked = len(shop.hits)
    past = session.fetch(4)
    assert (read(past, LISTING).cards, read(past, LISTING).end_seen) == ((), True)
    assert len(shop.hits) == asked, "past the end nothing is asked"
    with pytest.raises(ValueError, match="expected page 5 next"):
        session.fetch(2)


def test_rows_that_load_on_sight(browser: tuple[TinyShop, Transport]) -> None:
    shop, transport = browser
    lazy = SCRIPT.replace('"DOMContentLoaded", more', '"DOMContentLoaded", watch') + (
        "function watch() { more(); new IntersectionObserver((seen) => {"
        " if (seen[0].isIntersecting && page > 0 && !document.querySelector('#end')) more(); })"
        ".observe(document.querySelector('#foot')); }"
    )
    # Rows as high as the window: the foot comes into sight only when somebody scrolls.
    style = "<style>li { height: 900px }</style><div id=foot style='height: 10px'></div>"
    furnish(shop, style, lazy)
    assert names(transport, shop.home, with_plan(more="window.scrollTo(0, 1e9);")) == ALL


def test_a_list_that_is_empty(browser: tuple[TinyShop, Transport]) -> None:
    shop, transport = browser
    shop.on["/list"] = lambda hit: hit.send('<p id="end">nothing</p>')
    assert names(transport, shop.home) == []


def test_alerts_are_accepted(browser: tuple[TinyShop, Transport]) -> None:
    shop, transport = browser
    alerts = "<script>alert('a'); setTimeout(() => alert('b'), 100);</script>"
    noisy = SCRIPT.replace("busy = true;", "busy = true; alert('c'); confirm('d');")
    furnish(shop, alerts, noisy)
    assert names(transport, shop.home) == ALL


def test_a_list_that_is_rendered_anew_all_the_time(
    browser: tuple[TinyShop, Transport],
) -> None:
    shop, transport = browser
    again = (
        "<script>setInterval(() => { const rows = document.getElementById('rows');"
        " rows.innerHTML = rows.innerHTML; }, 20);</script>"
    )
    furnish(shop, again)
    assert names(transport, shop.home) == ALL


def test_an_overlay_is_waited_for(browser: tuple[TinyShop, Transport]) -> None:
    """Rows that come in two halves under the overlay are one step."""
    shop, transport = browser
    halves = SCRIPT.replace(
        'document.getElementById("rows").insertAdjacentHTML("beforeend", text);',
        """const rows = document.getElementById("rows"), all = document.createElement("ul");
        all.innerHTML = text;
        const parts = Array.from(all.querySelectorAll("li, p"));
        for (const part of parts) {
          rows.appendChild(part);
          await new Promise((resolve) => setTimeout(resolve, 150));
        }""",
    )
    furnish(shop, script=halves)
    session = transport.open(SITE, shop.home, LISTING)
    assert len(read(session.fetch(1), LISTING).cards) == PAGE


def test_a_pager_that_replaces_the_rows(browser: tuple[TinyShop, Transport]) -> None:
    shop, transport = browser
    replacing = SCRIPT.replace('insertAdjacentHTML("beforeend", text)', "innerHTML = text")
    furnish(shop, script=replacing)
    assert names(transport, shop.home, with_plan(replaces=True)) == ALL


def test_a_listing_is_chosen_before_its_rows_are_taken(
    browser: tuple[TinyShop, Transport],
) -> None:
    shop, transport = browser
    tabs = (
        SCRIPT
        + """
    async function choose() {
      page = 0;
      document.getElementById("rows").innerHTML = "";
      await more();
    }"""
    )
    shop.on["/list?page=1"] = lambda hit: hit.send(
        "<li class=row>of all kinds</li>" if len(asked()) == 1 else rows_html(1)
    )
    on = dict(shop.on)

    def asked() -> list[str]:
        return [path for path in shop.paths() if path == "/list?page=1"]

    furnish(shop, script=tabs)
    shop.on["/list?page=1"] = on["/list?page=1"]
    assert names(transport, shop.home, with_plan(prepare=lambda _listing: "choose();")) == ALL


# ---- trouble that passes


def failing(times: int, status: int, then: Callable[[Hit], None]) -> Callable[[Hit], None]:
    left = [times]

    def respond(hit: Hit) -> None:
        left[0] -= 1
        if left[0] >= 0:
            hit.send("<p>busy</p>", status, Retry_After="0")
        else:
            then(hit)

    return respond


@on_a_busy_machine
def test_busy_documents_scripts_and_lists_are_asked_again(
    browser: tuple[TinyShop, Transport],
) -> None:
    shop, transport = browser
    furnish(shop)
    for path in ("/plus.html", "/j.js"):
        shop.on[path] = failing(1, 503, shop.on[path])
    shop.on["/list?page=2"] = failing(2, 502, lambda hit: hit.send(rows_html(2)))
    assert names(transport, shop.home) == ALL
    assert shop.paths().count("/list?page=2") == 3
    assert min(shop.gaps_s()) >= DELAY_S - SERVER_JITTER_S


def test_three_tries_are_all(browser: tuple[TinyShop, Transport]) -> None:
    shop, _ = browser
    shop.on["/list?page=2"] = lambda hit: hit.send("busy", 503)
    error = error_of(browser)
    assert isinstance(error, FetchFailedError)
    assert "page 2. Received status 503, 3 times" in str(error)
    assert shop.paths().count("/list?page=2") == 3


def test_a_page_that_skips_what_failed_is_not_believed(
    browser: tuple[TinyShop, Transport],
) -> None:
    """Its second try asks for page 3: four rows would be missing without anybody noticing."""
    shop, _ = browser
    skipping = (
        SCRIPT.replace("busy = true;", "busy = true; page += 1;")
        .replace("page + 1));", "page));")
        .replace("page += 1;\n  } catch", "} catch")
    )
    furnish(shop, script=skipping)
    shop.on["/list?page=2"] = lambda hit: hit.send("busy", 503)
    error = error_of(browser)
    assert isinstance(error, FetchFailedError)
    assert "/list?page=2 again. Received" in str(error)
    assert "/list?page=3" not in shop.paths()


# ---- trouble that stays


def test_a_list_that_breaks_off(browser: tuple[TinyShop, Transport]) -> None:
    def drop(hit: Hit) -> None:
        hit.head(200, Content_Type="text/html", Content_Length="9999")
        hit.write(b"<li class=row>half</li>")
        hit.hang_up()

    browser[0].on["/list?page=2"] = drop
    assert "a broken connection (ERR_CONTENT_LENGTH_MISMATCH), 3 times" in str(error_of(browser))


@pytest.mark.parametrize("path", ["/plus.html", "/list?page=2"])
def test_a_page_for_robots_ends_the_crawl(browser: tuple[TinyShop, Transport], path: str) -> None:
    """Also where a script gets it and shows nothing of it."""
    shop, _ = browser
    strict = SCRIPT.replace(
        "const text = await answer.text();",
        "const text = await answer.text(); if (text.includes('robots')) { throw 1; }",
    )
    furnish(shop, script=strict)
    shop.on[path] = lambda hit: hit.send("<body><h1>robots keep out</h1></body>")
    assert isinstance(error_of(browser), BotPageError)
    assert shop.paths().count(path) == 1


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/plus.html", 404, SourceGoneError),
        ("/plus.html", 403, BotPageError),
        ("/list?page=1", 410, SourceGoneError),
        ("/list?page=2", 400, FetchFailedError),
    ],
)
def test_a_refusal_is_not_asked_again(
    browser: tuple[TinyShop, Transport], path: str, status: int, kind: type[CrawlError]
) -> None:
    shop, _ = browser
    shop.on[path] = lambda hit: hit.send("no", status)
    error = error_of(browser)
    assert type(error) is kind
    assert str(status) in str(error)
    assert shop.paths().count(path) == 1


def test_a_page_without_its_functions(browser: tuple[TinyShop, Transport]) -> None:
    error = error_of(browser, with_plan(more="moreOfTheSame();"))
    assert isinstance(error, PageDriftError)
    assert "moreOfTheSame is not defined" in str(error)


def test_a_page_without_rows_is_read_by_the_chains_own_reader(
    browser: tuple[TinyShop, Transport],
) -> None:
    browser[0].on["/list"] = lambda hit: hit.send("<li class=goods>renamed</li>")
    assert isinstance(error_of(browser), PageDriftError)


def test_a_list_that_robots_txt_disallows(browser: tuple[TinyShop, Transport]) -> None:
    shop, _ = browser
    furnish(shop, script=SCRIPT.replace("/list?page=", "/tracking/list?page="))
    error = error_of(browser)
    assert isinstance(error, NotAllowedError)
    assert "/tracking/list?page=1" in str(error)
    assert not any(path.startswith("/tracking") for path in shop.paths())


def test_a_historic_chain_has_no_page(browser: tuple[TinyShop, Transport]) -> None:
    shop, transport = browser
    with pytest.raises(NotAllowedError, match="Expected a chain with pages"):
        transport.open(replace(SITE, browser=None), shop.home, LISTING)


def leave_by_redirect(shop: TinyShop, away: str) -> None:
    shop.on["/plus.html"] = lambda hit: hit.head(302, Location=f"{away}/brand", Content_Length="0")


def leave_by_script(shop: TinyShop, away: str) -> None:
    furnish(shop, f"<script>location.href = '{away}/brand';</script>")


def leave_by_list(shop: TinyShop, away: str) -> None:
    shop.on["/list?page=2"] = lambda hit: hit.head(
        302, Location=f"{away}/brand", Content_Length="0"
    )


@pytest.mark.parametrize("leave", [leave_by_redirect, leave_by_script, leave_by_list])
def test_a_list_that_leads_to_another_host_is_gone(
    browser: tuple[TinyShop, Transport], leave: Callable[[TinyShop, str], None]
) -> None:
    shop, _ = browser
    away = shop.home.replace("127.0.0.1", "localhost")
    leave(shop, away)
    error = error_of(browser)
    assert isinstance(error, SourceGoneError)
    assert f"Received a redirect to {away}/brand" in str(error)
    assert "/brand" not in shop.paths()


def test_a_list_without_end_is_left(browser: tuple[TinyShop, Transport]) -> None:
    def endless(hit: Hit) -> None:
        hit.head(200, Content_Type="text/html", Transfer_Encoding="chunked")
        for _ in range(2000):
            hit.write(b"c350\r\n" + b" " * 50_000 + b"\r\n")

    browser[0].on["/list?page=2"] = endless
    assert "Expected at most 200000 bytes" in str(error_of(browser))


def test_redirects_without_end_are_left(browser: tuple[TinyShop, Transport]) -> None:
    shop, _ = browser
    shop.on["/plus.html"] = lambda hit: hit.head(302, Location="/plus.html", Content_Length="0")
    assert "Expected at most 2 redirects" in str(error_of(browser))
    assert shop.paths().count("/plus.html") == 3


def test_after_all_that_the_list_is_read(browser: tuple[TinyShop, Transport]) -> None:
    shop, transport = browser
    assert names(transport, shop.home) == ALL


# ---- starting and ending


def processes_of(profile: str) -> list[int]:
    """Processes that have the profile in their command line, those that are dead excepted."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if profile.encode() in words and b"promolens-guardian" not in words:
                found.append(int(entry.name))
    return found


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tiny_shop import LISTING, SITE, config_for
from promolens_crawler.config import TransportName
from promolens_crawler.transports.build import open_transport
transport = open_transport(
    config_for(sys.argv[1], Path(sys.argv[2]), transport=TransportName.BROWSER), SITE
)
session = transport.open(SITE, sys.argv[1], LISTING)
print(transport._browser._profile, flush=True)
session.fetch(1)
"""


def test_nothing_is_left_when_the_crawler_is_killed(tmp_path: Path) -> None:
    """kill -9 while a page hangs: no browser, no driver, no profile."""
    with open_shop() as shop:
        furnish(shop)
        shop.on["/list?page=1"] = lambda hit: time.sleep(20)
        crawler = subprocess.Popen(
            [sys.executable, "-c", KILLED, shop.home, str(tmp_path), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert crawler.stdout is not None
        with crawler:
            profile = crawler.stdout.readline().strip()
            assert profile
            assert Path(profile).is_dir()
            assert len(processes_of(profile)) > 2
            os.kill(crawler.pid, signal.SIGKILL)
    deadline_s = time.monotonic() + 15
    while (processes_of(profile) or Path(profile).exists()) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert processes_of(profile) == []
    assert not Path(profile).exists()


def test_a_browser_that_dies_ends_the_crawl_with_a_reason(
    open_browser: tuple[TinyShop, Transport],
) -> None:
    """And the next session starts another one."""
    shop, transport = open_browser
    furnish(shop)
    session = transport.open(SITE, shop.home, LISTING)
    session.fetch(1)
    browser = transport._browser  # type: ignore[attr-defined]
    os.killpg(browser._service.process.pid, signal.SIGKILL)
    with pytest.raises(FetchFailedError, match=r"browser that answers|to go on"):
        session.fetch(2)
    assert names(transport, shop.home) == ALL


def test_programs_that_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingError, match=r"Expected the program .*none"):
        find_programs(chromium=tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="Expected the program chromium"):
        find_programs()


def test_a_browser_that_does_not_start(tmp_path: Path) -> None:
    driver = find_programs().chromedriver
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(MissingError, match="Expected Chromium and its driver to start"):
        chromium.Chromium(Programs(broken, driver), "promolens", HOME, 5)


def test_versions_that_differ() -> None:
    same = {"browserVersion": "156.0.1", "chrome": {"chromedriverVersion": "156.0.9 (abc)"}}
    chromium._check_versions(same)
    with pytest.raises(MissingError, match=r"Received 157\.0\.1 and 156\.0\.9"):
        chromium._check_versions({**same, "browserVersion": "157.0.1"})


def test_the_sandbox_is_given_up_by_root_in_a_container_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert chromium._sandbox_arguments() == ()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(chromium, "_in_container", lambda: False)
    with pytest.raises(InputError, match="as an ordinary user"):
        chromium._sandbox_arguments()
    monkeypatch.setattr(chromium, "_in_container", lambda: True)
    assert chromium._sandbox_arguments() == ("--no-sandbox",)


# ---- the parts that need no browser


def test_rendered_pages_hold_rows_and_context() -> None:
    body = rendered_page(["<li>가</li>", "<li>b</li>"], ["<p>end</p>"]).decode()
    assert body.index("<p>end</p>") < body.index("<li>가</li><li>b</li>")
    assert '<meta charset="utf-8">' in body


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    assert "<li>a\ufffdb</li>" in rendered_page(["<li>a\ud800b</li>"]).decode("utf-8")
    assert "<li>😀</li>" in rendered_page(["<li>\ud83d\ude00</li>"]).decode("utf-8")


def test_rows_are_compared_by_number_and_content() -> None:
    one = Probe("complete", 4, 7, False, False, HOME)
    assert one.same_rows(replace(one, url="x", done=True))
    assert not one.same_rows(replace(one, count=5))
    assert not one.same_rows(replace(one, mark=8))


def test_a_plan_is_written_without_a_browser_in_mind() -> None:
    """The tiny shop's plan has the shape that chains have."""
    assert isinstance(SITE.browser, BrowserPlan)
    assert SITE.chain is Chain.CU
