"""What a person may be typing: names for the letters so far, those that begin with them first.

A Korean keyboard sends letters on their way to a syllable: `초ㅋ` on the way to `초코`. What is
whole is looked up, and a letter at the end stands for every syllable that begins with it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from promolens_catalog.bigrams import letters_of
from promolens_catalog.database import Database
from promolens_catalog.names import split_prefix
from promolens_catalog.plain_sql import Rows, rows_of
from promolens_catalog.search import names_of, names_with
from promolens_runtime.errors import InputError

MAX_TYPED_CHARACTERS = 100
MAX_LIMIT = 50
# Initial consonants in the order in which syllables are built from them.
_INITIALS = "".join(map(chr, range(0x1100, 0x1113)))
_FIRST_SYLLABLE, _SYLLABLES_PER_INITIAL = 0xAC00, 588
_LETTERS_AT_END = re.compile("[\u1100-\u11ff]+$")


@dataclass(frozen=True)
class Completion:
    """An item whose name may be meant."""

    item_id: int
    name: str


@dataclass(frozen=True)
class Typed:
    """What was typed so far.

    Attributes:
        whole: normalised letters and digits; may be empty.
        following: first and last character that the next one may be; `None` for any.
    """

    whole: str
    following: tuple[str, str] | None

    def pattern(self) -> re.Pattern[str]:
        """Return what finds the typed letters in a name (`letters_of`)."""
        following = f"[{self.following[0]}-{self.following[1]}]" if self.following else ""
        return re.compile(re.escape(self.whole) + following)


def complete(database: Database, typed: str, *, limit: int = 8) -> tuple[Completion, ...]:
    """Return items with the typed letters in their name, best first.

    First those whose name begins with them, with the maker's prefix or without, then those that
    have them further on; of each, short names first.

    Args:
        typed: at most `MAX_TYPED_CHARACTERS`; without letters and digits nothing is returned.
        limit: 1 to `MAX_LIMIT`.

    Raises:
        InputError: the text is too long or the limit out of range.
    """
    with database.read() as connection:
        return complete_in(rows_of(connection), typed, limit=limit)


def complete_in(rows: Rows, typed: str, *, limit: int = 8) -> tuple[Completion, ...]:
    """Do the same as `complete` on whatever connection runs the statements."""
    if len(typed) > MAX_TYPED_CHARACTERS or not 1 <= limit <= MAX_LIMIT:
        raise InputError(
            f"Expected at most {MAX_TYPED_CHARACTERS} characters and a limit of 1 to {MAX_LIMIT}. "
            f"Received {len(typed)} and {limit}. Change them."
        )
    read = read_typed(typed)
    if not read.whole and read.following is None:
        return ()
    return _ranked(read, _fetch(rows, read))[:limit]


def read_typed(text: str) -> Typed:
    """Return what a person has typed; pure.

    >>> read_typed("초 코ㄹ")
    Typed(whole='초코', following=('라', '맇'))
    """
    letters = letters_of(text)
    whole = _LETTERS_AT_END.sub("", letters)
    lone = letters[len(whole) :]
    if not lone or lone[0] not in _INITIALS:
        return Typed(whole, None)
    first = _FIRST_SYLLABLE + _SYLLABLES_PER_INITIAL * _INITIALS.index(lone[0])
    return Typed(whole, (chr(first), chr(first + _SYLLABLES_PER_INITIAL - 1)))


def _fetch(rows: Rows, typed: Typed) -> dict[int, str]:
    if len(typed.whole) > 1 or typed.following is None:
        return names_of(rows, typed.whole)
    first, last = (typed.whole + letter for letter in typed.following)
    return names_with(rows, first, last[:-1] + chr(ord(last[-1]) + 1))


def _ranked(typed: Typed, names: dict[int, str]) -> tuple[Completion, ...]:
    ranked: list[tuple[bool, int, str, int]] = []
    search = typed.pattern().search
    for item_id, name in names.items():
        places = [match.start() for match in map(search, _spellings(name)) if match]
        if places:
            ranked.append((min(places) > 0, len(name), name, item_id))
    return tuple(Completion(item_id, name) for _, _, name, item_id in sorted(ranked))


# The next letter that somebody types mostly brings the same names again.
@lru_cache(maxsize=8_192)
def _spellings(name: str) -> tuple[str, ...]:
    """Return a name's letters with and without its maker's prefix."""
    letters = letters_of(name)
    rest = split_prefix(unicodedata.normalize("NFKC", name))[1]
    return (letters, letters_of(rest)) if rest != name else (letters,)
