"""Tables of what people did: events, and what event campaigns make of them."""

from __future__ import annotations

import sqlalchemy as sa

from tailorbird.store import Document, Serial, metadata

events = sa.Table(
    "engage_events",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("app", sa.BigInteger, nullable=False),
    sa.Column("endpoint_id", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("moment", sa.Double, nullable=False),  # when it happened, as the client says
    sa.Column("arrived", sa.Double, nullable=False),
    sa.Column("body", Document, nullable=False),  # Attributes, Metrics, Session and the rest
    sa.Index(None, "app", "arrived"),
)

firings = sa.Table(
    "engage_firings",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("app", sa.BigInteger, nullable=False),
    sa.Column("campaign_id", sa.Text, nullable=False),
    sa.Column("endpoint", sa.BigInteger, nullable=False),
    sa.Column("moment", sa.Double, nullable=False),  # when the event arrived
    sa.Index(None, "campaign_id", "number"),
)
