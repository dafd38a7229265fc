"""What the room keeps: functions with their versions, aliases and policies, and layers."""

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
    sa.Column("last_version", sa.Integer, nullable=False),
    sa.Column("reserved", sa.Integer),
    sa.Column("recursive_loop", sa.Text),  # Allow or Terminate, the default
)

functions_versions = sa.Table(
    "functions_versions",
    metadata,
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

functions_aliases = sa.Table(
    "functions_aliases",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("weights", Document, nullable=False),
    sa.Column("revision_id", sa.Text, nullable=False),
)

functions_policies = sa.Table(
    "functions_policies",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("qualifier", sa.Text, primary_key=True),
    sa.Column("head", Document, nullable=False),
    sa.Column("statements", Document, nullable=False),
    sa.Column("revision_id", sa.Text, nullable=False),
)

functions_event_configs = sa.Table(
    "functions_event_configs",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("qualifier", sa.Text, primary_key=True),
    sa.Column("retries", sa.Integer),
    sa.Column("max_age_seconds", sa.Integer),
    sa.Column("destinations", Document, nullable=False),
    sa.Column("modified", sa.Double, nullable=False),
)

functions_running = sa.Table(
    "functions_running",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("expires", sa.Double, nullable=False),
    sa.Index("ix_functions_running_function", "account", "region", "name"),
)

functions_packages = sa.Table(
    "functions_packages",
    metadata,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("stored", sa.Double, nullable=False),
)

functions_layers = sa.Table(
    "functions_layers",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("last_version", sa.Integer, nullable=False),
)

functions_layer_versions = sa.Table(
    "functions_layer_versions",
    metadata,
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
