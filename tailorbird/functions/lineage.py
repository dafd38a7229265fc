"""Functions that invoke themselves in a loop are stopped, found by what trace headers carry.

A function's SDK sends the trace header of its invocation on; its Lineage counts how often each
function has run in this chain of requests. After 16 the next invocation is refused, unless the
function's RecursiveLoop is Allow. Source: Lambda developer guide, "Use Lambda recursive loop
detection to prevent infinite loops". How Lineage is written is AWS's own affair and inferred here.
"""

from __future__ import annotations

import hashlib
import re

from tailorbird.errors import Invalid
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.resolve import FunctionVersion

MAX_LOOPS = 16
MAX_FUNCTIONS = 32  # of one chain that are counted; the earliest are forgotten first
ERROR = "RecursiveInvocationException"
_LINEAGE = re.compile(r"(?:^|;)Lineage=([0-9a-f:|]*)")
_ROOT = re.compile(r"(?:^|;)(Root=1-[0-9a-f]{8}-[0-9a-f]{24})(?:;|$)")


def check(version: FunctionVersion, trace: str) -> None:
    """Invalid when the chain of requests has run the function too often."""
    if version.loops or not trace:
        return
    if _counts(trace).get(_mark(version.ref), 0) >= MAX_LOOPS:
        raise Invalid(
            "Lambda has detected your function being invoked in a recursive loop with other Amazon"
            " Web Services resources and stopped your function's invocation.",
            code=ERROR,
        )


def header(trace: str, ref: FunctionRef, request_id: str, seconds: int) -> str:
    """The trace header of an invocation that came with this one."""
    counts, mark = _counts(trace), _mark(ref)
    counts[mark] = counts.pop(mark, 0) + 1
    newest = list(counts.items())[-MAX_FUNCTIONS:]
    lineage = "|".join(f"{each}:{count}" for each, count in newest)
    known = _ROOT.search(trace)
    root = known.group(1) if known else f"Root=1-{seconds:08x}-{request_id.replace('-', '')[:24]}"
    return f"{root};Sampled=0;Lineage={lineage}"


def _counts(trace: str) -> dict[str, int]:
    found = _LINEAGE.search(trace)
    counts: dict[str, int] = {}
    for part in found.group(1).split("|") if found else ():
        mark, _, count = part.partition(":")
        if mark and count.isdigit():
            counts[mark] = min(int(count), MAX_LOOPS)
    return counts


def _mark(ref: FunctionRef) -> str:
    return hashlib.sha256(ref.arn.encode()).hexdigest()[:8]
