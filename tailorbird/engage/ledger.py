"""The ledger: one row per endpoint and activity, with its final state and a reason a person can
read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.channels import Message
from tailorbird.clock import iso
from tailorbird.engage import tables as t
from tailorbird.engage.bulk import Bulk
from tailorbird.engage.room import Engage
from tailorbird.errors import NotFound

SENT = "sent"
HELD_OUT = "held_out"
OPTED_OUT = "opted_out"
INACTIVE = "inactive"
MISSING_CHANNEL = "missing_channel"
WRONG_CHANNEL = "wrong_channel"
MISSING_ADDRESS = "missing_address"
MISSING_TIMEZONE = "missing_timezone"
PAST_THERE = "past_there"
QUIET = "quiet_time"
DUPLICATE_ADDRESS = "duplicate_address"
CAPPED = "capped"
HOOK_FILTERED = "hook_filtered"
HOOK_FAILED = "hook_failed"
RECOMMENDATION_FAILED = "recommendation_failed"
RENDER_FAILED = "render_failed"
CHANNEL_FAILED = "channel_failed"
EXPIRED = "expired"
CANCELLED = "cancelled"
DELETED = "deleted"
RUN_FAILED = "run_failed"


class State(NamedTuple):
    """What a state says to a person, and the ExecutionMetrics name it counts under."""

    words: str
    metric: str


STATES = {
    SENT: State("The message was handed over", "ENDPOINT_SENT"),
    HELD_OUT: State("Held out: not sent to, for comparison", "TREATMENT_HOLDOUT"),
    OPTED_OUT: State("The person opted out (OptOut is ALL)", "ENDPOINT_OPT_OUT"),
    INACTIVE: State("The endpoint is INACTIVE", "ENDPOINT_INACTIVE"),
    MISSING_CHANNEL: State("The endpoint has no ChannelType", "ENDPOINT_MISSING_CHANNEL"),
    WRONG_CHANNEL: State(
        "The campaign has no message for its channel", "ENDPOINT_CHANNEL_MISMATCH"
    ),
    MISSING_ADDRESS: State("The endpoint has no Address", "ENDPOINT_MISSING_ADDRESS"),
    MISSING_TIMEZONE: State(
        "The endpoint has no valid Demographic.Timezone, and the campaign goes by local time",
        "ENDPOINT_MISSING_TIMEZONE",
    ),
    PAST_THERE: State(
        "The hour had passed in its time zone when the run was planned",
        "ENDPOINT_TIMEZONE_MISMATCH",
    ),
    QUIET: State("It is quiet time where the endpoint is", "ENDPOINT_QUIET_TIME"),
    DUPLICATE_ADDRESS: State("Another endpoint has the same address", "DUPLICATE_ENDPOINT"),
    CAPPED: State("A message limit was reached", "ENDPOINT_CAPPED"),
    HOOK_FILTERED: State("The hook left it out", "FILTERED_OUT_BY_HOOK"),
    HOOK_FAILED: State("The hook failed", "HOOK_FAILED"),
    RECOMMENDATION_FAILED: State("The recommender had nothing for it", "RECOMMENDATION_FAILED"),
    RENDER_FAILED: State("The message could not be rendered", "RENDER_FAILED"),
    CHANNEL_FAILED: State("The channel refused the message", "CHANNEL_FAILED"),
    EXPIRED: State(
        "Too late: MaximumDuration was over, or five minutes since the event", "EXPIRED"
    ),
    CANCELLED: State("The campaign was deleted while it ran", "CANCELLED"),
    DELETED: State("The endpoint was deleted while the campaign ran", "ENDPOINT_DELETED"),
    RUN_FAILED: State("The run failed", "RUN_FAILED"),
}

_INSERT = Bulk(
    "engage_ledger",
    {
        "activity": "bigint", "endpoint": "bigint", "endpoint_id": "text", "state": "text",
        "reason": "text", "moment": "float8",
    },
)  # fmt: skip


class Entry(NamedTuple):
    """The end of one endpoint in an activity. No reason: the state's own words are enough."""

    endpoint: int
    endpoint_id: str
    state: str
    reason: str | None = None
    message: Message | None = None  # what was handed over, for those who are told of it


def record(
    room: Engage, conn: Connection, activity: int, entries: list[Entry], moment: float
) -> None:
    """Write final states; a second one for the same endpoint is an error."""
    rows = [
        (activity, entry.endpoint, entry.endpoint_id, entry.state, entry.reason, moment)
        for entry in entries
    ]
    _INSERT.run(room.db, conn, rows)


