"""The tables: one definition for SQLite and PostgreSQL.

Migrations build them (`migrations/versions`); a test holds both to be the same. What only one
engine has (the full-text index) is in the migrations alone.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from promolens_catalog.column_types import ID, JSON_VALUE, StorableText, UtcTime
from promolens_catalog.kinds import Kind
from promolens_catalog.offers import MAX_PRICE_KRW

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SOURCE_STATES = ("never", "ok", "stale", "gone")
CRAWL_STATES = ("running", "staged", "published", "held", "failed")
SNAPSHOT_STATES = ("published", "held", "superseded", "rejected")
LINK_STATES = ("open", "accepted", "rejected")
SIZE_UNITS = ("ml", "g", "count")


def _text(name: str, *arguments: Any, nullable: bool = False, **options: Any) -> Column[str]:
    return Column(name, StorableText(), *arguments, nullable=nullable, **options)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    quoted = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({quoted})", name=column)


def _offer_columns() -> list[Column[Any]]:
    """Columns that hold an `Offer`, but for its chain: the same in staging and in promotions.

    `content_hash` is the SHA-256 of the whole offer, `offer_key` is `Offer.key()`.
    """
    return [
        _text("content_hash"),
        _text("offer_key"),
        _text("name"),
        Column("price_krw", Integer, nullable=False),
        _text("kind"),
        Column("valid_from", Date, nullable=False),
        Column("valid_until", Date, nullable=False),
        Column("valid_until_inferred", Boolean, nullable=False),
        _text("barcode", nullable=True),
        _text("site_id", nullable=True),
        Column("regular_price_krw", Integer),
        _text("gift_name", nullable=True),
        Column("gift_price_krw", Integer),
        _text("gift_barcode", nullable=True),
        _text("gift_image_url", nullable=True),
        _text("image_url", nullable=True),
        _text("category", nullable=True),
    ]


def _offer_checks() -> tuple[CheckConstraint, ...]:
    return (
        _one_of("kind", tuple(Kind)),
        CheckConstraint(f"price_krw BETWEEN 1 AND {MAX_PRICE_KRW}", name="price_krw"),
        CheckConstraint("name <> ''", name="name"),
    )


# ---- things

item = Table(
    "item",
    metadata,
    Column("id", ID, primary_key=True),
    _text("canonical_name"),
    _text("maker", nullable=True),
    _text("category", nullable=True),
    Column("size_amount", Float),
    _text("size_unit", nullable=True),
    Column("created_at", UtcTime(), nullable=False),
    _one_of("size_unit", SIZE_UNITS),
    sqlite_autoincrement=True,
)

# `kind` says what names the item: `barcode`, `class` (a recogniser's item id), `offer` (a chain's
# own row, see items.key_of). `method` says who tied them: `exact`, `own` (a row without a barcode
# that became an item of its own), `review`, `import`.
item_key = Table(
    "item_key",
    metadata,
    _text("kind", primary_key=True),
    _text("value", primary_key=True),
    Column("item_id", ID, ForeignKey("item.id", ondelete="CASCADE"), nullable=False, index=True),
    _text("method", server_default="exact"),
)

alias = Table(
    "alias",
    metadata,
    Column("item_id", ID, ForeignKey("item.id", ondelete="CASCADE"), primary_key=True),
    _text("chain", primary_key=True),
    _text("name", primary_key=True),
    Column("first_seen", UtcTime(), nullable=False),
    Column("last_seen", UtcTime(), nullable=False),
)

# One row per item, kept by `search.index_items`: the names that it is found by, normalised, one a
# line, and their bigrams, blank-separated. SQLite has an FTS5 table `item_search_fts` over the
# bigrams, kept by triggers; PostgreSQL a GIN index over to_tsvector('simple', bigrams).
item_search = Table(
    "item_search",
    metadata,
    Column(
        "item_id",
        ID,
        ForeignKey("item.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    _text("names"),
    _text("bigrams"),
)

# In how many rows of `item_search` a bigram is: a search starts from its rarest ones.
search_bigram = Table(
    "search_bigram",
    metadata,
    _text("bigram", primary_key=True),
    Column("in_items", Integer, nullable=False),
)

# ---- crawling

source = Table(
    "source",
    metadata,
    _text("chain", primary_key=True),
    _text("state"),
    Column("since", UtcTime()),
    _text("reason", server_default=""),
    Column("last_snapshot_id", ID, ForeignKey("snapshot.id")),
    _one_of("state", SOURCE_STATES),
)

crawl = Table(
    "crawl",
    metadata,
    Column("id", ID, primary_key=True),
    _text("chain"),
    _text("month"),
    _text("transport"),
    _text("state"),
    _text("reason", server_default=""),
    Column("started_at", UtcTime(), nullable=False),
    Column("finished_at", UtcTime()),
    _text("archive", nullable=True),
    Column("requests", Integer, nullable=False, server_default="0"),
    _one_of("state", CRAWL_STATES),
    Index("ix_crawl_chain_state", "chain", "state"),
    sqlite_autoincrement=True,
)

staged_page = Table(
    "staged_page",
    metadata,
    Column("crawl_id", ID, ForeignKey("crawl.id", ondelete="CASCADE"), primary_key=True),
    _text("listing", primary_key=True),
    Column("number", Integer, primary_key=True),
    _text("sha256"),
    Column("cards_seen", Integer, nullable=False),
    Column("declared_total", Integer),
    Column("end_seen", Boolean, nullable=False),
    Column("staged_at", UtcTime(), nullable=False),
)

staged_offer = Table(
    "staged_offer",
    metadata,
    Column("crawl_id", ID, primary_key=True),
    _text("listing", primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    *_offer_columns(),
    ForeignKeyConstraint(
        ["crawl_id", "listing", "number"],
        ["staged_page.crawl_id", "staged_page.listing", "staged_page.number"],
        ondelete="CASCADE",
    ),
    *_offer_checks(),
    Index("ix_staged_offer_crawl_id_content_hash", "crawl_id", "content_hash"),
)

anomaly = Table(
    "anomaly",
    metadata,
    Column("id", ID, primary_key=True),
    Column("crawl_id", ID, ForeignKey("crawl.id", ondelete="CASCADE"), nullable=False),
    _text("listing", nullable=True),
    Column("number", Integer),
    Column("position", Integer),
    _text("code"),
    _text("detail"),
    Index("ix_anomaly_crawl_id_listing_number", "crawl_id", "listing", "number"),
)

# ---- publishing

# One row. `version` is that of the newest publication, `floor` the lowest that a client may still
# page from: tombstones below it are gone.
catalog_version = Table(
    "catalog_version",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", ID, nullable=False),
    Column("floor", ID, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# One row, or none in a restored backup until it is opened: `identity`.
catalog_identity = Table(
    "catalog_identity",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _text("catalog_id"),
    CheckConstraint("id = 1", name="one_row"),
)

snapshot = Table(
    "snapshot",
    metadata,
    Column("id", ID, primary_key=True),
    _text("chain"),
    _text("month"),
    Column("crawl_id", ID, ForeignKey("crawl.id"), index=True),
    _text("state"),
    Column("version", ID, unique=True),
    Column("row_count", Integer, nullable=False),
    Column("by_kind", JSON_VALUE, nullable=False),
    Column("by_category", JSON_VALUE, nullable=False),
    _text("reason", server_default=""),
    Column("crawled_at", UtcTime(), nullable=False),
    Column("decided_at", UtcTime()),
    Column("republishes", ID, ForeignKey("snapshot.id")),
    _one_of("state", SNAPSHOT_STATES),
    Index("ix_snapshot_chain_state", "chain", "state"),
    Index(
        "uq_snapshot_published",
        "chain",
        unique=True,
        sqlite_where=text("state = 'published'"),
        postgresql_where=text("state = 'published'"),
    ),
    sqlite_autoincrement=True,
)

# Content that lives from `from_version` until `until_version` (not included; NULL while it lives).
# `link_method` and `link_score` say how the row came to its item: exact key, linker, review, own.
promotion = Table(
    "promotion",
    metadata,
    Column("id", ID, primary_key=True),
    _text("chain"),
    *_offer_columns(),
    Column("item_id", ID, ForeignKey("item.id"), nullable=False, index=True),
    _text("link_method"),
    Column("link_score", Float),
    Column("first_seen", UtcTime(), nullable=False),
    Column("last_seen", UtcTime(), nullable=False),
    Column("from_version", ID, nullable=False, index=True),
    Column("until_version", ID, index=True),
    Column("from_snapshot_id", ID, ForeignKey("snapshot.id"), nullable=False, index=True),
    *_offer_checks(),
    Index(
        "uq_promotion_live",
        "chain",
        "content_hash",
        unique=True,
        sqlite_where=text("until_version IS NULL"),
        postgresql_where=text("until_version IS NULL"),
    ),
    Index("ix_promotion_chain_offer_key", "chain", "offer_key"),
    sqlite_autoincrement=True,
)

# The last change of each entity; an older one of the same entity has nothing to tell any more.
change = Table(
    "change",
    metadata,
    _text("entity", primary_key=True),
    _text("entity_id", primary_key=True),
    Column("version", ID, nullable=False),
    _text("op"),
    _one_of("op", ("upsert", "delete")),
    Index("ix_change_version_entity_entity_id", "version", "entity", "entity_id"),
)

# ---- linking

# A row without a barcode and an item that it may be. Keyed by what names the row across months
# (`offer_key`), so that a decision outlives a changed price.
link_candidate = Table(
    "link_candidate",
    metadata,
    Column("id", ID, primary_key=True),
    _text("chain"),
    _text("offer_key"),
    _text("name"),
    Column("price_krw", Integer, nullable=False),
    _text("content_hash"),
    Column("item_id", ID, ForeignKey("item.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("score", Float, nullable=False),
    _text("method"),
    _text("state"),
    Column("created_at", UtcTime(), nullable=False),
    Column("decided_at", UtcTime()),
    _text("decided_by", nullable=True),
    UniqueConstraint("chain", "offer_key", "item_id"),
    _one_of("state", LINK_STATES),
    Index("ix_link_candidate_state_chain", "state", "chain"),
)

# ---- other sources

# A list of stores, replaced as a whole by its next import.
store_source = Table(
    "store_source",
    metadata,
    _text("name", primary_key=True),
    _text("format"),
    _text("attribution"),
    Column("imported_at", UtcTime(), nullable=False),
    Column("row_count", Integer, nullable=False),
)

# Found by place. SQLite has an R*Tree `store_place` over place and chain, kept by triggers;
# PostgreSQL, where PostGIS is switched on, a GiST index over `geography` (store_index.py).
store = Table(
    "store",
    metadata,
    Column("id", ID, primary_key=True),
    _text("source", ForeignKey("store_source.name", ondelete="CASCADE")),
    _text("source_id"),
    _text("chain", nullable=True),
    _text("name"),
    _text("branch", nullable=True),
    _text("address", nullable=True),
    _text("phone", nullable=True),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    UniqueConstraint("source", "source_id"),
    CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
    CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
    Index("ix_store_latitude_longitude", "latitude", "longitude"),
)

data_source = Table(
    "data_source",
    metadata,
    _text("name", primary_key=True),
    Column("declaration", JSON_VALUE, nullable=False),
    Column("loaded_at", UtcTime()),
    Column("row_count", Integer, nullable=False, server_default="0"),
    _text("sha256", nullable=True),
)

data_row = Table(
    "data_row",
    metadata,
    _text(
        "source",
        ForeignKey("data_source.name", ondelete="CASCADE"),
        primary_key=True,
    ),
    _text("key", primary_key=True),
    Column("fields", JSON_VALUE, nullable=False),
)

# ---- vectors (the room `retrieval` reads and writes them)

# A collection of vectors of one model that are compared with each other. `last_seq` rises with each
# changed row, in the same transaction; tombstones of `floor_seq` and below are gone.
vector_space = Table(
    "vector_space",
    metadata,
    Column("id", ID, primary_key=True),
    _text("corpus"),
    _text("model_id"),
    Column("dim", Integer, nullable=False),
    _text("dtype"),
    Column("last_seq", ID, nullable=False, server_default="0"),
    Column("floor_seq", ID, nullable=False, server_default="0"),
    UniqueConstraint("corpus", "model_id", "dim"),
    CheckConstraint("dim BETWEEN 1 AND 4096", name="dim"),
    sqlite_autoincrement=True,
)

# One region of one image. `unit` is a unit vector, little-endian float16, NULL in a tombstone;
# `norm` its length before it became one. `attributes`: name to list of values, for filters.
embedding = Table(
    "embedding",
    metadata,
    Column("id", ID, primary_key=True),
    Column("space_id", ID, ForeignKey("vector_space.id", ondelete="CASCADE"), nullable=False),
    _text("image_id"),
    Column("region_id", Integer, nullable=False),
    _text("item_id"),
    Column("unit", LargeBinary),
    Column("norm", Float, nullable=False),
    Column("attributes", JSON_VALUE, nullable=False),
    Column("seq", ID, nullable=False),
    UniqueConstraint("space_id", "image_id", "region_id"),
    CheckConstraint("region_id >= 0", name="region_id"),
    Index("ix_embedding_space_id_seq", "space_id", "seq"),
    sqlite_autoincrement=True,
)

# Index files that processes made of a space: a file counts only if its hash is here.
vector_snapshot = Table(
    "vector_snapshot",
    metadata,
    Column("space_id", ID, ForeignKey("vector_space.id", ondelete="CASCADE"), primary_key=True),
    _text("sha256", primary_key=True),
    Column("row_count", Integer, nullable=False),
    Column("max_seq", ID, nullable=False),
    Column("built_at", UtcTime(), nullable=False),
    Column("parameters", JSON_VALUE, nullable=False),
)
