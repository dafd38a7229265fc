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
        sa.Column("last_version", sa.Integer, nullable=False),
        sa.Column("reserved", sa.Integer),
        sa.Column("recursive_loop", sa.Text),
    )
    op.create_table(
        "functions_versions",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("configuration", Document, nullable=False),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("unzipped", sa.BigInteger, nullable=False),
        sa.Column("layers", Document, nullable=False),
        sa.Column("directory", sa.Text),
        sa.Column("management", Document, nullable=False),
        sa.Column("revision_id", sa.Text, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
    )
    op.create_table(
        "functions_aliases",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("alias", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("weights", Document, nullable=False),
        sa.Column("revision_id", sa.Text, nullable=False),
    )
    op.create_table(
        "functions_policies",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("qualifier", sa.Text, primary_key=True),
        sa.Column("head", Document, nullable=False),
        sa.Column("statements", Document, nullable=False),
        sa.Column("revision_id", sa.Text, nullable=False),
    )
    op.create_table(
        "functions_event_configs",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("qualifier", sa.Text, primary_key=True),
        sa.Column("retries", sa.Integer),
        sa.Column("max_age_seconds", sa.Integer),
        sa.Column("destinations", Document, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
    )
    op.create_table(
        "functions_running",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
    )
    op.create_index(
        "ix_functions_running_function", "functions_running", ["account", "region", "name"]
    )
    op.create_table(
        "functions_packages",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("stored", sa.Double, nullable=False),
    )
    op.create_table(
        "functions_layers",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last_version", sa.Integer, nullable=False),
    )
    op.create_table(
        "functions_layer_versions",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("region", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("unzipped", sa.BigInteger, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("license", sa.Text),
        sa.Column("runtimes", Document, nullable=False),
        sa.Column("architectures", Document, nullable=False),
        sa.Column("statements", Document, nullable=False),
        sa.Column("revision_id", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
