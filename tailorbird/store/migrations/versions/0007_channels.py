"""Channels: providers' secrets, begun messages, what came back; messages to be tried again."""

import sqlalchemy as sa
from alembic import op

from tailorbird.store.database import Document, Serial

revision = "0007_channels"
down_revision = "0006_templates"

INDEXES = (
    ("channels_intents", ["begun"]),
    ("channels_provider_ids", ["moment"]),
    ("channels_feedback", ["application_id", "number"]),
    ("engage_retries", ["activity", "due"]),
)


def upgrade() -> None:
    op.create_table(
        "channels_credentials",
        sa.Column("application_id", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
    )
    op.create_table(
        "channels_intents",
        sa.Column("message_id", sa.Text, primary_key=True),
        sa.Column("begun", sa.Double, nullable=False),
        sa.Column("status", sa.Text),
        sa.Column("words", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "channels_provider_ids",
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("provider_id", sa.Text, primary_key=True),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("moment", sa.Double, nullable=False),
    )
    op.create_table(
        "channels_feedback",
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
        sa.UniqueConstraint(
            "message_id", "kind", "address", name="uq_channels_feedback_message_id_kind_address"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "engage_retries",
        sa.Column("activity", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("endpoint", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("due", sa.Double, nullable=False),
        sa.Column("until", sa.Double),
        sa.Column("message", Document, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    for table, columns in INDEXES:
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)
