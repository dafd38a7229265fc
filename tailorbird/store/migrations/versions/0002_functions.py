"""Tables of the room (see its tables.py)."""

import sqlalchemy as sa
from alembic import op

from tailorbird.store.database import Document

revision = "0002_functions"
down_revision = "0001_store_access"


def upgrade() -> None:
    op.create_table(
        "functions_functions",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("tags", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_table(
        "functions_versions",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("configuration", Document, nullable=False),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("revision_id", sa.Text, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
    )
    op.create_table(
        "functions_policies",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("qualifier", sa.Text, primary_key=True),
        sa.Column("statements", Document, nullable=False),
        sa.Column("revision_id", sa.Text, nullable=False),
    )
