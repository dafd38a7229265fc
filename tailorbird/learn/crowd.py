"""GetRecommendations for many users at once: their histories come with two questions, not two each.

Every answer is the one the user alone would get.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tailorbird.access import Caller
from tailorbird.errors import TailorbirdError
from tailorbird.learn import asking, deployed, serving
from tailorbird.learn.asking import LIVE_ROWS, Person
from tailorbird.learn.deployed import Deployed
from tailorbird.learn.room import Learn

# PostgreSQL is across a socket. Each user's newest rows are those that LIVE finds.
LIVE_OF_MANY = (
    "SELECT p.person, e.item_id, e.time, e.event_type FROM unnest(?::text[]) p(person)"
    " CROSS JOIN LATERAL (SELECT id, item_id, time, event_type FROM learn_events l"
    " WHERE l.group_arn = ? AND l.person = p.person AND l.id > ? AND l.unusable IS NULL"
    " ORDER BY l.id DESC LIMIT ?) e ORDER BY e.id DESC"
)
SESSIONS = (
    "SELECT session_id, user_id FROM learn_sessions WHERE group_arn = ? AND session_id = ANY(?)"
)


def get_recommendations(
    room: Learn, caller: Caller, request: dict[str, Any], user_ids: Sequence[str]
) -> dict[str, dict[str, Any] | TailorbirdError]:
    """The answer to this request, or its refusal, for each of these users; the request has no
    userId of its own.
    """
    try:
        one = deployed.asked(room, caller, request)
        known = _people(room, one, list(dict.fromkeys(user_ids)))
    except TailorbirdError as refusal:
        return dict.fromkeys(user_ids, refusal)
    found: dict[str, dict[str, Any] | TailorbirdError] = {}
    for user_id, person in known.items():
        try:
            found[user_id] = serving.get_recommendations(
                room, caller, {**request, "userId": user_id}, person
            )
        except TailorbirdError as refusal:
            found[user_id] = refusal
    return found


def _people(room: Learn, one: Deployed, user_ids: list[str]) -> dict[str, Person | None]:
    """Who each of these is; None where a look of its own costs next to nothing."""
    if room.db.dialect != "postgresql":
        return dict.fromkeys(user_ids)
    live = _live(room, one, user_ids)
    strangers = [u for u in user_ids if u not in live and not len(one.trained.history(u))]
    values = (one.group, strangers)
    sessions = dict(room.db.look(room.db.sql(SESSIONS), values) if strangers else [])
    linked = {session: user for session, user in sessions.items() if user and user != session}
    live |= _live(room, one, sorted(set(linked.values()) - live.keys())) if linked else {}
    now, found = room.clock.now(), dict[str, Person | None]()
    for user_id in user_ids:
        who = linked.get(user_id, user_id)
        known = one.trained.history(who)
        found[user_id] = who, asking.joined(one.trained, known, live.get(who, []), now)
    return found


def _live(room: Learn, one: Deployed, user_ids: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    """The newest live rows of each user that has any, the newest first."""
    values = (user_ids, one.group, one.trained.last_event, LIVE_ROWS)
    found: dict[str, list[tuple[Any, ...]]] = {}
    for user_id, *row in room.db.look(room.db.sql(LIVE_OF_MANY), values):
        found.setdefault(user_id, []).append(tuple(row))
    return found
