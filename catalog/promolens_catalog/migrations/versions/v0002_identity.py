"""A random id of the catalog (`identity`)."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table and its one row."""
    table = op.create_table(
        "catalog_identity",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("catalog_id", TEXT, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_catalog_identity_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_identity")),
    )
    op.bulk_insert(table, [{"id": 1, "catalog_id": secrets.token_hex(16)}])
