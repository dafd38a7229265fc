"""Tags of Personalize's resources, by ARN; given at creation or later, gone with the resource."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.access import Caller
from tailorbird.errors import Invalid, LimitExceeded, NotFound
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_tags
from tailorbird.store import Database, insert, metadata

MAX_TAGS = 50
RESERVED_PREFIX = "aws:"
TABLES = {
    "schema": "learn_schemas",
    "dataset-group": "learn_dataset_groups",
    "dataset": "learn_datasets",
    "dataset-import-job": "learn_import_jobs",
    "dataset-export-job": "learn_export_jobs",
    "data-deletion-job": "learn_deletion_jobs",
    "batch-inference-job": "learn_batch_inference_jobs",
    "batch-segment-job": "learn_batch_segment_jobs",
    "campaign": "learn_campaigns",
    "event-tracker": "learn_event_trackers",
    "filter": "learn_filters",
    "metric-attribution": "learn_metric_attributions",
    "recommender": "learn_recommenders",
    "solution": "learn_solutions",
}
ARN_PARTS = 6


def tag_resource(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags, or give those that are there another value."""
    arn = request["resourceArn"]
    with room.db.write() as conn:
        _find(conn, caller, arn)
        put(room.db, conn, arn, request["tags"])
    return {}


def untag_resource(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """Take these tags away; a key that is not there is no error."""
    arn, keys = request["resourceArn"], request["tagKeys"]
    with room.db.write() as conn:
        _find(conn, caller, arn)
        gone = sa.delete(learn_tags).where(learn_tags.c.arn == arn)
        conn.execute(gone.where(learn_tags.c.key.in_(keys)))
    return {}


def list_tags_for_resource(room: Learn, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    arn = request["resourceArn"]
    with room.db.read() as conn:
        _find(conn, caller, arn)
        held = _held(conn, arn)
    return {"tags": [{"tagKey": key, "tagValue": value} for key, value in sorted(held.items())]}


def put(db: Database, conn: Connection, arn: str, tags: Sequence[dict[str, str]]) -> None:
    """Keep tags in the caller's transaction; LimitExceeded with TooManyTagsException past 50."""
    given = {one["tagKey"]: one["tagValue"] for one in tags}
    if len(given) < len(tags):
        raise Invalid("tags: a tagKey is given twice; once is right")
    for key in given:
        if key.lower().startswith(RESERVED_PREFIX):
            raise Invalid(f"The tag key {key!r} starts with aws:, which is kept for AWS")
    count = len(_held(conn, arn).keys() | given.keys())
    if count > MAX_TAGS:
        raise LimitExceeded(
            f"{arn} would have {count} tags; {MAX_TAGS} is the limit", code="TooManyTagsException"
        )
    if not given:
        return
    rows = [{"arn": arn, "key": key, "value": value} for key, value in given.items()]
    statement = insert(db, learn_tags).values(rows)
    changed = {"value": statement.excluded.value}
    conn.execute(statement.on_conflict_do_update(index_elements=["arn", "key"], set_=changed))


def drop(conn: Connection, arn: str) -> None:
    conn.execute(sa.delete(learn_tags).where(learn_tags.c.arn == arn))


def _held(conn: Connection, arn: str) -> dict[str, str]:
    query = sa.select(learn_tags.c.key, learn_tags.c.value).where(learn_tags.c.arn == arn)
    return {row[0]: row[1] for row in conn.execute(query)}


def _find(conn: Connection, caller: Caller, arn: str) -> None:
    """NotFound when this account has no such resource in this region."""
    kind, _, rest = arn.split(":", ARN_PARTS - 1)[-1].partition("/")
    name = TABLES.get(kind, "")
    if kind == "solution" and "/" in rest:
        name = "learn_solution_versions"
    if name in metadata.tables:
        c = metadata.tables[name].c
        query = sa.select(c.arn).where(
            c.arn == arn, c.account == caller.account, c.region == caller.region
        )
        if conn.execute(query).scalar() is not None:
            return
    raise NotFound(f"The given resource does not exist: {arn}")
