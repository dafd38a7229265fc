"""What the room keeps: Personalize's resources, parts of imported data, live interaction events.

Every resource has the same columns; `definition` is the create request as it was given.
"""

import sqlalchemy as sa

from tailorbird.store import Document, Serial, metadata


def _resource(name: str, *own: sa.Column | sa.Index) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("arn", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("definition", Document, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
        *own,
        sa.Index(f"ix_{name}_listed", "account", "region", "created", "arn"),
    )


learn_schemas = _resource("learn_schemas")

learn_dataset_groups = _resource("learn_dataset_groups")

learn_datasets = _resource(
    "learn_datasets",
    sa.Column("group_arn", sa.Text, nullable=False, index=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("schema_arn", sa.Text, nullable=False, index=True),
    sa.Column("change", Document),  # the latest replacement of the schema
    sa.Column("tracking_id", sa.Text, unique=True),  # of action interactions
)

learn_import_jobs = _resource(
    "learn_import_jobs",
    sa.Column("dataset_arn", sa.Text, nullable=False, index=True),
    sa.Column("report", Document),
)

learn_solutions = _resource(
    "learn_solutions",
    sa.Column("group_arn", sa.Text, nullable=False, index=True),
    sa.Column("change", Document),  # the latest UpdateSolution
)

learn_solution_versions = _resource(
    "learn_solution_versions",
    sa.Column("solution_arn", sa.Text, nullable=False, index=True),
    sa.Column("group_arn", sa.Text, nullable=False, index=True),
    sa.Column("recipe_arn", sa.Text, nullable=False),
    sa.Column("training_hours", sa.Double),
    sa.Column("metrics", Document),
    sa.Column("report", Document),
    sa.Column("artifact", sa.Text),
)

# `version_arn` is the version that serves, `change` the latest update; both documents keep $LATEST.
learn_campaigns = _resource(
    "learn_campaigns",
    sa.Column("solution_arn", sa.Text, nullable=False, index=True),
    sa.Column("version_arn", sa.Text, nullable=False),
    sa.Column("change", Document),
)

learn_event_trackers = _resource(
    "learn_event_trackers",
    sa.Column("group_arn", sa.Text, nullable=False, unique=True),
    sa.Column("tracking_id", sa.Text, nullable=False, unique=True),
)

# Imported rows lie in immutable columnar objects; a part counts from the moment its row is here.
learn_parts = sa.Table(
    "learn_parts",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("dataset_arn", sa.Text, nullable=False, index=True),
    sa.Column("job_arn", sa.Text, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
)

# Interaction events of PutEvents. `person` is whose history the event belongs to: the user's id,
# else the session's until an event with both ids links them.
learn_events = sa.Table(
    "learn_events",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("group_arn", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("session_id", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("event_value", sa.Double),
    sa.Column("item_id", sa.Text),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("details", Document, nullable=False),
    sa.Column("received", sa.Double, nullable=False),
    sa.Column("unusable", sa.Text),
    sa.Index("ux_learn_events_event_id", "group_arn", "event_id", unique=True),
    sa.Index("ix_learn_events_person", "group_arn", "person", "id"),
    sa.Index("ix_learn_events_session", "group_arn", "session_id"),
)

# Action interactions of PutActionInteractions; `person` as in learn_events.
learn_action_events = sa.Table(
    "learn_action_events",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("group_arn", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("session_id", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("action_id", sa.Text, nullable=False),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("details", Document, nullable=False),
    sa.Column("received", sa.Double, nullable=False),
    sa.Index("ux_learn_action_events_event_id", "group_arn", "event_id", unique=True),
    sa.Index("ix_learn_action_events_person", "group_arn", "person", "id"),
    sa.Index("ix_learn_action_events_session", "group_arn", "session_id"),
)

learn_sessions = sa.Table(
    "learn_sessions",
    metadata,
    sa.Column("group_arn", sa.Text, primary_key=True),
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
)

# Tags of every kind of resource, by its ARN.
learn_tags = sa.Table(
    "learn_tags",
    metadata,
    sa.Column("arn", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

learn_export_jobs = _resource(
    "learn_export_jobs",
    sa.Column("dataset_arn", sa.Text, nullable=False, index=True),
    sa.Column("report", Document),
)

learn_deletion_jobs = _resource(
    "learn_deletion_jobs",
    sa.Column("group_arn", sa.Text, nullable=False, index=True),
    sa.Column("report", Document),
)

# Batch inference and batch segment jobs; `report` counts lines and errors.
learn_batch_inference_jobs = _resource(
    "learn_batch_inference_jobs",
    sa.Column("version_arn", sa.Text, nullable=False, index=True),
    sa.Column("report", Document),
)

learn_batch_segment_jobs = _resource(
    "learn_batch_segment_jobs",
    sa.Column("version_arn", sa.Text, nullable=False, index=True),
    sa.Column("report", Document),
)

# A recommender's model is a version whose solution_arn is the recommender's.
learn_recommenders = _resource(
    "learn_recommenders",
    sa.Column("group_arn", sa.Text, nullable=False, index=True),
    sa.Column("version_arn", sa.Text),
    sa.Column("change", Document),
)

learn_filters = _resource(
    "learn_filters",
    sa.Column("group_arn", sa.Text, nullable=False, index=True),
)

# `reported`: live events received up to then are in a written report.
learn_metric_attributions = _resource(
    "learn_metric_attributions",
    sa.Column("group_arn", sa.Text, nullable=False, index=True),
    sa.Column("reported", sa.Double, nullable=False),
)

# Items and users put one by one. Replacing one makes a new row, so that the newest id tells what
# has changed since.
learn_records = sa.Table(
    "learn_records",
    metadata,
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("dataset_arn", sa.Text, nullable=False),
    sa.Column("record_id", sa.Text, nullable=False),
    sa.Column("properties", Document, nullable=False),
    sa.Column("updated", sa.Double, nullable=False),
    sa.Index("ix_learn_records_newest", "dataset_arn", "id"),
    sa.Index("ix_learn_records_record", "dataset_arn", "record_id"),
)

# What a campaign that explores has shown, by recommendationId; kept for some days.
learn_served = sa.Table(
    "learn_served",
    metadata,
    sa.Column("recommendation_id", sa.Text, primary_key=True),
    sa.Column("group_arn", sa.Text, nullable=False),
    sa.Column("items", Document, nullable=False),
    sa.Column("counted", sa.Integer, nullable=False),
    sa.Column("created", sa.Double, nullable=False, index=True),
)

# How often an item was in a list that somebody saw, and how often it was the one taken.
learn_impressions = sa.Table(
    "learn_impressions",
    metadata,
    sa.Column("group_arn", sa.Text, primary_key=True),
    sa.Column("item_id", sa.Text, primary_key=True),
    sa.Column("shown", sa.BigInteger, nullable=False),
    sa.Column("taken", sa.BigInteger, nullable=False),
)
