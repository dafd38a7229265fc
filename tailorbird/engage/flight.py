"""Batches of one stretch that are in the air: begun in the room's lanes and not written down yet.

What has come in is written down together, for a transaction costs as much as fifty endpoints; but
nothing waits long for others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Lock

from tailorbird.engage import batches, pace
from tailorbird.engage.batches import Outcome, Run
from tailorbird.engage.members import Member
from tailorbird.engage.room import Engage
from tailorbird.store.jobs import Later

TOGETHER = 4  # batches, of the eight that a process has in the air
LINGER_SECONDS = 0.05  # for others
STOPPED_SECONDS = 1.0

Rest = Iterator[tuple[int, list[Member]]]


class Turn:
    """The right to begin batches of an activity: in a process one stretch after the other has it,
    so that the lanes hold batches that can be written down together.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._held = lock.acquire()

    def over(self) -> None:
        """All is begun: the next stretch may."""
        if self._held:
            self._held = False
            self._lock.release()


@contextmanager
def turn(room: Engage, activity: int) -> Iterator[Turn]:
    """Wait for the turn, and give it up at the latest at the end."""
    lock = room.turns.get(activity)
    if lock is None:
        lock = room.turns.setdefault(activity, Lock())
    mine = Turn(lock)
    try:
        yield mine
    finally:
        mine.over()


class Flight:
    """The batches of a stretch in the air."""

    def __init__(self, room: Engage, run: Run, mine: Turn) -> None:
        self._room, self._run, self._turn = room, run, mine
        self._flying = set[Future[Outcome]]()
        self._came: SimpleQueue[Future[Outcome]] = SimpleQueue()

    def __bool__(self) -> bool:
        return bool(self._flying)

    def begin(self, rest: Rest) -> Later | None:
        """Put batches into free lanes; Later when the next one has to wait, or this process stops.

        A stretch that has nothing in the air waits for a lane.
        """
        room, run = self._room, self._run
        if room.stopping.is_set():
            return Later(STOPPED_SECONDS)
        while room.slots.acquire(blocking=not self._flying):
            begun = False
            try:
                batch, found = next(rest)
                pace.keep(room, run.activity["number"], len(found), run.per_second)
                future = room.lanes.submit(batches.settle, room, run, batch, found)
                self._flying.add(future)
                future.add_done_callback(self._came.put)
                begun = True
            except StopIteration:
                self._turn.over()
                return None
            except Later as later:
                return later
            finally:
                if not begun:
                    room.slots.release()
        return None

    def landed(self) -> list[Future[Outcome]]:
        """What has come in; waits for the first batch, and a moment for some more."""
        ready = [self._came.get()]
        end = time.monotonic() + LINGER_SECONDS
        try:
            while len(ready) < len(self._flying):
                left = end - time.monotonic() if len(ready) < TOGETHER else 0.0
                ready.append(self._came.get(timeout=max(0.0, left)))
        except Empty:
            pass
        return ready

    def give_back(self, over: list[Future[Outcome]]) -> None:
        """Batches that are written down, or lost, make room for others."""
        self._flying.difference_update(over)
        for _ in over:
            self._room.slots.release()

    def abandon(self) -> None:
        """Wait for what is in the air without writing it down."""
        wait(self._flying)
        self.give_back(list(self._flying))
