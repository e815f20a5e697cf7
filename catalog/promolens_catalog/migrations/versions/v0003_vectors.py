"""Vectors, the spaces that they belong to, and the index files that were made of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "vector_space",
        sa.Column("id", ID, nullable=False),
        sa.Column("corpus", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("dtype", TEXT, nullable=False),
        sa.Column("last_seq", ID, nullable=False, server_default="0"),
        sa.Column("floor_seq", ID, nullable=False, server_default="0"),
        sa.CheckConstraint("dim BETWEEN 1 AND 4096", name=op.f("ck_vector_space_dim")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vector_space")),
        sa.UniqueConstraint(
            "corpus", "model_id", "dim", name=op.f("uq_vector_space_corpus_model_id_dim")
        ),
        sqlite_autoincrement=True,
    )
    _embeddings()
    op.create_table(
        "vector_snapshot",
        sa.Column("space_id", ID, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("max_seq", ID, nullable=False),
        sa.Column("built_at", TIME, nullable=False),
        sa.Column("parameters", JSON, nullable=False),
        _in_space("vector_snapshot"),
        sa.PrimaryKeyConstraint("space_id", "sha256", name=op.f("pk_vector_snapshot")),
    )


def _embeddings() -> None:
    op.create_table(
        "embedding",
        sa.Column("id", ID, nullable=False),
        sa.Column("space_id", ID, nullable=False),
        sa.Column("image_id", TEXT, nullable=False),
        sa.Column("region_id", sa.Integer, nullable=False),
        sa.Column("item_id", TEXT, nullable=False),
        sa.Column("unit", sa.LargeBinary),
        sa.Column("norm", sa.Float, nullable=False),
        sa.Column("attributes", JSON, nullable=False),
        sa.Column("seq", ID, nullable=False),
        sa.CheckConstraint("region_id >= 0", name=op.f("ck_embedding_region_id")),
        _in_space("embedding"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_embedding")),
        sa.UniqueConstraint(
            "space_id",
            "image_id",
            "region_id",
            name=op.f("uq_embedding_space_id_image_id_region_id"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_embedding_space_id_seq"), "embedding", ["space_id", "seq"])


def _in_space(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["space_id"], ["vector_space.id"], name=op.f(f"fk_{table}_space_id"), ondelete="CASCADE"
    )
