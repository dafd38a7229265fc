"""The house at a glance: a few cheap counts of every room, as the stations of the loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.channels import inbox
from tailorbird.console import rooms
from tailorbird.engage import ledger
from tailorbird.store.jobs import DONE, FAILED, READY, RUNNING, jobs_table

LATEST_JOBS = 8
LATEST_ACTIVITIES = 5
Line = tuple[str, float | str, str]  # label, value, mark: "", "good" or "bad"


@dataclass(frozen=True)
class Station:
    """One room in the picture. `state` is empty, live, busy or bad."""

    name: str
    meaning: str
    count: float
    unit: str
    lines: tuple[Line, ...] = ()
    state: str = "empty"


@dataclass(frozen=True)
class Pulse:
    """What only grows: the page shows the differences as a rate."""

    calls: int
    invocations: int
    mails: int


@dataclass(frozen=True)
class Loop:
    collect: Station
    prepare: Station
    learn: Station
    functions: Station
    people: Station
    mails: Station
    engage: Station
    pulse: Pulse


@dataclass(frozen=True)
class JobsGlance:
    rows: list[dict[str, Any]]
    waiting: int
    done: int
    failed: int


def glance(house: Any) -> Loop:
    """Every station, from one read of the database and the counters of the rooms."""
    with house.db.read() as conn:
        calls = rooms.collect(conn)
        prepared = rooms.prepare(conn)
        learned = rooms.learn(conn)
        engaged = rooms.engage(conn)
        people = rooms.people(conn)
        worked = rooms.functions(conn, house.functions)
        busy = running_kinds(conn)
    mails = inbox.count(house.settings)
    return Loop(
        collect=collect_station(calls, busy),
        prepare=prepare_station(prepared, busy),
        learn=learn_station(learned, busy),
        functions=functions_station(worked),
        people=people_station(people),
        mails=mails_station(mails, engaged),
        engage=engage_station(engaged, busy),
        pulse=Pulse(calls["calls"], worked["invocations"], engaged["sent"]),
    )


def collect_station(c: dict[str, int], busy: set[str]) -> Station:
    return Station(
        "Collect",
        "Segment calls, durable before they are answered",
        c["calls"],
        "calls",
        (
            ("sources", c["sources"], ""),
            ("refused", c["refused"], bad(c["refused"])),
            ("destinations", c["destinations"], ""),
            delivery_line(c),
        ),
        state_of(c["calls"], "collect." in dots(busy) or c["waiting"] > 0, c["undelivered"]),
    )


def delivery_line(c: dict[str, int]) -> Line:
    if c["undelivered"]:
        return ("given up on", c["undelivered"], "bad")
    if c["waiting"]:
        return ("waiting for delivery", c["waiting"], "")
    return ("delivered", c["delivered"], "good" if c["delivered"] else "")


def prepare_station(c: dict[str, int], busy: set[str]) -> Station:
    return Station(
        "Prepare",
        "The archive, and the interactions made from it",
        c["rows"],
        "interactions",
        (
            ("archive files", c["files"], ""),
            ("calls archived", c["archived"], ""),
            ("preparations", c["runs"], ""),
        ),
        state_of(c["files"] + c["runs"], "prepare." in dots(busy), c["failed"]),
    )


def learn_station(c: dict[str, int], busy: set[str]) -> Station:
    failed = c["untrained"] + c["unimported"]
    return Station(
        "Learn",
        "Amazon Personalize: datasets, solution versions, campaigns",
        c["rows"] + c["events"],
        "interactions",
        (
            ("live events", c["events"], ""),
            ("solution versions", c["versions"], ""),
            ("campaigns", c["campaigns"], "good" if c["campaigns"] else ""),
            ("failed", failed, bad(failed)),
        ),
        state_of(c["datasets"], c["working"] > 0 or "learn." in dots(busy), failed),
    )


def functions_station(c: dict[str, int]) -> Station:
    return Station(
        "Functions",
        "AWS Lambda: the customers' own code",
        c["invocations"],
        "invocations since start",
        (
            ("functions", c["functions"], ""),
            ("warm", c["warm"], "good" if c["warm"] else ""),
            ("errors", c["errors"], bad(c["errors"])),
        ),
        state_of(c["functions"], c["running"] > 0, 0),
    )


def people_station(c: dict[str, int]) -> Station:
    return Station(
        "People",
        "Pinpoint endpoints: the addresses of everyone",
        c["endpoints"],
        "endpoints",
        (
            ("people", c["users"], ""),
            ("opted out", c["opted_out"], ""),
            ("inactive", c["inactive"], ""),
        ),
        state_of(c["endpoints"], False, 0),
    )


def mails_station(mails: int, c: dict[str, Any]) -> Station:
    return Station(
        "Messages",
        "What left: to the mail server, or to the inbox of this house",
        c["sent"],
        "sent by campaigns",
        (
            ("in the inbox", mails, ""),
            ("left out by hooks", c["filtered"], ""),
            ("could not be sent", c["unsent"], bad(c["unsent"])),
        ),
        state_of(c["sent"] + mails, False, c["unsent"]),
    )


def engage_station(c: dict[str, Any], busy: set[str]) -> Station:
    return Station(
        "Engage",
        "Amazon Pinpoint: segments, campaigns and their activities",
        c["campaigns"],
        "campaigns",
        (
            ("segments", c["segments"], ""),
            ("activities done", c["done"], "good" if c["done"] else ""),
            ("activities running", c["running"], ""),
            ("failed", c["failed"], bad(c["failed"])),
        ),
        state_of(c["campaigns"], c["running"] > 0 or "engage." in dots(busy), c["failed"]),
    )


def jobs_at_a_glance(house: Any) -> JobsGlance:
    """What runs now, then what failed or ended last, and how many there are of each."""
    j = jobs_table.c
    with house.db.read() as conn:
        query = sa.select(j.state, sa.func.count()).group_by(j.state)
        counts = {row[0]: row[1] for row in conn.execute(query)}
    running = house.jobs.list(state="running", limit=LATEST_JOBS)
    latest = house.jobs.list(limit=LATEST_JOBS)
    shown = {job["id"]: job for job in [*running, *latest]}
    rows = sorted(shown.values(), key=lambda job: (job["state"] != "running", -job["id"]))
    return JobsGlance(
        rows[:LATEST_JOBS], counts.get(READY, 0), counts.get(DONE, 0), counts.get(FAILED, 0)
    )


def latest_activities(house: Any) -> list[dict[str, Any]]:
    """The newest runs of campaigns, each with what became of its endpoints."""
    with house.db.read() as conn:
        found = rooms.latest_activities(conn, LATEST_ACTIVITIES)
    for activity in found:
        activity["reasons"] = ledger.reasons(house.engage, activity["id"])
        failed = activity["result"] == "FAIL"
        over = activity["state"] == "COMPLETED"
        activity["mark"] = "bad" if failed else "" if over else "busy"
    return found


def running_kinds(conn: Connection) -> set[str]:
    j = jobs_table.c
    return set(conn.execute(sa.select(j.kind).where(j.state == RUNNING).distinct()).scalars())


def state_of(count: float, busy: bool, failed: float) -> str:
    if busy:
        return "busy"
    if failed:
        return "bad"
    return "live" if count else "empty"


def dots(kinds: set[str]) -> set[str]:
    """The rooms at work: "learn.train" -> "learn."."""
    return {kind.partition(".")[0] + "." for kind in kinds}


def bad(count: float) -> str:
    return "bad" if count else ""
