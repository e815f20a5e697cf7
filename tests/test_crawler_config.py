"""The configuration: what switches a live shop on, and what each mistake is answered with."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promolens_catalog.chains import CHAINS, Chain
from promolens_crawler.config import (
    ACKNOWLEDGEMENTS,
    CrawlerConfig,
    TransportName,
    config_of,
    load_config,
)
from promolens_crawler.errors import NotAllowedError
from promolens_crawler.schedule import VisitWindow
from promolens_crawler.transports.build import home_of
from promolens_runtime.errors import InputError
from tiny_shop import SITE

CONTACT = 'contact = "crawler@example.org"'
LIVE = f"""
[crawler]
{CONTACT}
[sources.cu]
enabled = true
acknowledged = "{ACKNOWLEDGEMENTS[Chain.CU]}"
"""


def load(folder: Path, text: str) -> CrawlerConfig:
    path = folder / "crawl.toml"
    path.write_text(text, "utf-8")
    return load_config(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, text)
    line = str(caught.value)
    assert "\n" not in line
    assert "Received" in line
    return line


def test_without_a_configuration_every_source_is_off() -> None:
    config = load_config(None)
    assert config.enabled() == ()
    assert set(config.sources) == set(Chain)
    for chain in Chain:
        with pytest.raises(NotAllowedError):
            config.source(chain)


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert config.enabled() == ()
    assert config.archive == tmp_path / "crawl-archive"


def test_a_live_source_is_switched_on_with_contact_and_acknowledgement(tmp_path: Path) -> None:
    config = load(tmp_path, LIVE)
    assert config.enabled() == (Chain.CU,)
    assert config.agent == "promolens/0.1.0 (+crawler@example.org)"
    assert config.delay_s(Chain.CU) == 1.0
    assert home_of(config, SITE) == SITE.home


@pytest.mark.parametrize("chain", ACKNOWLEDGEMENTS)
def test_each_acknowledgement_names_what_was_read(chain: Chain) -> None:
    text = ACKNOWLEDGEMENTS[chain]
    assert "terms of use" in text
    assert "robots.txt" in text or chain is Chain.EMART24
    assert "take responsibility" in text


def test_every_living_chain_has_an_acknowledgement() -> None:
    assert set(ACKNOWLEDGEMENTS) == {chain for chain, info in CHAINS.items() if not info.historic}


@pytest.mark.parametrize("chain", ACKNOWLEDGEMENTS)
@pytest.mark.parametrize("words", ["", "yes", "true", "I agree."])
def test_nothing_but_the_exact_sentence_switches_a_live_source_on(
    tmp_path: Path, chain: Chain, words: str
) -> None:
    text = LIVE.replace("sources.cu", f"sources.{chain}").replace(ACKNOWLEDGEMENTS[Chain.CU], words)
    line = refusal(tmp_path, text)
    assert f"{chain} is a live source without its acknowledgement" in line
    assert ACKNOWLEDGEMENTS[chain] in line


def test_one_chains_acknowledgement_is_not_anothers(tmp_path: Path) -> None:
    line = refusal(tmp_path, LIVE.replace("sources.cu", "sources.seven"))
    assert "robots.txt of www.7-eleven.co.kr" in line


def test_a_live_source_needs_a_contact(tmp_path: Path) -> None:
    line = refusal(tmp_path, LIVE.replace(CONTACT, ""))
    assert "[crawler] has no contact" in line


@pytest.mark.parametrize(
    "contact", ["me", "a@b", "a b@c.example", "x@y.example)", "ftp://x.example/", "@", "http://x"]
)
def test_a_contact_is_a_mail_address_or_a_page(tmp_path: Path, contact: str) -> None:
    line = refusal(tmp_path, LIVE.replace("crawler@example.org", contact))
    assert "contact must be an e-mail address or a page" in line


@pytest.mark.parametrize("delay", ["0.9", "0", "-1", "nan", "inf", "4000"])
@pytest.mark.parametrize("place", ["crawler", "source"])
def test_live_hosts_are_asked_once_a_second_at_most(tmp_path: Path, delay: str, place: str) -> None:
    if place == "crawler":
        text = LIVE.replace(CONTACT, f"{CONTACT}\nmin_delay_s = {delay}")
    else:
        text = LIVE + f"delay_s = {delay}\n"
    assert "must be within 1..3600 for live hosts" in refusal(tmp_path, text)


def test_a_stand_in_states_its_own_delay_and_needs_no_acknowledgement(tmp_path: Path) -> None:
    text = '[sources.cu]\nenabled = true\nhome = "http://127.0.0.1:8001"\ndelay_s = 0.05\n'
    config = load(tmp_path, text)
    assert config.delay_s(Chain.CU) == 0.05
    assert home_of(config, SITE) == "http://127.0.0.1:8001"


@pytest.mark.parametrize(
    "home",
    [
        "http://10.0.0.7:8001",
        "https://mirror.example",
        "http://127.0.0.1.example",
        "http://0.0.0.0",
    ],
)
def test_another_home_is_no_way_around(tmp_path: Path, home: str) -> None:
    text = f'[sources.cu]\nenabled = true\nhome = "{home}"\n'
    assert "is a live source" in refusal(tmp_path, text)
    assert "for live hosts" in refusal(tmp_path, text + "delay_s = 0.05\n")


@pytest.mark.parametrize(
    "home",
    [
        "127.0.0.1:8001",
        "ftp://127.0.0.1",
        "http://127.0.0.1:8001/",
        "http://127.0.0.1/x",
        "http://u:p@127.0.0.1",
        "http://127.0.0.1:99999",
        "http://[",
        "http://127.0.0.1?x",
    ],
)
def test_a_home_is_a_scheme_and_a_host(tmp_path: Path, home: str) -> None:
    text = f'[sources.cu]\nenabled = true\nhome = "{home}"\ndelay_s = 0\n'
    assert "home must" in refusal(tmp_path, text)


def test_a_historic_chain_cannot_be_switched_on(tmp_path: Path) -> None:
    text = '[sources.ministop]\nenabled = true\nhome = "http://127.0.0.1:8001"\n'
    assert "ministop is historic" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("crawler = 1", "Expected [crawler] to be a table"),
        ("[crawlers]", "Received [crawlers]"),
        ("[crawler]\ncontcat = 1", "Received 'contcat'"),
        ("[crawler]\ncontact = 7", "Expected a text as crawler.contact. Received 7"),
        ("[crawler]\nretention_days = 1.5", "Expected a whole number as crawler.retention_days"),
        ("[crawler]\nretention_days = true", "Expected a whole number"),
        ("[crawler]\nretention_days = 0", "retention_days must be within 1..36500"),
        ("[crawler]\narchive = 3", "Expected a path as crawler.archive"),
        ('[crawler]\narchive = ""', "Expected a path as crawler.archive"),
        ("[crawler.limits]\nmax_body_bytes = 5", "max_body_bytes must be within 1000"),
        ("[crawler.limits]\ntries = 0", "tries must be within 1..10"),
        ("[crawler.limits]\nmax_pages = 0", "max_pages and max_rows"),
        ("[crawler.limits]\nread_timeout_s = 0", "read_timeout_s must be above 0"),
        ("[crawler.limits]\nmax_redirects = 99", "max_redirects must be within"),
        ("[crawler.limits]\nbackoff_s = 9\nmax_backoff_s = 3", "backoff_s must be within"),
        ("[sources.kiosk]", "Received 'kiosk'"),
        ("sources = []", "Expected [sources] to be a table"),
        ("[sources]\ncu = 1", "Expected [sources.cu] to be a table"),
        ('[sources.cu]\nenabled = "yes"', "Expected true or false as sources.cu.enabled"),
        ('[sources.cu]\ntransport = "carrier pigeon"', "to be one of http, browser"),
        ("[sources.cu]\npage_size = 0", "page_size must be within"),
        ('[sources.cu]\nvisit_window = "noon"', "Expected a window such as 0400-0845"),
        ("[sources.cu]\nvisit_window = 400", "sources.cu.visit_window"),
        ("[sources.cu.schedule]\njitter_s = -1", "jitter_s must be within"),
        ('[sources.cu.schedule]\ndaily_at = ["25:00"]', "Expected a time of day"),
        ('[sources.cu.schedule]\ndaily_at = "06:40"', "Expected a list as"),
        ("[sources.cu.thresholds]\nmax_drop = 2.0", "max_drop must be within"),
        ("[sources.cu.thresholds]\nodd_price_krw = [1, 2, 3]", "Expected a list of 2"),
        ("[metrics]\nport = 70000", "port must be within"),
        ("[alerts]\nurl = 1", "Expected a text as alerts.url"),
        ("crawler]", "Expected TOML in"),
        ("[crawler]\ncontact = 'a'\ncontact = 'b'", "Expected TOML in"),
    ],
)
def test_each_mistake_is_one_line_that_names_the_place(
    tmp_path: Path, text: str, told: str
) -> None:
    assert told in refusal(tmp_path, text)


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(InputError, match="directory"):
        load_config(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="Expected TOML"):
        load_config(tmp_path / "bytes.toml")
    (tmp_path / "long.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(InputError, match="at most 1000000 bytes"):
        load_config(tmp_path / "long.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000)
    with pytest.raises(InputError, match="Expected TOML"):
        load_config(tmp_path / "deep.toml")


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = """
    [crawler]
    contact = "https://example.org/crawler"
    archive = "/var/lib/promolens/archive"
    retention_days = 30
    min_delay_s = 2
    chromium = "/opt/chromium"
    [crawler.limits]
    max_pages = 50
    total_timeout_s = 45
    [crawler.schedule]
    daily_at = ["05:10", "17:10"]
    jitter_s = 60
    [sources.gs25]
    transport = "browser"
    visit_window = "0400-0845"
    page_size = 100
    delay_s = 10
    [sources.gs25.schedule]
    daily_at = ["14:00"]
    [sources.gs25.thresholds]
    max_drop = 0.5
    [alerts]
    url = "https://example.org/hook"
    [metrics]
    textfile = "/var/lib/node_exporter/promolens.prom"
    """
    config = load(tmp_path, text)
    gs25, cu = config.sources[Chain.GS25], config.sources[Chain.CU]
    assert config.archive == Path("/var/lib/promolens/archive")
    assert (config.retention_days, config.min_delay_s) == (30, 2.0)
    assert (config.limits.max_pages, config.limits.paging.max_pages) == (50, 50)
    assert gs25.transport is TransportName.BROWSER
    assert gs25.visit_window == VisitWindow(time(4), time(8, 45))
    assert (gs25.delay_s, gs25.page_size) == (10.0, 100)
    assert (gs25.schedule.daily_at, gs25.schedule.jitter_s) == ((time(14),), 60)
    assert cu.schedule.daily_at == (time(5, 10), time(17, 10))
    assert gs25.thresholds is not None
    assert (gs25.thresholds.max_drop, gs25.thresholds.max_surge) == (0.5, 3.0)
    assert cu.thresholds is None
    assert config.metrics.textfile == Path("/var/lib/node_exporter/promolens.prom")


def test_the_configuration_in_the_docs_is_a_configuration() -> None:
    import re
    import tomllib

    page = Path(__file__).parent.parent / "docs" / "crawling-manners.md"
    blocks = re.findall(r"(?ms)^```toml\n(.*?)^```", page.read_text("utf-8"))
    assert blocks
    for block in blocks:
        config_of(tomllib.loads(block), Path("/tmp"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["crawler", "sources", "limits", "cu", "enabled", "home", "schedule", "delay_s", "alerts"]
)


@settings(max_examples=50)
@given(
    tables=st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES)))
)
def test_any_tables_are_a_configuration_or_one_clear_error(tables: dict[str, object]) -> None:
    try:
        config = config_of(tables, Path("/tmp"))
    except InputError as error:
        if "\n" in str(error):
            raise AssertionError("more than one line") from error
    else:
        assert all(config.sources[chain].is_loopback for chain in config.enabled())
