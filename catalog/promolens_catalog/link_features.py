"""What two names say about being one product: numbers for the model, contradictions for the rule.

All pure: a name is read once (`read`), two readings are compared (`pair_features`), and what must
never be linked by a machine is said in words (`contradiction`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from rapidfuzz import fuzz

from promolens_catalog.link_words import VARIANTS, containers, deciding_words, one_spelling
from promolens_catalog.names import bigrams, normalise, split_prefix, without_shop_marks
from promolens_catalog.sizes import Size, split_size

# Where each name has this much that the other lacks, they are two names.
REST_CHARACTERS = 3
REST_SHARE = 0.4
# Chains round and reprint weights (136 g and 165 g of one cup); a quarter more is another pack.
SIZE_TOLERANCE = 1.25

_BARE_NUMBER = re.compile(r"(\d[\d.]*)$")
_PUNCTUATION = re.compile(r"[^\w%]|_")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Listed:
    """A row of a list, as far as matching looks at it.

    Attributes:
        price_krw: what one piece costs, above 0.
        kind: the promotion's, in any spelling that all lists share; `""` where it is not known.
    """

    name: str
    price_krw: int
    kind: str = ""


@dataclass(frozen=True)
class Reading:
    """A row's name taken apart.

    Attributes:
        maker: the prefix; `""` where the name has none.
        core: the name without maker, size and punctuation, in one spelling.
        full: maker and core together.
        cut_number: digits at the end of a name without a readable size: a size that was cut off.
    """

    listed: Listed
    maker: str
    core: str
    full: str
    size: Size | None
    cut_number: str

    # Most rows of a large catalog are never compared: the rest is read when it is asked for.
    @cached_property
    def spelled(self) -> str:
        """The whole normalised name without shop marks, size included."""
        return without_shop_marks(normalise(self.listed.name))

    @cached_property
    def containers(self) -> frozenset[str]:
        """What it is filled in, where the name says so."""
        return containers(self.spelled)

    @cached_property
    def words(self) -> Counter[str]:
        """Variants and facets, with their number."""
        return deciding_words(one_spelling(self.spelled))


def read(listed: Listed) -> Reading:
    """Take a row's name apart; works for every text, the empty one included."""
    rest, size = split_size(listed.name)
    maker, core = split_prefix(without_shop_marks(rest))
    # Some print the price into the name: "감자칩1500", "비스킷1200r".
    core = re.sub(rf"(?<=.)(?<!\d){listed.price_krw}r?$", "", core)
    cut = None if size else _BARE_NUMBER.search(core)
    if cut:
        core = core[: cut.start()]
    maker, _, core = one_spelling(f"{maker}\n{core}").partition("\n")
    maker = _PUNCTUATION.sub("", maker)
    core = _PUNCTUATION.sub("", core) or maker
    number = cut[1].rstrip(".") if cut else ""
    return Reading(listed, maker, core, maker + core, size, number)


# ---- the rule


def contradiction(a: Reading, b: Reading) -> str | None:
    """Say why two names are not one product, whatever else they share; `None` if nothing says so.

    Returns:
        `variant` (one name has a flavour or the like that the other lacks, or each has its own),
        `size` (both state one, and they differ by more than a quarter), `container`, or `rest`
        (two fifths of either name, three characters at least, are not in the other one).
    """
    ours, theirs = _beyond(a, b), _beyond(b, a)
    if (ours and theirs) or not VARIANTS.isdisjoint(ours | theirs):
        return "variant"
    ratio = _size_ratio(a.size, b.size)
    if ratio is not None and ratio > SIZE_TOLERANCE:
        return "size"
    if a.containers and b.containers and not a.containers & b.containers:
        return "container"
    if _has_rest(a, b) and _has_rest(b, a):
        return "rest"
    return None


def _has_rest(a: Reading, b: Reading) -> bool:
    rest = len(uncovered(a.core, b.full))
    return rest >= REST_CHARACTERS and rest >= REST_SHARE * len(a.core)


