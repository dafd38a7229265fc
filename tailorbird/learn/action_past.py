"""What one user did with actions: imported rows and live interactions, oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy.engine import Connection

from tailorbird.learn import parts
from tailorbird.learn.action_training import deed
from tailorbird.learn.models.propensity import DEEDS
from tailorbird.learn.room import Learn

PARTS_KEPT = 16  # parts whose index stays in memory
IMPORTED = (
    "SELECT p.uri FROM learn_parts p JOIN learn_datasets d ON d.arn = p.dataset_arn"
    " WHERE d.group_arn = ? AND d.type = 'ACTION_INTERACTIONS'"
)
LIVE = (
    "SELECT action_id, event_type, time FROM learn_action_events WHERE group_arn = ? AND person = ?"
)

Done = tuple[str, int, float]  # action, deed, moment


@dataclass
class ActionPast:
    """The rows of one part, by user."""

    rows: dict[str, list[Done]]

    @classmethod
    def read(cls, path: Path) -> ActionPast:
        part = parts.read(path)
        found: dict[str, list[Done]] = {}
        if len(part):
            user_codes, users = part.strings["USER_ID"]
            action_codes, actions = part.strings["ACTION_ID"]
            kind_codes, kinds = part.strings["EVENT_TYPE"]
            deeds = [deed(kind) for kind in kinds]
            columns = [one.tolist() for one in (user_codes, action_codes, kind_codes)]
            moments = part.numbers["TIMESTAMP"].tolist()
            for u, a, k, moment in zip(*columns, moments, strict=True):
                if deeds[k] >= 0:
                    found.setdefault(users[u], []).append((actions[a], deeds[k], moment))
        return cls(found)


def of(room: Learn, conn: Connection, group: str, person: str) -> list[Done]:
    """Everything a person did with the group's actions."""
    found: list[Done] = []
    for (uri,) in conn.exec_driver_sql(room.db.sql(IMPORTED), (group,)).fetchall():
        found += _part(room, uri).rows.get(person, [])
    for action, kind, moment in conn.exec_driver_sql(room.db.sql(LIVE), (group, person)).fetchall():
        found.append((action, DEEDS.index(kind), moment))
    return sorted(found, key=lambda one: one[2])


def actions_of(done: list[Done], wanted: np.ndarray) -> set[str]:
    """The actions with a deed that is wanted (a mask over the deeds)."""
    return {action for action, kind, _ in done if wanted[kind]}


def _part(room: Learn, uri: str) -> ActionPast:
    past = room.action_pasts.get(uri)
    if past is None:
        with room.opening:
            with room.objects.fetch(uri) as path:
                past = ActionPast.read(path)
            while len(room.action_pasts) >= PARTS_KEPT:
                room.action_pasts.pop(next(iter(room.action_pasts)))
            room.action_pasts[uri] = past
    return past
