"""Profiles: what identify, alias and group calls say about a person, over all ids of the person.

A person first seen with an anonymous id becomes known with the first call that carries both ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.collect import cursors, log
from tailorbird.collect.room import Collect
from tailorbird.collect.tables import profile_ids, profiles
from tailorbird.errors import NotFound
from tailorbird.store import Database, insert

CURSOR = "profiles"
ROWS_AT_ONCE = 16
USER, ANONYMOUS = "user_id", "anonymous_id"
TELLING = (b'"type":"identify"', b'"type":"alias"', b'"type":"group"')


@dataclass
class Profile:
    """A person: `id` is None until it is stored."""

    id: int | None
    user_id: str | None
    traits: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, Any] = field(default_factory=dict)


def read_on(room: Collect) -> int:
    """Take the next calls of the log into the profiles; how many numbers it moved on."""
    with room.db.read() as conn:
        start = cursors.get(conn, CURSOR)
        rows = log.read(conn, None, start, ROWS_AT_ONCE)
    if not rows:
        return 0
    calls = [
        orjson.loads(line)
        for row in rows
        for number, line in row.calls()
        if number >= start and any(mark in line for mark in TELLING)
    ]
    end = rows[-1].first + rows[-1].count
    with room.db.write() as conn:
        if not cursors.advance(conn, CURSOR, start, end):
            return 0
        for call in calls:
            learn(room.db, conn, call, room.clock.now())
    return end - start


def find(
    room: Collect, user_id: str | None = None, anonymous_id: str | None = None
) -> dict[str, Any]:
    """What is known of a person, with every id; NotFound when nothing is."""
    kind, value = (USER, user_id) if user_id is not None else (ANONYMOUS, anonymous_id)
    with room.db.read() as conn:
        found = _load(conn, kind, value or "")
        if found is None:
            raise NotFound(f"There is no profile with {kind} {value!r}")
        ids = conn.execute(
            sa.select(profile_ids.c.kind, profile_ids.c.value)
            .where(profile_ids.c.profile_id == found.id)
            .order_by(profile_ids.c.kind, profile_ids.c.value)
        )
        return {
            "user_id": found.user_id,
            "traits": found.traits,
            "groups": found.groups,
            "ids": [{"kind": row.kind, "value": row.value} for row in ids],
        }


def learn(db: Database, conn: Connection, call: dict[str, Any], now: float) -> None:
    """Take one call into the person's profile."""
    if call["type"] not in ("identify", "alias", "group"):
        return  # the mark stood somewhere inside the call
    user, anonymous = call.get("userId"), call.get("anonymousId")
    if call["type"] == "alias":
        anonymous = call.get("previousId")
    profile = _joined(db, conn, _clean(user), _clean(anonymous), call["type"] == "alias", now)
    traits = call.get("traits") or {}
    if call["type"] == "identify":
        profile.traits |= traits
    elif call["type"] == "group":
        group = str(call["groupId"])
        profile.groups[group] = profile.groups.get(group, {}) | traits
    _save(db, conn, profile, _clean(user), _clean(anonymous), now)


def _joined(
    db: Database, conn: Connection, user: str, anonymous: str, is_alias: bool, now: float
) -> Profile:
    """The person that these ids mean; an anonymous one becomes part of the known one."""
    known = _load(conn, USER, user) if user else None
    other = _load(conn, ANONYMOUS, anonymous) if anonymous else None
    if other is None and is_alias:
        other = _load(conn, USER, anonymous)
    if known is None and other is not None and (other.user_id in (None, user) or is_alias):
        other.user_id = user or other.user_id
        return other
    if known is None:
        return Profile(None, user or None)
    if other is not None and other.id != known.id and (other.user_id is None or is_alias):
        known.traits = other.traits | known.traits
        known.groups = other.groups | known.groups
        p = profile_ids.c
        mine = sa.update(profile_ids).where(p.profile_id == other.id).values(profile_id=known.id)
        conn.execute(mine)
        conn.execute(sa.delete(profiles).where(profiles.c.id == other.id))
    return known


def _load(conn: Connection, kind: str, value: str) -> Profile | None:
    p, i = profiles, profile_ids
    query = (
        sa.select(p.c.id, p.c.user_id, p.c.traits, p.c.groups)
        .join_from(i, p, i.c.profile_id == p.c.id)
        .where(i.c.kind == kind, i.c.value == value)
    )
    row = conn.execute(query).first()
    return None if row is None else Profile(row.id, row.user_id, row.traits, row.groups)


def _save(
    db: Database, conn: Connection, profile: Profile, user: str, anonymous: str, now: float
) -> None:
    values = {
        "user_id": profile.user_id,
        "traits": _storable(profile.traits),
        "groups": _storable(profile.groups),
        "updated": now,
    }
    if profile.id is None:
        new = profiles.insert().values(**values, created=now).returning(profiles.c.id)
        profile.id = conn.execute(new).scalar_one()
    else:
        conn.execute(sa.update(profiles).where(profiles.c.id == profile.id).values(**values))
    for kind, value in ((USER, user), (ANONYMOUS, anonymous)):
        if value:
            row = insert(db, profile_ids).values(kind=kind, value=value, profile_id=profile.id)
            conn.execute(row.on_conflict_do_nothing())


def _clean(value: Any) -> str:
    """An id without NUL characters, which PostgreSQL does not keep."""
    return str(value or "").replace("\0", "")


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value
