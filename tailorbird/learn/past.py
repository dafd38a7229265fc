"""Who did what: each person's items by event type, of imported rows and live events.

Filters ask this; unlike a model's histories it holds every event type and every import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.learn import parts
from tailorbird.learn.models.ids import Ids
from tailorbird.learn.room import Learn

PARTS_KEPT = 64  # parts whose index stays in memory
IMPORTED = (
    "SELECT p.uri FROM learn_parts p JOIN learn_datasets d ON d.arn = p.dataset_arn"
    " WHERE d.group_arn = ? AND d.type = 'INTERACTIONS'"
)
LIVE = (
    "SELECT DISTINCT item_id, event_type FROM learn_events"
    " WHERE group_arn = ? AND person = ? AND unusable IS NULL"
)

PEOPLE = (
    "SELECT DISTINCT person, event_type FROM learn_events WHERE group_arn = ? AND unusable IS NULL"
)


@dataclass
class Past:
    """Distinct (user, item, event type) of one part, by user."""

    users: Ids
    starts: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    items: list[str]
    kinds: list[str]

    @classmethod
    def read(cls, path: Path) -> Past:
        part = parts.read(path)
        user_codes, user_names = part.strings["USER_ID"]
        item_codes, items = part.strings["ITEM_ID"]
        kind_codes, kinds = part.strings.get(
            "EVENT_TYPE", (np.zeros(len(part), dtype=np.int32), [""])
        )
        users = Ids.of(user_names)
        number = np.array([users.find(name) for name in user_names] or [0], dtype=np.int64)
        user = number[user_codes]
        rows = np.unique(np.stack([user, item_codes, kind_codes], axis=1), axis=0)
        starts = np.searchsorted(rows[:, 0], np.arange(len(users) + 1))
        return cls(
            users,
            starts,
            rows[:, 1].astype(np.int32),
            rows[:, 2].astype(np.int16),
            items,
            kinds,
        )

    def items_of(self, user_id: str, wanted: Callable[[str], bool]) -> list[str]:
        user = self.users.find(user_id)
        if user < 0:
            return []
        rows = slice(int(self.starts[user]), int(self.starts[user + 1]))
        fits = np.array([wanted(kind) for kind in self.kinds], dtype=bool)
        return [self.items[n] for n in self.item[rows][fits[self.kind[rows]]].tolist()]

    def users_with(self, wanted: Callable[[str], bool]) -> list[str]:
        fits = np.array([wanted(kind) for kind in self.kinds], dtype=bool)
        lengths = np.diff(self.starts)
        owner = np.repeat(np.arange(len(lengths)), lengths)
        return [self.users[n] for n in np.unique(owner[fits[self.kind]]).tolist()]


def items_of(
    room: Learn,
    group_arn: str,
    person: str,
    wanted: Callable[[str], bool],
    live: Iterable[tuple[Any, ...]] | None = None,
) -> set[str]:
    """The items a person has interactions with of a wanted event type. `live`: id, item, time and
    type of all live events, where they were looked up already."""
    found: set[str] = set()
    for uri in _imported(room, group_arn):
        found.update(_part(room, uri).items_of(person, wanted))
    if live is None:
        pairs = room.db.look(room.db.sql(LIVE), (group_arn, person))
    else:
        pairs = [(item, kind) for _, item, _, kind in live]
    found.update(item for item, kind in pairs if wanted(kind))
    return found


def users_of(room: Learn, group_arn: str, wanted: Callable[[str], bool]) -> set[str]:
    """The people who have interactions of a wanted event type."""
    found: set[str] = set()
    for uri in _imported(room, group_arn):
        found.update(_part(room, uri).users_with(wanted))
    for person, kind in room.db.look(room.db.sql(PEOPLE), (group_arn,)):
        if wanted(kind):
            found.add(person)
    return found


def is_open(room: Learn, group_arn: str) -> bool:
    """Whether the imported rows are in memory already."""
    return all(uri in room.pasts for uri in _imported(room, group_arn))


def _imported(room: Learn, group_arn: str) -> list[str]:
    """The addresses of the imported parts."""
    query = room.db.sql(IMPORTED)
    return room.known.get(
        ("imported", group_arn), lambda: [uri for (uri,) in room.db.look(query, (group_arn,))]
    )


def _part(room: Learn, uri: str) -> Past:
    past = room.pasts.get(uri)
    if past is None:
        with room.opening:
            past = room.pasts.get(uri)
            if past is None:
                with room.objects.fetch(uri) as path:
                    past = Past.read(path)
                while len(room.pasts) >= PARTS_KEPT:
                    room.pasts.pop(next(iter(room.pasts)))
                room.pasts[uri] = past
    return past
