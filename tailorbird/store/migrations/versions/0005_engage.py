"""Engage: applications, endpoints, users, segments, campaigns, activities and the ledger."""

import sqlalchemy as sa
from alembic import op

from tailorbird.store.database import Document, Serial

revision = "0005_engage"
down_revision = "0004_collect"


def upgrade() -> None:
    _apps()
    _channels()
    _endpoints()
    _users()
    _attribute_names()
    _segments()
    _segment_versions()
    _campaigns()
    _campaign_versions()
    _activities()
    _members()
    _batches()
    _hook_attempts()
    _ledger()
    _events()
    _firings()
    _transfers()
    _transfer_failures()
    _lists()
    _list_endpoints()
    _list_users()
    _streams()
    _outbox()
    _counts()
    _firsts()
    _event_names()
    _recommenders()


def _apps() -> None:
    op.create_table(
        "engage_apps",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("tags", Document, nullable=False),
        sa.Column("settings", Document, nullable=False),
        sa.Column("settings_modified", sa.Double),
        sa.Column("denied", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.UniqueConstraint("id", name="uq_engage_apps_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_engage_apps_account_region", "engage_apps", ["account", "region"])


def _channels() -> None:
    op.create_table(
        "engage_channels",
        sa.Column("application_id", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("body", Document, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
        sa.Column("modified_by", sa.Text, nullable=False),
    )


def _endpoints() -> None:
    op.create_table(
        "engage_endpoints",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("app", sa.BigInteger, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("channel", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("opt_out", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("cohort", sa.SmallInteger, nullable=False),
        sa.Column("effective", sa.Double, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("active", sa.Double),
        sa.Column("body", Document, nullable=False),
        sa.UniqueConstraint("app", "key", name="uq_engage_endpoints_app_key"),
        sqlite_autoincrement=True,
        postgresql_with={"fillfactor": 75},
    )
    op.create_index("ix_engage_endpoints_app_number", "engage_endpoints", ["app", "number"])
    op.create_index("ix_engage_endpoints_app_user_id", "engage_endpoints", ["app", "user_id"])
    op.create_index("ix_engage_endpoints_app_address", "engage_endpoints", ["app", "address"])


def _users() -> None:
    op.create_table(
        "engage_users",
        sa.Column("app", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("attributes", Document, nullable=False),
    )


def _attribute_names() -> None:
    op.create_table(
        "engage_attribute_names",
        sa.Column("app", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("part", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
    )


def _segments() -> None:
    op.create_table(
        "engage_segments",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("application_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("tags", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_index("ix_engage_segments_application_id", "engage_segments", ["application_id"])


def _segment_versions() -> None:
    op.create_table(
        "engage_segment_versions",
        sa.Column("segment_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", Document, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
    )


def _campaigns() -> None:
    op.create_table(
        "engage_campaigns",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("application_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("frequency", sa.Text, nullable=False),
        sa.Column("segment_id", sa.Text, nullable=False),
        sa.Column("tags", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_index("ix_engage_campaigns_application_id", "engage_campaigns", ["application_id"])
    op.create_index("ix_engage_campaigns_segment_id", "engage_campaigns", ["segment_id"])


def _campaign_versions() -> None:
    op.create_table(
        "engage_campaign_versions",
        sa.Column("campaign_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", Document, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
    )


def _activities() -> None:
    op.create_table(
        "engage_activities",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("application_id", sa.Text, nullable=False),
        sa.Column("campaign_id", sa.Text, nullable=False),
        sa.Column("campaign_version", sa.Integer, nullable=False),
        sa.Column("treatment_id", sa.Text, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("template_version", sa.Text),
        sa.Column("anchor", sa.Double, nullable=False),
        sa.Column("planned", sa.Double, nullable=False),
        sa.Column("scheduled", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("ended", sa.Double),
        sa.Column("resolved_to", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("members", sa.BigInteger, nullable=False),
        sa.Column("legs", Document, nullable=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("sent", sa.BigInteger, nullable=False),
        sa.Column("batch_size", sa.Integer, nullable=False),
        sa.Column("paced_until", sa.Double, nullable=False),
        sa.Column("metrics", Document, nullable=False),
        sa.Column("hook_away_since", sa.Double),
        sa.Column("hook_away_reason", sa.Text),
        sa.Column("hook_asked", sa.Integer),
        sa.Column("hook_ask_due", sa.Double),
        sa.UniqueConstraint("id", name="uq_engage_activities_id"),
        sa.UniqueConstraint(
            "campaign_id",
            "treatment_id",
            "run",
            name="uq_engage_activities_campaign_id_treatment_id_run",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_engage_activities_application_id", "engage_activities", ["application_id"])
    op.create_index("ix_engage_activities_campaign_id", "engage_activities", ["campaign_id"])


def _members() -> None:
    op.create_table(
        "engage_members",
        sa.Column("activity", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("endpoint", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _batches() -> None:
    op.create_table(
        "engage_batches",
        sa.Column("activity", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("batch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kept", sa.Integer, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("finished", sa.Double, nullable=False),
    )


def _hook_attempts() -> None:
    op.create_table(
        "engage_hook_attempts",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("activity", sa.BigInteger, nullable=False),
        sa.Column("batch", sa.Integer, nullable=False),
        sa.Column("attempt", sa.SmallInteger, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
        sa.Column("request_id", sa.Text),
    )
    op.create_index(
        "ix_engage_hook_attempts_activity_batch", "engage_hook_attempts", ["activity", "batch"]
    )


def _ledger() -> None:
    op.create_table(
        "engage_ledger",
        sa.Column("activity", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("endpoint", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("before", sa.Text),
        sa.Column("moment", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )


def _events() -> None:
    op.create_table(
        "engage_events",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("app", sa.BigInteger, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("moment", sa.Double, nullable=False),
        sa.Column("arrived", sa.Double, nullable=False),
        sa.Column("body", Document, nullable=False),
    )
    op.create_index("ix_engage_events_app_arrived", "engage_events", ["app", "arrived"])


def _firings() -> None:
    op.create_table(
        "engage_firings",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("app", sa.BigInteger, nullable=False),
        sa.Column("campaign_id", sa.Text, nullable=False),
        sa.Column("endpoint", sa.BigInteger, nullable=False),
        sa.Column("moment", sa.Double, nullable=False),
    )
    op.create_index(
        "ix_engage_firings_campaign_id_number", "engage_firings", ["campaign_id", "number"]
    )


def _transfers() -> None:
    op.create_table(
        "engage_transfers",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("application_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("definition", Document, nullable=False),
        sa.Column("segment_id", sa.Text),
        sa.Column("segment_version", sa.Integer),
        sa.Column("pieces", Document, nullable=False),
        sa.Column("piece", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("failed_pieces", sa.Integer, nullable=False),
        sa.Column("processed", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.UniqueConstraint("id", name="uq_engage_transfers_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_engage_transfers_application_id_type_number",
        "engage_transfers",
        ["application_id", "type", "number"],
    )


def _transfer_failures() -> None:
    op.create_table(
        "engage_transfer_failures",
        sa.Column("transfer", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("piece", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("row", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _lists() -> None:
    op.create_table(
        "engage_lists",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("segment_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("is_whole", sa.Boolean, nullable=False),
        sa.UniqueConstraint("segment_id", "version", name="uq_engage_lists_segment_id_version"),
        sqlite_autoincrement=True,
    )


def _list_endpoints() -> None:
    op.create_table(
        "engage_list_endpoints",
        sa.Column("list", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("endpoint", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


def _list_users() -> None:
    op.create_table(
        "engage_list_users",
        sa.Column("list", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("user_id", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )


def _streams() -> None:
    op.create_table(
        "engage_streams",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("app", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("role_arn", sa.Text, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
        sa.Column("modified_by", sa.Text, nullable=False),
        sa.Column("xid", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("delivered", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("held_until", sa.Double, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("id", name="uq_engage_streams_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_engage_streams_app", "engage_streams", ["app"])


def _outbox() -> None:
    op.create_table(
        "engage_outbox",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("app", sa.BigInteger, nullable=False),
        sa.Column("xid", sa.BigInteger, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("arrived", sa.Double, nullable=False),
        sa.Column("lines", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_engage_outbox_app_xid_number", "engage_outbox", ["app", "xid", "number"])


def _counts() -> None:
    op.create_table(
        "engage_counts",
        sa.Column("number", Serial, primary_key=True, autoincrement=True),
        sa.Column("app", sa.BigInteger, nullable=False),
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("campaign_id", sa.Text, nullable=False),
        sa.Column("activity_id", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("measure", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("amount", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_engage_counts_app_hour", "engage_counts", ["app", "hour"])


def _firsts() -> None:
    op.create_table(
        "engage_firsts",
        sa.Column("message_id", sa.Text, primary_key=True),
        sa.Column("measure", sa.Text, primary_key=True),
        sa.Column("app", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_engage_firsts_app", "engage_firsts", ["app"])


def _event_names() -> None:
    op.create_table(
        "engage_event_names",
        sa.Column("app", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )


def _recommenders() -> None:
    op.create_table(
        "engage_recommenders",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("body", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
    )
    op.create_index(
        "ix_engage_recommenders_account_region", "engage_recommenders", ["account", "region"]
    )
