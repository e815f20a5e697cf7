"""Free text: two Korean characters are enough, syntax is harmless, and both engines agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from catalog_support import NOW, make_offers, stage_crawl
from promolens_catalog import items
from promolens_catalog.bigrams import asked, indexed, letters_of, likeness, query_words
from promolens_catalog.chains import Chain
from promolens_catalog.database import Database, open_database
from promolens_catalog.items import ItemKey, Sighting, Wanted
from promolens_catalog.publishing import publish
from promolens_catalog.schema import item_search, search_bigram
from promolens_catalog.search import MAX_QUERY_CHARACTERS, index_items, reindex, search
from promolens_runtime.errors import InputError

NAMES = (
    "달빛)펑펑콜라355ml",
    "달빛)펑펑콜라제로355ml",
    "달빛)콜라겐젤리120g",
    "구름)꿀유자차500ml",
    "구름)바나나우유240ml",
    "별밭)초코 비스킷84G",
    "별밭)왕꿀",
    "ABC)HONEY BAR 30g",
)


def fill(database: Database, names: tuple[str, ...] = NAMES) -> dict[str, int]:
    """Make and index an item of each name; return ids by name."""
    with database.write() as connection:
        wanted = [Wanted(ItemKey("test", name), name) for name in names]
        found = items.find_or_make(connection, wanted, NOW)
        index_items(connection, found.values())
    return {key.value: item_id for key, item_id in found.items()}


def names_for(database: Database, text: str, limit: int = 10) -> list[str]:
    return [candidate.name for candidate in search(database, text, limit=limit)]


ANSWERS = {
    "콜라": ["달빛)펑펑콜라355ml", "달빛)콜라겐젤리120g", "달빛)펑펑콜라제로355ml"],
    "펑펑콜라": ["달빛)펑펑콜라355ml", "달빛)펑펑콜라제로355ml"],
    "제로 콜라": ["달빛)펑펑콜라제로355ml"],  # words in any order
    "펑펑 콜ㄹ": ["달빛)펑펑콜라355ml", "달빛)펑펑콜라제로355ml"],  # still typing
    "꿀": ["별밭)왕꿀", "구름)꿀유자차500ml"],  # at the end, or where a name begins
    "바나나 우유": ["구름)바나나우유240ml"],
    "초코비스킷": ["별밭)초코 비스킷84G"],
    "ｈｏｎｅｙ": ["ABC)HONEY BAR 30g"],  # full width
}
NOTHING = ["유우", "없는상품", "", " ", "!!", "\0", "\ud800", "AND", "*", "''", "ㅋ", "🍫"]


def test_two_characters_find_a_product(database: Database) -> None:
    fill(database)
    for text, expected in ANSWERS.items():
        assert names_for(database, text)[: len(expected)] == expected, text
    for text in NOTHING:
        assert names_for(database, text) == [], text


def test_a_label_with_mistakes_still_finds_its_product(database: Database) -> None:
    """A classifier's label is spelled as one chain's row; size and maker differ elsewhere."""
    fill(database)
    for label in ("펑펑콜라캔355", "펑펑콜라500ml", "달빛 펑펑콜러"):
        assert names_for(database, label)[0] == "달빛)펑펑콜라355ml"


def test_scores_say_how_sure(database: Database) -> None:
    fill(database)
    (best, *others) = search(database, "달빛)펑펑콜라355ML")
    assert (best.name, best.score) == ("달빛)펑펑콜라355ml", 1.0)
    assert all(other.score < 1 for other in others)
    # 콜라 is one of the ten bigrams of 달빛콜라겐젤리120g: Dice 2*1/(1+10), and 1 of 1 is held.
    jelly = next(one for one in search(database, "콜라") if "젤리" in one.name)
    assert jelly.score == pytest.approx((2 / (1 + 10) + 1) / 2)
    assert search(database, "펑펑콜라", min_score=0.99) == []


SYNTAX = """콜라 AND NOT|콜라*|"콜라|콜라 OR (|NEAR(콜라, 2)|bigrams:콜라|^콜라|콜라 -제로|{콜라}:|
%콜라_|콜라;DROP TABLE item|콜라\\|콜라' & '제로|'콜라':*|콜라 & !제로|<->콜라|
콜라 <2> 제로|콜라\0|콜라\ud800"""


def test_syntax_of_any_engine_means_nothing(database: Database) -> None:
    fill(database)
    for text in SYNTAX.replace("\n", "").split("|"):
        names = [candidate.name for candidate in search(database, text, min_score=0)]
        assert "달빛)펑펑콜라355ml" in names, text


def test_a_text_or_limit_out_of_range_is_refused(database: Database) -> None:
    with pytest.raises(InputError, match="at most 200 characters"):
        search(database, "가" * (MAX_QUERY_CHARACTERS + 1))
    assert search(database, "가나" * (MAX_QUERY_CHARACTERS // 2)) == []
    for limit in (0, 101):
        with pytest.raises(InputError, match="limit of 1 to 100"):
            search(database, "콜라", limit=limit)


def test_every_name_of_an_item_finds_it(database: Database) -> None:
    ids = fill(database)
    with database.write() as connection:
        seen = Sighting(ids["달빛)펑펑콜라355ml"], Chain.CU, "탄산)펑펑이캔")
        index_items(connection, items.note_names(connection, [seen], NOW))
    assert names_for(database, "펑펑이") == ["달빛)펑펑콜라355ml", "달빛)펑펑콜라제로355ml"]
    assert names_for(database, "탄산") == ["달빛)펑펑콜라355ml"]


def test_what_is_published_is_found_and_what_is_rolled_back_is_not_half_indexed(
    database: Database,
) -> None:
    publish(database, stage_crawl(database, make_offers(range(30))), NOW)
    assert names_for(database, "보리과자 7번")[0] == "달빛)보리과자7번100g"
    index_is_whole(database)


def index_is_whole(database: Database) -> None:
    """Rows and counts are those that a rebuilt index has."""

    def contents() -> tuple[set[tuple[object, ...]], dict[str, int]]:
        with database.read() as connection:
            rows = {tuple(row) for row in connection.execute(select(item_search))}
            counts = {row.bigram: row.in_items for row in connection.execute(select(search_bigram))}
        return rows, counts

    before = contents()
    assert before[1] == Counter(word for row in before[0] for word in str(row[2]).split(" "))
    reindex(database)
    assert contents() == before


def test_the_index_follows_a_renamed_item(database: Database) -> None:
    ids = fill(database)
    with database.write() as connection:
        seen = Sighting(ids["별밭)왕꿀"], Chain.CU, "별밭)왕꿀사탕100g")
        index_items(connection, items.note_names(connection, [seen], NOW))
    assert names_for(database, "왕꿀") == ["별밭)왕꿀사탕100g"]
    assert names_for(database, "사탕") == ["별밭)왕꿀사탕100g"]
    index_is_whole(database)


def test_a_broad_query_gives_the_best_of_many_without_reading_all(database: Database) -> None:
    names = tuple(f"달빛)보리과자{number:04d}번" for number in range(2000))
    fill(database, names)
    assert len(search(database, "보리", limit=100)) == 100
    assert names_for(database, "보리과자1234번")[0] == "달빛)보리과자1234번"
    assert len(search(database, "보", limit=5)) == 5


def test_words_of_names_and_of_queries() -> None:
    assert letters_of("롯데)펩시 콜라500ＭＬ(캔)") == "롯데펩시콜라500ml캔"
    assert indexed("콜라콜라") == ["콜라", "라콜", "라"]
    assert indexed("") == []
    assert query_words("코카) 제로-500ML ㅋ") == ["코카", "제로", "500ml"]
    assert query_words("김 밥") == ["김밥"]
    assert query_words("...") == []
    assert asked(["콜라겐", "라"]) == ["콜라", "라겐"]


@given(st.text(max_size=40))
def test_every_character_of_a_name_begins_a_word_of_it(name: str) -> None:
    letters = letters_of(name)
    assert {word[0] for word in indexed(letters)} == set(letters)
    assert all(word.isalnum() for word in (*indexed(letters), *asked(query_words(name))))


@given(st.text("가나다라500ml", max_size=12), st.text("가나다라500ml", max_size=12))
def test_likeness_is_a_part_and_one_only_for_the_same(one: str, two: str) -> None:
    assert 0 <= likeness(one, two) <= 1
    if one and likeness(one, two) == 1:
        assert Counter(pairwise(one)) == Counter(pairwise(two))
    if one and one in two and len(one) > 1:
        assert likeness(one, two) > 0.5


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One catalog for many examples."""
    database = open_database(str(tmp_path_factory.mktemp("search") / "catalog.db"))
    fill(database)
    yield database
    database.close()


@given(text=st.text(max_size=60))
def test_no_text_breaks_the_search(text: str, filled: Database) -> None:
    found = search(filled, text, min_score=0)
    assert len(found) <= len(NAMES)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
