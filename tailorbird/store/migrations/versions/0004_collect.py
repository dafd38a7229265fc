"""Collect: sources, the log and its readers, archive, destinations, deliveries, profiles."""

import sqlalchemy as sa
from alembic import op

from tailorbird.store.database import Document, Serial

revision = "0004_collect"
down_revision = "0003_learn"


def upgrade() -> None:
    _sources()
    _write_keys()
    _log()
    _seen()
    _cursors()
    _counts()
    _samples()
    _archives()
    _destinations()
    _filters()
    _replays()
    _warehouses()
    _connections()
    _syncs()
    _deliveries()
    _profiles()
    _profile_ids()
    _assertions()


def _sources() -> None:
    op.create_table(
        "collect_sources",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("slug", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("metadata_id", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("settings", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )


def _write_keys() -> None:
    op.create_table(
        "collect_write_keys",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("source_id", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_index("ix_collect_write_keys_source_id", "collect_write_keys", ["source_id"])


def _log() -> None:
    op.create_table(
        "collect_log",
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("source_id", sa.Text, nullable=False),
        sa.Column("received", sa.Double, nullable=False),
        sa.Column("function", sa.Text),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("lines", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_collect_log_source", "collect_log", ["source_id", "first"])


def _seen() -> None:
    op.create_table(
        "collect_seen",
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )


def _cursors() -> None:
    op.create_table(
        "collect_cursors",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )


def _counts() -> None:
    op.create_table(
        "collect_counts",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("bucket", sa.BigInteger, primary_key=True),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("type", sa.Text, primary_key=True),
        sa.Column("n", sa.BigInteger, nullable=False),
    )


def _samples() -> None:
    op.create_table(
        "collect_samples",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
    )


def _archives() -> None:
    op.create_table(
        "collect_archives",
        sa.Column("source_id", sa.Text, primary_key=True),
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("written", sa.Double),
    )


def _destinations() -> None:
    op.create_table(
        "collect_destinations",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("source_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("settings", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("lease", sa.Double, nullable=False),
    )
    op.create_index("ix_collect_destinations_source_id", "collect_destinations", ["source_id"])


def _filters() -> None:
    op.create_table(
        "collect_filters",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("destination_id", sa.Text, nullable=False),
        sa.Column("source_id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("condition", sa.Text, nullable=False),
        sa.Column("actions", Document, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
    )
    op.create_index("ix_collect_filters_destination_id", "collect_filters", ["destination_id"])


def _replays() -> None:
    op.create_table(
        "collect_replays",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("destination_id", sa.Text, nullable=False),
        sa.Column("job", sa.BigInteger),
        sa.Column("wanted", Document, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("counts", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("finished", sa.Double),
    )


def _warehouses() -> None:
    op.create_table(
        "collect_warehouses",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("settings", Document, nullable=False),
        sa.Column("schedule", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("holder", sa.BigInteger),
    )


def _connections() -> None:
    op.create_table(
        "collect_connections",
        sa.Column("warehouse_id", sa.Text, primary_key=True),
        sa.Column("source_id", sa.Text, primary_key=True),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("overrides", Document, nullable=False),
        sa.Column("tables", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )


def _syncs() -> None:
    op.create_table(
        "collect_syncs",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        sa.Column("warehouse_id", sa.Text, nullable=False),
        sa.Column("source_id", sa.Text, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("notices", Document, nullable=False),
    )
    op.create_index("ix_collect_syncs_warehouse_id", "collect_syncs", ["warehouse_id"])


def _deliveries() -> None:
    op.create_table(
        "collect_deliveries",
        sa.Column("destination_id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("queued", sa.Double, nullable=False),
        sa.Column("received", sa.Double, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("function", sa.Text),
        sa.Column("finished", sa.Double),
        sa.Column("reason", sa.Text),
        sa.Column("call", sa.LargeBinary),
    )
    op.create_index(
        "ix_collect_deliveries_waiting",
        "collect_deliveries",
        ["destination_id", "due", "number"],
        sqlite_where=sa.text("state = 0"),
        postgresql_where=sa.text("state = 0"),
    )


def _profiles() -> None:
    op.create_table(
        "collect_profiles",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        sa.Column("user_id", sa.Text, unique=True),
        sa.Column("traits", Document, nullable=False),
        sa.Column("groups", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
    )


def _profile_ids() -> None:
    op.create_table(
        "collect_profile_ids",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("profile_id", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_collect_profile_ids_profile_id", "collect_profile_ids", ["profile_id"])


def _assertions() -> None:
    op.create_table(
        "collect_assertions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("until", sa.Double, nullable=False),
    )
