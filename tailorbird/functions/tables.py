"""What the room keeps: functions, their versions (today `$LATEST`), and who may invoke them."""

import sqlalchemy as sa

from tailorbird.store import Document, metadata

functions_functions = sa.Table(
    "functions_functions",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("tags", Document, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)

functions_versions = sa.Table(
    "functions_versions",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("configuration", Document, nullable=False),
    sa.Column("package", sa.Text, nullable=False),
    sa.Column("revision_id", sa.Text, nullable=False),
    sa.Column("modified", sa.Double, nullable=False),
)

functions_policies = sa.Table(
    "functions_policies",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("qualifier", sa.Text, primary_key=True),
    sa.Column("statements", Document, nullable=False),
    sa.Column("revision_id", sa.Text, nullable=False),
)
