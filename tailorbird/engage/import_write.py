"""A chunk of an import's rows, written: who they are, and which of them cannot be taken and why.

A row without Id means the endpoint that has its channel and address, or a new one whose id comes
from these two, so that the same file imported twice makes no second endpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from tailorbird.clock import parse_iso
from tailorbird.engage import definitions, endpoints
from tailorbird.engage.apps import App
from tailorbird.engage.bulk import among
from tailorbird.engage.endpoints import Born
from tailorbird.engage.import_rows import Item, Row
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid

OURS = ("ApplicationId", "CohortId", "CreationDate")  # in exports; not for a client to set
Failure = tuple[Row, str]


class Taken(NamedTuple):
    """What became of a chunk."""

    endpoints: list[int]  # their numbers
    users: list[str]
    failures: list[Failure]


def write(
    room: Engage, conn: Connection, app: App, rows: Sequence[Row], *, registers: bool,
    lists_users: bool,
) -> Taken:  # fmt: skip
    """Write the endpoints of some rows, each for itself, in the caller's transaction."""
    failures: list[Failure] = [(row, row.wrong) for row in rows if row.wrong]
    ready, users = [], []
    for row in rows:
        if row.wrong:
            continue
        people = _people(row.item)
        if people and lists_users:
            users += people
        elif people:
            failures.append((row, "It has only User.UserId, which DefineSegment is needed for"))
        else:
            ready.append(row)
    ready = _named(room, conn, app, ready, failures)
    if registers:
        ready = _written(room, conn, app, ready, failures)
    numbers = _numbers(room, conn, app, [_key(row) for row in ready])
    if not registers:
        failures += [
            (row, f"There is no endpoint {row.item['Id']}, and RegisterEndpoints is false")
            for row in ready
            if _key(row) not in numbers
        ]
    return Taken(list(numbers.values()), users, failures)


def _people(item: Item) -> list[str]:
    """The user ids of a row that has nothing else; several may stand in one, with spaces."""
    user = item.get("User")
    if set(item) != {"User"} or not isinstance(user, dict) or set(user) != {"UserId"}:
        return []
    return str(user["UserId"]).split()


def _named(
    room: Engage, conn: Connection, app: App, rows: list[Row], failures: list[Failure]
) -> list[Row]:
    """Rows with the ids they mean; a new endpoint needs ChannelType and Address."""
    nameless = [row for row in rows if not row.item.get("Id")]
    owners = _owners(room, conn, app, [row.item.get("Address") for row in nameless])
    for row in nameless:
        item = row.item
        channel, address = item.get("ChannelType"), item.get("Address")
        if isinstance(channel, str) and isinstance(address, str) and channel and address:
            item["Id"] = owners.get((channel, address)) or _new_id(app, channel, address)
    good = []
    for row in rows:
        wrong = _wrong_id(row)
        if wrong is None:
            good.append(row)
        else:
            failures.append((row, wrong))
    short = [row for row in good if not (row.item.get("ChannelType") and row.item.get("Address"))]
    known = _numbers(room, conn, app, [_key(row) for row in short])
    missing = {id(row) for row in short if _key(row) not in known}
    failures += [
        (row, f"Endpoint {row.item['Id']} is new; it needs ChannelType and Address")
        for row in short
        if id(row) in missing
    ]
    return [row for row in good if id(row) not in missing]


def _wrong_id(row: Row) -> str | None:
    if not row.item.get("Id"):
        return "It has neither Id nor ChannelType with Address: nobody to write"
    try:
        _key(row)
    except Invalid as wrong:
        return wrong.message
    return None


def _written(
    room: Engage, conn: Connection, app: App, rows: list[Row], failures: list[Failure]
) -> list[Row]:
    """Those of the rows that could be written; the others are failures."""
    if not rows:
        return []
    if _try(room, conn, app, rows) is None:
        return rows
    good, limits, now = [], definitions.Limits.of(room.settings), room.clock.now()
    for row in rows:  # first those that are wrong in themselves
        wrong = _alone(app, row, limits, now)
        if wrong is None:
            good.append(row)
        else:
            failures.append((row, wrong))
    return _halved(room, conn, app, good, failures)


