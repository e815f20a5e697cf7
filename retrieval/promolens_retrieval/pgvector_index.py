"""Vectors in PostgreSQL with pgvector: for collections that one machine's memory does not hold.

Vectors, attributes and sequence numbers live in one table of that server, which need not be the
catalog's: no query joins the two. The server finds candidates by float16 inner products, in
the order `embedding <#> query` that its HNSW index answers; this process scores them as the other
backend does, so that both give the same scores and the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection

from promolens_catalog.database import Database
from promolens_catalog.statements import in_chunks
from promolens_retrieval import pgvector_tables as tables
from promolens_retrieval.entries import (
    IMAGE,
    ITEM,
    Entry,
    Filter,
    Hit,
    Hits,
    Stats,
    VectorKey,
    Vectors,
    check_entries,
    check_k,
    check_keys,
)
from promolens_retrieval.spaces import Space
from promolens_retrieval.state import RESCORED, RESCORED_PER_K
from promolens_retrieval.vectors import (
    Doubles,
    checked,
    checked_queries,
    checked_query,
    cosines,
    stored_lengths,
)
from promolens_runtime.errors import InputError, MissingError

ANN_THRESHOLD = 50_000
"""From so many rows on `optimize` makes an HNSW index; PostgreSQL scans a million in seconds."""
_ERROR = 2e-3
"""What rounding the query and the vectors to float16 can take off a cosine or add to it."""
_MAX_EF = 1_000
_COLUMNS = "image_id, region_id, item_id, embedding"


class PgVectorIndex:
    """`VectorIndex` over pgvector; see there for the methods.

    Args:
        database: with the extension, from `connect_database`; closed with the index.
        space: whose vectors, of up to 4,000 numbers.
        ann_threshold: from so many rows on `optimize` makes an HNSW index.

    Raises:
        InputError: no PostgreSQL, no pgvector or one older than 0.8.4, or not reachable.
        MissingError: the client is not installed.
    """

    def __init__(
        self, database: Database, space: Space, *, ann_threshold: int = ANN_THRESHOLD
    ) -> None:
        if database.dialect != "postgresql":
            raise InputError(
                f"Expected a PostgreSQL address for pgvector. Received {database.place}. "
                "Set PROMOLENS_VECTOR_URL."
            )
        _check_client()
        self.space = space
        self._database = database
        self._ann_threshold = ann_threshold
        self._space_id = tables.ensure(database, space)
        self._table = tables.table_of(self._space_id)

    def upsert(self, entries: Sequence[Entry], vectors: Any, *, model_id: str) -> int:
        """See `VectorIndex`."""
        from pgvector import HalfVector

        self.space.check_model(model_id)
        good = checked(vectors, self.space)
        check_entries(entries, len(good.norms))
        with self._writing() as connection:
            last = self._last_seq(connection)
            halves = [HalfVector(unit) for unit in good.units]
            rows = [
                (*e.key, e.item_id, _terms(e), _attributes(e), half, norm)
                for e, half, norm in zip(entries, halves, good.norms.tolist(), strict=True)
            ]
            return self._store(connection, rows, last)

    def delete(self, keys: Iterable[VectorKey]) -> int:
        """See `VectorIndex`."""
        wanted = check_keys(keys)
        with self._writing() as connection:
            last, gone = self._last_seq(connection), 0
            for some in in_chunks(wanted):
                gone += connection.exec_driver_sql(
                    f"DELETE FROM {self._table} t USING {_KEYS} AS k (image_id, region_id) "  # noqa: S608
                    "WHERE t.image_id = k.image_id AND t.region_id = k.region_id",
                    _columns(some),
                ).rowcount
            return self._count_on(connection, last, gone)

    def search(
        self,
        query: Any,
        k: int,
        *,
        where: Filter | None = None,
        min_score: float | None = None,
        exact: bool = False,
        at_least_seq: int | None = None,
    ) -> Hits:
        """See `VectorIndex`."""
        check_k(k)
        unit = checked_query(query, self.space)
        with self._reading() as connection:
            if at_least_seq is not None:
                self._check_seq(connection, at_least_seq)
            hits = self._search(connection, unit, k, where, exact)
        # Afterwards: as a condition it would keep the planner from the index.
        return hits if min_score is None else [hit for hit in hits if hit.score >= min_score]

    def search_many(
        self, queries: Any, k: int, *, where: Filter | None = None, exact: bool = False
    ) -> list[Hits]:
        """See `VectorIndex`."""
        check_k(k)
        units = checked_queries(queries, self.space)
        with self._reading() as connection:
            return [self._search(connection, one, k, where, exact) for one in units]

    def fetch(self, keys: Iterable[VectorKey]) -> Vectors:
        """See `VectorIndex`."""
        found = []
        with self._reading() as connection:
            for some in in_chunks(check_keys(keys)):
                found += connection.exec_driver_sql(
                    f"SELECT t.{_COLUMNS.replace(', ', ', t.')}, t.attributes, t.norm "  # noqa: S608
                    f"FROM {self._table} t JOIN {_KEYS} AS k (image_id, region_id) "
                    "USING (image_id, region_id)",
                    _columns(some),
                ).fetchall()
        found.sort(key=lambda row: (row[0], row[1]))
        entries = [Entry(row[0], row[2], row[1], row[4]) for row in found]
        units = [row[3].to_numpy() for row in found]
        joined = np.array(units, np.float16).reshape(len(found), self.space.dim)
        return Vectors(tuple(entries), joined, np.array([row[5] for row in found], np.float64))

    def keys(self, where: Filter | None = None) -> list[VectorKey]:
        """See `VectorIndex`."""
        condition, values = _condition(where)
        with self._reading() as connection:
            rows = connection.exec_driver_sql(
                f"SELECT image_id, region_id FROM {self._table} WHERE {condition} "  # noqa: S608
                "ORDER BY image_id, region_id",
                values,
            ).fetchall()
        return [VectorKey(*row) for row in rows]

    def optimize(self) -> Stats:
        """Bring statistics up to date; make the HNSW index from `ann_threshold` rows on."""
        with self._writing() as connection:
            rows = self._count(connection)
            if rows >= self._ann_threshold:
                # SET LOCAL ends with the transaction, whoever pools the session.
                connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
                connection.exec_driver_sql(
                    f"CREATE INDEX IF NOT EXISTS {self._table}_hnsw ON {self._table} "
                    "USING hnsw (embedding halfvec_ip_ops) WITH (m = 16, ef_construction = 80)"
                )
            connection.exec_driver_sql(f"ANALYZE {self._table}")
        return self.stats()

    def stats(self) -> Stats:
        """See `VectorIndex`."""
        with self._reading() as connection:
            rows, graph = self._count(connection), self._has_graph(connection)
            seq = self._last_seq(connection)
            size = connection.exec_driver_sql(
                "SELECT pg_total_relation_size(%s::regclass)", (self._table,)
            ).scalar_one()
        note = ""
        if rows >= self._ann_threshold and not graph:
            note = f"{rows} rows are searched exactly; optimize makes an HNSW index"
        kind = "pgvector HNSW" if graph else "pgvector exact"
        return Stats(rows, seq, kind, 0, 0, int(size), note)

    def close(self) -> None:
        """Let go of all connections."""
        self._database.close()

    # ---- searching

    def _search(
        self, connection: Connection, query: Doubles, k: int, where: Filter | None, exact: bool
    ) -> Hits:
        wanted = max(RESCORED, RESCORED_PER_K * k)
        rows = self._nearest(connection, query, wanted, where, exact)
        if len(rows) < wanted and self._has_graph(connection) and not exact:
            # The graph gave up early, or there are no more: only a scan can tell.
            rows = self._nearest(connection, query, wanted, where, True)
        hits = _hits(query, rows)
        if len(rows) == wanted and (exact or hits[-1].score >= hits[k - 1].score):
            least = hits[k - 1].score - (_ERROR if exact else 1e-6)
            hits = _hits(query, self._at_least(connection, query, least, where))
        return hits[:k]

    def _nearest(
        self,
        connection: Connection,
        query: Doubles,
        wanted: int,
        where: Filter | None,
        scan: bool,
    ) -> Sequence[Any]:
        condition, values = _condition(where)
        for setting in _settings(wanted, scan):
            connection.exec_driver_sql(f"SET LOCAL {setting}")
        # This very form: `1 - (a <=> b) DESC` or a condition on the score would not use the index.
        return connection.exec_driver_sql(
            f"SELECT {_COLUMNS} FROM {self._table} WHERE {condition} "  # noqa: S608
            f"ORDER BY embedding <#> %s::halfvec LIMIT %s",
            (*values, _half(query), wanted),
        ).fetchall()

    def _at_least(
        self, connection: Connection, query: Doubles, least: float, where: Filter | None
    ) -> Sequence[Any]:
        condition, values = _condition(where)
        return connection.exec_driver_sql(
            f"SELECT {_COLUMNS} FROM {self._table} WHERE {condition} "  # noqa: S608
            "AND embedding <#> %s::halfvec <= %s",
            (*values, _half(query), -(least - _ERROR)),
        ).fetchall()

    # ---- rows and numbers

    def _reading(self) -> Any:
        return _registered(self._database.read())

    def _writing(self) -> Any:
        return _registered(self._database.write())

    def _store(self, connection: Connection, rows: list[tuple[Any, ...]], last: int) -> int:
        """Store rows that are not there already, the same; returns the newest number."""
        changed = self._changed(connection, rows)
        numbered = [(*row, last + n) for n, row in enumerate(changed, 1)]
        if numbered:
            connection.exec_driver_sql(
                f"INSERT INTO {self._table} (image_id, region_id, item_id, terms, attributes, "  # noqa: S608
                "embedding, norm, seq) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) "
                "ON CONFLICT (image_id, region_id) DO UPDATE SET item_id = excluded.item_id, "
                "terms = excluded.terms, attributes = excluded.attributes, "
                "embedding = excluded.embedding, norm = excluded.norm, seq = excluded.seq",
                numbered,
            )
        return self._count_on(connection, last, len(numbered))

    def _changed(
        self, connection: Connection, rows: list[tuple[Any, ...]]
    ) -> list[tuple[Any, ...]]:
        kept: dict[VectorKey, tuple[Any, ...]] = {}
        for some in in_chunks(rows):
            for found in connection.exec_driver_sql(
                "SELECT t.image_id, t.region_id, t.item_id, t.terms, t.embedding "  # noqa: S608
                f"FROM {self._table} t JOIN {_KEYS} AS k (image_id, region_id) "
                "USING (image_id, region_id)",
                _columns([VectorKey(row[0], row[1]) for row in some]),
            ):
                stored = found[4].to_numpy().astype("<f2").tobytes()
                kept[VectorKey(found[0], found[1])] = (found[2], found[3], stored)
        changed = []
        for row in rows:
            same = (row[2], row[3], row[5].to_numpy().astype("<f2").tobytes())
            if kept.get(VectorKey(row[0], row[1])) != same:
                changed.append(row)
        return changed

    def _last_seq(self, connection: Connection) -> int:
        found = connection.exec_driver_sql(
            "SELECT last_seq FROM promolens_space WHERE id = %s", (self._space_id,)
        ).scalar()
        if found is None:
            raise InputError(
                f"Expected {self.space} in {self._database.place}. Received a database without "
                "it. Open the index again."
            )
        return int(found)

    def _check_seq(self, connection: Connection, at_least_seq: int) -> None:
        last = self._last_seq(connection)
        if last < at_least_seq:
            raise InputError(
                f"Expected change {at_least_seq} in {self.space}. Received a database that is at "
                f"{last}. Ask the database that the number is from."
            )

    def _count_on(self, connection: Connection, last: int, changed: int) -> int:
        if changed:
            connection.exec_driver_sql(
                "UPDATE promolens_space SET last_seq = %s WHERE id = %s",
                (last + changed, self._space_id),
            )
        return last + changed

    def _count(self, connection: Connection) -> int:
        found = connection.exec_driver_sql(f"SELECT count(*) FROM {self._table}")  # noqa: S608
        return int(found.scalar_one())

    def _has_graph(self, connection: Connection) -> bool:
        found = connection.exec_driver_sql(
            "SELECT to_regclass(%s) IS NOT NULL", (f"{self._table}_hnsw",)
        )
        return bool(found.scalar_one())


# Two lists of one length as rows: one statement text, however many keys.
_KEYS = "unnest(%s::text[], %s::integer[])"


def _columns(keys: Sequence[VectorKey]) -> tuple[list[str], list[int]]:
    return [key.image_id for key in keys], [key.region_id for key in keys]


def _registered(opened: Any) -> Any:
    """Let connections of a context manager take and give vectors."""
    import contextlib

    from pgvector.psycopg import register_vector

    @contextlib.contextmanager
    def registered() -> Any:
        with opened as connection:
            raw = connection.connection.driver_connection
            if not connection.connection.info.get("promolens_vectors"):
                register_vector(raw)
                connection.connection.info["promolens_vectors"] = True
            yield connection

    return registered()


def _settings(wanted: int, scan: bool) -> list[str]:
    if scan:
        return ["enable_indexscan = off", "enable_bitmapscan = on"]
    # Without iterative scans a filtered search silently gives fewer rows than there are.
    return [
        "enable_indexscan = on",
        f"hnsw.ef_search = {min(_MAX_EF, 2 * wanted)}",
        "hnsw.iterative_scan = strict_order",
    ]


def _hits(query: Doubles, rows: Sequence[Any]) -> Hits:
    """Return rows scored and in order."""
    if not rows:
        return []
    units = np.stack([row[3].to_numpy() for row in rows])
    scores = cosines(query, units, stored_lengths(units)).tolist()
    hits = [Hit(row[0], row[1], row[2], score) for row, score in zip(rows, scores, strict=True)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.image_id, hit.region_id))


def _half(query: Doubles) -> Any:
    from pgvector import HalfVector

    return HalfVector(query.astype(np.float16))


def _condition(where: Filter | None) -> tuple[str, tuple[object, ...]]:
    """Return a condition of ours and its values."""
    parts, values = ["TRUE"], []
    for given, form in ((where and where.any_of, "{}"), (where and where.none_of, "NOT ({})")):
        for name, wanted in (given or {}).items():
            if name in (IMAGE, ITEM):
                parts.append(form.format(f"{name} = ANY(%s::text[])"))
                values.append(list(wanted))
            else:
                parts.append(form.format("terms && %s::text[]"))
                values.append([_term(name, value) for value in wanted])
    return " AND ".join(parts), tuple(values)


def _terms(entry: Entry) -> list[str]:
    return [_term(name, value) for name, values in entry.attributes.items() for value in values]


def _term(name: str, value: str) -> str:
    # Not printable, so in no name and no value.
    return f"{name}\x1f{value}"


def _attributes(entry: Entry) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb({name: list(values) for name, values in entry.attributes.items()})


def _check_client() -> None:
    try:
        import pgvector.psycopg  # noqa: F401
    except ImportError as error:
        raise MissingError(
            "Expected the client of pgvector. Received a Python without it. "
            "Run: pip install 'promolens[retrieval]'"
        ) from error
