"""Collect's tables: sources, the log of calls, who has read how far, destinations and outcomes."""

from __future__ import annotations

import sqlalchemy as sa

from tailorbird.store import Document, Serial, metadata

sources = sa.Table(
    "collect_sources",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("metadata_id", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("settings", Document, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)

write_keys = sa.Table(
    "collect_write_keys",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("source_id", sa.Text, nullable=False, index=True),
    sa.Column("created", sa.Double, nullable=False),
)

# The log: a row is one group of calls of one source that became durable together.
# Call n of the row has the number first + n. `function` names the function that sent them, if any.
# `lines` of some length are compressed; `size` is what they have in bytes when they are not.
log = sa.Table(
    "collect_log",
    metadata,
    sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("source_id", sa.Text, nullable=False),
    sa.Column("received", sa.Double, nullable=False),
    sa.Column("function", sa.Text),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("lines", sa.LargeBinary, nullable=False),
    sa.Index("ix_collect_log_source", "source_id", "first"),
)

# Message ids of today and yesterday (UTC days), for de-duplication: eight bytes of each id's hash,
# for calls first, first + 1, ... of one commit.
seen = sa.Table(
    "collect_seen",
    metadata,
    sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Integer, nullable=False),
    sa.Column("hashes", sa.LargeBinary, nullable=False),
)

# How far each reader of the log has come; "head" is the next number to give out.
cursors = sa.Table(
    "collect_cursors",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)

# What became of the calls, in buckets of ten minutes. `owner` is a source or a destination.
counts = sa.Table(
    "collect_counts",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("bucket", sa.BigInteger, primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("n", sa.BigInteger, nullable=False),
)

# The last few calls that met each reason, with what was said about them.
samples = sa.Table(
    "collect_samples",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
)

archives = sa.Table(
    "collect_archives",
    metadata,
    sa.Column("source_id", sa.Text, primary_key=True),
    sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("written", sa.Double),
)

destinations = sa.Table(
    "collect_destinations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("source_id", sa.Text, nullable=False, index=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("settings", Document, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("lease", sa.Double, nullable=False),
)

filters = sa.Table(
    "collect_filters",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("destination_id", sa.Text, nullable=False, index=True),
    sa.Column("source_id", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("condition", sa.Text, nullable=False),
    sa.Column("actions", Document, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("updated", sa.Double, nullable=False),
)

# A replay: which calls of an archive go to which destination again, and how far it has come.
replays = sa.Table(
    "collect_replays",
    metadata,
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

# A warehouse that sources are loaded into; `holder` is the job that loads just now.
warehouses = sa.Table(
    "collect_warehouses",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("settings", Document, nullable=False),
    sa.Column("schedule", Document, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("holder", sa.BigInteger),
)

# A source of a warehouse: the file of the archive and its line that are loaded next, what is
# switched off, and the tables that were seen.
connections = sa.Table(
    "collect_connections",
    metadata,
    sa.Column("warehouse_id", sa.Text, primary_key=True),
    sa.Column("source_id", sa.Text, primary_key=True),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("line", sa.BigInteger, nullable=False),
    sa.Column("overrides", Document, nullable=False),
    sa.Column("tables", Document, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)

# One load of one source, and how it ended.
syncs = sa.Table(
    "collect_syncs",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("warehouse_id", sa.Text, nullable=False, index=True),
    sa.Column("source_id", sa.Text, nullable=False),
    sa.Column("started", sa.Double, nullable=False),
    sa.Column("ended", sa.Double),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("calls", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("notices", Document, nullable=False),
)

# One call on its way to one destination, and how that ended.
deliveries = sa.Table(
    "collect_deliveries",
    metadata,
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
    sa.Index(
        "ix_collect_deliveries_waiting",
        "destination_id",
        "due",
        "number",
        sqlite_where=sa.text("state = 0"),
        postgresql_where=sa.text("state = 0"),
    ),
)

profiles = sa.Table(
    "collect_profiles",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("user_id", sa.Text, unique=True),
    sa.Column("traits", Document, nullable=False),
    sa.Column("groups", Document, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("updated", sa.Double, nullable=False),
)

# Every id a person is known by: user ids and anonymous ids.
profile_ids = sa.Table(
    "collect_profile_ids",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("profile_id", sa.BigInteger, nullable=False, index=True),
)

# The assertions that OAuth clients have shown, by the hash of client and jti, until they expire.
assertions = sa.Table(
    "collect_assertions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("until", sa.Double, nullable=False),
)
