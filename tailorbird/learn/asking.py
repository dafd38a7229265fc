"""One request: whose history it is, what is on the shelf, what its filter lets by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import metadata, past, shelf
from tailorbird.learn.artifacts import NO_HISTORY, Trained
from tailorbird.learn.deployed import Deployed
from tailorbird.learn.events import SESSION_USER
from tailorbird.learn.filters import grammar, mask, values
from tailorbird.learn.filters.grammar import Condition, Literal
from tailorbird.learn.filters.rules import BY_EVENTS
from tailorbird.learn.models.interactions import History
from tailorbird.learn.room import Learn

LIVE_ROWS = 500  # newest live events of a user that count
LIVE = (
    "SELECT item_id, time, event_type FROM learn_events WHERE group_arn = ? AND person = ?"
    " AND id > ? AND unusable IS NULL ORDER BY id DESC LIMIT ?"
)
Person = tuple[str, History]  # whose history it is, and what it is as of now
FIND_FILTER = "SELECT group_arn, definition FROM learn_filters WHERE arn = ?"


class Asking:
    """What one request needs to know, each looked up once and only when it is needed."""

    def __init__(
        self,
        room: Learn,
        one: Deployed,
        user_id: str | None = None,
        item_id: str | None = None,
        person: Person | None = None,  # of the user, where it was looked up already
    ) -> None:
        self.room, self.one = room, one
        self.user_id, self.item_id = user_id, item_id
        if person is not None:
            self._person = person

    @cached_property
    def shelf(self) -> shelf.Shelf:
        table = metadata.of(self.room, self.one.group, "ITEMS")
        return shelf.of(self.room, self.one.artifact, self.one.trained, table)

    @cached_property
    def _person(self) -> Person:
        return _person(self.room, self.one.trained, self.one.group, self.user_id or "")

    @property
    def history(self) -> History:
        """The user's history at training and the live events since; an id may be a session's."""
        return self._person[1] if self.user_id else NO_HISTORY

    @property
    def person(self) -> str:
        """Whose history it is: the user, also when asked for by a session's id."""
        if not self.user_id:
            raise Invalid("userId is missing; the filter asks about the user")
        return self._person[0]

    def passes(self, filter_arn: str, given: Mapping[str, str]) -> np.ndarray:
        """A mask over the shelf, and behind it the answer for an item nobody knows."""
        found = filter_of(self.room, filter_arn)
        if found is None:
            raise NotFound(f"The given filter does not exist: {filter_arn}")
        group, expressions = found
        if group != self.one.group:
            raise Invalid(
                f"{filter_arn} is a filter of {group}, {self.one.arn} belongs to {self.one.group}"
            )
        if expressions[0].target != "ITEMS":
            raise Invalid(
                f"{filter_arn} chooses {expressions[0].target.lower()}; a filter of ItemID is right"
            )
        bring = mask.Asked(
            values.read(expressions, given),
            lambda: self.user_record,
            None if self.item_id is None else lambda: self.shelf.record(self.item_id or ""),
        )
        return mask.mask(expressions, bring, self._rows, len(self.shelf) + 1)

    def not_had(self) -> np.ndarray:
        """Which items of the shelf a use case may show again: all but those the user had."""
        hides = {kind.lower() for kind in self.one.recipe.hides}
        items = past.items_of(
            self.room, self.one.group, self.person, lambda kind: kind.lower() in hides
        )
        found = np.ones(len(self.shelf), dtype=bool)
        found[self._numbers(items)] = False
        return found

    def _numbers(self, items: Collection[str]) -> list[int]:
        numbers = self.shelf.numbers if items else {}
        return [numbers[item] for item in items if item in numbers]

    @cached_property
    def user_record(self) -> metadata.Record:
        table = metadata.of(self.room, self.one.group, "USERS")
        return {} if table is None else table.record(self.person)

    def _rows(self, condition: Condition, wanted: tuple[Literal, ...]) -> np.ndarray:
        if condition.dataset not in BY_EVENTS:
            return self.shelf.passing(condition, wanted)
        kinds = mask.event_types(wanted, condition.sign)
        found = np.zeros(len(self.shelf) + 1, dtype=bool)
        items = past.items_of(self.room, self.one.group, self.person, kinds)
        found[self._numbers(items)] = True
        return found


def filter_of(room: Learn, filter_arn: str) -> tuple[str, grammar.Filter] | None:
    """The dataset group a filter is of, and what it says; None when it is not there."""
    return room.known.get(("filter", filter_arn), lambda: _filter(room, filter_arn))


def _filter(room: Learn, filter_arn: str) -> tuple[str, grammar.Filter] | None:
    found = room.db.look(room.db.sql(FIND_FILTER), (filter_arn,))
    if not found:
        return None
    return found[0][0], grammar.parse(room.db.load(found[0][1])["filterExpression"])


def _person(room: Learn, trained: Trained, group: str, user_id: str) -> Person:
    person, live = user_id, room.db.sql(LIVE)
    since = room.db.look(live, (group, user_id, trained.last_event, LIVE_ROWS))
    known = trained.history(user_id)
    if not since and not len(known):
        found = room.db.look(room.db.sql(SESSION_USER), (group, user_id))
        if found and found[0][0] != user_id:
            person = found[0][0]
            known = trained.history(person)
            since = room.db.look(live, (group, person, trained.last_event, LIVE_ROWS))
    return person, joined(trained, known, since, room.clock.now())


def joined(trained: Trained, known: History, rows: Sequence[Any], now: float) -> History:
    """Known and live rows in order of time, without unknown items and unwanted event types."""
    if not rows:
        return History(known.item, known.time, known.kind, now)
    kinds = {name: n for n, name in enumerate(trained.kinds)}
    wanted = trained.manifest.get("event_types")
    item, time, kind = [], [], []
    for item_id, moment, event_type in reversed(rows):
        number = trained.items.find(item_id)
        if number >= 0 and (wanted is None or event_type in wanted):
            item.append(number)
            time.append(moment)
            kind.append(kinds.get(event_type, 0))
    if not item:
        return History(known.item, known.time, known.kind, now)
    times = np.concatenate([known.time, np.array(time)])
    order = np.argsort(times, kind="stable")
    return History(
        np.concatenate([known.item, np.array(item, dtype=np.int32)])[order],
        times[order],
        np.concatenate([known.kind, np.array(kind, dtype=np.int16)])[order],
        now,
    )
