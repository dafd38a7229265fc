"""Activities: each is one run of a campaign, from its plan to its last ledger row."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.clock import iso
from tailorbird.engage import apps, ledger, lists, paging
from tailorbird.engage import tables as t
from tailorbird.engage.room import Engage
from tailorbird.errors import NotFound

PENDING, INITIALIZING, RUNNING = "PENDING", "INITIALIZING", "RUNNING"
COMPLETED, CANCELLED = "COMPLETED", "CANCELLED"
OPEN = (PENDING, INITIALIZING, RUNNING)
SUCCESS, FAIL = "SUCCESS", "FAIL"
START = "engage.start"
DRY_RUN = "dry-run"  # the id under which functions see a run that is none
LEG_BATCHES = 2**24  # a leg's batches are numbered from a multiple of it


class Plan(NamedTuple):
    """A run to come."""

    application_id: str
    campaign_id: str
    version: int
    treatment_id: str
    run: int
    anchor: float
    scheduled: float
    due: float  # when work on it begins


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
        found = conn.execute(query.order_by(c.number.desc()).limit(size + 1)).mappings().all()
        rows = [{**row, "legs_done": _legs_done(conn, row)} for row in found]
    return {"ActivitiesResponse": paging.page(rows, size, show, lambda row: [row["number"]])}


def plan(room: Engage, conn: Connection, wanted: Plan) -> None:
    """Write down a run to come, and the job that starts it."""
    number = add(room, conn, wanted, PENDING)
    _enqueue(room, conn, number, wanted)


def add(room: Engage, conn: Connection, wanted: Plan, state: str) -> int:
    """Write down a run; its number."""
    row = {
        "id": ids.hex32(), "application_id": wanted.application_id,
        "campaign_id": wanted.campaign_id, "campaign_version": wanted.version,
        "treatment_id": wanted.treatment_id, "run": wanted.run, "state": state,
        "anchor": wanted.anchor, "planned": room.clock.now(), "scheduled": wanted.scheduled,
        "resolved_to": 0, "total": 0, "members": 0, "legs": [], "settled": 0, "sent": 0,
        "batch_size": room.settings.engage_hook_batch_size, "paced_until": 0.0, "metrics": {},
    }  # fmt: skip
    added = conn.execute(sa.insert(t.activities).values(row).returning(t.activities.c.number))
    return int(added.scalar_one())


def plan_again(room: Engage, conn: Connection, activity: dict[str, Any], wanted: Plan) -> None:
    """Move a run that has not started to another time and version."""
    mine = t.activities.c.number == activity["number"]
    values = {
        "scheduled": wanted.scheduled, "anchor": wanted.anchor, "campaign_version": wanted.version,
    }  # fmt: skip
    conn.execute(sa.update(t.activities).where(mine).values(values))
    room.jobs.cancel(conn, _key(activity["number"], activity["campaign_version"]))
    _enqueue(room, conn, activity["number"], wanted)


def forget(room: Engage, conn: Connection, activity: dict[str, Any]) -> None:
    """Take back a run that has not started: its treatment is gone."""
    room.jobs.cancel(conn, _key(activity["number"], activity["campaign_version"]))
    conn.execute(sa.delete(t.activities).where(t.activities.c.number == activity["number"]))


def waiting(conn: Connection, campaign_id: str) -> list[dict[str, Any]]:
    """The runs of a campaign that have not started, by treatment."""
    c = t.activities.c
    query = sa.select(t.activities).where(c.campaign_id == campaign_id, c.state == PENDING)
    rows = conn.execute(query.order_by(c.run, c.treatment_id)).mappings()
    return [dict(row) for row in rows]


def runs(conn: Connection, campaign_id: str) -> int:
    """How many runs a campaign has had: the number of its next one."""
    c = t.activities.c
    last = conn.execute(sa.select(sa.func.max(c.run)).where(c.campaign_id == campaign_id)).scalar()
    return 0 if last is None else int(last) + 1


def begun(conn: Connection, campaign_id: str) -> set[str]:
    """The treatments of a campaign that have runs which do not wait any more."""
    c = t.activities.c
    query = sa.select(c.treatment_id).where(c.campaign_id == campaign_id, c.state != PENDING)
    return set(conn.execute(query.distinct()).scalars())


def open_states(conn: Connection, campaign_id: str) -> dict[str, list[str]]:
    """States of a campaign's open runs, by treatment."""
    c = t.activities.c
    query = sa.select(c.treatment_id, c.state).where(
        c.campaign_id == campaign_id, c.state.in_(OPEN)
    )
    found: dict[str, list[str]] = {}
    for treatment_id, state in conn.execute(query):
        found.setdefault(treatment_id, []).append(state)
    return found


def cancel(
    room: Engage, conn: Connection, campaign_id: str, states: tuple[str, ...] = OPEN
) -> None:
    """End every open run of a campaign; members without a final state get `cancelled`."""
    c = t.activities.c
    mine = (c.campaign_id == campaign_id, c.state.in_(states))
    for row in conn.execute(sa.select(t.activities).where(*mine)).mappings().all():
        room.jobs.cancel(conn, key_of(dict(row)))
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
        "TimezonesCompletedCount": row["legs_done"],
        "TimezonesTotalCount": len(row["legs"]) or 1,
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
    if from_users := lists.from_users(conn, number):
        counted["ENDPOINTS_FROM_USER"] = str(from_users)
    for state, count in sorted(ledger.counts(conn, number).items()):
        counted[ledger.STATES[state].metric] = str(count)
    return counted


def key_of(activity: dict[str, Any]) -> str:
    """The key of the job that starts a run."""
    return _key(activity["number"], activity["campaign_version"])


def _key(number: int, version: int) -> str:
    return f"{START}:{number}:{version}"


def _enqueue(room: Engage, conn: Connection, number: int, wanted: Plan) -> None:
    key = _key(number, wanted.version)
    room.jobs.enqueue(conn, START, {"activity": number}, queue="engage", key=key, due=wanted.due)


def _legs_done(conn: Connection, row: Any) -> int:
    """How many of its time zones (or the one of all) a run is through with."""
    if row["state"] == COMPLETED:
        return len(row["legs"]) or 1
    if len(row["legs"]) < 2:
        return 0
    leg, size = t.batches.c.batch // LEG_BATCHES, row["batch_size"]
    query = sa.select(leg, sa.func.count()).where(t.batches.c.activity == row["number"])
    done = {row[0]: row[1] for row in conn.execute(query.group_by(leg))}
    needed = (-(-one["members"] // size) for one in row["legs"])
    return sum(done.get(n, 0) >= count for n, count in enumerate(needed))
