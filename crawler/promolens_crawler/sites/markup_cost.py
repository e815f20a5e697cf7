"""Refuses markup that would cost the parser minutes or gigabytes.

HTML's rules make two things expensive however good the parser: its time grows with the square of
the depth, and formatting elements that are left open (`<b id=1><b id=2>...`) are made anew inside
every later block: 58 kB of them become four million elements.
"""

from __future__ import annotations

import re

from promolens_crawler.errors import PageDriftError

# Five hundred cards of the wordiest shop have 35,000; so many open elements take about ten seconds.
MAX_TAGS = 60_000
MAX_ELEMENTS = 1_000_000
# Elements that differ in anything stay open beside each other; of equal ones three do.
_EQUAL_ONES_OPEN = 3
_READ_CHARACTERS = 500
# A quote opens a value only behind `=`. The lookahead lets one match begin inside another, so that
# no tag can hide in what looks like a value.
_FORMATTING = re.compile(
    r"(?=(<(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[\s/>])"
    r"(?:=\s*+\"[^\"]{0,500}+\"|=\s*+'[^']{0,500}+'|[^>]){0,500}+))",
    re.IGNORECASE,
)


def refuse_costly_markup(text: str) -> None:
    """Raise PageDriftError for text with too many tags, or that would grow into too many elements.

    The count of elements is an upper bound: formatting that is closed again counts as open.
    """
    tags = text.count("<")
    if tags > MAX_TAGS:
        raise _refused(f"at most {MAX_TAGS} tags", str(tags))
    formats = _formats(text)
    elements = tags * (1 + _EQUAL_ONES_OPEN * formats)
    if elements > MAX_ELEMENTS:
        raise _refused(
            f"markup of at most {MAX_ELEMENTS} elements",
            f"{formats} kinds of formatting in {tags} tags",
        )


def _formats(text: str) -> int:
    """Count the formatting tags that differ; one too long to read whole differs from all others."""
    return len(
        {
            found[1] if len(found[1]) < _READ_CHARACTERS else found.start()
            for found in _FORMATTING.finditer(text)
        }
    )


def _refused(expected: str, received: str) -> PageDriftError:
    return PageDriftError(
        f"Expected {expected} on a page. Received {received}. Look at the archived page."
    )
