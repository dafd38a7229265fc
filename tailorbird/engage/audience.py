"""The audience of a run: the segment resolved once, its members frozen and numbered.

Paging by number stays fast and exact however the endpoints change meanwhile. Who is in the
segment but cannot be
sent to gets its ledger row here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo
from functools import lru_cache
from typing import Any, NamedTuple, TypedDict

import msgspec
import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import (
    activities,
    campaign_rules,
    caps,
    dimensions,
    ledger,
    lists,
    message_events,
    schedules,
    segments,
    targeting,
    treatments,
)
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.bulk import Bulk
from tailorbird.engage.dimensions import NOTHING, Candidate
from tailorbird.engage.ledger import Entry
from tailorbird.engage.membership import Membership
from tailorbird.engage.room import Engage
from tailorbird.store import Job, LeaseLost

CHUNK_ENDPOINTS = 10_000

_MEMBERS = Bulk("engage_members", {"activity": "bigint", "n": "bigint", "endpoint": "bigint"})


RawRow = Any  # a tuple in the order of Row


class Row(NamedTuple):
    """One endpoint as the audience reads it."""

    number: int
    id: str
    channel: str | None
    address: str | None
    opt_out: str
    status: str
    cohort: int
    effective: float
    body: Any
    person: Any


class Sampled(NamedTuple):
    """An endpoint of the segment; with a state when it is not sent to."""

    number: int
    id: str
    treatment_id: str
    state: str | None
    reason: str | None


class Chunk(NamedTuple):
    """What one page of endpoints came to."""

    last: int
    members: list[tuple[float, int]]  # when it is due, the endpoint
    entries: list[Entry]


def count(room: Engage, app: App, segment: dict[str, Any]) -> int:
    """How many endpoints belong to a segment now."""
    with room.db.read() as conn:
        member = _membership(room, conn, app, segment)
        return sum(
            len(_matching(room, page, member)) for page in _pages(room, conn, app, member, 0)
        )


def freeze(
    room: Engage, job: Job, app: App, activity: dict[str, Any], campaign: dict[str, Any]
) -> dict[str, Any]:
    """Number the members of a run, going on where an earlier attempt stopped; the activity
    afterwards.
    """
    body = campaign["body"]
    with room.db.read() as conn:
        segment = segments.find(conn, app, body["SegmentId"], body["SegmentVersion"])
        lists.await_whole(conn, segment)
        member = _membership(room, conn, app, segment)
        if schedules.is_local(treatments.body_of(body, activity["treatment_id"])["Schedule"]):
            member = member._replace(body=True)  # the time zone is in there
        check = _Targets(room, conn, app, activity, body)
        for page in _pages(room, conn, app, member, activity["resolved_to"]):
            chunk = check.chunk(page[-1][0], _belonging(room, page, member))
            activity = _store(room, activity, chunk)
            job.progress(activity["total"], None, "endpoints resolved")
    return activity


def sample(
    room: Engage, conn: Connection, app: App, campaign: dict[str, Any], limit: int
) -> tuple[int, list[Sampled]]:
    """The first endpoints of a campaign's segment, and how many endpoints were looked at."""
    body = campaign["body"]
    segment = segments.find(conn, app, body["SegmentId"], body["SegmentVersion"])
    member = _membership(room, conn, app, segment)._replace(body=True)
    now, looked_at = room.clock.now(), 0
    checks: dict[str, _Targets] = {}
    found: list[Sampled] = []
    for page in _pages(room, conn, app, member, 0):
        for row in _belonging(room, page, member):
            treatment = treatments.assigned(body, row.cohort)
            mine = treatment or treatments.DEFAULT
            if mine not in checks:
                activity = {
                    "number": 0, "campaign_id": campaign["id"], "application_id": app.id,
                    "treatment_id": mine, "planned": now, "scheduled": now,
                }  # fmt: skip
                checks[mine] = _Targets(room, conn, app, activity, body)
            end = checks[mine].decision(row) if treatment else (ledger.HELD_OUT, None)
            found.append(Sampled(row.number, row.id, mine, *end))
            if len(found) == limit:
                return looked_at + page.index(row) + 1, found
        looked_at += len(page)
    return looked_at, found


def everybody(room: Engage, conn: Connection, app: App) -> Iterator[tuple[Row, Candidate]]:
    """Every endpoint of an application, with all that a segment may look at."""
    load = room.db.load
    for page in _pages(room, conn, app, Membership(dimensions.everybody, True, True), 0):
        for row in map(Row._make, page):
            person = load(row.person) if row.person is not None else NOTHING
            body = load(row.body)
            yield row, Candidate(row.number, row.channel, row.effective, body, person)


