"""Replay: calls of a source's archive go to one of its destinations again.

By time range and event list, at a limited rate, through the destination's filters, with
`integrations` set to this destination only. How far it has come is committed with what it counted,
so a replay that was cut off goes on there; the calls that were just under way are sent again.
Source: Segment, "What is Replay".
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.clock import parse_iso
from tailorbird.collect import archive, catalog, destinations, filters, sources, tables
from tailorbird.collect.catalog.definition import Destination, Parcel, Result, State
from tailorbird.collect.room import Collect
from tailorbird.errors import Conflict, Invalid, NotFound
from tailorbird.store import Job

KIND = "collect.replay"
QUEUE = "default"
PER_SECOND = 100.0
PER_SECOND_MAX = 10_000.0
TRIES = 6
FIRST_WAIT_SECONDS = 0.2
BATCH_CALLS = 50
FIELDS = ("destinationId", "start", "end", "events", "perSecond")
RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"

Line = tuple[int, int, bytes]  # first call of the file, number of the line, the call


class Cancelled(Exception):
    """Somebody ended the replay."""


def start(room: Collect, given: dict[str, Any]) -> dict[str, Any]:
    """Archive what the log holds and begin; Invalid names what is wrong with the wish."""
    if unknown := given.keys() - set(FIELDS):
        raise Invalid(f"A replay has no field {sorted(unknown)[0]!r}; it has {', '.join(FIELDS)}")
    destination = destinations.get(room, str(given.get("destinationId")))
    wanted = _wanted(given)
    if wanted["events"] and catalog.find(destination["type"]).takes_files:
        raise Invalid(f"events cannot be chosen: {destination['type']} takes whole files")
    archive.flush(room, destination["source_id"])
    replay_id = ids.hex32()[:24]
    zeros = {"looked_at": 0, "delivered": 0, "failed": 0, "filtered": 0}
    with room.db.write() as conn:
        payload = {"replay": replay_id}
        job = room.jobs.enqueue(conn, KIND, payload, queue=QUEUE, key=f"{KIND}:{replay_id}")
        row = tables.replays.insert().values(
            id=replay_id,
            destination_id=destination["id"],
            job=job,
            wanted=wanted,
            state=RUNNING,
            first=0,
            line=0,
            counts=zeros,
            created=room.clock.now(),
        )
        conn.execute(row)
    return get(room, replay_id)


def get(room: Collect, replay_id: str) -> dict[str, Any]:
    with room.db.read() as conn:
        return _row(conn, replay_id)


def list_all(room: Collect) -> list[dict[str, Any]]:
    """Every replay, the newest first."""
    query = sa.select(tables.replays).order_by(tables.replays.c.created.desc())
    with room.db.read() as conn:
        return [dict(row) for row in conn.execute(query).mappings()]


def cancel(room: Collect, replay_id: str) -> dict[str, Any]:
    """End a replay; what was sent stays sent."""
    r = tables.replays
    with room.db.write() as conn:
        _row(conn, replay_id)
        running = sa.update(r).where(r.c.id == replay_id, r.c.state == RUNNING)
        ended = running.values(state=CANCELLED, finished=room.clock.now())
        if conn.execute(ended).rowcount != 1:
            raise Conflict(f"Replay {replay_id} has ended already")
    return get(room, replay_id)


def run(room: Collect, job: Job) -> None:
    """The job: go through the archive from the committed place on."""
    replay_id = job.payload["replay"]
    row = get(room, replay_id)
    to, kind, steps = _destination(room, row["destination_id"])
    total = sum(file["calls"] for file in archive.files(room, to.source_id))
    counts = dict(row["counts"])
    batch: list[Line] = []
    began, sent = time.monotonic(), 0
    if kind.takes_files:
        _send_files(room, job, row, to, kind, counts)
        return
    try:
        for line in _lines(room, to.source_id, row["first"], row["line"]):
            batch.append(line)
            if len(batch) < BATCH_CALLS:
                continue
            sent += _send(room, to, kind, steps, row["wanted"], batch, counts)
            _commit(room, replay_id, batch[-1], counts)
            job.progress(counts["looked_at"], total, "calls")
            batch = []
            ahead = sent / row["wanted"]["perSecond"] - (time.monotonic() - began)
            time.sleep(max(0.0, ahead))
        if batch:
            _send(room, to, kind, steps, row["wanted"], batch, counts)
            _commit(room, replay_id, batch[-1], counts)
    except Cancelled:
        return
    with room.db.write() as conn:
        _end(room, conn, replay_id, DONE, None)
        job.finish(conn, counts)


def failed(room: Collect, conn: Connection, job: Job, reason: str) -> None:
    _end(room, conn, job.payload["replay"], FAILED, reason)


def chosen(wanted: dict[str, Any], call: dict[str, Any]) -> bool:
    """Whether a call is in the time range (start included, end not) and in the event list."""
    moment = parse_iso(call["timestamp"])
    if wanted["start"] is not None and moment < wanted["start"]:
        return False
    if wanted["end"] is not None and moment >= wanted["end"]:
        return False
    events = wanted["events"]
    return events is None or (call["type"] == "track" and call.get("event") in events)


def _send(
    room: Collect,
    to: Destination,
    kind: catalog.DestinationType,
    steps: list[filters.Step],
    wanted: dict[str, Any],
    batch: list[Line],
    counts: dict[str, int],
) -> int:
    """Deliver what is chosen of a batch of lines; how many calls were."""
    parcels: list[Parcel] = []
    for first, number, line in batch:
        counts["looked_at"] += 1
        call = orjson.loads(line)
        if not chosen(wanted, call):
            continue
        call["integrations"] = {"All": False, kind.name: True}
        reason = kind.refuses(to.settings, call)
        call, dropped = filters.applied(steps, call) if reason is None else (call, reason)
        if dropped is not None:
            counts["filtered"] += 1
            continue
        parcels.append(Parcel(first + number, call, orjson.dumps(call)))
    for at in range(0, len(parcels), kind.batch):
        for result in _delivered(room, to, kind, parcels[at : at + kind.batch]):
            counts["delivered" if result.state is State.DELIVERED else "failed"] += 1
            if result.state is not State.DELIVERED:
                counts[f"failed: {result.reason}"] = counts.get(f"failed: {result.reason}", 0) + 1
    return len(parcels)


def _send_files(
    room: Collect,
    job: Job,
    row: dict[str, Any],
    to: Destination,
    kind: catalog.DestinationType,
    counts: dict[str, int],
) -> None:
    """To a destination that takes files: those whose calls were received in the time range."""
    files = archive.files(room, to.source_id, row["first"] + 1)
    wanted = [file for file in files if _in_range(row["wanted"], file)]
    try:
        for file in wanted:
            told = archive.as_call(file["uri"], file["calls"])
            parcel = Parcel(file["first"], told, orjson.dumps(told))
            ended = _delivered(room, to, kind, [parcel])[0]
            counts["looked_at"] += file["calls"]
            step = "delivered" if ended.state is State.DELIVERED else "failed"
            counts[step] += file["calls"]
            if step == "failed":
                why = f"failed: {ended.reason}"
                counts[why] = counts.get(why, 0) + file["calls"]
            _commit(room, row["id"], (file["first"], -1, b""), counts)
            job.progress(counts["looked_at"], sum(one["calls"] for one in wanted), "calls")
    except Cancelled:
        return
    with room.db.write() as conn:
        _end(room, conn, row["id"], DONE, None)
        job.finish(conn, counts)


def _in_range(wanted: dict[str, Any], file: dict[str, Any]) -> bool:
    received = archive.received(file["uri"])
    late = wanted["end"] is not None and received >= wanted["end"]
    return not late and (wanted["start"] is None or received >= wanted["start"])


def _delivered(
    room: Collect, to: Destination, kind: catalog.DestinationType, parcels: list[Parcel]
) -> list[Result]:
    """How each call ended, after a few tries."""
    ended: dict[int, Result] = {}
    waiting = parcels
    for turn in range(TRIES):
        if turn:
            time.sleep(FIRST_WAIT_SECONDS * 2**turn)
        results = kind.deliver(room, to, waiting)
        ended |= {parcel.number: one for parcel, one in zip(waiting, results, strict=True)}
        waiting = [parcel for parcel in waiting if ended[parcel.number].state is State.WAITING]
        waiting = [replace(parcel, attempts=turn + 1) for parcel in waiting]
        if not waiting:
            break
    return [ended[parcel.number] for parcel in parcels]


def _lines(room: Collect, source_id: str, first: int, line: int) -> Iterator[Line]:
    """The archive's calls from line `line` of the file that begins with call `first` on."""
    for file in archive.files(room, source_id, first):
        skip = line if file["first"] == first else 0
        for number, text in archive.lines(room, file, skip):
            yield file["first"], number, text


