"""Frozen members of a run, each with its endpoint as it is now.

A hook is shown what is stored as it is stored: only what a run looks at itself is taken apart.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
from sqlalchemy.engine import Connection

from tailorbird.engage.definitions import iso, shown_parts
from tailorbird.engage.room import Engage
from tailorbird.store import fetch

Definition = dict[str, Any]
# What is shown in another way than it is stored: parts that are empty, attributes of nobody.
_EMPTY, _NAMELESS = "{}", '"UserAttributes"'
_AS_TEXT = {"sqlite": "", "postgresql": "::text"}
_COLUMNS = (
    "COALESCE(e.id, '#' || {number}), e.channel, e.address, e.opt_out, e.status, e.effective,"
    " e.created, e.body{text}, e.user_id, u.attributes{text}"
)
_USERS = "LEFT JOIN engage_users u ON u.app = e.app AND u.user_id = e.user_id"


class Member(NamedTuple):
    """One frozen member: its endpoint now, whose `body` is None when that was deleted."""

    number: int
    n: int
    id: str
    channel: str | None = None
    address: str | None = None
    opt_out: str = "NONE"
    status: str = "ACTIVE"
    effective: float = 0.0
    created: float = 0.0
    body: str | None = None  # JSON, as is `person`
    user_id: str | None = None
    person: str | None = None

    @property
    def definition(self) -> Definition | None:
        """The endpoint as a template sees it, made anew each time."""
        if self.body is None:
            return None
        return shown_parts(
            self.channel, self.address, self.status, self.opt_out, self.effective, self.created,
            orjson.loads(self.body), self.user_id,
            None if self.person is None else orjson.loads(self.person),
        )  # fmt: skip

    @property
    def written(self) -> orjson.Fragment | Definition | None:
        """The definition as JSON, where that can be had without reading what is stored."""
        body, person = self.body, self.person
        if body is None or _EMPTY in body or _NAMELESS in body or person == _EMPTY:
            return self.definition
        shown: Definition = {
            "EndpointStatus": self.status,
            "OptOut": self.opt_out,
            "EffectiveDate": iso(self.effective),
            "CreationDate": iso(self.created),
        }
        if self.channel:
            shown["ChannelType"] = self.channel
        if self.address:
            shown["Address"] = self.address
        user = shown["User"] = {}
        if self.user_id is not None:
            user["UserId"] = self.user_id
        if person:
            user["UserAttributes"] = orjson.Fragment(person)
        return orjson.Fragment(orjson.dumps(shown)[:-1] + b"," + body[1:].encode())


def of_activity(
    room: Engage, conn: Connection, activity: int, first: int, last: int
) -> list[Member]:
    """Members `first` to `last` - 1 of an activity, with their endpoints as they are now."""
    text = (
        f"SELECT m.endpoint, m.n, {_columns(room, 'm.endpoint')} FROM engage_members m"
        f" LEFT JOIN engage_endpoints e ON e.number = m.endpoint {_USERS}"
        " WHERE m.activity = ? AND m.n >= ? AND m.n < ? ORDER BY m.n"
    )
    return list(map(Member._make, fetch(conn, room.db.sql(text), (activity, first, last))))


def by_number(room: Engage, conn: Connection, numbers: list[int]) -> list[Member]:
    """Endpoints by their numbers, as they are now; those that are gone have no definition."""
    marks = ",".join("?" for _ in numbers)
    text = (
        f"SELECT e.number, e.number, {_columns(room, 'e.number')} FROM engage_endpoints e {_USERS}"
        f" WHERE e.number IN ({marks})"
    )
    rows = fetch(conn, room.db.sql(text), tuple(numbers))
    found = {row[0]: Member._make(row) for row in rows}
    return [found.get(number) or Member(number, number, f"#{number}") for number in numbers]


def _columns(room: Engage, number: str) -> str:
    return _COLUMNS.format(number=number, text=_AS_TEXT[room.db.dialect])
