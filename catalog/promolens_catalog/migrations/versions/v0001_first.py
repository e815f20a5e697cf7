"""The first tables.

A step never changes once it is released, and says all itself: `schema` is what it leads to today.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Build all tables and the full-text index."""
    _items()
    _crawls()
    _publications()
    _others()
    op.execute("INSERT INTO catalog_version (id, version, floor) VALUES (1, 0, 0)")
    if op.get_bind().dialect.name == "sqlite":
        _sqlite_full_text()
        _sqlite_places()
    else:
        _postgresql_full_text()


def _sqlite_full_text() -> None:
    """An FTS5 table over the bigrams, kept up to date by triggers."""
    import sqlite_utils

    raw = op.get_bind().connection.driver_connection
    sqlite_utils.Database(raw).table("item_search").enable_fts(
        ["bigrams"], create_triggers=True, tokenize="unicode61 remove_diacritics 0"
    )


def _sqlite_places() -> None:
    """An R*Tree over the stores, kept up to date by triggers.

    Its third axis tells chains apart, so that a rare one is found among many stores of others. The
    names of the chains have different lengths; the step is small against the distance of two stores
    of a town, or the tree would be cut by chain first.
    """
    op.execute(
        "CREATE VIRTUAL TABLE store_place USING rtree"
        "(id, south, north, west, east, chain_from, chain_to)"
    )
    put = (
        "INSERT INTO store_place VALUES (new.id, new.latitude, new.latitude, new.longitude, "
        "new.longitude, 0.01 * ifnull(length(new.chain), 0), 0.01 * ifnull(length(new.chain), 0));"
    )
    take = "DELETE FROM store_place WHERE id = old.id;"
    op.execute(f"CREATE TRIGGER store_place_ai AFTER INSERT ON store BEGIN {put} END")
    op.execute(f"CREATE TRIGGER store_place_ad AFTER DELETE ON store BEGIN {take} END")
    op.execute(
        "CREATE TRIGGER store_place_au AFTER UPDATE OF id, chain, latitude, longitude ON store "
        f"BEGIN {take} {put} END"
    )


def _postgresql_full_text() -> None:
    op.execute(
        "CREATE INDEX ix_item_search_bigrams ON item_search "
        "USING gin (to_tsvector('simple', bigrams))"
    )


