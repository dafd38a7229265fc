"""The loop guard: a function that calls its own source back must not call itself for ever.

A call that a function sends for a person while the destination's function works on that person's
call is taken for its child. When a child repeats the shape (type, event, names of the fields) of
calls in its own line more often than the setting `loop_depth` allows, it is not sent to the
function again. Which calls functions send is known where they run in a private network.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

PEOPLE_MAX = 10_000  # whose recent invocations are remembered
AFTERGLOW_SECONDS = 0.25  # a child may arrive this long after its parent's invocation

LOOP = "loop_guard"

Shape = tuple[str, str, frozenset[str]]


@dataclass(slots=True)
class _Work:
    started: float
    ended: float | None
    shapes: tuple[Shape, ...]


class LoopGuard:
    """Remembers, for one destination, whose calls its function works on."""

    def __init__(self, max_depth: int) -> None:
        self.max_depth = max_depth
        self._work: OrderedDict[str, _Work] = OrderedDict()

    def is_loop(self, call: dict[str, Any], function: str | None, received: float) -> bool:
        """Whether this call, sent by `function`, was seen too often in the line that led to it."""
        work = self._parent(call, function, received)
        return work is not None and work.shapes.count(shape(call)) > self.max_depth

    def began(
        self, call: dict[str, Any], function: str | None, received: float, now: float
    ) -> None:
        before = self._parent(call, function, received)
        who = person(call)
        line = before.shapes if before is not None else ()
        self._work[who] = _Work(now, None, (*line, shape(call)))
        self._work.move_to_end(who)
        if len(self._work) > PEOPLE_MAX:
            self._work.popitem(last=False)

    def ended(self, call: dict[str, Any], now: float) -> None:
        work = self._work.get(person(call))
        if work is not None:
            work.ended = now

    def _parent(self, call: dict[str, Any], function: str | None, received: float) -> _Work | None:
        """The work on the person's call in whose time a function sent this one."""
        work = self._work.get(person(call)) if function is not None else None
        if work is None or received < work.started:
            return None
        if work.ended is not None and received > work.ended + AFTERGLOW_SECONDS:
            return None
        return work


def person(call: dict[str, Any]) -> str:
    return str(call.get("userId") or call.get("anonymousId") or "")


def shape(call: dict[str, Any]) -> Shape:
    """What two calls of one loop have in common."""
    fields = call.get("properties") or call.get("traits") or {}
    return call["type"], str(call.get("event") or ""), frozenset(fields)
