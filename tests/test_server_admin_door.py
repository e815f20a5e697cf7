"""Who gets into the admin pages: tokens, sessions, wrong tries, forms of other sites, redirects."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from admin_support import ANA, MIN, TOKENS, Browser, Clock, fields_of, hold_cu, new_browser
from catalog_support import NOW
from promolens_catalog import snapshots
from promolens_catalog.database import Database
from promolens_runtime.errors import InputError
from promolens_server.admin.forms import number_in
from promolens_server.admin.sessions import (
    IDLE_S,
    LONGEST_S,
    begin_session,
    peek,
    read_session,
    seal,
    unseal,
)
from promolens_server.admin.signing_in import inside
from promolens_server.admin.texts import LANGUAGES, REASONS, TEXTS, choose_language
from promolens_server.admin.tokens import find_token, read_tokens
from promolens_server.admin.tries import LONGEST_WAIT_S, MAX_ADDRESSES, Tries
from promolens_server.config import load_config
from promolens_server.factory import create_app
from promolens_server.services import open_services
from server_support import config_for

PAGES = [
    "",
    "/snapshots",
    "/snapshots/1",
    "/chains/cu",
    "/review",
    "/bundles",
    "/galleries",
    "/anything/else",
]
FORMS = [
    "/logout",
    "/review",
    "/snapshots/1/approve",
    "/chains/cu/rollback",
    "/bundles/stable/share",
    "/galleries/stable/share",
    "/galleries/stable/rollback",
]


# ---- only where it is switched on


def test_without_a_token_there_are_no_pages(client: TestClient) -> None:
    for path in PAGES:
        assert client.get(f"/admin{path}").status_code == 404
    assert client.post("/admin/login", data={"token": ""}).status_code == 404


def test_the_token_comes_from_the_environment_only(tmp_path: Path) -> None:
    assert load_config(None, {"PROMOLENS_ADMIN_TOKEN": MIN}).admin_token == MIN
    assert load_config(None, {}).admin_token is None
    assert load_config(None, {"PROMOLENS_ADMIN_TOKEN": ""}).admin_token is None
    path = tmp_path / "server.toml"
    path.write_text(f'admin_token = "{MIN}"\n')
    with pytest.raises(InputError, match="PROMOLENS_ADMIN_TOKEN") as caught:
        load_config(path, {})
    assert MIN not in str(caught.value)
    assert MIN not in repr(load_config(None, {"PROMOLENS_ADMIN_TOKEN": MIN}))


WEAK = [
    "short",
    "a" * 23,
    "a" * 257,
    f"min:{MIN},min:{ANA}",
    f"{MIN},{MIN}",
    f"bad name:{MIN}",
    f"with blank {MIN}",
    ",",
    "토큰" * 20,
]


@pytest.mark.parametrize("text", WEAK)
def test_weak_tokens_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(InputError, match="Expected") as caught:
        read_tokens(text)
    assert MIN not in str(caught.value)


def test_a_weak_token_stops_the_service(database_url: str) -> None:
    services = open_services(config_for(database_url, admin_token="weak"))
    with pytest.raises(InputError, match="PROMOLENS_ADMIN_TOKEN"):
        create_app(services)
    services.close()


def test_each_token_has_its_own_name() -> None:
    tokens = read_tokens(TOKENS)
    assert [one.id for one in tokens] == ["min", "ana"]
    assert find_token(tokens, ANA) is tokens[1]
    assert find_token(tokens, ANA + "x") is None
    unnamed = read_tokens(MIN)[0]
    assert re.fullmatch(r"token-[0-9a-f]{8}", unnamed.id)
    assert MIN not in repr(tokens)


# ---- coming in


def test_strangers_see_the_login_page_only(stranger: Browser, catalog: Database) -> None:
    hold_cu(catalog)
    for path in PAGES:
        answer = stranger.client.get(f"/admin{path}", follow_redirects=False)
        assert (answer.status_code, answer.content) == (303, b"")
        assert answer.headers["location"].startswith("/admin/login")
    for path in FORMS:
        answer = stranger.post(f"/admin{path}", {"form": "x"})
        assert answer.status_code in (200, 303)
    assert [one.state for one in snapshots.snapshots(catalog)] == ["held"]


def test_the_right_token_opens_and_the_cookie_is_strict(stranger: Browser) -> None:
    answer = stranger.log_in(next_page="/admin/bundles")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/admin/bundles"
    cookie = answer.headers["set-cookie"]
    for part in ("promolens-session=", "HttpOnly", "SameSite=strict", "Path=/admin"):
        assert part in cookie
    assert MIN not in cookie
    assert stranger.get("/admin/bundles").status_code == 200


def test_over_https_the_cookie_never_leaves_it(app: Any) -> None:
    client = TestClient(app, base_url="https://testserver", raise_server_exceptions=False)
    answer = Browser(client).log_in()
    assert "__Secure-promolens-session=" in answer.headers["set-cookie"]
    assert "; Secure" in answer.headers["set-cookie"]
    assert Browser(client).get("/admin").status_code == 200


@pytest.mark.parametrize(
    "token", ["", "wrong", MIN[:-1], MIN + "x", MIN.upper(), "\U0001f600", "%00"]
)
def test_a_wrong_token_is_said(stranger: Browser, token: str) -> None:
    answer = stranger.log_in(token)
    assert answer.status_code == 403
    assert "promolens-session" not in answer.headers.get("set-cookie", "")
    assert 'role="alert"' in answer.text
    assert stranger.client.get("/admin", follow_redirects=False).status_code == 303


def test_wrong_tries_are_slowed_down(stranger: Browser) -> None:
    for _ in range(4):
        answer = stranger.log_in("wrong")
    assert answer.status_code in (403, 429)
    answer = stranger.log_in("wrong")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= LONGEST_WAIT_S
    # While it waits, the right one does not open either: else guessing would go on.
    assert stranger.log_in(MIN).status_code == 429


def test_how_long_an_address_waits() -> None:
    now_s = 0.0
    tries = Tries(lambda: now_s)
    waits = []
    for _ in range(14):
        tries.wrong("a")
        waits.append(tries.wait_s("a"))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert tries.wait_s("b") == 0
    now_s = 299.0
    assert tries.wait_s("a") == 1
    now_s = 301.0
    assert tries.wait_s("a") == 0
    now_s = 3700.0
    tries.wrong("a")
    assert tries.wait_s("a") == 0
    tries.right("a")
    for number in range(MAX_ADDRESSES + 5):
        tries.wrong(str(number))
    assert len(tries._wrong) == MAX_ADDRESSES


# ---- sessions


def test_a_session_ends_when_it_is_idle_and_in_any_case(browser: Browser, clock: Clock) -> None:
    for _ in range(3):
        clock.now += timedelta(seconds=IDLE_S - 10)
        assert browser.client.get("/admin", follow_redirects=False).status_code == 200
    clock.now += timedelta(seconds=IDLE_S + 10)
    assert browser.client.get("/admin", follow_redirects=False).status_code == 303
    began = read_tokens(MIN)[0]
    session = begin_session(began, NOW)
    late = NOW + timedelta(seconds=LONGEST_S + 1)
    young = replace(session, seen_s=int(late.timestamp()))
    assert read_session(young.cookie(), [began], late) is None


def test_a_session_ends_with_its_token(stranger: Browser) -> None:
    session = begin_session(read_tokens(TOKENS)[0], NOW)
    assert read_session(session.cookie(), read_tokens(TOKENS), NOW) is not None
    assert read_session(session.cookie(), read_tokens(f"min:{ANA}"), NOW) is None
    assert read_session(session.cookie(), read_tokens(f"ana:{ANA}"), NOW) is None


def test_another_worker_knows_the_session(browser: Browser, admin_services: Any) -> None:
    cookie = browser.client.cookies["promolens-session"]
    second = new_browser(create_app(admin_services))
    second.client.cookies.set("promolens-session", cookie, path="/admin")
    assert second.get("/admin").status_code == 200


def test_logging_out_takes_the_cookie_away(browser: Browser) -> None:
    answer = browser.submit("/admin", "/admin/logout")
    assert answer.status_code == 200
    assert 'promolens-session=""' in answer.headers["set-cookie"]
    assert browser.client.get("/admin", follow_redirects=False).status_code == 303


@given(st.text(max_size=300))
def test_no_invented_cookie_opens(text: str) -> None:
    tokens = read_tokens(TOKENS)
    assert read_session(text, tokens, NOW) is None
    assert unseal(text, b"k" * 32) is None
    assert isinstance(peek(text), dict)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_cookie_does_not_open(place: int, byte: int) -> None:
    cookie = begin_session(read_tokens(TOKENS)[0], NOW).cookie()
    at = place % len(cookie)
    changed = cookie[:at] + chr(byte) + cookie[at + 1 :]
    found = read_session(changed, read_tokens(TOKENS), NOW)
    assert found is None or changed == cookie


def test_a_sealed_text_is_of_one_purpose() -> None:
    token = read_tokens(MIN)[0]
    text = seal({"t": token.id, "i": "x", "b": 0, "s": 0}, token.key("notice"))
    assert unseal(text, token.key("session")) is None
    assert read_session(text, [token], NOW) is None


# ---- forms of other sites


def test_forms_need_the_token_of_the_session(
    browser: Browser, other: Browser, catalog: Database
) -> None:
    number = hold_cu(catalog)
    action = f"/admin/snapshots/{number}/approve"
    foreign = fields_of(other.get(f"/admin/snapshots/{number}").text, action)
    for fields in ({}, {"form": ""}, {"form": "0" * 64}, foreign, {"form": "\udcff"}):
        sent = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
        answer = browser.post(action, sent)
        assert answer.status_code == 403
        assert "text/html" in answer.headers["content-type"]
    assert snapshots.snapshots(catalog)[0].state == "held"


def test_forms_from_other_sites_are_refused_by_what_the_browser_says(
    browser: Browser, catalog: Database
) -> None:
    number = hold_cu(catalog)
    action = f"/admin/snapshots/{number}/approve"
    fields = fields_of(browser.get(f"/admin/snapshots/{number}").text, action)
    for site in ("cross-site", "same-site"):
        browser.client.headers["sec-fetch-site"] = site
        assert browser.post(action, fields).status_code == 403
    browser.client.headers["sec-fetch-site"] = "same-origin"
    assert browser.post(action, fields).status_code == 303


def test_the_login_form_has_a_token_too(stranger: Browser, app: Any) -> None:
    fields = fields_of(stranger.get("/admin/login").text, "/admin/login")
    elsewhere = new_browser(app)
    answer = elsewhere.post("/admin/login", fields | {"token": MIN})
    assert answer.status_code == 403
    assert "promolens-session" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"form": "x"}'),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b"form=" + b"x" * 10_000),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(50))),
        ("application/x-www-form-urlencoded", b"form=%FF%FE"),
        ("application/x-www-form-urlencoded", b"form=a&form=b"),
        ("application/x-www-form-urlencoded", b"form=%00"),
        ("application/x-www-form-urlencoded", b"\xff\xfe"),
        ("application/x-www-form-urlencoded", b""),
    ],
)
def test_what_is_no_form_is_refused(browser: Browser, kind: str, body: bytes) -> None:
    answer = browser.client.post("/admin/review", content=body, headers={"content-type": kind})
    assert answer.status_code == 403


def test_get_changes_nothing(browser: Browser, catalog: Database) -> None:
    number = hold_cu(catalog)
    for path in (f"/snapshots/{number}/approve", "/bundles/stable/rollback", "/logout"):
        assert browser.client.get(f"/admin{path}", follow_redirects=False).status_code == 404
    assert snapshots.snapshots(catalog)[0].state == "held"


# ---- redirects


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/admin",
        "/admin//evil.example",
        "/\\evil.example",
        "/admin/..//evil.example",
        "/admin@evil.example",
        "/admin.evil.example",
        "javascript:alert(1)",
        "/admin\r\nSet-Cookie: a=b",
        "/admin/\tx",
        "/v1/promotions",
        "/admin?next=//evil",
        "/admin/review?chain=<script>",
    ],
)
def test_logging_in_leads_nowhere_else(stranger: Browser, address: str) -> None:
    page = stranger.client.get("/admin/login", params={"next": address}).text
    assert fields_of(page, "/admin/login")["next"] == "/admin"
    assert stranger.log_in(next_page=address).headers["location"] == "/admin"
    assert inside(address) == "/admin"


@pytest.mark.parametrize(
    "address",
    ["/admin", "/admin/review?chain=cu", "/admin/snapshots/12?rows=5000", "/admin/chains/cu"],
)
def test_logging_in_leads_back(stranger: Browser, address: str) -> None:
    answer = stranger.client.get(address, follow_redirects=True)
    assert fields_of(answer.text, "/admin/login")["next"] == address
    assert inside(address) == address


# ---- headers, languages


def test_pages_are_locked_down(browser: Browser) -> None:
    answer = browser.get("/admin")
    policy = answer.headers["content-security-policy"]
    assert answer.headers.get_list("content-security-policy") == [policy]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    sheet = re.search(r'href="(/admin/static/[0-9a-f]{12}/admin\.css)"', answer.text)
    assert sheet
    assert browser.get(sheet[1]).headers["content-type"].startswith("text/css")


def test_no_admin_page_is_in_the_public_document(browser: Browser) -> None:
    assert "/admin" not in browser.get("/openapi.json").text


def test_both_languages_say_everything() -> None:
    for table in (TEXTS, REASONS):
        assert set(table["ko"]) == set(table["en"])
        for key, text in table["ko"].items():
            assert sorted(re.findall(r"{\w*}", text)) == sorted(
                re.findall(r"{\w*}", table["en"][key])
            )
    hangul = re.compile("[가-힣]")
    assert [key for key, text in TEXTS["en"].items() if hangul.search(text)] == []
    assert [key for key, text in TEXTS["ko"].items() if not hangul.search(text)] == []


def test_templates_use_texts_that_are_there() -> None:
    import promolens_server.admin

    folder = Path(promolens_server.admin.__file__).parent
    used: set[str] = set()
    for template in (folder / "templates").glob("*.j2"):
        used |= set(re.findall(r'\bt\("([a-z_]+)"[,)]', template.read_text("utf-8")))
    assert used <= set(TEXTS["en"])
    assert len(used) > 60


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "chosen"),
    [
        ("ko", "en", "en", "ko"),
        ("xx", "ko", "en", "ko"),
        (None, None, "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        (None, None, "en-US,en;q=0.9,ko;q=0.8", "en"),
        (None, None, "de, ko;q=0.1", "ko"),
        (None, None, "ko;q=banana", "en"),
        (None, None, None, "en"),
        ("<script>", None, "", "en"),
    ],
)
def test_which_language(
    asked: str | None, kept: str | None, accepted: str | None, chosen: str
) -> None:
    assert choose_language(asked, kept, accepted) == chosen


def test_the_language_is_kept(browser: Browser) -> None:
    assert '<html lang="en">' in browser.get("/admin").text
    korean = browser.get("/admin/review?chain=cu&lang=ko").text
    assert '<html lang="ko">' in korean
    assert 'href="/admin/review?chain=cu&amp;lang=en"' in korean
    assert '<html lang="ko">' in browser.get("/admin/bundles").text
    assert set(LANGUAGES) == {"ko", "en"}


@given(st.text(max_size=30))
def test_numbers_are_plain_digits(text: str) -> None:
    number = number_in(text)
    assert number is None or (str(number) == text.lstrip("0") or number == 0)
