"""One small count of each room, cheap enough to ask every two seconds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.collect import counts
from tailorbird.collect import tables as porch
from tailorbird.engage import ledger, settlement
from tailorbird.engage import tables as e
from tailorbird.functions import Functions
from tailorbird.functions.tables import functions_functions
from tailorbird.learn import tables as study
from tailorbird.store.jobs import DONE, FAILED, jobs_table

UNSENT = settlement.FAILURES


def collect(conn: Connection) -> dict[str, int]:
    numbers = porch.counts.c
    query = sa.select(numbers.step, sa.func.sum(numbers.n)).group_by(numbers.step)
    steps = {row[0]: int(row[1]) for row in conn.execute(query)}
    return one(
        conn,
        sources=number_of(porch.sources),
        destinations=number_of(porch.destinations),
        waiting=number_of(porch.deliveries, porch.deliveries.c.state == 0),
    ) | {
        "calls": steps.get(counts.RECEIVED, 0),
        "refused": steps.get(counts.FAILED_ON_INGEST, 0),
        "delivered": steps.get(counts.DELIVERED, 0),
        "undelivered": steps.get(counts.FAILED_DELIVERY, 0),
    }


def prepare(conn: Connection) -> dict[str, int]:
    j, archives = jobs_table.c, porch.archives.c
    mine = j.kind.like("prepare.%")
    done = conn.execute(sa.select(j.result).where(mine, j.state == DONE).order_by(j.id.desc()))
    results = done.scalars().all()
    return one(
        conn,
        files=number_of(porch.archives, archives.written.is_not(None)),
        archived=total(archives.calls, archives.written.is_not(None)),
        failed=number_of(jobs_table, mine, j.state == FAILED),
    ) | {"runs": len(results), "rows": int((results[0] or {}).get("rows", 0)) if results else 0}


def learn(conn: Connection) -> dict[str, int]:
    versions = study.learn_solution_versions.c
    return one(
        conn,
        rows=total(study.learn_parts.c.rows),
        events=sa.select(sa.func.coalesce(sa.func.max(study.learn_events.c.id), 0)),
        datasets=number_of(study.learn_datasets),
        versions=number_of(study.learn_solution_versions, versions.status == "ACTIVE"),
        campaigns=number_of(study.learn_campaigns, study.learn_campaigns.c.status == "ACTIVE"),
        working=number_of(study.learn_solution_versions, versions.status.like("CREATE %PROGRESS")),
        untrained=number_of(study.learn_solution_versions, versions.status == "CREATE FAILED"),
        unimported=number_of(
            study.learn_import_jobs, study.learn_import_jobs.c.status == "CREATE FAILED"
        ),
    )


def functions(conn: Connection, room: Functions) -> dict[str, int]:
    counted = room.counts()
    return one(conn, functions=number_of(functions_functions)) | {
        "invocations": counted.get("invocations", 0),
        "errors": counted.get("errors", 0),
        "warm": counted.get("idle", 0),
        "running": counted.get("environments", 0) - counted.get("idle", 0),
    }


def engage(conn: Connection) -> dict[str, int]:
    state = e.ledger.c.state
    query = sa.select(state, sa.func.count()).group_by(state)
    states = {row[0]: int(row[1]) for row in conn.execute(query)}
    activities = e.activities.c
    return one(
        conn,
        campaigns=number_of(e.campaigns, e.campaigns.c.state != "DELETED"),
        segments=number_of(e.segments),
        done=number_of(e.activities, activities.state == "COMPLETED"),
        running=number_of(e.activities, activities.state != "COMPLETED"),
        failed=number_of(e.activities, activities.result == "FAIL"),
        sent=total(activities.sent),
    ) | {
        "filtered": states.get(ledger.HOOK_FILTERED, 0),
        "unsent": sum(states.get(state, 0) for state in UNSENT),
    }


def latest_activities(conn: Connection, limit: int) -> list[dict[str, Any]]:
    """The newest activities with the name of their campaign."""
    return _activities(conn, limit)


def runs_of(conn: Connection, campaign_id: str, limit: int) -> list[dict[str, Any]]:
    """The newest activities of one campaign."""
    return _activities(conn, limit, e.activities.c.campaign_id == campaign_id)


def _activities(conn: Connection, limit: int, *where: Any) -> list[dict[str, Any]]:
    a, v = e.activities.c, e.campaign_versions
    found = conn.execute(
        sa.select(
            a.id,
            a.campaign_id,
            a.state,
            a.result,
            a.started,
            a.total,
            a.sent,
            sa.case((a.ended.is_(None), a.hook_away_since)).label("hook_away_since"),
            a.hook_away_reason,
            v.c.body,
        )
        .join_from(
            e.activities,
            v,
            (v.c.campaign_id == a.campaign_id) & (v.c.version == a.campaign_version),
        )
        .where(*where)
        .order_by(a.number.desc())
        .limit(limit)
    ).mappings()
    return [{**row, "name": row["body"].get("Name") or row["id"], "body": None} for row in found]


def people(conn: Connection) -> dict[str, int]:
    endpoints = e.endpoints.c
    return one(
        conn,
        endpoints=number_of(e.endpoints),
        users=number_of(e.users),
        opted_out=number_of(e.endpoints, endpoints.opt_out == "ALL"),
        inactive=number_of(e.endpoints, endpoints.status == "INACTIVE"),
    )


def number_of(table: sa.Table, *where: Any) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(table).where(*where)


def total(column: Any, *where: Any) -> sa.Select[Any]:
    return sa.select(sa.func.coalesce(sa.func.sum(column), 0)).where(*where)


def one(conn: Connection, **counts: sa.Select[Any]) -> dict[str, int]:
    """All these counts in one query."""
    query = sa.select(*(count.scalar_subquery().label(name) for name, count in counts.items()))
    return {name: int(value or 0) for name, value in conn.execute(query).mappings().one().items()}
