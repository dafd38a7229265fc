"""Who goes on with a training's end: campaigns on $LATEST, and the recommender it was for."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.learn import campaigns, records
from tailorbird.learn.room import Learn
from tailorbird.learn.tables import learn_recommenders

RECOMMENDER = ":recommender/"


def active(room: Learn, conn: Connection, version_arn: str) -> None:
    """A version is ACTIVE: who follows it serves it from this transaction on."""
    parent = version_arn.rpartition("/")[0]
    if RECOMMENDER not in parent:
        campaigns.follow_latest(room, conn, parent, version_arn)
        return
    row = _recommender(conn, parent)
    if row is None:
        return
    stopped = row["version_arn"] is not None and row["status"] not in records.BUSY
    values: dict[str, Any] = {"status": row["status"] if stopped else records.ACTIVE}
    if row["change"] is not None:
        values["change"] = {**row["change"], "status": records.ACTIVE}
    records.change(
        room, conn, learn_recommenders, parent, failure=None, version_arn=version_arn, **values
    )


def failed(room: Learn, conn: Connection, version_arn: str, reason: str) -> None:
    """A version failed: a recommender that has another goes on with it."""
    parent = version_arn.rpartition("/")[0]
    row = _recommender(conn, parent) if RECOMMENDER in parent else None
    if row is None:
        return
    values: dict[str, Any] = {"status": row["status"] if row["version_arn"] else records.FAILED}
    if row["version_arn"] and row["change"] is not None:
        values["change"] = {**row["change"], "status": records.FAILED, "failureReason": reason}
    records.change(room, conn, learn_recommenders, parent, failure=reason, **values)


def begun(room: Learn, conn: Connection, version_arn: str) -> None:
    """A version is being trained."""
    parent = version_arn.rpartition("/")[0]
    row = _recommender(conn, parent) if RECOMMENDER in parent else None
    if row is not None and row["version_arn"] is None:
        records.change(room, conn, learn_recommenders, parent, status=records.IN_PROGRESS)


def _recommender(conn: Connection, arn: str) -> records.Row | None:
    table = learn_recommenders
    return conn.execute(sa.select(table).where(table.c.arn == arn)).mappings().first()
