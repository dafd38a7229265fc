"""Messages of a run that failed for the moment, as they were first tried, until a later attempt."""

from __future__ import annotations

import sqlalchemy as sa

from tailorbird.store import Document, metadata

retries = sa.Table(
    "engage_retries",
    metadata,
    sa.Column("activity", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("endpoint", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("endpoint_id", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),  # attempts made
    sa.Column("due", sa.Double, nullable=False),
    sa.Column("until", sa.Double),  # after this the message comes too late
    sa.Column("message", Document, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index(None, "activity", "due"),
    sqlite_with_rowid=False,
)