def belonging(
    room: Engage, conn: Connection, app: App, campaign: dict[str, Any], endpoints: list[int]
) -> list[Row]:
    """Those of some endpoints that are in a campaign's segment."""
    body = campaign["body"]
    segment = segments.find(conn, app, body["SegmentId"], body["SegmentVersion"])
    member = _membership(room, conn, app, segment)
    marks = ",".join("?" for _ in endpoints)
    text = room.db.sql(_select(member, f"e.number IN ({marks})"))
    rows = conn.exec_driver_sql(text, (app.number, *endpoints)).fetchall()
    return _belonging(room, rows, member)


def enlist(
    room: Engage, conn: Connection, app: App, activity: dict[str, Any], campaign: dict[str, Any],
    rows: list[Row],
) -> dict[str, Any]:  # fmt: skip
    """Number some endpoints as the members of a run, in the caller's transaction; the activity
    afterwards.
    """
    numbers = [row.number for row in rows]
    check = _Targets(room, conn, app, activity, campaign["body"], numbers)
    return _number(room, conn, activity, check.chunk(max(numbers), rows))


def _membership(room: Engage, conn: Connection, app: App, segment: dict[str, Any]) -> Membership:
    return segments.membership(conn, app, segment, room.clock.now())


def _pages(
    room: Engage, conn: Connection, app: App, member: Membership, after: int
) -> Iterator[Sequence[RawRow]]:
    """All endpoints of an application by number; parts nobody looks at are not read."""
    text = room.db.sql(_select(member, "e.number > ? ORDER BY e.number LIMIT ?"))
    while True:
        found = conn.exec_driver_sql(text, (app.number, after, CHUNK_ENDPOINTS))
        rows = found.cursor.fetchall()  # the driver's own tuples: this is the hottest loop
        found.close()
        if not rows:
            return
        yield rows
        after = rows[-1][0]


def _select(member: Membership, rest: str) -> str:
    body = "e.body" if member.body else "NULL"
    person, join = "NULL", ""
    if member.person:
        person = "u.attributes"
        join = " LEFT JOIN engage_users u ON u.app = e.app AND u.user_id = e.user_id"
    return (
        "SELECT e.number, e.id, e.channel, e.address, e.opt_out, e.status, e.cohort,"
        " CASE WHEN e.active > e.effective THEN e.active ELSE e.effective END,"
        f" {body}, {person} FROM engage_endpoints e{join} WHERE e.app = ? AND {rest}"
    )


def _belonging(room: Engage, rows: Sequence[RawRow], member: Membership) -> list[Row]:
    return list(map(Row._make, _matching(room, rows, member)))


def _matching(room: Engage, rows: Sequence[RawRow], member: Membership) -> Sequence[RawRow]:
    """The rows that belong to a segment."""
    load: Callable[[Any], Any] = room.db.load
    test, body_of = member.test, load
    if test is dimensions.everybody:
        return rows
    if room.db.dialect == "sqlite":  # PostgreSQL gives documents, not their text
        rows = _screened(rows, member)
        load, body_of = orjson.loads, _reader(member.parts)
    if not member.person:
        if not member.body:
            return [r for r in rows if test(Candidate(r[0], r[2], r[7], NOTHING, NOTHING))]
        return [r for r in rows if test(Candidate(r[0], r[2], r[7], body_of(r[8]), NOTHING))]
    return [
        r
        for r in rows
        if test(
            Candidate(
                r[0], r[2], r[7], NOTHING if r[8] is None else body_of(r[8]),
                NOTHING if r[9] is None else load(r[9]),
            )
        )
    ]  # fmt: skip


def _screened(rows: Sequence[RawRow], member: Membership) -> Sequence[RawRow]:
    """Without the rows whose text alone says that they do not belong."""
    for place, screens in ((8, member.body_screens), (9, member.person_screens)):
        for texts in screens:
            held = [r for r in rows if r[place] is not None]
            if len(texts) == 1:
                (only,) = texts
                rows = [r for r in held if only in r[place]]
            elif len(texts) == 2:
                one, other = texts
                rows = [r for r in held if one in r[place] or other in r[place]]
            else:
                search = re.compile("|".join(map(re.escape, texts))).search
                rows = [r for r in held if search(r[place])]
    return rows


@lru_cache(maxsize=32)
def _reader(parts: frozenset[str]) -> Callable[[str], Any]:
    """Reads a body's JSON, of which a test looks at these parts only."""
    fields: dict[str, Any] = dict.fromkeys(parts, Any)
    typed: Any = TypedDict("Body", fields, total=False)  # type: ignore[misc]
    decode: Callable[[str], Any] = msgspec.json.Decoder(typed).decode
    return decode


