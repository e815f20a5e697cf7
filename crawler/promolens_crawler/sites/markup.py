"""From text to a tree, and what a page without any card means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from selectolax.lexbor import LexborHTMLParser, LexborNode

from promolens_crawler.errors import BotPageError, PageDriftError, SourceGoneError
from promolens_crawler.pages import Answer
from promolens_crawler.sites.decoding import text_of
from promolens_crawler.sites.markup_cost import refuse_costly_markup

# A page for robots has a few lines; a page of goods may sell something against the sun (차단).
MAX_BOT_PAGE_CHARACTERS = 3_000

# The element that holds the rows of what a browser rendered (`transports.rendered`).
ROWS_ID = "promolens-rows"
MAX_DIGITS = 7
_UNSEEN = ["script", "style", "noscript", "template", "title"]


@dataclass(frozen=True)
class Page:
    """One answer as HTML.

    Attributes:
        rendered: the rows and context that a browser rendered.
    """

    url: str
    number: int
    rendered: bool
    tree: LexborHTMLParser

    def has(self, selector: str) -> bool:
        """Say whether any element matches."""
        return self.tree.css_first(selector) is not None

    def script_number(self, pattern: re.Pattern[str]) -> int | None:
        """Return group 1 of the first match in an inline script, as a number."""
        for script in self.tree.css("script"):
            found = pattern.search(script.text())
            if found:
                return int(found[1])
        return None


def page_of(answer: Answer) -> Page:
    """Parse an answer as HTML, as tolerant as a browser.

    Raises:
        PageDriftError: `text_of` raises, or the markup would cost too much.
    """
    return Page(answer.url, answer.number, answer.rendered, tree_of(text_of(answer)))


def tree_of(text: str) -> LexborHTMLParser:
    """Parse HTML text; raises PageDriftError for markup that would cost too much."""
    refuse_costly_markup(text)
    return LexborHTMLParser(text)


def text_in(node: LexborNode, selector: str, separator: str = "") -> str | None:
    """Return the text of the first match below `node`; `None` if nothing matches."""
    found = node.css_first(selector)
    return None if found is None else found.text(separator=separator)


def attribute(node: LexborNode | None, name: str) -> str:
    """Return an attribute's value, `""` where node or attribute is missing or empty."""
    return "" if node is None else node.attributes.get(name) or ""


def whole_number(text: str) -> int | None:
    """Return a number of at most seven digits; `None` for any other text."""
    plain = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    return int(text) if plain else None


def outermost(nodes: Iterable[LexborNode], tag: str) -> list[LexborNode]:
    """Return for each node its nearest ancestor `tag`, every one once, in page order."""
    found: dict[int, LexborNode] = {}
    for node in nodes:
        parent = node.parent
        while parent is not None and parent.tag != tag:
            parent = parent.parent
        if parent is not None:
            found.setdefault(parent.mem_id, parent)
    return list(found.values())


def refuse_strange(tree: LexborHTMLParser, expected: str) -> NoReturn:
    """Raise what a page without cards and without an end marker means.

    Args:
        expected: what a page of this chain has, for the message.

    Raises:
        BotPageError: the site asks crawlers to stop.
        SourceGoneError: it is the empty page of an application that draws itself.
        PageDriftError: anything else.
    """
    shown = _shown_text(tree)
    if "검색 로봇" in shown or ("차단" in shown and len(shown) <= MAX_BOT_PAGE_CHARACTERS):
        raise BotPageError(
            "Expected a list. Received a page that turns robots away. Do not crawl this shop until "
            "a person has looked at it."
        )
    if not shown and _is_shell(tree):
        raise SourceGoneError(
            "Expected a list. Received the empty page of another application. The list is no "
            "longer there: import its rows from a file, or switch the source off."
        )
    raise PageDriftError(
        f"Expected {expected}. Received a page without them. Compare the archived page with the "
        "chain's file in sites/."
    )


def _shown_text(tree: LexborHTMLParser) -> str:
    body = tree.body
    if body is None:
        return ""
    body = body.clone()
    body.strip_tags(_UNSEEN)
    return " ".join(body.text(separator=" ").split())


def _is_shell(tree: LexborHTMLParser) -> bool:
    """Say whether scripts are there to draw into an empty element; a rendered page is none."""
    roots = tree.css("body > div[id]")
    drawn = any(attribute(root, "id") == ROWS_ID for root in roots)
    empty = any(next(root.iter(), None) is None for root in roots)
    return not drawn and empty and tree.css_first("script") is not None
