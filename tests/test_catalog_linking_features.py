"""What two names say about being one product; all products are invented."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promolens_catalog.link_features import (
    PAIR_FEATURES,
    Listed,
    Rarity,
    contradiction,
    pair_features,
    read,
    uncovered,
)
from promolens_catalog.link_words import (
    FACETS,
    VARIANTS,
    containers,
    deciding_words,
    one_spelling,
)

PLACE = {name: column for column, name in enumerate(PAIR_FEATURES)}
LISTED = st.builds(
    Listed, st.text(max_size=30), st.integers(1, 1_000_000), st.sampled_from(["", "1+1"])
)

# The shapes of the traps that chains' lists hold: one product, and its sibling beside it.
TRAPS = [
    ("한술밥오곡밥", "한술밥잡곡밥"),
    ("달빛썬오렌지", "달빛썬오렌지망고"),
    ("솔바람", "솔바람제로"),
    ("구름소다피치", "구름소다애플"),
    ("구름소다애플", "구름소다레몬"),
    ("아침뜰주스사과210ml", "아침뜰주스포도210ml"),
    ("보리콜라제로", "보리콜라제로제로"),
    ("프로틴샷커피", "프로틴샷초코"),
    ("하루라떼", "하루라떼무가당"),
    ("하루라떼", "하루라떼디카페인"),
    ("하루블랙", "하루"),
    ("마루빙수", "마루빙수연유"),
    ("물방울탄산수", "물방울탄산수라임"),
    ("마루맥주", "마루맥주라이트"),
    ("들꽃순면대16P", "들꽃순면중16P"),
    ("들꽃샴푸480ml", "들꽃린스480ml"),
    ("가온우유딸기맛", "가온우유"),
    ("가온우유딸기맛", "가온우유바나나맛"),
]


def reading(name: str, price_krw: int = 1800):  # type: ignore[no-untyped-def]
    return read(Listed(name, price_krw))


@pytest.mark.parametrize(("one", "other"), TRAPS)
def test_siblings_contradict_each_other_both_ways(one: str, other: str) -> None:
    for maker in ("", "달빛)"):
        a, b = reading(maker + one), reading(maker + other)
        assert contradiction(a, b) == "variant"
        assert contradiction(b, a) == "variant"


@pytest.mark.parametrize(
    "names",
    [
        # the same bottle at four chains
        ("HK)새벽보리500ml", "HK)새벽보리P500ml", "HK)새벽차보리500ML", "HK)새벽보리펫500ml"),
        ("달빛)보리콜라355ml", "구름)보리콜라캔355ml", "구름)보리콜라캔355", "보리콜라 355ML"),
        # spellings of one word, loanword and translation
        ("달빛)초콜릿케이크", "달빛)쵸코케익", "달빛)초코케이크90g(16)"),
        ("달빛)소다피치250ml", "달빛)소다복숭아250ML", "달빛)복숭아소다"),
        ("달빛)아메제로", "달빛)아메리카노ZERO"),
        ("달빛)우유샤인머스켓", "달빛)우유(샤인머스캣)"),
        # cut off: within a word, and within the size
        ("달빛)바리스무가당바닐", "달빛)바리스바닐라빈무가당325ml"),
        ("달빛)하루스틱샤인", "달빛)하루스틱샤인머스캣18g"),
        ("달빛)벤티아메리카노55", "달빛)벤티아메리카노550ml"),
        # marks that shops add, and a weight that one chain rounds
        ("달빛)샴푸680ml_H", "달빛)샴푸680ml", "달빛)샴푸680ml(N)new"),
        ("달빛)요뜨컵136g", "달빛)요뜨컵165g"),
        ("달빛)감자칩1500(16)", "달빛)감자칩", "달빛)감자칩1500R"),
        ("들꽃)순면대16P", "들꽃)순면대형16P"),
        # a word that says nothing where it stands alone
        ("달빛)감자칩오리지널60g", "달빛)감자칩60g"),
    ],
)
def test_spellings_of_one_product_do_not_contradict(names: tuple[str, ...]) -> None:
    for one in names:
        for other in names:
            assert contradiction(reading(one, 1500), reading(other, 1500)) is None, (one, other)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("달빛)보리콜라355ml", "달빛)보리콜라500ml", "size"),
        ("달빛)즉석밥210g", "달빛)즉석밥210g*3입", "size"),
        ("달빛)새벽라면컵", "달빛)새벽라면봉지", "container"),
        ("달빛)보리콜라캔", "달빛)보리콜라P500", "container"),
        # half of each name is another name
        ("달빛)반반순살찜닭200g", "달빛)반반제육볶음200g", "rest"),
        ("달빛)반반찜닭", "달빛)반반제육", None),
        ("달빛)부드러운반반순살찜닭", "달빛)반반순살찜닭매일", None),
        # weight and count do not compare
        ("달빛)카스텔라138g", "달빛)카스텔라6입", None),
        ("달빛)새벽라면사발", "달빛)새벽라면컵", None),
    ],
)
def test_sizes_containers_and_rests_that_differ(one: str, other: str, why: str | None) -> None:
    assert contradiction(reading(one), reading(other)) == why


@given(st.sampled_from(sorted(VARIANTS)), st.sampled_from(sorted(VARIANTS)))
def test_every_variant_makes_another_product(one: str, other: str) -> None:
    plain, first = reading("달빛)나른)"), reading(f"달빛)나른){one}")
    assert contradiction(plain, first) == "variant"
    second = reading(f"달빛)나른){other}")
    same = deciding_words(one_spelling(one)) == deciding_words(one_spelling(other))
    assert (contradiction(first, second) is None) == same


def test_a_facet_decides_only_beside_another_one() -> None:
    assert contradiction(reading("나른로션"), reading("나른")) is None
    assert contradiction(reading("나른로션"), reading("나른샴푸")) == "variant"
    assert not VARIANTS & FACETS


@example(Listed("0", 1), Listed("00", 1))
@given(LISTED, LISTED)
def test_comparing_has_no_direction_and_no_holes(one: Listed, other: Listed) -> None:
    a, b = read(one), read(other)
    rarity = Rarity([a, b])
    forth = pair_features(rarity.weigh(a), rarity.weigh(b))
    back = pair_features(rarity.weigh(b), rarity.weigh(a))
    assert len(forth) == len(PAIR_FEATURES)
    assert all(math.isfinite(value) for value in forth)
    assert forth == pytest.approx(back)
    assert contradiction(a, b) == contradiction(b, a)


@given(LISTED)
def test_a_row_is_as_like_itself_as_can_be(one: Listed) -> None:
    a = read(one)
    weighed = Rarity([a]).weigh(a)
    features = pair_features(weighed, weighed)
    assert contradiction(a, a) is None
    assert features[PLACE["price_log_ratio"]] == 0
    assert features[PLACE["left_more"]] <= len(a.core)
    if len(a.core) > 1:
        for name in ("cosine_full", "cosine_core", "cosine_characters", "ratio_core"):
            assert features[PLACE[name]] == pytest.approx(1.0)


def feature(name: str, one: str, other: str, *prices: int) -> float:
    first, second = prices or (1800, 1800)
    a, b = read(Listed(one, first)), read(Listed(other, second))
    rarity = Rarity([a, b])
    return pair_features(rarity.weigh(a), rarity.weigh(b))[PLACE[name]]


@pytest.mark.parametrize(
    ("one", "other", "agreement"),
    [
        ("보리콜라500ml", "보리콜라0.5L", 1.0),
        ("보리콜라500ml", "보리콜라355ml", -1.0),
        ("보리콜라500ml", "보리콜라", 0.0),
        ("보리콜라50", "보리콜라500ml", 0.5),
        ("보리콜라35", "보리콜라500ml", -0.5),
        ("보리콜라1.", "보리콜라1.5L", 0.5),
        ("보리콜라16p", "보리콜라500ml", 0.0),
    ],
)
def test_how_well_sizes_agree(one: str, other: str, agreement: float) -> None:
    assert feature("size_agrees", one, other) == agreement


@pytest.mark.parametrize(
    ("one", "other", "agreement"),
    [
        ("달빛)보리", "달빛)보리", 2.0),
        ("달빛)보리", "구름)달빛보리", 1.0),
        ("달빛)보리", "보리", 0.0),
        ("달빛)보리", "구름)보리", -1.0),
    ],
)
def test_how_well_makers_agree(one: str, other: str, agreement: float) -> None:
    assert feature("maker", one, other) == agreement


def test_prices_are_compared_as_ratios() -> None:
    assert feature("price_log_ratio", "가", "나", 1000, 2000) == pytest.approx(math.log(2))
    assert feature("price_equal", "가", "나", 1000, 1000) == 1.0
    assert feature("price_equal", "가", "나", 1000, 1001) == 0.0


def test_what_is_left_over_is_what_no_pair_of_the_other_name_has() -> None:
    assert uncovered("진한치즈바", "치즈바") == "진한"
    assert uncovered("치즈바", "진한치즈바") == ""
    assert uncovered("가", "가") == "가"
    assert uncovered("", "가나") == ""


def test_the_price_in_a_name_is_no_size() -> None:
    assert (reading("한들)감자칩1500(16)", 1500).core, reading("감자칩1500", 1500).cut_number) == (
        "감자칩",
        "",
    )
    assert reading("감자칩1500", 1000).cut_number == "1500"
    assert reading("감자칩11500", 1500).core == "감자칩"


def test_containers_are_read_from_words_and_from_the_letter_p() -> None:
    assert containers("보리콜라p500ml") == {"bottle"}
    assert containers("슈퍼롱16p") == frozenset()
    assert containers("새벽라면사발면") == {"cup"}
    assert containers("보리콜라캔355") == {"can"}


def test_longer_words_win_over_the_shorter_ones_in_them() -> None:
    assert deciding_words(one_spelling("파인애플")) == {"파인애플": 1}
    assert deciding_words(one_spelling("제로제로")) == {"제로": 2}
    assert deciding_words(one_spelling("샤인머스켓")) == {"샤인머스캣": 1}
    assert one_spelling("그린애플") == one_spelling("청사과")
