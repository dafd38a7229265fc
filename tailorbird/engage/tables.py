"""Tables of the room. What we compute with has a column; the customer's own objects are documents.

`app` is the number of an application (ids are 32 characters, and every endpoint carries one).
`endpoint` in members and ledger is the number of an endpoint, `activity` the number of an activity.
"""

from __future__ import annotations

import sqlalchemy as sa

from tailorbird.store import Document, Serial, metadata

apps = sa.Table(
    "engage_apps",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("tags", Document, nullable=False),
    sa.Column("settings", Document, nullable=False),
    sa.Column("settings_modified", sa.Double),
    sa.Column("denied", Document, nullable=False),  # part: names and globs not captured any more
    sa.Column("created", sa.Double, nullable=False),
    sa.Index(None, "account", "region"),
    sqlite_autoincrement=True,
)

channels = sa.Table(
    "engage_channels",
    metadata,
    sa.Column("application_id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("body", Document, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("modified", sa.Double, nullable=False),
    sa.Column("modified_by", sa.Text, nullable=False),
)

endpoints = sa.Table(
    "engage_endpoints",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("app", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False),  # the id, case folded
    sa.Column("id", sa.Text, nullable=False),  # as it was first written
    sa.Column("user_id", sa.Text),
    sa.Column("channel", sa.Text),
    sa.Column("address", sa.Text),
    sa.Column("opt_out", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("cohort", sa.SmallInteger, nullable=False),
    sa.Column("effective", sa.Double, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("active", sa.Double),  # its last app event
    sa.Column("body", Document, nullable=False),  # the rest of the definition
    sa.UniqueConstraint("app", "key"),
    sa.Index(None, "app", "number"),
    sa.Index(None, "app", "user_id"),
    sa.Index(None, "app", "address"),
    sqlite_autoincrement=True,
    postgresql_with={
        "fillfactor": 75
    },  # an update finds room beside the row, and no index hears of it
)

users = sa.Table(
    "engage_users",
    metadata,
    sa.Column("app", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("attributes", Document, nullable=False),
)

attribute_names = sa.Table(
    "engage_attribute_names",
    metadata,
    sa.Column("app", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("part", sa.Text, primary_key=True),  # Attributes, Metrics or UserAttributes
    sa.Column("name", sa.Text, primary_key=True),
)

segments = sa.Table(
    "engage_segments",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("application_id", sa.Text, nullable=False, index=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("tags", Document, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)

segment_versions = sa.Table(
    "engage_segment_versions",
    metadata,
    sa.Column("segment_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", Document, nullable=False),
    sa.Column("modified", sa.Double, nullable=False),
)

campaigns = sa.Table(
    "engage_campaigns",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("application_id", sa.Text, nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("frequency", sa.Text, nullable=False),
    sa.Column("segment_id", sa.Text, nullable=False, index=True),
    sa.Column("tags", Document, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)

campaign_versions = sa.Table(
    "engage_campaign_versions",
    metadata,
    sa.Column("campaign_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", Document, nullable=False),  # the merged request, hook and limits in force
    sa.Column("modified", sa.Double, nullable=False),
)

activities = sa.Table(
    "engage_activities",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("application_id", sa.Text, nullable=False, index=True),
    sa.Column("campaign_id", sa.Text, nullable=False, index=True),
    sa.Column("campaign_version", sa.Integer, nullable=False),
    sa.Column("treatment_id", sa.Text, nullable=False),
    sa.Column("run", sa.Integer, nullable=False),  # counted through the life of the campaign
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("result", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("template_version", sa.Text),  # the one in force when the run began
    sa.Column("anchor", sa.Double, nullable=False),  # the first run of its schedule
    sa.Column("planned", sa.Double, nullable=False),  # when it was written down
    sa.Column("scheduled", sa.Double, nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("ended", sa.Double),
    sa.Column("resolved_to", sa.BigInteger, nullable=False),  # last endpoint the audience has seen
    sa.Column("total", sa.BigInteger, nullable=False),  # endpoints of the segment
    sa.Column("members", sa.BigInteger, nullable=False),  # of these, frozen to be sent to
    sa.Column("legs", Document, nullable=False),  # [{due, members}]: one, or one per hour of day
    sa.Column("settled", sa.BigInteger, nullable=False),  # members with a final state
    sa.Column("sent", sa.BigInteger, nullable=False),
    sa.Column("batch_size", sa.Integer, nullable=False),  # members one hook call sees
    sa.Column("paced_until", sa.Double, nullable=False),
    sa.Column("metrics", Document, nullable=False),
    sa.Column("hook_away_since", sa.Double),  # nobody is there who could answer for the hook
    sa.Column("hook_away_reason", sa.Text),
    sa.Column("hook_asked", sa.Integer),  # how often since
    sa.Column("hook_ask_due", sa.Double),  # when a batch asks again
    sa.UniqueConstraint("campaign_id", "treatment_id", "run"),
    sqlite_autoincrement=True,
)

members = sa.Table(
    "engage_members",
    metadata,
    sa.Column("activity", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("endpoint", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

batches = sa.Table(
    "engage_batches",
    metadata,
    sa.Column("activity", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("batch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kept", sa.Integer, nullable=False),  # by the hook
    sa.Column("sent", sa.Integer, nullable=False),
    sa.Column("failure", sa.Text),
    sa.Column("finished", sa.Double, nullable=False),
)

hook_attempts = sa.Table(
    "engage_hook_attempts",
    metadata,
    sa.Column("number", Serial, primary_key=True, autoincrement=True),
    sa.Column("activity", sa.BigInteger, nullable=False),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("attempt", sa.SmallInteger, nullable=False),
    sa.Column("started", sa.Double, nullable=False),
    sa.Column("duration_ms", sa.Double, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("detail", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Index(None, "activity", "batch"),
)

ledger = sa.Table(
    "engage_ledger",
    metadata,
    sa.Column("activity", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("endpoint", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("endpoint_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),  # empty: the state says it all
    sa.Column("before", sa.Text),  # the end it had before its hook batch was run again
    sa.Column("moment", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)