def _beyond(a: Reading, b: Reading) -> set[str]:
    """Return the deciding words that only `a` has; a word at which `b` was cut off is none."""
    return {word for word in a.words - b.words if not _ends_within(b.core, word)}


def _ends_within(core: str, word: str) -> bool:
    """Say whether a name ends with the first two or more characters of a word, but not all."""
    return any(core.endswith(word[:n]) for n in range(2, len(word)))


def _size_ratio(a: Size | None, b: Size | None) -> float | None:
    """Return how many times the larger size is the smaller one; `None` if they do not compare."""
    if a is None or b is None or a.unit != b.unit:
        return None
    return float(max(a.amount, b.amount) / min(a.amount, b.amount))


# ---- the numbers


class Rarity:
    """How much a shared piece of a name says: the rarer in the lists, the more (IDF)."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self.size = 0
        self._in_names: Counter[str] = Counter()
        for reading in readings:
            self.size += 1
            self._in_names.update({*bigrams(reading.full), *reading.full})
        self._weights: dict[str, float] = {}

    def weight(self, piece: str) -> float:
        """Return the weight of a bigram or a character, above 0."""
        weight = self._weights.get(piece)
        if weight is None:
            weight = math.log((self.size + 1.0) / (self._in_names[piece] + 0.5)) + 0.1
            self._weights[piece] = weight = max(weight, 0.1)
        return weight

    def weigh(self, reading: Reading) -> Weighed:
        """Return a reading with its pieces weighed."""
        core = set(bigrams(reading.core))
        return Weighed(
            reading,
            full=self._pieces(bigrams(reading.full)),
            core=self._pieces(core),
            characters=self._pieces(reading.full),
        )

    def _pieces(self, pieces: Iterable[str]) -> Pieces:
        weights = {piece: self.weight(piece) for piece in set(pieces)}
        norm = math.sqrt(sum(weight * weight for weight in weights.values()))
        return Pieces(weights, norm, sum(weights.values()))


@dataclass(frozen=True)
class Pieces:
    """Weights of a name's bigrams or characters, their Euclidean norm and their sum."""

    weights: Mapping[str, float]
    norm: float
    total: float

    def cosine(self, other: Pieces) -> float:
        """Return the cosine of the two vectors, 0..1."""
        if not self.norm or not other.norm:
            return 0.0
        shared = self.weights.keys() & other.weights.keys()
        return sum(self.weights[piece] ** 2 for piece in shared) / (self.norm * other.norm)

    def covers(self, other: Pieces) -> tuple[float, float]:
        """Return which part of each one's weight the other has, the smaller part first."""
        shared = sum(self.weights[piece] for piece in self.weights.keys() & other.weights.keys())
        parts = (shared / (self.total or 1.0), shared / (other.total or 1.0))
        return min(parts), max(parts)


@dataclass(frozen=True)
class Weighed:
    """A reading and the weights of its pieces in the lists at hand."""

    reading: Reading
    full: Pieces
    core: Pieces
    characters: Pieces


PAIR_FEATURES = (
    "cosine_full",
    "cosine_core",
    "cosine_characters",
    "covered_less",
    "covered_more",
    "characters_less",
    "characters_more",
    "dice_spelled",
    "ratio_core",
    "partial_core",
    "starts_alike",
    "is_start",
    "short_characters",
    "long_characters",
    "left_less",
    "left_more",
    "maker",
    "price_equal",
    "price_log_ratio",
    "price_log",
    "kind_equal",
    "size_agrees",
    "size_log_ratio",
    "container_differs",
    "variants_apart",
    "words_apart",
    "words_shared",
    "digits_differ",
)
"""Names of what `pair_features` returns, in order."""


def pair_features(a: Weighed, b: Weighed) -> list[float]:
    """Return the numbers of `PAIR_FEATURES`; the same for (a, b) and (b, a)."""
    return [*_text_features(a, b), *_fact_features(a.reading, b.reading)]


