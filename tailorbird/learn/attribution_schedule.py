"""When a metric attribution's next report is due; the job itself is in `attribution_reports`."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from tailorbird.learn.room import Learn

KIND = "learn.attribution_report"
QUEUE = "learn"
SECONDS_PER_MINUTE = 60.0


def enqueue(room: Learn, conn: Connection, arn: str) -> None:
    """The next report's job; none where the setting turns reports of live events off."""
    minutes = room.settings.learn_attribution_minutes
    if minutes > 0:
        due = room.clock.now() + minutes * SECONDS_PER_MINUTE
        room.jobs.enqueue(conn, KIND, {"arn": arn}, queue=QUEUE, due=due)