class _Targets:
    """Decides who of the segment is sent to, and when."""

    def __init__(
        self,
        room: Engage,
        conn: Connection,
        app: App,
        activity: dict[str, Any],
        body: dict[str, Any],
        only: list[int] | None = None,
    ) -> None:
        self.room, self.body, self.activity = room, body, activity
        own = treatments.body_of(body, activity["treatment_id"])
        self.channels = frozenset(campaign_rules.channels(own))
        self.is_local = schedules.is_local(own["Schedule"])
        self.shared = _shared_addresses(room, conn, app) if only is None else set()
        self.seen = _addresses_frozen(room, conn, activity["number"], self.shared)
        self.capped = caps.capped(room, conn, activity, body.get("Limits") or {}, only)

    def chunk(self, last: int, rows: list[Row]) -> Chunk:
        members, entries = [], []
        for row in rows:
            treatment = treatments.assigned(self.body, row.cohort)
            if (treatment or treatments.DEFAULT) != self.activity["treatment_id"]:
                continue
            state = ledger.HELD_OUT if treatment is None else self.refusal(row)
            due = 0.0
            if state is None and self.is_local:
                due, state = self.local(row)
            if state is None:
                members.append((due, row.number))
            else:
                reason = self.capped.get(row.number) if state == ledger.CAPPED else None
                entries.append(Entry(row.number, row.id, state, reason))
        return Chunk(last, members, entries)

    def decision(self, row: Row) -> tuple[str | None, str | None]:
        """Why an endpoint is not sent to, if so, whatever the hour is where it is."""
        state = self.refusal(row)
        if state is None and self.is_local and _zone(self.room.db.load(row.body)) is None:
            state = ledger.MISSING_TIMEZONE
        return state, self.capped.get(row.number) if state == ledger.CAPPED else None

    def local(self, row: Row) -> tuple[float, str | None]:
        """When it is time where an endpoint is, or why that will not be."""
        zone = _zone(self.room.db.load(row.body))
        if zone is None:
            return 0.0, ledger.MISSING_TIMEZONE
        due = schedules.at_wall_time(self.activity["scheduled"], zone)
        return due, ledger.PAST_THERE if due < self.activity["planned"] else None

    def refusal(self, row: Row) -> str | None:
        state = targeting.refusal(row.channel, row.address, row.opt_out, row.status, self.channels)
        if state is not None:
            return state
        if row.number in self.capped:
            return ledger.CAPPED
        if row.address in self.shared:
            if row.address in self.seen:
                return ledger.DUPLICATE_ADDRESS
            self.seen.add(row.address)
        return None


def _shared_addresses(room: Engage, conn: Connection, app: App) -> set[str]:
    """Addresses of more than one active endpoint: rare, for the last writer takes an address
    over.
    """
    text = (
        "SELECT address FROM engage_endpoints WHERE app = ? AND address IS NOT NULL"
        " AND status = 'ACTIVE' GROUP BY address HAVING count(*) > 1"
    )
    return {row[0] for row in conn.exec_driver_sql(room.db.sql(text), (app.number,))}


def _addresses_frozen(
    room: Engage, conn: Connection, number: int, shared: set[str]
) -> set[str | None]:
    """Which shared addresses an earlier attempt has taken a member for."""
    if not shared:
        return set()
    text = (
        "SELECT e.address FROM engage_members m JOIN engage_endpoints e ON e.number = m.endpoint"
        " WHERE m.activity = ?"
    )
    rows = conn.exec_driver_sql(room.db.sql(text), (number,))
    return {row[0] for row in rows if row[0] in shared}


def _zone(body: dict[str, Any]) -> tzinfo | None:
    name = (body.get("Demographic") or {}).get("Timezone")
    return schedules.named_zone(name) if isinstance(name, str) and name else None


def _store(room: Engage, activity: dict[str, Any], chunk: Chunk) -> dict[str, Any]:
    """Commit one page: members, ledger rows and the cursor in one transaction."""
    with room.db.write() as conn:
        return _number(room, conn, activity, chunk)


def _number(
    room: Engage, conn: Connection, activity: dict[str, Any], chunk: Chunk
) -> dict[str, Any]:
    number, size = activity["number"], activity["batch_size"]
    legs = [dict(leg) for leg in activity["legs"]]
    places = {leg["due"]: n for n, leg in enumerate(legs)}
    rows = []
    for due, endpoint in chunk.members:
        n = places.get(due)
        if n is None:
            n = places[due] = len(legs)
            legs.append({"due": due, "members": 0})
        rows.append((number, n * activities.LEG_BATCHES * size + legs[n]["members"], endpoint))
        legs[n]["members"] += 1
    after = {
        "resolved_to": chunk.last,
        "total": activity["total"] + len(chunk.members) + len(chunk.entries),
        "members": activity["members"] + len(chunk.members),
        "legs": legs,
    }
    c = t.activities.c
    mine = (c.number == number, c.resolved_to == activity["resolved_to"])
    if conn.execute(sa.update(t.activities).where(*mine).values(after)).rowcount != 1:
        raise LeaseLost(f"activity {activity['id']} is resolved by another worker")
    _MEMBERS.run(room.db, conn, rows)
    ledger.record(room, conn, number, chunk.entries, room.clock.now())
    message_events.note(room, conn, activity, chunk.entries, room.clock.now())
    return {**activity, **after}