def _text_features(a: Weighed, b: Weighed) -> list[float]:
    one, two = a.reading, b.reading
    short, long = sorted((one.core, two.core), key=lambda core: (len(core), core))
    same = _common_start(short, long)
    left = sorted((len(uncovered(one.core, two.full)), len(uncovered(two.core, one.full))))
    return [
        a.full.cosine(b.full),
        a.core.cosine(b.core),
        a.characters.cosine(b.characters),
        *a.full.covers(b.full),
        *a.characters.covers(b.characters),
        _dice(one.spelled, two.spelled),
        fuzz.ratio(short, long) / 100,
        fuzz.partial_ratio(short, long) / 100,
        same / max(1, len(short)),
        float(same == len(short)),
        float(len(short)),
        float(len(long)),
        float(left[0]),
        float(left[1]),
    ]


def _fact_features(a: Reading, b: Reading) -> list[float]:
    prices = sorted((a.listed.price_krw, b.listed.price_krw))
    ours, theirs = a.words - b.words, b.words - a.words
    apart = ours + theirs
    kinds_known = bool(a.listed.kind and b.listed.kind)
    return [
        _maker_agrees(a, b),
        float(prices[0] == prices[1]),
        math.log(prices[1] / prices[0]),
        math.log(prices[0]),
        float(a.listed.kind == b.listed.kind) if kinds_known else 0.5,
        _size_agrees(a, b),
        math.log(_size_ratio(a.size, b.size) or 1.0),
        float(bool(a.containers and b.containers and not a.containers & b.containers)),
        float(sum(n for word, n in apart.items() if word in VARIANTS)),
        float(min(ours.total(), theirs.total())),
        float((a.words & b.words).total()),
        float(sorted(_DIGITS.findall(a.core)) != sorted(_DIGITS.findall(b.core))),
    ]


def uncovered(text: str, other: str) -> str:
    """Return the characters of `text` that stand in no pair which `other` also has.

    `uncovered("진한치즈바", "치즈바")` is `진한`.
    """
    pairs = set(bigrams(other))
    shared = [text[i : i + 2] in pairs for i in range(len(text) - 1)]
    return "".join(
        letter
        for i, letter in enumerate(text)
        if not (i < len(shared) and shared[i]) and not (i > 0 and shared[i - 1])
    )


def _common_start(short: str, long: str) -> int:
    for n, (ours, theirs) in enumerate(zip(short, long, strict=False)):
        if ours != theirs:
            return n
    return len(short)


def _dice(a: str, b: str) -> float:
    ours, theirs = Counter(bigrams(a)), Counter(bigrams(b))
    total = ours.total() + theirs.total()
    return 2 * (ours & theirs).total() / total if total else 0.0


def _maker_agrees(a: Reading, b: Reading) -> float:
    """Return 2 for one maker, 1 where the other name has it, 0 where one is missing, -1 else."""
    if not a.maker or not b.maker:
        return 0.0
    if a.maker == b.maker:
        return 2.0
    return 1.0 if a.maker in b.full or b.maker in a.full else -1.0


def _size_agrees(a: Reading, b: Reading) -> float:
    """Return 1 for equal, 0.5 where a cut-off number fits, 0 unknown, -0.5 or -1 against it."""
    ratio = _size_ratio(a.size, b.size)
    if ratio is not None:
        return 1.0 if ratio == 1.0 else -1.0
    sides = [side for side in ((a, b), (b, a)) if side[0].cut_number and _numbers(side[1])]
    if any(n.startswith(cut.cut_number) for cut, other in sides for n in _numbers(other)):
        return 0.5
    return -0.5 if any(len(cut.cut_number) > 1 for cut, _ in sides) else 0.0


def _numbers(reading: Reading) -> tuple[str, ...]:
    """Return the ways in which a chain may write this size without its unit."""
    if reading.size is None:
        return (reading.cut_number,) if reading.cut_number else ()
    amount = reading.size.amount
    return tuple(f"{float(n):.3f}".rstrip("0").rstrip(".") for n in (amount, amount / 1000))
