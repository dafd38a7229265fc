"""The keeper of execution environments: one invocation each, kept warm, bounded, let go idle."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from tailorbird.errors import Throttled, Unavailable
from tailorbird.functions import sandbox
from tailorbird.functions.busy import Busy
from tailorbird.functions.credentials import RENEW_SECONDS
from tailorbird.functions.histogram import Histograms
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.records import Records
from tailorbird.functions.resolve import FunctionVersion
from tailorbird.functions.starting import Slot, Starter, is_meant

if TYPE_CHECKING:
    from tailorbird.functions.room import Functions

SWEEP_SECONDS = 2.0
FREEZE_SECONDS = 0.02  # an environment runs on this long after an invocation


class Supervisor:
    """Hands out a ready environment per invocation and takes it back."""

    def __init__(self, room: Functions) -> None:
        self._room = room
        settings = room.settings
        self._most = settings.functions_max_environments
        self._most_per_function = settings.functions_max_per_function
        self._idle_seconds = settings.functions_idle_seconds
        self._wait_seconds = settings.functions_wait_seconds
        self._to_freeze = threading.Event()
        self._turn = threading.Condition()
        self._ended = self._failed = 0
        self._idle: dict[tuple[str, str, str], list[Slot]] = defaultdict(list)
        self._slots: set[Slot] = set()
        # Given anew as late as can be: what a killed environment started may still be dying, and
        # counts against the limits of the next one with its number.
        self._numbers = deque(range(sandbox.SLOTS))
        self._busy = Busy(room)
        self._held: dict[str, int] = defaultdict(int)  # environments by function, also unborn ones
        self._stopped = threading.Event()
        self._starter = Starter(room)
        self.walls = self._starter.walls
        self.limits_memory = self._starter.cgroups.limits_memory
        self.histograms = Histograms()
        self.records = Records(room.root, settings.functions_record_mb)
        self.caller_at = self._starter.caller_at
        self._sweeper = threading.Thread(target=self._sweep, name="functions-sweeper", daemon=True)
        self._sweeper.start()
        self._freezer: threading.Thread | None = None
        if settings.functions_freeze:
            self._freezer = threading.Thread(
                target=self._freeze, name="functions-freezer", daemon=True
            )
            self._freezer.start()

    def acquire(self, version: FunctionVersion, *, fresh: bool = False) -> Slot:
        """A warm environment of the version, else a new one; Throttled when none comes free."""
        self._busy.take(version)
        try:
            slot = self._acquire(version, fresh)
        except BaseException:
            self._busy.give(version.ref.arn)
            raise
        slot.busy = True
        return slot

    def _acquire(self, version: FunctionVersion, fresh: bool) -> Slot:
        deadline = time.monotonic() + self._wait_seconds
        while True:
            slot = self._claim(version, deadline, fresh)
            if slot is None:
                return self._start(version)
            slot.environment.thaw()
            if slot.environment.check() and not slot.retired:
                return slot
            self.discard(slot)

    def release(self, slot: Slot) -> None:
        """Put a healthy environment back for the next invocation."""
        self._done(slot)
        with self._turn:
            slot.used = time.monotonic()
            keep = not slot.retired and not self._stopped.is_set()
            if keep:
                self._idle[slot.version.key].append(slot)
                self._turn.notify()
                self._to_freeze.set()
        if not keep:
            self.discard(slot)

    def discard(self, slot: Slot, *, keep_tmp: bool = False) -> None:
        """End an environment; its /tmp can pass to the function's next one."""
        self._starter.end(slot, keep_tmp=keep_tmp)
        self._done(slot)
        with self._turn:
            self._slots.discard(slot)
            self._numbers.append(slot.number)
            self._forget(slot.arn)

    def retire(self, ref: FunctionRef) -> None:
        """End the idle environments of the function, or of the one version the reference names, and
        the busy ones when they are done."""
        with self._turn:
            mine = [slot for slot in self._slots if is_meant(ref, *slot.version.key[:2])]
            for slot in mine:
                slot.retired = True
            idle = [slot for slot in mine if slot in self._idle.get(slot.version.key, ())]
            for slot in idle:
                self._idle[slot.version.key].remove(slot)
        for slot in idle:
            self.discard(slot)
        self._starter.forget(ref)

    def prepare(self, runtime: str) -> None:
        """Make what the first environment of a runtime would wait for."""
        self._starter.prepare(runtime)

    def is_prepared(self, runtime: str) -> bool:
        """True when environments of the runtime are forked from now on."""
        return self._starter.is_prepared(runtime)

    def stop(self) -> None:
        """End every environment and the launcher."""
        self._stopped.set()
        self._to_freeze.set()
        with self._turn:
            idle = [slot for slots in self._idle.values() for slot in slots]
            self._idle.clear()
        for slot in idle:
            self.discard(slot)
        self._starter.stop()
        self._sweeper.join()
        if self._freezer is not None:
            self._freezer.join()

    def counts(self) -> dict[str, int]:
        """Environments alive, how many of them are idle, and invocations since the start."""
        with self._turn:
            idle = sum(len(slots) for slots in self._idle.values())
            return {
                "environments": len(self._slots),
                "idle": idle,
                "invocations": self._ended,
                "errors": self._failed,
            }

    def ended(self, *, failed: bool) -> None:
        """Count an invocation that is over."""
        with self._turn:
            self._ended += 1
            self._failed += failed

    def _done(self, slot: Slot) -> None:
        """The invocation that had the environment, if one had it, is over."""
        if slot.busy:
            slot.busy = False
            self._busy.give(slot.arn)

    # choosing

    def _claim(self, version: FunctionVersion, deadline: float, fresh: bool) -> Slot | None:
        """An idle environment, or None for leave to start one (counted already)."""
        arn = version.ref.arn
        with self._turn:
            while True:
                idle = self._idle.get(version.key)
                if idle and not fresh:
                    return idle.pop()
                if self._stopped.is_set():
                    raise Unavailable("The house is stopping: no more invocations")
                most = max(self._most_per_function, version.reserved or 0)
                if self._held[arn] < most and self._room_for_one():
                    self._held[arn] += 1
                    return None
                left = deadline - time.monotonic()
                if left <= 0 or not self._turn.wait(left):
                    raise _rate_exceeded(arn, self._held[arn])

    def _room_for_one(self) -> bool:
        """True below the global limit, making room by ending the longest idle environment."""
        if sum(self._held.values()) < self._most:
            return True
        idle = [slot for slots in self._idle.values() for slot in slots]
        if not idle:
            return False
        oldest = min(idle, key=lambda slot: slot.used)
        self._idle[oldest.version.key].remove(oldest)
        threading.Thread(target=self.discard, args=(oldest,), daemon=True).start()
        return False  # its end wakes us

    def _forget(self, arn: str) -> None:
        self._held[arn] -= 1
        if not self._held[arn]:
            del self._held[arn]
        self._turn.notify_all()

    # starting

    def _start(self, version: FunctionVersion) -> Slot:
        number = self._numbers.popleft()
        try:
            slot = self._starter.start(version, number)
        except BaseException:
            with self._turn:
                self._numbers.append(number)
                self._forget(version.ref.arn)
            raise
        with self._turn:
            self._slots.add(slot)
        return slot

    # keeping

    def _sweep(self) -> None:
        """Now and then: end what is idle too long, old, or dead."""
        while not self._stopped.wait(SWEEP_SECONDS):
            for slot in self._stale():
                self.discard(slot)
            self._end_hoarders()

    def _freeze(self) -> None:
        """Stop what has had no invocation for a moment; a busy environment is spared the cost."""
        while self._to_freeze.wait() and not self._stopped.wait(FREEZE_SECONDS):
            self._to_freeze.clear()
            if self._stopped.is_set():  # its call came just before
                return
            latest = time.monotonic() - FREEZE_SECONDS
            with self._turn:
                for slot in [slot for slots in self._idle.values() for slot in slots]:
                    if slot.used <= latest:
                        slot.environment.freeze()
                    else:
                        self._to_freeze.set()

    def _end_hoarders(self) -> None:
        with self._turn:
            slots = [slot for slot in self._slots if not slot.retired]
        for slot in slots:
            if self._starter.overflows(slot):
                limit = f"its function's {slot.version.storage_mb} MB"
                self._starter.kill(slot, f"/tmp holds more than {limit}")

    def _stale(self) -> list[Slot]:
        now = time.monotonic()
        stale: list[Slot] = []
        with self._turn:
            for slots in self._idle.values():
                for slot in [*slots]:
                    slot.environment.drain()
                    expired = now - slot.used > self._idle_seconds
                    if (
                        expired
                        or now - slot.started > RENEW_SECONDS
                        or not slot.environment.check()
                    ):
                        slots.remove(slot)
                        stale.append(slot)
        return stale


def _rate_exceeded(arn: str, held: int) -> Throttled:
    return Throttled(
        f"Rate Exceeded. {arn} has {held} environments, all busy; functions_max_per_function and"
        " functions_max_environments set the limits",
        code="TooManyRequestsException",
        members={"Reason": "ConcurrentInvocationLimitExceeded"},
    )
