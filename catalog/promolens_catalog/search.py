"""Search by free text: a classifier's label or a person's typing gives ranked candidates.

Names are indexed as bigrams (`promolens_catalog.bigrams`), the same on both engines: SQLite's FTS5
over a column of them, PostgreSQL's GIN index over the same column. A query first asks for names
with all its bigrams, then for names with its rarest ones; what comes back is ranked by likeness.
A candidate is a suggestion and never a match: only a key says what a product is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz import fuzz, process
from sqlalchemy import Connection, delete, insert, select, text

from promolens_catalog.bigrams import Likeness, asked, indexed, letters_of, query_words, spanning
from promolens_catalog.database import Database
from promolens_catalog.plain_sql import Rows, marks, rows_of
from promolens_catalog.schema import alias, item, item_search, search_bigram
from promolens_catalog.statements import in_chunks, insert_into
from promolens_runtime.errors import InputError

MAX_QUERY_CHARACTERS = 200
MAX_LIMIT = 100
# What one query may fetch: ranking costs about a microsecond for each. Of names that have a part of
# what is asked for, fewer: of 6,000 fragments, most misspelt, 0.2 % lose the product that they were
# taken from among the first five, and a query takes an eighth less (docs/benchmarks.md).
_MAX_FETCHED = {"all": 600, "any": 300}
# A query of many words is slow; only a single character begins so many.
_MAX_WORDS = 50
# Likeness in pure Python is computed for the best of a quicker measure only.
_RANKED = 40

# All in one row: handing hundreds of them to Python costs more than finding them. Names have
# letters, digits and line ends only.
_SQLITE_FETCH = (
    "SELECT group_concat(item_id), group_concat(names, char(9)) FROM ("
    "SELECT item_search.item_id, item_search.names FROM item_search_fts "
    "JOIN item_search ON item_search.item_id = item_search_fts.rowid "
    "WHERE item_search_fts MATCH ? ORDER BY item_search_fts.rowid DESC LIMIT ?)"
)
# Materialised, or else the planner may walk all items from the newest for the sake of the order.
_POSTGRESQL_FETCH = (
    "WITH found AS MATERIALIZED (SELECT item_id, names FROM item_search "
    "WHERE to_tsvector('simple', bigrams) @@ CAST(? AS tsquery)) "
    "SELECT item_id, names FROM found ORDER BY item_id DESC LIMIT ?"
)
# A search asks every part of the index: after many changes most parts become one again. At most so
# many pages are written for it, a tenth of a second's work.
_MERGED_FROM = 500
_SQLITE_MERGE = "INSERT INTO item_search_fts (item_search_fts, rank) VALUES ('merge', -2000)"
_NAMES = "SELECT id, canonical_name FROM item WHERE id IN"
_RAREST_FIRST = "SELECT bigram, in_items FROM search_bigram WHERE"
_IN_ORDER = f"ORDER BY in_items, bigram LIMIT {_MAX_WORDS}"


@dataclass(frozen=True)
class Candidate:
    """An item that a text may mean.

    Attributes:
        name: what the item is called; the text may have matched another of its names.
        score: likeness of the text and the item's most similar name, 0 to 1: 1 for equal letters,
            above 1/2 where a name holds the whole text.
    """

    item_id: int
    name: str
    score: float


def search(
    database: Database, query: str, *, limit: int = 10, min_score: float = 0.2
) -> list[Candidate]:
    """Return the items whose names are most like a text, best first.

    Args:
        query: any text of at most `MAX_QUERY_CHARACTERS`; operators and quotes mean nothing.
        limit: 1 to `MAX_LIMIT`.
        min_score: leave out what is less alike.

    Raises:
        InputError: the text is too long or the limit out of range.
    """
    with database.read() as connection:
        return candidates(connection, query, limit=limit, min_score=min_score)


def candidates(
    connection: Connection, query: str, *, limit: int = 10, min_score: float = 0.2
) -> list[Candidate]:
    """Do the same as `search` within a transaction that is already open."""
    return candidates_in(rows_of(connection), query, limit=limit, min_score=min_score)


def candidates_in(
    rows: Rows, query: str, *, limit: int = 10, min_score: float = 0.2
) -> list[Candidate]:
    """Do the same as `search` with statements as text, on whatever connection runs them."""
    best = best_in(rows, query, limit=limit, min_score=min_score)
    names = _named(rows, best)
    return [Candidate(item_id, names[item_id], score) for item_id, score in best.items()]


def best_in(rows: Rows, query: str, *, limit: int, min_score: float = 0.2) -> dict[int, float]:
    """Return the scores, by item, of what `search` finds, best first; raises InputError as it."""
    _check(query, limit)
    words = query_words(query)
    if not words:
        return {}
    return _rank("".join(words), _fetch(rows, words, limit), limit, min_score)


def names_of(rows: Rows, letters: str) -> dict[int, str]:
    """Return the names, by item, of items with all bigrams of some letters; the newest 600.

    Args:
        letters: normalised; of a single one, items with a word that begins with it.
    """
    if len(letters) < 2:
        return names_with(rows, letters, chr(ord(letters) + 1)) if letters else {}
    return _named(rows, _with_all(rows, [letters]))


def names_with(rows: Rows, first: str, after: str) -> dict[int, str]:
    """Return the names, by item, of items with a bigram from `first` to before `after`.

    Where there are more than about 300, those with the rarer bigrams.
    """
    return _named(rows, _matching(rows, _few(_beginning(rows, first, after)), "any"))


def index_items(connection: Connection, item_ids: Iterable[int]) -> None:
    """Bring the index up to date for items that are new, renamed or further named.

    Belongs into the transaction that changes them, so that no version of the catalog is ever
    searched by names of another one.
    """
    change: Counter[str] = Counter()
    ids = sorted(set(item_ids))
    for chunk in in_chunks(ids):
        old = select(item_search.c.bigrams).where(item_search.c.item_id.in_(chunk))
        for words in connection.execute(old).scalars():
            change.subtract(words.split(" "))
        connection.execute(delete(item_search).where(item_search.c.item_id.in_(chunk)))
        rows = _index_rows(connection, chunk)
        for row in rows:
            change.update(str(row["bigrams"]).split(" "))
        if rows:
            connection.execute(insert(item_search), rows)
    _count_bigrams(connection, change)
    if connection.dialect.name == "sqlite" and len(ids) >= _MERGED_FROM:
        connection.execute(text(_SQLITE_MERGE))


def reindex(database: Database) -> int:
    """Build the whole index anew, for a catalog whose index is in doubt; return the items in it."""
    with database.write() as connection:
        connection.execute(delete(item_search))
        connection.execute(delete(search_bigram))
        ids = list(connection.execute(select(item.c.id)).scalars())
        index_items(connection, ids)
        return len(ids)


def _named(rows: Rows, found: Iterable[int]) -> dict[int, str]:
    names: dict[int, str] = {}
    for chunk in in_chunks(found):
        names.update(rows(f"{_NAMES} {marks(chunk)}", tuple(chunk)))
    return names


def _beginning(rows: Rows, first: str, after: str) -> Sequence[Any]:
    """Return the rarest bigrams of a range; code points are their order on both engines."""
    return rows(f"{_RAREST_FIRST} bigram >= ? AND bigram < ? {_IN_ORDER}", (first, after))


def _check(query: str, limit: int) -> None:
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InputError(
            f"Expected a text of at most {MAX_QUERY_CHARACTERS} characters. Received {len(query)}. "
            "Shorten it."
        )
    if not 1 <= limit <= MAX_LIMIT:
        raise InputError(f"Expected a limit of 1 to {MAX_LIMIT}. Received {limit}. Change it.")


def _fetch(rows: Rows, words: list[str], limit: int) -> dict[int, str]:
    """Return the names, by item, of everything that is worth ranking."""
    pairs = asked(words)
    if not pairs:
        first = words[0]
        return _matching(rows, _few(_beginning(rows, first, chr(ord(first) + 1))), "any")
    fetched = _with_all(rows, words)
    if len(fetched) < limit:
        among = rows(f"{_RAREST_FIRST} bigram IN {marks(pairs)} {_IN_ORDER}", tuple(pairs))
        fetched |= _matching(rows, _few(among), "any")
    return fetched


def _with_all(rows: Rows, words: Sequence[str]) -> dict[int, str]:
    """Return the names, by item, of those that have all bigrams of some words."""
    enough, pairs = spanning(words), asked(words)
    fetched = _matching(rows, enough, "all")
    if len(enough) == len(pairs):
        return fetched
    if len(fetched) == _MAX_FETCHED["all"]:
        return _matching(rows, pairs, "all")
    return {one: lines for one, lines in fetched.items() if all(pair in lines for pair in pairs)}


def _few(rarest_first: Iterable[Any]) -> list[str]:
    """Return as many bigrams as together are in few enough items; at least one."""
    chosen: list[str] = []
    total = 0
    for bigram, in_items in rarest_first:
        total += in_items
        if chosen and total > _MAX_FETCHED["any"]:
            break
        chosen.append(bigram)
    return chosen


def _matching(rows: Rows, words: Sequence[str], which: str) -> dict[int, str]:
    """Return the names, by item, of those that have all or any of these words.

    Words are letters and digits only, so that quoting them is all the escaping there is.
    """
    if not words:
        return {}
    if rows.dialect == "sqlite":
        quote, joint, statement = '"', {"all": " AND ", "any": " OR "}, _SQLITE_FETCH
    else:
        quote, joint, statement = "'", {"all": " & ", "any": " | "}, _POSTGRESQL_FETCH
    query = joint[which].join(f"{quote}{word}{quote}" for word in words)
    found = rows(statement, (query, _MAX_FETCHED[which]))
    if rows.dialect != "sqlite":
        return dict(found)
    ids, names = found[0]
    return dict(zip(map(int, ids.split(",")), names.split("\t"), strict=True)) if ids else {}


def _rank(query: str, fetched: dict[int, str], limit: int, min_score: float) -> dict[int, float]:
    """Return the score of the best items, best first; of equals the one with fewer letters."""
    if not fetched:
        return {}
    names = "\n".join(fetched.values()).split("\n")
    owners = list(fetched)
    if len(names) > len(owners):
        owners = [one for one, lines in fetched.items() for _ in range(1 + lines.count("\n"))]
    # Every item has at least one name among the rough best, unless it is not among them at all.
    rough = process.extract(query, names, scorer=fuzz.ratio, limit=max(_RANKED, 3 * limit))
    best: dict[int, tuple[float, int, int]] = {}
    like = Likeness(query)
    for name, _, place in rough:
        score = like.of(name)
        rank = (score, -len(name), -owners[place])
        best[owners[place]] = max(best.get(owners[place], rank), rank)
    order = sorted(best.items(), key=lambda one: one[1], reverse=True)
    return {item_id: rank[0] for item_id, rank in order[:limit] if rank[0] >= min_score}


def _index_rows(connection: Connection, ids: Sequence[int]) -> list[dict[str, object]]:
    names: dict[int, set[str]] = {}
    for source in (
        select(item.c.id, item.c.canonical_name).where(item.c.id.in_(ids)),
        select(alias.c.item_id, alias.c.name).where(alias.c.item_id.in_(ids)),
    ):
        for item_id, name in connection.execute(source):
            names.setdefault(item_id, set()).add(letters_of(name))
    rows: list[dict[str, object]] = []
    for item_id, spelled in sorted(names.items()):
        lines = sorted(spelled - {""})
        words = dict.fromkeys(word for line in lines for word in indexed(line))
        if words:
            rows.append({"item_id": item_id, "names": "\n".join(lines), "bigrams": " ".join(words)})
    return rows


def _count_bigrams(connection: Connection, change: Counter[str]) -> None:
    rows = [{"bigram": word, "in_items": n} for word, n in sorted(change.items()) if n]
    if not rows:
        return
    new = insert_into(connection, search_bigram)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=[search_bigram.c.bigram],
            set_={"in_items": search_bigram.c.in_items + new.excluded.in_items},
        ),
        rows,
    )
    connection.execute(delete(search_bigram).where(search_bigram.c.in_items <= 0))
