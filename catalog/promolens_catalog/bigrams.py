"""Names as words of two characters, for full text without a morphological analyser.

Korean names are written without blanks and are cut off anywhere, so neither words nor whole names
can be looked up; pairs of neighbouring characters can, and any two characters of a query are one.
Only letters and digits count: what an index or a query is made of has no syntax in any engine.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from promolens_catalog.names import bigrams, fold, normalise

# NFKC makes letters of this block from those of a keyboard.
_LONE_LETTERS_AT_END = re.compile("[\u1100-\u11ff]+$")


def letters_of(name: str) -> str:
    """Return a name's normalised letters and digits: `롯데)펩시 500ML` -> `롯데펩시500ml`."""
    return "".join(letter for letter in normalise(name) if letter.isalnum())


def indexed(letters: str) -> list[str]:
    """Return the words of a name: its bigrams and its last character, each once, in order.

    With the last character every character begins a word, so that a query of a single one is
    answered by a search for beginnings.

    >>> indexed("콜라")
    ['콜라', '라']
    """
    return list(dict.fromkeys([*bigrams(letters), letters[-1:]])) if letters else []


def query_words(text: str) -> list[str]:
    """Return the runs of letters and digits in what a person or a classifier asks for.

    A syllable that is still being typed (`콜ㄹ`) is left out, unless it is all there is. Words of
    one character each (`김 밥`) are one word.

    >>> query_words("코카) 제로-500ML")
    ['코카', '제로', '500ml']
    """
    runs = "".join(letter if letter.isalnum() else " " for letter in fold(text)).split()
    words = [*runs[:-1], *(_LONE_LETTERS_AT_END.sub("", run) for run in runs[-1:])]
    words = [word for word in words if word] or runs
    return words if any(len(word) > 1 for word in words) else ["".join(words)][: len(words)]


def asked(words: Sequence[str]) -> list[str]:
    """Return the bigrams that a name with all these words has, each once, in order.

    Words of one character have none. Pairs across two words are no part of it: a name may hold the
    words in another order.
    """
    return list(dict.fromkeys(pair for word in words if len(word) > 1 for pair in bigrams(word)))


def spanning(words: Sequence[str]) -> list[str]:
    """Return so many of `asked` as together have all letters of the words, for a first look.

    Every second bigram of a word and its last: looking one up costs as much as reading some names.

    >>> spanning(["코카콜라제로"])
    ['코카', '콜라', '제로']
    """
    long = (word for word in words if len(word) > 1)
    return list(dict.fromkeys(pair for word in long for pair in (*bigrams(word)[::2], word[-2:])))


def likeness(query: str, name: str) -> float:
    """Return how well a name answers a query, 0 to 1; both as `letters_of`.

    The mean of Dice's coefficient of their bigrams and of the part of the query's that the name
    has: 1 for equal letters, above 1/2 for a name that holds the whole query. A query of a single
    character is compared by characters.
    """
    return Likeness(query).of(name)


class Likeness:
    """`likeness` of one query and many names."""

    def __init__(self, query: str) -> None:
        ours = bigrams(query)
        self._single = len(query) < 2
        self._count = len(ours)
        self._pairs = Counter(ours)
        self._repeated = {pair: n for pair, n in self._pairs.items() if n > 1}

    def of(self, name: str) -> float:
        """Return how well a name answers the query, 0 to 1."""
        if not self._count or not name:
            return 0.0
        shared = 0
        for pair in self._pairs:
            if pair in name:
                shared += 1
        for pair, n in self._repeated.items():
            shared += max(0, min(n, bigrams(name).count(pair)) - 1)
        theirs = len(name) if self._single else max(len(name) - 1, 1)
        return (2 * shared / (self._count + theirs) + shared / self._count) / 2
