"""How deep a call is nested: what is deeper than readers of JSON follow costs itself only."""

from __future__ import annotations

import re

DEPTH_MAX = 200  # arrays and objects in each other; quick readers and writers give up at 254
CALLS_DEPTH = 3  # of a call in a batch: the body, its array, the call

_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)


def is_deep(line: bytes) -> bool:
    """Whether a call in its kept form is nested deeper than DEPTH_MAX."""
    if line.count(b"{") + line.count(b"[") <= DEPTH_MAX:
        return False
    depth = 0
    for found in _BRACKET.finditer(line.decode()):
        depth += (found[1] is not None) - (found[2] is not None)
        if depth > DEPTH_MAX:
            return True
    return False


def without_deep(body: str, instead: str) -> str:
    """The body of a batch with `instead` in the place of every call that is too deep."""
    pieces, at, depth, start, deepest = [], 0, 0, 0, 0
    for found in _BRACKET.finditer(body):
        if found[1] is not None:
            depth += 1
            deepest = max(deepest, depth)
            if depth == CALLS_DEPTH:
                start, deepest = found.start(), depth
        elif found[2] is not None:
            if depth == CALLS_DEPTH and deepest >= CALLS_DEPTH + DEPTH_MAX:
                pieces += [body[at:start], instead]
                at = found.end()
            depth -= 1
    return "".join([*pieces, body[at:]])
