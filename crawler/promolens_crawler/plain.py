"""Text from hostile pages made fit for a terminal and a log: no control characters, no tricks."""

from __future__ import annotations

import unicodedata

MAX_CHARACTERS = 1_000
_TRICKS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def plain(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Return `text` with `?` for what is not a visible character, line breaks kept.

    Escape sequences, direction marks and lone surrogates of a shop never reach a terminal.

    >>> plain("a\\x1b[2Jb\\u202ec")
    'a?[2Jb?c'
    """
    return "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in _TRICKS else "?"
        for letter in text[:limit]
    )