def _alone(app: App, row: Row, limits: definitions.Limits, now: float) -> str | None:
    try:
        endpoint = definitions.new(app.id, row.item["Id"], now)
        definitions.merge(endpoint, _plain(row.item), {}, now, limits)
        definitions.document(endpoint, limits)
        _born([row])
    except Invalid as wrong:
        return wrong.message
    return None


def _halved(
    room: Engage, conn: Connection, app: App, rows: list[Row], failures: list[Failure]
) -> list[Row]:
    """Write rows; where one spoils the others, find it by halves."""
    if not rows:
        return []
    wrong = _try(room, conn, app, rows)
    if wrong is None:
        return rows
    if len(rows) == 1:
        failures.append((rows[0], wrong))
        return []
    middle = len(rows) // 2
    first = _halved(room, conn, app, rows[:middle], failures)
    return first + _halved(room, conn, app, rows[middle:], failures)


def _try(room: Engage, conn: Connection, app: App, rows: list[Row]) -> str | None:
    try:
        with conn.begin_nested():
            born = _born(rows)
            endpoints.write(room, conn, app, [_plain(row.item) for row in rows], born)
    except Invalid as wrong:
        return wrong.message
    return None


def _plain(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in OURS}


def _born(rows: list[Row]) -> Born:
    """Cohort and creation of endpoints that had them before: who was held out stays held out."""
    return {
        _key(row): (_cohort(row), _created(row))
        for row in rows
        if row.item.get("CohortId") is not None or row.item.get("CreationDate")
    }


def _cohort(row: Row) -> int | None:
    given = row.item.get("CohortId")
    if given is None:
        return None
    if not str(given).isdigit() or int(given) >= definitions.COHORTS:
        raise Invalid(f"Endpoint {row.item['Id']}: CohortId is {given!r}; 0 to 99 is right")
    return int(given)


def _created(row: Row) -> float | None:
    given = row.item.get("CreationDate")
    if not given:
        return None
    try:
        return parse_iso(given)
    except (TypeError, ValueError):
        raise Invalid(
            f"Endpoint {row.item['Id']}: CreationDate {given!r} is not ISO 8601"
        ) from None


def _key(row: Row) -> str:
    return definitions.key_of(row.item["Id"])


def _new_id(app: App, channel: str, address: str) -> str:
    return hashlib.sha256(f"{app.id}:{channel}:{address}".encode()).hexdigest()[:32]


def _owners(
    room: Engage, conn: Connection, app: App, addresses: Sequence[Any]
) -> dict[tuple[str, str], str]:
    """Ids of the endpoints that have some addresses, the active one before others."""
    wanted = sorted({one for one in addresses if isinstance(one, str) and one})
    rows = _in(
        room, conn, "SELECT channel, address, id FROM engage_endpoints", "address", app, wanted,
        " ORDER BY status DESC, number DESC",
    )  # fmt: skip
    return {(row[0], row[1]): row[2] for row in rows}


def _numbers(room: Engage, conn: Connection, app: App, keys: Sequence[str]) -> dict[str, int]:
    text, wanted = "SELECT key, number FROM engage_endpoints", sorted(set(keys))
    return {row[0]: row[1] for row in _in(room, conn, text, "key", app, wanted)}


def _in(
    room: Engage,
    conn: Connection,
    head: str,
    column: str,
    app: App,
    wanted: Sequence[str],
    tail: str = "",
) -> Sequence[Any]:
    if not wanted:
        return []
    mine, values = among(room.db, column, wanted)
    text = room.db.sql(f"{head} WHERE app = ? AND {mine}{tail}")
    return conn.exec_driver_sql(text, (app.number, *values)).fetchall()
