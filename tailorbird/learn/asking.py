"""One request: whose history it is, what is on the shelf, what its filter lets by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import metadata, past, shelf
from tailorbird.learn.artifacts import NO_HISTORY, Trained
from tailorbird.learn.deployed import Deployed
from tailorbird.learn.events import SESSION_USER
from tailorbird.learn.filters import grammar, mask, rules, values
from tailorbird.learn.filters.grammar import Condition, Literal
from tailorbird.learn.filters.rules import BY_EVENTS
from tailorbird.learn.models.interactions import History
from tailorbird.learn.room import Learn

LIVE_ROWS = 500  # newest live events of a user that count
LIVE = (
    "SELECT id, item_id, time, event_type FROM learn_events WHERE group_arn = ? AND person = ?"
    " AND id > ? AND unusable IS NULL ORDER BY id DESC LIMIT ?"
)
Live = list[tuple[Any, ...]]  # its rows
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
        filter_arn: str | None = None,  # the request's own
    ) -> None:
        self.room, self.one = room, one
        self.user_id, self.item_id = user_id, item_id
        self._filter_arn = filter_arn
        self._live: Live | None = None  # all events of the person, where they are known
        if person is not None:
            self._person = person

    @cached_property
    def shelf(self) -> shelf.Shelf:
        table = metadata.of(self.room, self.one.group, "ITEMS")
        return shelf.of(self.room, self.one.artifact, self.one.trained, table)

    @cached_property
    def _person(self) -> Person:
        """One look finds the history's live events and, for who asks about the past, all others."""
        trained, user_id = self.one.trained, self.user_id or ""
        person, known = user_id, trained.history(user_id)
        live = self._events(user_id)
        if not live and not len(known):
            values = (self.one.group, user_id)
            found = self.room.db.look(self.room.db.sql(SESSION_USER), values)
            if found and found[0][0] != user_id:
                person = found[0][0]
                known, live = trained.history(person), self._events(person)
        since = [row[1:] for row in live[:LIVE_ROWS] if row[0] > trained.last_event]
        return person, joined(trained, known, since, self.room.clock.now())

    def _events(self, person: str) -> Live:
        """The newest live events of a person: since the training, or all where that is asked."""
        whole = self._asks_about_the_past
        since, most = (0, LIVE_ROWS + 1) if whole else (self.one.trained.last_event, LIVE_ROWS)
        found = self.room.db.look(self.room.db.sql(LIVE), (self.one.group, person, since, most))
        self._live = found if whole and len(found) <= LIVE_ROWS else None
        return found

    @property
    def _asks_about_the_past(self) -> bool:
        if self.one.recipe.hides:
            return True
        found = filter_of(self.room, self._filter_arn) if self._filter_arn else None
        return found is not None and rules.asks_about_events(found[1])

    def _had(self, wanted: Callable[[str], bool]) -> set[str]:
        """The items the person has interactions with of a wanted event type."""
        person = self.person
        return past.items_of(self.room, self.one.group, person, wanted, self._live)

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
        items = self._had(lambda kind: kind.lower() in hides)
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
        found[self._numbers(self._had(kinds))] = True
        return found


def filter_of(room: Learn, filter_arn: str) -> tuple[str, grammar.Filter] | None:
    """The dataset group a filter is of, and what it says; None when it is not there."""
    return room.known.get(("filter", filter_arn), lambda: _filter(room, filter_arn))


def _filter(room: Learn, filter_arn: str) -> tuple[str, grammar.Filter] | None:
    found = room.db.look(room.db.sql(FIND_FILTER), (filter_arn,))
    if not found:
        return None
    return found[0][0], grammar.parse(room.db.load(found[0][1])["filterExpression"])


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