def counts(conn: Connection, activity: int) -> dict[str, int]:
    """Endpoints by final state."""
    c = t.ledger.c
    query = sa.select(c.state, sa.func.count()).where(c.activity == activity).group_by(c.state)
    return {row[0]: row[1] for row in conn.execute(query)}


def of_activity(
    room: Engage,
    activity_id: str,
    state: str | None = None,
    limit: int = 100,
    after: int = 0,
    reason: str | None = None,
) -> list[dict[str, Any]]:
    """Rows of one activity, of one state, with words in their reason, by endpoint number."""
    query = _rows().where(t.activities.c.id == activity_id, t.ledger.c.endpoint > after)
    if state is not None:
        query = query.where(t.ledger.c.state == state)
    if reason:
        words = [n for n, one in STATES.items() if reason.lower() in one.words.lower()]
        unsaid = sa.and_(t.ledger.c.reason.is_(None), t.ledger.c.state.in_(words))
        query = query.where(sa.or_(t.ledger.c.reason.icontains(reason, autoescape=True), unsaid))
    with room.db.read() as conn:
        rows = conn.execute(query.order_by(t.ledger.c.endpoint).limit(limit)).mappings()
        return [_show(row) for row in rows]


def activities_of(room: Engage, campaign_id: str) -> list[str]:
    """Ids of a campaign's activities, the newest first."""
    a = t.activities.c
    query = sa.select(a.id).where(a.campaign_id == campaign_id).order_by(a.number.desc())
    with room.db.read() as conn:
        found = list(conn.execute(query).scalars())
    if not found:
        raise NotFound(f"There is no activity of a campaign {campaign_id}")
    return found


def of_person(room: Engage, application_id: str, user_id: str) -> list[dict[str, Any]]:
    """What became of a person's endpoints in every activity of an application, newest first."""
    e = t.endpoints.c
    app = sa.select(t.apps.c.number).where(t.apps.c.id == application_id).scalar_subquery()
    mine = sa.select(e.number).where(e.app == app, e.user_id == user_id)
    query = _rows().where(
        t.activities.c.application_id == application_id, t.ledger.c.endpoint.in_(mine)
    )
    with room.db.read() as conn:
        rows = conn.execute(query.order_by(t.activities.c.number.desc())).mappings()
        return [_show(row) for row in rows]


def reasons(room: Engage, activity_id: str, limit: int = 20) -> list[dict[str, Any]]:
    """`{state, reason, count}` of an activity, the most frequent first; what was sent as one."""
    c = t.ledger.c
    is_sent = c.state == sa.literal_column(f"'{SENT}'")  # the reason says where each mail is
    reason = sa.case((is_sent, sa.null()), else_=c.reason)
    count = sa.func.count().label("count")
    query = (
        sa.select(c.state, reason, count)
        .join_from(t.ledger, t.activities, t.activities.c.number == c.activity)
        .where(t.activities.c.id == activity_id)
        .group_by(c.state, reason)
        .order_by(count.desc())
        .limit(limit)
    )
    with room.db.read() as conn:
        rows = conn.execute(query).fetchall()
    return [{"state": s, "reason": r or STATES[s].words, "count": n} for s, r, n in rows]


def attempts(room: Engage, activity_id: str, limit: int = 100) -> list[dict[str, Any]]:
    """The hook's attempts in an activity, the latest first."""
    h = t.hook_attempts.c
    query = (
        sa.select(t.hook_attempts)
        .join_from(t.hook_attempts, t.activities, t.activities.c.number == h.activity)
        .where(t.activities.c.id == activity_id)
        .order_by(h.number.desc())
        .limit(limit)
    )
    with room.db.read() as conn:
        rows = conn.execute(query).mappings().all()
    shown = ("batch", "attempt", "duration_ms", "outcome", "detail", "request_id")
    return [{"started": iso(row["started"]), **{n: row[n] for n in shown}} for row in rows]


def _rows() -> sa.Select[Any]:
    c = t.ledger.c
    return sa.select(
        c.endpoint, c.endpoint_id, c.state, c.reason, c.before, c.moment,
        t.activities.c.id.label("activity_id"), t.activities.c.campaign_id,
    ).join_from(t.ledger, t.activities, t.activities.c.number == c.activity)  # fmt: skip


def _show(row: Any) -> dict[str, Any]:
    return {
        "number": row["endpoint"],
        "endpoint_id": row["endpoint_id"],
        "activity_id": row["activity_id"],
        "campaign_id": row["campaign_id"],
        "state": row["state"],
        "reason": row["reason"] or STATES[row["state"]].words,
        "before": row["before"],
        "moment": iso(row["moment"]),
    }
