"""Personalize's resources, parts of imported data, live interaction events."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from tailorbird.store.database import Document, Serial

revision = "0003_learn"
down_revision = "0002_functions"


def upgrade() -> None:
    _resource("learn_schemas")
    _resource("learn_dataset_groups")
    _resource(
        "learn_datasets",
        _text("group_arn", index=True),
        _text("type"),
        _text("schema_arn", index=True),
        sa.Column("change", Document),
        sa.Column("tracking_id", sa.Text, unique=True),
    )
    _resource(
        "learn_import_jobs",
        _text("dataset_arn", index=True),
        sa.Column("report", Document),
    )
    _resource("learn_solutions", _text("group_arn", index=True), sa.Column("change", Document))
    _resource(
        "learn_solution_versions",
        _text("solution_arn", index=True),
        _text("group_arn", index=True),
        _text("recipe_arn"),
        sa.Column("training_hours", sa.Double),
        sa.Column("metrics", Document),
        sa.Column("report", Document),
        sa.Column("artifact", sa.Text),
    )
    _resource(
        "learn_campaigns",
        _text("solution_arn", index=True),
        _text("version_arn"),
        sa.Column("change", Document),
    )
    _resource(
        "learn_event_trackers",
        _text("group_arn", unique=True),
        _text("tracking_id", unique=True),
    )
    _parts()
    _events()
    _jobs_and_recommenders()
    _filters_and_records()


def _text(name: str, **options: Any) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=False, **options)


def _resource(name: str, *own: sa.Column) -> None:
    op.create_table(
        name,
        sa.Column("arn", sa.Text, primary_key=True),
        _text("account"),
        _text("region"),
        _text("name"),
        _text("status"),
        sa.Column("failure", sa.Text),
        sa.Column("definition", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
        *own,
    )
    op.create_index(f"ix_{name}_listed", name, ["account", "region", "created", "arn"])


def _parts() -> None:
    op.create_table(
        "learn_parts",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        _text("dataset_arn", index=True),
        _text("job_arn"),
        _text("uri"),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )


def _events() -> None:
    op.create_table(
        "learn_events",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        _text("group_arn"),
        _text("person"),
        _text("session_id"),
        sa.Column("user_id", sa.Text),
        _text("event_id"),
        _text("event_type"),
        sa.Column("event_value", sa.Double),
        sa.Column("item_id", sa.Text),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("details", Document, nullable=False),
        sa.Column("received", sa.Double, nullable=False),
        sa.Column("unusable", sa.Text),
    )
    op.create_index(
        "ux_learn_events_event_id", "learn_events", ["group_arn", "event_id"], unique=True
    )
    op.create_index("ix_learn_events_person", "learn_events", ["group_arn", "person", "id"])
    op.create_index("ix_learn_events_session", "learn_events", ["group_arn", "session_id"])
    op.create_table(
        "learn_action_events",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        _text("group_arn"),
        _text("person"),
        _text("session_id"),
        sa.Column("user_id", sa.Text),
        _text("event_id"),
        _text("event_type"),
        _text("action_id"),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("details", Document, nullable=False),
        sa.Column("received", sa.Double, nullable=False),
    )
    table = "learn_action_events"
    op.create_index(f"ux_{table}_event_id", table, ["group_arn", "event_id"], unique=True)
    op.create_index(f"ix_{table}_person", table, ["group_arn", "person", "id"])
    op.create_index(f"ix_{table}_session", table, ["group_arn", "session_id"])
    op.create_table(
        "learn_sessions",
        sa.Column("group_arn", sa.Text, primary_key=True),
        sa.Column("session_id", sa.Text, primary_key=True),
        _text("user_id"),
    )


def _jobs_and_recommenders() -> None:
    op.create_table(
        "learn_tags",
        sa.Column("arn", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        _text("value"),
    )
    for name, parent in (
        ("learn_export_jobs", "dataset_arn"),
        ("learn_deletion_jobs", "group_arn"),
        ("learn_batch_inference_jobs", "version_arn"),
        ("learn_batch_segment_jobs", "version_arn"),
    ):
        _resource(name, _text(parent, index=True), sa.Column("report", Document))
    _resource(
        "learn_recommenders",
        _text("group_arn", index=True),
        sa.Column("version_arn", sa.Text),
        sa.Column("change", Document),
    )


def _filters_and_records() -> None:
    _resource("learn_filters", _text("group_arn", index=True))
    _resource(
        "learn_metric_attributions",
        _text("group_arn", index=True),
        sa.Column("reported", sa.Double, nullable=False),
    )
    op.create_table(
        "learn_records",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        _text("dataset_arn"),
        _text("record_id"),
        sa.Column("properties", Document, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
    )
    op.create_index("ix_learn_records_newest", "learn_records", ["dataset_arn", "id"])
    op.create_index("ix_learn_records_record", "learn_records", ["dataset_arn", "record_id"])
    op.create_table(
        "learn_served",
        sa.Column("recommendation_id", sa.Text, primary_key=True),
        _text("group_arn"),
        sa.Column("items", Document, nullable=False),
        sa.Column("counted", sa.Integer, nullable=False),
        sa.Column("created", sa.Double, nullable=False, index=True),
    )
    op.create_table(
        "learn_impressions",
        sa.Column("group_arn", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("shown", sa.BigInteger, nullable=False),
        sa.Column("taken", sa.BigInteger, nullable=False),
    )
