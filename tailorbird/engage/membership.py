"""A segment as one test: its dimensions, or its groups over source segments. Pure.

Rules: Pinpoint API reference, "SegmentGroupList"; any number of groups is taken, circles of
sources are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tailorbird.engage.dimensions import Test, all_of, combine, conditions, everybody, screens
from tailorbird.errors import Invalid

MAX_DIMENSIONS = 100
BODY_PARTS = ("Attributes", "Demographic", "Location", "Metrics")
COUNTED = ("Attributes", "UserAttributes", "Metrics", "Demographic", "Location", "Behavior")

# (segment id, version or None for the latest) -> {"id", "version", "body"}; an imported segment has
# "members" besides, which gives the numbers of its endpoints
Find = Callable[[str, int | None], dict[str, Any]]


class Membership(NamedTuple):
    """The test, and which parts of an endpoint it looks at."""

    test: Test
    body: bool
    person: bool
    parts: frozenset[str] = frozenset()  # of the body
    body_screens: tuple[tuple[str, ...], ...] = ()  # dimensions.screens, of the whole test
    person_screens: tuple[tuple[str, ...], ...] = ()


def of_segment(segment: dict[str, Any], now: float, find: Find) -> Membership:
    """The test of a segment as `find` gives it."""
    return _tested(segment, now, find, (segment["id"],))


def compiled(
    segment: dict[str, Any], now: float, find: Find, path: tuple[str, ...] = ()
) -> Membership:
    """The test of a segment's body; Invalid when it cannot be tested or contains itself."""
    count = sum(_count(dimensions) for dimensions in _all_dimensions(segment))
    if count > MAX_DIMENSIONS:
        raise Invalid(f"{count} dimensions; a segment has at most {MAX_DIMENSIONS}")
    if segment.get("SegmentGroups"):
        return _groups(segment["SegmentGroups"], now, find, path)
    wanted = segment.get("Dimensions") or {}
    whole = _dimensions([wanted], "ALL", now, "Dimensions")
    return whole._replace(
        body_screens=tuple(screens(wanted, "body")),
        person_screens=tuple(screens(wanted, "person")),
    )


def _groups(wanted: dict[str, Any], now: float, find: Find, path: tuple[str, ...]) -> Membership:
    groups = [_group(group, now, find, path) for group in wanted.get("Groups") or []]
    test = combine(wanted.get("Include"), [group.test for group in groups], "SegmentGroups.Include")
    return _joined(test, groups)


def _group(group: dict[str, Any], now: float, find: Find, path: tuple[str, ...]) -> Membership:
    sources = [_source(source, now, find, path) for source in group.get("SourceSegments") or []]
    base = combine(group.get("SourceType"), [source.test for source in sources], "SourceType")
    own = _dimensions(group.get("Dimensions") or [], group.get("Type"), now, "Group.Type")
    if base is everybody:
        return own
    test = base if own.test is everybody else all_of((base, own.test))
    return _joined(test, [*sources, own])


def _source(source: dict[str, Any], now: float, find: Find, path: tuple[str, ...]) -> Membership:
    segment_id = source["Id"]
    if segment_id in path:
        circle = " -> ".join((*path, segment_id))
        raise Invalid(f"SourceSegments make a circle: {circle}")
    found = find(segment_id, source.get("Version"))
    return _tested(found, now, find, (*path, segment_id))


def _tested(segment: dict[str, Any], now: float, find: Find, path: tuple[str, ...]) -> Membership:
    if "members" not in segment:
        return compiled(segment["body"], now, find, path)
    numbers: frozenset[int] = segment["members"]()
    return Membership(lambda candidate: candidate.number in numbers, False, False)


def _dimensions(
    wanted: list[dict[str, Any]], kind: str | None, now: float, where: str
) -> Membership:
    tests = []
    for dimensions in wanted:
        found = conditions(dimensions, now)
        if found:
            tests.append(all_of(condition.test for condition in found))
        elif kind == "ANY":
            tests.append(everybody)
    parts = frozenset(part for part in BODY_PARTS if any(d.get(part) for d in wanted))
    person = any(d.get("UserAttributes") for d in wanted)
    return Membership(combine(kind, tests, where), bool(parts), person, parts)


def _joined(test: Test, parts: list[Membership]) -> Membership:
    looked_at = frozenset[str]().union(*(p.parts for p in parts))
    return Membership(test, bool(looked_at), any(p.person for p in parts), looked_at)


def _all_dimensions(segment: dict[str, Any]) -> list[dict[str, Any]]:
    groups = (segment.get("SegmentGroups") or {}).get("Groups") or []
    inside = [dimensions for group in groups for dimensions in group.get("Dimensions") or []]
    return [segment.get("Dimensions") or {}, *inside]


def _count(dimensions: dict[str, Any]) -> int:
    return sum(len(dimensions.get(part) or {}) for part in COUNTED)