def _commit(room: Collect, replay_id: str, last: Line, counts: dict[str, int]) -> None:
    r = tables.replays
    with room.db.write() as conn:
        running = sa.update(r).where(r.c.id == replay_id, r.c.state == RUNNING)
        place = {"first": last[0], "line": last[1] + 1, "counts": dict(counts)}
        if conn.execute(running.values(**place)).rowcount != 1:
            raise Cancelled


def _end(room: Collect, conn: Connection, replay_id: str, state: str, error: str | None) -> None:
    r = tables.replays
    running = sa.update(r).where(r.c.id == replay_id, r.c.state == RUNNING)
    conn.execute(running.values(state=state, error=error, finished=room.clock.now()))


def _destination(
    room: Collect, destination_id: str
) -> tuple[Destination, catalog.DestinationType, list[filters.Step]]:
    row = destinations.get(room, destination_id)
    account = sources.get(room.db, row["source_id"])["account"]
    with room.db.read() as conn:
        steps = filters.steps(filters.in_force(conn, destination_id))
    to = Destination(row["id"], row["source_id"], account, row["settings"])
    return to, catalog.find(row["type"]), steps


def _row(conn: Connection, replay_id: str) -> dict[str, Any]:
    query = sa.select(tables.replays).where(tables.replays.c.id == replay_id)
    row = conn.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"There is no replay {replay_id!r}")
    return dict(row)


def _wanted(given: dict[str, Any]) -> dict[str, Any]:
    rate = given.get("perSecond", PER_SECOND)
    if (
        isinstance(rate, bool)
        or not isinstance(rate, int | float)
        or not 0 < rate <= PER_SECOND_MAX
    ):
        raise Invalid(f"perSecond is {rate!r}; above 0 and at most {PER_SECOND_MAX:g} is right")
    events = given.get("events")
    listed = isinstance(events, list) and all(isinstance(event, str) for event in events)
    if events is not None and not (listed and events):
        raise Invalid(f"events is {events!r}; a list of event names is right")
    since, until = _moment(given, "start"), _moment(given, "end")
    if since is not None and until is not None and since >= until:
        raise Invalid("start is not before end")
    return {"start": since, "end": until, "events": events, "perSecond": float(rate)}


def _moment(given: dict[str, Any], name: str) -> float | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        return parse_iso(text)
    except (ValueError, TypeError, AttributeError):
        raise Invalid(f"{name} is {text!r}; a time such as 2026-11-21T12:00:00Z is right") from None
