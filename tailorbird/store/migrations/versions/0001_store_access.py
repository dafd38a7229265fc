"""Jobs; access keys, roles and policies."""

import sqlalchemy as sa
from alembic import op

from tailorbird.store.database import Document, Serial

revision = "0001_store_access"
down_revision = None


def upgrade() -> None:
    _jobs()


def _jobs() -> None:
    op.create_table(
        "store_jobs",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, unique=True),
        sa.Column("payload", Document, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("done", sa.BigInteger),
        sa.Column("total", sa.BigInteger),
        sa.Column("unit", sa.Text),
        sa.Column("result", Document),
        sa.Column("error", sa.Text),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("finished", sa.Double),
    )
    op.create_index(
        "ix_store_jobs_open",
        "store_jobs",
        ["queue", "due", "id"],
        sqlite_where=sa.text("state < 2"),
        postgresql_where=sa.text("state < 2"),
    )
