"""Product names as chains print them: one spelling for comparing, and the maker's prefix."""

from __future__ import annotations

import re
import unicodedata

MAX_PREFIX_CHARACTERS = 8

# `)` closes the maker; a `(` before it means that the parenthesis belongs to the product.
_PREFIX = re.compile(rf"([^()\[\]]{{1,{MAX_PREFIX_CHARACTERS}}})\)(.*)", re.DOTALL)
# Marks that shops add for themselves, not part of what a product is called: stock marks (`_H`,
# `[D2]`), pieces in the carton (`(16)`), news, delivery runs (`1편`). `(l)` and
# `(m)` stay: they are sizes of clothes.
_SHOP_MARK = re.compile(
    r"(?:_[a-z]?|\[[a-z]\d\]|\((?:new|qr|[a-kn-z]|\d{1,2})\)|(?<=[)\da-z가-힣])new|(?<=[가-힣)])[12]편)$"
)


def normalise(name: str) -> str:
    """Return `name` in the spelling that comparisons use.

    NFKC, casefolded, without blanks and control or format characters: `롯데)펩시 콜라500ＭＬ` ->
    `롯데)펩시콜라500ml`. Idempotent; a name of nothing else becomes `""`.
    """
    text = fold(name)
    # A blank between a letter and an accent keeps them apart; without it they are one letter.
    while (joined := fold(without_blanks(text))) != text:
        text = joined
    return text


def fold(name: str) -> str:
    """Return `name` in NFKC, casefolded, without control and format characters, blanks kept.

    Idempotent: taking characters out and folding case may make new ones that NFKC composes.
    """
    text = name
    while (folded := _fold_once(text)) != text:
        text = folded
    return text


def without_blanks(text: str) -> str:
    """Return `text` without any white space."""
    return "".join(text.split())


def _fold_once(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    if folded.isprintable():
        # No such character, and no blank but the plain one: so it is with nearly every name.
        return folded
    blanks = (" " if letter.isspace() else letter for letter in folded)
    return "".join(letter for letter in blanks if unicodedata.category(letter)[0] != "C")


def split_prefix(name: str) -> tuple[str, str]:
    """Return maker prefix and rest: `칠성)펩시콜라355ml` -> `("칠성", "펩시콜라355ml")`.

    A prefix has at most 8 characters before the first `)`; without one it is `""` and the rest is
    the whole name. Works on raw and on normalised names, and loses only the one `)`.
    """
    match = _PREFIX.fullmatch(name)
    if match is None:
        return "", name
    return match[1].strip(), match[2].strip()


def without_shop_marks(normalised: str) -> str:
    """Return a normalised name without the marks shops add at its end (`_h`, `[d2]`, `(16)`).

    Never returns `""` for a name that is not empty.
    """
    text = normalised
    while (match := _SHOP_MARK.search(text)) and match.start() > 0:
        text = text[: match.start()]
    return text


def bigrams(text: str) -> list[str]:
    """Return the overlapping pairs of characters, in order; a single character stays whole.

    `콜라500` -> `["콜라", "라5", "50", "00"]`; `""` -> `[]`.
    """
    if len(text) < 2:
        return [text] if text else []
    return [text[i : i + 2] for i in range(len(text) - 1)]
