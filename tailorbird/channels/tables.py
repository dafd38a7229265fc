"""Tables of the room: providers' secrets, begun messages, what came back about sent ones."""

from __future__ import annotations

import sqlalchemy as sa

from tailorbird.store import Serial, metadata

credentials = sa.Table(
    "channels_credentials",
    metadata,
    sa.Column("application_id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("sealed", sa.Text, nullable=False),  # encrypted with the room's key
    sa.Column("modified", sa.Double, nullable=False),
)

intents = sa.Table(  # only of channels that send at most once
    "channels_intents",
    metadata,
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("begun", sa.Double, nullable=False, index=True),
    sa.Column("status", sa.Text),  # empty: begun, and its end is not known
    sa.Column("words", sa.Text),
    sqlite_with_rowid=False,
)

provider_ids = sa.Table(
    "channels_provider_ids",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("provider_id", sa.Text, primary_key=True),
    sa.Column("origin", sa.Text, nullable=False),  # the message's origin, signed
    sa.Column("moment", sa.Double, nullable=False, index=True),
)

feedback = sa.Table(
    "channels_feedback",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("application_id", sa.Text, nullable=False),
    sa.Column("campaign_id", sa.Text),
    sa.Column("activity_id", sa.Text),
    sa.Column("endpoint_id", sa.Text),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("moment", sa.Double, nullable=False),
    sa.UniqueConstraint("message_id", "kind", "address"),
    sa.Index(None, "application_id", "number"),
    sqlite_autoincrement=True,
)
