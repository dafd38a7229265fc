"""Who goes on with a training's end: campaigns on $LATEST, and the recommender it was for."""

from __future__ import annotations

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
    records.change(
        room,
        conn,
        learn_recommenders,
        parent,
        status=records.ACTIVE,
        failure=None,
        version_arn=version_arn,
    )


def failed(room: Learn, conn: Connection, version_arn: str, reason: str) -> None:
    """A version failed: a recommender that has no other fails with it."""
    parent = version_arn.rpartition("/")[0]
    if RECOMMENDER in parent:
        status = records.FAILED
        records.change(room, conn, learn_recommenders, parent, status=status, failure=reason)


def begun(room: Learn, conn: Connection, version_arn: str) -> None:
    """A version is being trained."""
    parent = version_arn.rpartition("/")[0]
    if RECOMMENDER in parent:
        records.change(room, conn, learn_recommenders, parent, status=records.IN_PROGRESS)