def _items() -> None:
    op.create_table(
        "item",
        sa.Column("id", ID, nullable=False),
        sa.Column("canonical_name", TEXT, nullable=False),
        sa.Column("maker", TEXT),
        sa.Column("category", TEXT),
        sa.Column("size_amount", sa.Float),
        sa.Column("size_unit", TEXT),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("size_unit IN ('ml', 'g', 'count')", name=op.f("ck_item_size_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "item_key",
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("method", TEXT, nullable=False, server_default="exact"),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_item_key_item_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_item_key")),
    )
    op.create_index(op.f("ix_item_key_item_id"), "item_key", ["item_id"])
    op.create_table(
        "alias",
        sa.Column("item_id", ID, nullable=False),
        sa.Column("chain", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("first_seen", TIME, nullable=False),
        sa.Column("last_seen", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_alias_item_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("item_id", "chain", "name", name=op.f("pk_alias")),
    )
    op.create_table(
        "item_search",
        sa.Column("item_id", ID, nullable=False, autoincrement=False),
        sa.Column("names", TEXT, nullable=False),
        sa.Column("bigrams", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_item_search_item_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_item_search")),
    )
    op.create_table(
        "search_bigram",
        sa.Column("bigram", TEXT, nullable=False),
        sa.Column("in_items", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("bigram", name=op.f("pk_search_bigram")),
    )


def _crawls() -> None:
    op.create_table(
        "crawl",
        sa.Column("id", ID, nullable=False),
        sa.Column("chain", TEXT, nullable=False),
        sa.Column("month", TEXT, nullable=False),
        sa.Column("transport", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False, server_default=""),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.Column("archive", TEXT),
        sa.Column("requests", sa.Integer, nullable=False, server_default="0"),
        sa.CheckConstraint(
            "state IN ('running', 'staged', 'published', 'held', 'failed')",
            name=op.f("ck_crawl_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crawl")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_crawl_chain_state"), "crawl", ["chain", "state"])
    op.create_table(
        "staged_page",
        sa.Column("crawl_id", ID, nullable=False),
        sa.Column("listing", TEXT, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("cards_seen", sa.Integer, nullable=False),
        sa.Column("declared_total", sa.Integer),
        sa.Column("end_seen", sa.Boolean, nullable=False),
        sa.Column("staged_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["crawl_id"], ["crawl.id"], name=op.f("fk_staged_page_crawl_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("crawl_id", "listing", "number", name=op.f("pk_staged_page")),
    )
    op.create_table(
        "staged_offer",
        sa.Column("crawl_id", ID, nullable=False),
        sa.Column("listing", TEXT, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("offer_key", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("price_krw", sa.Integer, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("valid_until", sa.Date, nullable=False),
        sa.Column("valid_until_inferred", sa.Boolean, nullable=False),
        sa.Column("barcode", TEXT),
        sa.Column("site_id", TEXT),
        sa.Column("regular_price_krw", sa.Integer),
        sa.Column("gift_name", TEXT),
        sa.Column("gift_price_krw", sa.Integer),
        sa.Column("gift_barcode", TEXT),
        sa.Column("gift_image_url", TEXT),
        sa.Column("image_url", TEXT),
        sa.Column("category", TEXT),
        sa.CheckConstraint(
            "kind IN ('1+1', '2+1', '3+1', 'gift', 'discount', 'pick')",
            name=op.f("ck_staged_offer_kind"),
        ),
        sa.CheckConstraint("name <> ''", name=op.f("ck_staged_offer_name")),
        sa.CheckConstraint(
            "price_krw BETWEEN 1 AND 1000000", name=op.f("ck_staged_offer_price_krw")
        ),
        sa.ForeignKeyConstraint(
            ["crawl_id", "listing", "number"],
            ["staged_page.crawl_id", "staged_page.listing", "staged_page.number"],
            name=op.f("fk_staged_offer_crawl_id_listing_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "crawl_id", "listing", "number", "position", name=op.f("pk_staged_offer")
        ),
    )
    op.create_index(
        op.f("ix_staged_offer_crawl_id_content_hash"), "staged_offer", ["crawl_id", "content_hash"]
    )
    op.create_table(
        "anomaly",
        sa.Column("id", ID, nullable=False),
        sa.Column("crawl_id", ID, nullable=False),
        sa.Column("listing", TEXT),
        sa.Column("number", sa.Integer),
        sa.Column("position", sa.Integer),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["crawl_id"], ["crawl.id"], name=op.f("fk_anomaly_crawl_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_anomaly")),
    )
    op.create_index(
        op.f("ix_anomaly_crawl_id_listing_number"), "anomaly", ["crawl_id", "listing", "number"]
    )


def _publications() -> None:
    op.create_table(
        "catalog_version",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("version", ID, nullable=False),
        sa.Column("floor", ID, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_catalog_version_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_version")),
    )
    op.create_table(
        "snapshot",
        sa.Column("id", ID, nullable=False),
        sa.Column("chain", TEXT, nullable=False),
        sa.Column("month", TEXT, nullable=False),
        sa.Column("crawl_id", ID),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("version", ID),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("by_kind", JSON, nullable=False),
        sa.Column("by_category", JSON, nullable=False),
        sa.Column("reason", TEXT, nullable=False, server_default=""),
        sa.Column("crawled_at", TIME, nullable=False),
        sa.Column("decided_at", TIME),
        sa.Column("republishes", ID),
        sa.CheckConstraint(
            "state IN ('published', 'held', 'superseded', 'rejected')",
            name=op.f("ck_snapshot_state"),
        ),
        sa.ForeignKeyConstraint(["crawl_id"], ["crawl.id"], name=op.f("fk_snapshot_crawl_id")),
        sa.ForeignKeyConstraint(
            ["republishes"], ["snapshot.id"], name=op.f("fk_snapshot_republishes")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot")),
        sa.UniqueConstraint("version", name=op.f("uq_snapshot_version")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_snapshot_chain_state"), "snapshot", ["chain", "state"])
    op.create_index(op.f("ix_snapshot_crawl_id"), "snapshot", ["crawl_id"])
    op.create_index(
        op.f("uq_snapshot_published"),
        "snapshot",
        ["chain"],
        unique=True,
        sqlite_where=sa.text("state = 'published'"),
        postgresql_where=sa.text("state = 'published'"),
    )
    op.create_table(
        "source",
        sa.Column("chain", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("since", TIME),
        sa.Column("reason", TEXT, nullable=False, server_default=""),
        sa.Column("last_snapshot_id", ID),
        sa.CheckConstraint(
            "state IN ('never', 'ok', 'stale', 'gone')", name=op.f("ck_source_state")
        ),
        sa.ForeignKeyConstraint(
            ["last_snapshot_id"], ["snapshot.id"], name=op.f("fk_source_last_snapshot_id")
        ),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_source")),
    )
    op.create_table(
        "promotion",
        sa.Column("id", ID, nullable=False),
        sa.Column("chain", TEXT, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("offer_key", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("price_krw", sa.Integer, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("valid_until", sa.Date, nullable=False),
        sa.Column("valid_until_inferred", sa.Boolean, nullable=False),
        sa.Column("barcode", TEXT),
        sa.Column("site_id", TEXT),
        sa.Column("regular_price_krw", sa.Integer),
        sa.Column("gift_name", TEXT),
        sa.Column("gift_price_krw", sa.Integer),
        sa.Column("gift_barcode", TEXT),
        sa.Column("gift_image_url", TEXT),
        sa.Column("image_url", TEXT),
        sa.Column("category", TEXT),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("link_method", TEXT, nullable=False),
        sa.Column("link_score", sa.Float),
        sa.Column("first_seen", TIME, nullable=False),
        sa.Column("last_seen", TIME, nullable=False),
        sa.Column("from_version", ID, nullable=False),
        sa.Column("until_version", ID),
        sa.Column("from_snapshot_id", ID, nullable=False),
        sa.CheckConstraint(
            "kind IN ('1+1', '2+1', '3+1', 'gift', 'discount', 'pick')",
            name=op.f("ck_promotion_kind"),
        ),
        sa.CheckConstraint("name <> ''", name=op.f("ck_promotion_name")),
        sa.CheckConstraint("price_krw BETWEEN 1 AND 1000000", name=op.f("ck_promotion_price_krw")),
        sa.ForeignKeyConstraint(
            ["from_snapshot_id"], ["snapshot.id"], name=op.f("fk_promotion_from_snapshot_id")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_promotion_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_promotion_chain_offer_key"), "promotion", ["chain", "offer_key"])
    op.create_index(op.f("ix_promotion_from_snapshot_id"), "promotion", ["from_snapshot_id"])
    op.create_index(op.f("ix_promotion_from_version"), "promotion", ["from_version"])
    op.create_index(op.f("ix_promotion_item_id"), "promotion", ["item_id"])
    op.create_index(op.f("ix_promotion_until_version"), "promotion", ["until_version"])
    op.create_index(
        op.f("uq_promotion_live"),
        "promotion",
        ["chain", "content_hash"],
        unique=True,
        sqlite_where=sa.text("until_version IS NULL"),
        postgresql_where=sa.text("until_version IS NULL"),
    )
    op.create_table(
        "change",
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("entity_id", TEXT, nullable=False),
        sa.Column("version", ID, nullable=False),
        sa.Column("op", TEXT, nullable=False),
        sa.CheckConstraint("op IN ('upsert', 'delete')", name=op.f("ck_change_op")),
        sa.PrimaryKeyConstraint("entity", "entity_id", name=op.f("pk_change")),
    )
    op.create_index(
        op.f("ix_change_version_entity_entity_id"), "change", ["version", "entity", "entity_id"]
    )


def _others() -> None:
    op.create_table(
        "link_candidate",
        sa.Column("id", ID, nullable=False),
        sa.Column("chain", TEXT, nullable=False),
        sa.Column("offer_key", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("price_krw", sa.Integer, nullable=False),
        sa.Column("content_hash", TEXT, nullable=False),
        sa.Column("item_id", ID, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("method", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("decided_at", TIME),
        sa.Column("decided_by", TEXT),
        sa.CheckConstraint(
            "state IN ('open', 'accepted', 'rejected')", name=op.f("ck_link_candidate_state")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["item.id"], name=op.f("fk_link_candidate_item_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_candidate")),
        sa.UniqueConstraint(
            "chain", "offer_key", "item_id", name=op.f("uq_link_candidate_chain_offer_key_item_id")
        ),
    )
    op.create_index(op.f("ix_link_candidate_item_id"), "link_candidate", ["item_id"])
    op.create_index(op.f("ix_link_candidate_state_chain"), "link_candidate", ["state", "chain"])
    op.create_table(
        "store_source",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("format", TEXT, nullable=False),
        sa.Column("attribution", TEXT, nullable=False),
        sa.Column("imported_at", TIME, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_store_source")),
    )
    op.create_table(
        "store",
        sa.Column("id", ID, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("chain", TEXT),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("branch", TEXT),
        sa.Column("address", TEXT),
        sa.Column("phone", TEXT),
        sa.Column("latitude", sa.Float, nullable=False),
        sa.Column("longitude", sa.Float, nullable=False),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90", name=op.f("ck_store_latitude")),
        sa.CheckConstraint("longitude BETWEEN -180 AND 180", name=op.f("ck_store_longitude")),
        sa.ForeignKeyConstraint(
            ["source"], ["store_source.name"], name=op.f("fk_store_source"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store")),
        sa.UniqueConstraint("source", "source_id", name=op.f("uq_store_source_source_id")),
    )
    op.create_index(op.f("ix_store_latitude_longitude"), "store", ["latitude", "longitude"])
    op.create_table(
        "data_source",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("declaration", JSON, nullable=False),
        sa.Column("loaded_at", TIME),
        sa.Column("row_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("sha256", TEXT),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_data_source")),
    )
    op.create_table(
        "data_row",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("fields", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["source"], ["data_source.name"], name=op.f("fk_data_row_source"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("source", "key", name=op.f("pk_data_row")),
    )
