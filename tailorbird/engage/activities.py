"""Activities: each is one run of a campaign, from its plan to its last ledger row."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import apps, ledger, paging
from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage
from tailorbird.errors import NotFound

PENDING, INITIALIZING, RUNNING = "PENDING", "INITIALIZING", "RUNNING"
COMPLETED, CANCELLED = "COMPLETED", "CANCELLED"
OPEN = (PENDING, INITIALIZING, RUNNING)
SUCCESS, FAIL = "SUCCESS", "FAIL"
START = "engage.start"
DEFAULT_TREATMENT = "0"


def get_campaign_activities(
    room: Engage, caller: Caller, request: dict[str, Any]
) -> dict[str, Any]:
    """The runs of a campaign, the latest first."""
    size, last = paging.size_of(request), paging.after(request, [2**62])
    campaign_id, c = request["CampaignId"], t.activities.c
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        known = sa.select(t.campaigns.c.id).where(
            t.campaigns.c.id == campaign_id, t.campaigns.c.application_id == app.id
        )
        if conn.execute(known).first() is None:
            raise NotFound(f"There is no campaign {campaign_id} in application {app.id}")
        query = sa.select(t.activities).where(c.campaign_id == campaign_id, c.number < last[0])
        rows = conn.execute(query.order_by(c.number.desc()).limit(size + 1)).mappings().all()
    return {"ActivitiesResponse": paging.page(rows, size, show, lambda row: [row["number"]])}


def plan(
    room: Engage,
    conn: Connection,
    application_id: str,
    campaign_id: str,
    version: int,
    start: float,
) -> None:
    """Write down a run to come, and the job that starts it."""
    row = {
        "id": ids.hex32(), "application_id": application_id, "campaign_id": campaign_id,
        "campaign_version": version, "treatment_id": DEFAULT_TREATMENT, "state": PENDING,
        "scheduled": start, "resolved_to": 0, "total": 0, "members": 0, "settled": 0, "sent": 0,
        "batch_size": room.settings.engage_hook_batch_size, "paced_until": 0.0, "metrics": {},
    }  # fmt: skip
    added = conn.execute(sa.insert(t.activities).values(row).returning(t.activities.c.number))
    _enqueue(room, conn, added.scalar_one(), version, start)


def plan_again(
    room: Engage, conn: Connection, activity: dict[str, Any], version: int, start: float
) -> None:
    """Move a run that has not started to another time and version."""
    mine = t.activities.c.number == activity["number"]
    values = {"scheduled": start, "campaign_version": version}
    conn.execute(sa.update(t.activities).where(mine).values(values))
    room.jobs.cancel(conn, _key(activity["number"], activity["campaign_version"]))
    _enqueue(room, conn, activity["number"], version, start)


def waiting(conn: Connection, campaign_id: str) -> dict[str, Any] | None:
    """The run of a campaign that has not started, if there is one."""
    c = t.activities.c
    query = sa.select(t.activities).where(c.campaign_id == campaign_id, c.state == PENDING)
    row = conn.execute(query).mappings().first()
    return dict(row) if row else None


def cancel(room: Engage, conn: Connection, campaign_id: str) -> None:
    """End every open run of a campaign; members without a final state get `cancelled`."""
    c = t.activities.c
    mine = (c.campaign_id == campaign_id, c.state.in_(OPEN))
    for row in conn.execute(sa.select(t.activities).where(*mine)).mappings().all():
        room.jobs.cancel(conn, _key(row["number"], row["campaign_version"]))
    values = {"state": CANCELLED, "ended": room.clock.now()}
    conn.execute(sa.update(t.activities).where(*mine).values(values))


def read(conn: Connection, number: int) -> dict[str, Any] | None:
    row = conn.execute(sa.select(t.activities).where(t.activities.c.number == number))
    found = row.mappings().first()
    return dict(found) if found else None


def show(row: Any) -> dict[str, Any]:
    shown = {
        "ApplicationId": row["application_id"],
        "CampaignId": row["campaign_id"],
        "Id": row["id"],
        "State": row["state"],
        "ScheduledStart": iso(row["scheduled"]),
        "TreatmentId": row["treatment_id"],
        "TotalEndpointCount": row["total"],
        "SuccessfulEndpointCount": row["sent"],
        "TimezonesCompletedCount": int(row["state"] == COMPLETED),
        "TimezonesTotalCount": 1,
        "ExecutionMetrics": row["metrics"],
    }
    if row["started"] is not None:
        shown["Start"] = iso(row["started"])
    if row["ended"] is not None:
        shown["End"] = iso(row["ended"])
    if row["result"] is not None:
        shown["Result"] = row["result"]
    return shown


def metrics(conn: Connection, number: int, total: int) -> dict[str, str]:
    """ExecutionMetrics from the ledger: counts as text, zeros left out but for the first."""
    counted = {"ENDPOINT_PRODUCED": str(total)}
    for state, count in sorted(ledger.counts(conn, number).items()):
        counted[ledger.STATES[state].metric] = str(count)
    return counted


def _key(number: int, version: int) -> str:
    return f"{START}:{number}:{version}"


def _enqueue(room: Engage, conn: Connection, number: int, version: int, start: float) -> None:
    room.jobs.enqueue(
        conn, START, {"activity": number}, queue="engage", key=_key(number, version), due=start
    )
