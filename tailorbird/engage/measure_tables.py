"""Tables of what is told about messages and events: streams, their outbox, counts by the hour."""

from __future__ import annotations

import sqlalchemy as sa

from tailorbird.store import Serial, metadata

streams = sa.Table(
    "engage_streams",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("app", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("role_arn", sa.Text, nullable=False),
    sa.Column("modified", sa.Double, nullable=False),
    sa.Column("modified_by", sa.Text, nullable=False),
    sa.Column("xid", sa.BigInteger, nullable=False),  # the last row of the outbox that arrived:
    sa.Column("at", sa.BigInteger, nullable=False),  # its transaction and its number
    sa.Column("delivered", sa.BigInteger, nullable=False),
    sa.Column("dropped", sa.BigInteger, nullable=False),  # the outbox had no room for them
    sa.Column("holder", sa.Text),  # the job that delivers now, and
    sa.Column("held_until", sa.Double, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),  # in a row
    sa.Column("error", sa.Text),
    sa.Index(None, "app"),
    sqlite_autoincrement=True,
)

outbox = sa.Table(
    "engage_outbox",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("app", sa.BigInteger, nullable=False),
    sa.Column("xid", sa.BigInteger, nullable=False),  # PostgreSQL's transaction; 0 on SQLite
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("arrived", sa.Double, nullable=False),
    sa.Column("lines", sa.Text, nullable=False),  # records as JSON, a line each
    sa.Index(None, "app", "xid", "number"),
    sqlite_autoincrement=True,
)

counts = sa.Table(  # only added to, so that nobody waits; added up again by the hour
    "engage_counts",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("app", sa.BigInteger, nullable=False),
    sa.Column("hour", sa.BigInteger, nullable=False),  # since 1970
    sa.Column("campaign_id", sa.Text, nullable=False),  # empty: direct messages
    sa.Column("activity_id", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("measure", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),  # the country, or what went wrong
    sa.Column("amount", sa.Double, nullable=False),
    sa.Index(None, "app", "hour"),
    sqlite_autoincrement=True,
)

firsts = sa.Table(  # what happened to a message, the first time
    "engage_firsts",
    metadata,
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("measure", sa.Text, primary_key=True),
    sa.Column("app", sa.BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

event_names = sa.Table(
    "engage_event_names",
    metadata,
    sa.Column("app", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),  # type or key
    sa.Column("name", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)
