"""Ministop: merged into Korea Seven, its brand closed on 2024-03-31. A reader, and no crawl.

The answers of its page were JSON: `{"recordList": [{"fields": [name, "1,300", ..., image]}]}`.
Saved ones can still be read; its stores are 7-Eleven's now.
"""

from __future__ import annotations

import json
from typing import Any

from promolens_catalog.kinds import Kind
from promolens_crawler.errors import PageDriftError
from promolens_crawler.pages import Answer, ParsedPage
from promolens_crawler.sites.base import Listing
from promolens_crawler.sites.cards import CardRules, RawCard, read_cards
from promolens_crawler.sites.decoding import text_of

LISTINGS = (
    Listing("one-plus-one", Kind.ONE_PLUS_ONE, {"pageId": "event/plus1", "folder": "event1plus1"}),
    Listing("two-plus-one", Kind.TWO_PLUS_ONE, {"pageId": "event/plus2", "folder": "event2plus1"}),
)
# Records carry no badge: the page that was asked for tells the kind.
RULES = CardRules(badges={})
_IMAGE = 4


def read(answer: Answer, listing: Listing) -> ParsedPage:
    """Read a saved answer; it states neither a total nor an end. Raises CrawlError."""
    try:
        data = json.loads(text_of(answer))
        records = data["recordList"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise PageDriftError(
            "Expected a JSON object with recordList. Received something else. Look at the saved "
            "answer."
        ) from error
    if not isinstance(records, list):
        raise PageDriftError("Expected a list in recordList. Received something else.")
    folder = listing.parameters["folder"]
    found = read_cards((fields(one, folder) for one in records), RULES, listing, answer.url)
    return ParsedPage(found.cards, found.seen, None, not records, found.problems)


def fields(record: Any, folder: str) -> RawCard | None:
    """Read what a record says; `None` without its fields."""
    values = record.get("fields") if isinstance(record, dict) else None
    if not isinstance(values, list) or len(values) <= _IMAGE:
        return None
    name, price, image = values[0], values[1], values[_IMAGE]
    if not isinstance(name, str) or not isinstance(price, str) or not isinstance(image, str):
        return None
    return RawCard(name, price, image=f"pic.do?n={folder}.{image}" if image else "")
