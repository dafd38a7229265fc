"""The loop guard: a function that calls its own source back must not call itself for ever.

A call without a message id of its own (no SDK sent it) that arrives for a person while a function
works on that person's call is taken for its child. When a child repeats the shape (type, event,
names of the fields) of calls in its own line more often than the setting `loop_depth` allows, it is
not sent to the function again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from tailorbird.collect.calls import MADE_ID_PREFIX

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

    def depth(self, call: dict[str, Any], received: float) -> int:
        """How often this call's shape was seen in the line of calls that led to it."""
        work = self._work.get(person(call))
        if work is None or not _is_child(call, work, received):
            return 0
        return work.shapes.count(shape(call))

    def is_loop(self, call: dict[str, Any], received: float) -> bool:
        return self.depth(call, received) > self.max_depth

    def began(self, call: dict[str, Any], received: float, now: float) -> None:
        who = person(call)
        before = self._work.get(who)
        line = before.shapes if before is not None and _is_child(call, before, received) else ()
        self._work[who] = _Work(now, None, (*line, shape(call)))
        self._work.move_to_end(who)
        if len(self._work) > PEOPLE_MAX:
            self._work.popitem(last=False)

    def ended(self, call: dict[str, Any], now: float) -> None:
        work = self._work.get(person(call))
        if work is not None:
            work.ended = now


def person(call: dict[str, Any]) -> str:
    return str(call.get("userId") or call.get("anonymousId") or "")


def shape(call: dict[str, Any]) -> Shape:
    """What two calls of one loop have in common."""
    fields = call.get("properties") or call.get("traits") or {}
    return call["type"], str(call.get("event") or ""), frozenset(fields)


def _is_child(call: dict[str, Any], work: _Work, received: float) -> bool:
    until = float("inf") if work.ended is None else work.ended + AFTERGLOW_SECONDS
    made_here = call["messageId"].startswith(MADE_ID_PREFIX)
    return made_here and work.started <= received <= until
