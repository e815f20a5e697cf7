"""What Alembic runs: the pending steps on the connection, and in the transaction, it was given."""

from __future__ import annotations

from alembic import context

from promolens_catalog.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter a table in place: Alembic copies it.
    render_as_batch=True,
)
context.run_migrations()
