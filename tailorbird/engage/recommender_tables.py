"""Table of recommender configurations: they belong to an account and region."""

from __future__ import annotations

import sqlalchemy as sa

from tailorbird.store import Document, metadata

recommenders = sa.Table(
    "engage_recommenders",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("body", Document, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("modified", sa.Double, nullable=False),
    sa.Index(None, "account", "region"),
)
