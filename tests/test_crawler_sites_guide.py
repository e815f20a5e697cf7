"""The guide to adding a chain: its sample file reads its sample page."""

from __future__ import annotations

import re
import types
from dataclasses import replace
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from promolens_catalog.chains import Chain
from promolens_catalog.kinds import Kind
from promolens_crawler.errors import PageDriftError
from promolens_crawler.pages import Card
from promolens_crawler.sites.base import BrowserPlan, Listing, Site
from promolens_crawler.transports.rendered import rendered_page
from site_pages import answer

GUIDE = Path(__file__).parent.parent / "docs" / "adding-a-chain.md"


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    return found


@pytest.fixture(scope="module")
def sample() -> types.ModuleType:
    module = types.ModuleType("sample_chain")
    module.__dict__.update(BrowserPlan=BrowserPlan, Chain=Chain, Site=Site)
    code = block("python") + block("py").replace("Chain.SAMPLE", "Chain.CU")
    exec(compile(code, str(GUIDE), "exec"), module.__dict__)
    return module


def test_the_sample_file_reads_the_sample_page(sample: types.ModuleType) -> None:
    page = sample.read(
        answer(Chain.CU, block("html"), url="https://shop.example/offers?page=1"), Listing("all")
    )
    assert page.cards == (
        Card(
            name="너른들)솔바람사과차500ml",
            price_krw=1900,
            kind=Kind.TWO_PLUS_ONE,
            barcode="2700000000014",
            site_id="12",
            image_url="https://shop.example/pictures/2700000000014.jpg",
        ),
    )
    assert (page.declared_total, page.end_seen, page.problems) == (3, False, ())


def test_the_sample_file_reads_the_same_from_a_browser(sample: types.ModuleType) -> None:
    whole = answer(Chain.CU, block("html"), url="https://shop.example/offers?page=1")
    plain = sample.SITE.read(whole, Listing("all"))
    tree = LexborHTMLParser(block("html"))
    plan = sample.SITE.browser
    body = rendered_page(
        [card.html or "" for card in tree.css(plan.row_selector)],
        [part.html or "" for part in tree.css(plan.context_selector)],
    )
    rendered = replace(whole, body=body, rendered=True)
    assert sample.SITE.read(rendered, Listing("all")) == plain


def test_the_sample_file_refuses_a_page_without_its_structure(sample: types.ModuleType) -> None:
    changed = block("html").replace("card", "tile").replace("count", "sum")
    with pytest.raises(PageDriftError):
        sample.read(answer(Chain.CU, changed), Listing("all"))


def test_files_that_the_guide_names_exist() -> None:
    root = GUIDE.parent.parent
    named = re.findall(r"`((?:crawler|catalog|tests|demo|benchmarks)/[\w/.]+)`", GUIDE.read_text())
    assert len(named) > 5
    for name in named:
        assert (root / name.replace("CHAIN/", "")).exists(), name
