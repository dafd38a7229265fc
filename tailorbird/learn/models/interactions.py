"""Interactions as the models see them: numbers, one user after the other, each in order of time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tailorbird.learn.models.ids import Ids

SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True)
class Recent:
    """Newest items, by their numbers from the highest down, as `Rows.add` wants them."""

    item: np.ndarray
    place: np.ndarray  # of each: 0 for the newest

    @classmethod
    def of(cls, newest_first: np.ndarray) -> "Recent":
        order = newest_first.argsort()[::-1]
        return cls(newest_first[order], order)


@dataclass(frozen=True)
class History:
    """What one user did, oldest first, and the moment (epoch seconds) the answer is for."""

    item: np.ndarray  # int32 item numbers
    time: np.ndarray  # float64 epoch seconds
    kind: np.ndarray  # int16 event type numbers
    now: float

    def __len__(self) -> int:
        return len(self.item)

    @cached_property
    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Each item once, and which of these every row has."""
        place: dict[int, int] = {}
        places = [place.setdefault(item, len(place)) for item in self.item.tolist()]
        return np.array(list(place), dtype=np.int64), np.array(places, dtype=np.int64)

    def recent(self, last: int) -> Recent:
        """The newest `last` rows."""
        return self._recent if len(self) <= last else Recent.of(self.item[-last:][::-1])

    @cached_property
    def _recent(self) -> Recent:
        return Recent.of(self.item[::-1])

    def last(self, count: int) -> "History":
        return History(self.item[-count:], self.time[-count:], self.kind[-count:], self.now)


@dataclass(frozen=True)
class Interactions:
    """Columns sorted by user, then time, then the order they came in."""

    users: Ids
    items: Ids
    kinds: list[str]  # event types
    user: np.ndarray  # int32
    item: np.ndarray  # int32
    kind: np.ndarray  # int16
    time: np.ndarray  # float64 epoch seconds
    weight: np.ndarray  # float32, how much this row counts as something to predict
    offsets: np.ndarray  # int64, rows of user u are offsets[u]:offsets[u + 1]

    def __len__(self) -> int:
        return len(self.item)

    @property
    def item_count(self) -> int:
        return len(self.items)

    def history(self, user: int, end: int | None = None, now: float | None = None) -> History:
        """The user's rows up to row number `end` (all of them when left out)."""
        start = int(self.offsets[user])
        stop = int(self.offsets[user + 1]) if end is None else end
        rows = slice(start, stop)
        at = float(self.time[stop - 1]) if now is None and stop > start else (now or 0.0)
        return History(self.item[rows], self.time[rows], self.kind[rows], at)

    def keep(self, rows: np.ndarray) -> "Interactions":
        """The same users and items with only the rows where the mask is true."""
        user = self.user[rows]
        return replace(
            self,
            user=user,
            item=self.item[rows],
            kind=self.kind[rows],
            time=self.time[rows],
            weight=self.weight[rows],
            offsets=_offsets(user, len(self.users)),
        )


def interactions(
    user_ids: Sequence[str],
    item_ids: Sequence[str],
    times: Sequence[float] | np.ndarray,
    event_types: Sequence[str] | None = None,
) -> Interactions:
    """Interactions from plain lists (tests, bench)."""
    users, user = np.unique(np.asarray(user_ids, dtype=str), return_inverse=True)
    items, item = np.unique(np.asarray(item_ids, dtype=str), return_inverse=True)
    types = np.asarray(event_types if event_types is not None else [""] * len(user), dtype=str)
    kinds, kind = np.unique(types, return_inverse=True)
    return from_numbers(
        Ids.of(users.tolist()),
        Ids.of(items.tolist()),
        kinds.tolist(),
        user,
        item,
        kind,
        np.asarray(times, dtype=np.float64),
        np.ones(len(user), dtype=np.float32),
    )


def from_numbers(
    users: Ids,
    items: Ids,
    kinds: list[str],
    user: np.ndarray,
    item: np.ndarray,
    kind: np.ndarray,
    time: np.ndarray,
    weight: np.ndarray,
) -> Interactions:
    """Sort numbered rows by user, time and order of arrival."""
    order = np.lexsort((time, user))  # stable: equal times keep the order they came in
    sorted_user = user[order].astype(np.int32)
    return Interactions(
        users=users,
        items=items,
        kinds=kinds,
        user=sorted_user,
        item=item[order].astype(np.int32),
        kind=kind[order].astype(np.int16),
        time=time[order].astype(np.float64),
        weight=weight[order].astype(np.float32),
        offsets=_offsets(sorted_user, len(users)),
    )


def joined(data: Interactions) -> Interactions:
    """One row for each item a user had at one moment, its heaviest (of equals the newest).

    A watch and a click of one film in one second are one deed: split between input and truth, the
    one would give the other away.
    """
    order = np.lexsort((np.arange(len(data)), data.weight, data.item, data.time, data.user))
    user, item, time = data.user[order], data.item[order], data.time[order]
    newest = np.ones(len(data), dtype=bool)
    same = (user[1:] == user[:-1]) & (time[1:] == time[:-1]) & (item[1:] == item[:-1])
    newest[:-1] = ~same
    if newest.all():
        return data
    rows = np.zeros(len(data), dtype=bool)
    rows[order[newest]] = True
    return data.keep(rows)


def _offsets(user: np.ndarray, count: int) -> np.ndarray:
    return np.searchsorted(user, np.arange(count + 1)).astype(np.int64)
