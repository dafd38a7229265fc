"""A segment explained: how many endpoints pass each of its steps, and why one of them is not in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.clock import iso
from tailorbird.engage import apps, audience, endpoints, ledger, lists, segments, targeting
from tailorbird.engage.apps import App
from tailorbird.engage.definitions import CHANNELS, Endpoint
from tailorbird.engage.dimensions import NOTHING, Candidate, Test, combine, conditions
from tailorbird.engage.room import Engage
from tailorbird.errors import NotFound


@dataclass
class Step:
    """One step of a segment: a condition, or several of them under ALL, ANY or NONE."""

    label: str
    test: Test
    wanted: Any = None  # the dimension, for a condition
    kind: str = ""  # how its parts are joined
    parts: list[Step] = field(default_factory=list)

    def all(self, depth: int = 0) -> Iterator[tuple[int, Step]]:
        yield depth, self
        for part in self.parts:
            yield from part.all(depth + 1)


def explain(
    room: Engage,
    application_id: str,
    segment_id: str,
    version: int | None = None,
    endpoint_id: str | None = None,
) -> dict[str, Any]:
    """Counts of a segment, or the same steps for one endpoint."""
    with room.db.read() as conn:
        app = apps.by_id(conn, application_id)
        segment = segments.find(conn, app, segment_id, version)
        root = _segment(room, conn, app, segment, (segment["id"],))
        told = {"segment": segment["id"], "version": segment["version"]}
        if endpoint_id is not None:
            return {**told, **_one(room, conn, app, root, endpoint_id)}
        return {**told, **_counts(room, conn, app, root)}


def _segment(
    room: Engage, conn: Connection, app: App, segment: dict[str, Any], path: tuple[str, ...]
) -> Step:
    body, now = segment["body"], room.clock.now()
    if segment["type"] == lists.IMPORT:
        test = segments.membership(conn, app, segment, now).test
        return Step(f"segment {segment['id']}", test, None, "LIST")
    groups = body.get("SegmentGroups")
    if not groups:
        label = f"segment {segment['id']}"
        return _joined(label, "ALL", _conditions(body.get("Dimensions") or {}, now))
    parts = []
    for n, group in enumerate(groups.get("Groups") or [], 1):
        inner = []
        if group.get("SourceSegments"):
            sources = [_source(room, conn, app, source, path) for source in group["SourceSegments"]]
            inner.append(_joined("SourceSegments", group.get("SourceType") or "ALL", sources))
        dimensions = [
            _joined(f"Dimensions {k}", "ALL", _conditions(wanted, now))
            for k, wanted in enumerate(group.get("Dimensions") or [], 1)
        ]
        if dimensions:
            inner.append(_joined("Dimensions", group.get("Type") or "ALL", dimensions))
        parts.append(_joined(f"group {n}", "ALL", inner))
    return _joined(f"segment {segment['id']}", groups.get("Include") or "ALL", parts)


def _source(
    room: Engage, conn: Connection, app: App, source: dict[str, Any], path: tuple[str, ...]
) -> Step:
    found = segments.find(conn, app, source["Id"], source.get("Version"))
    if found["id"] in path:  # cannot be: circles are refused when they are written
        raise NotFound(f"Segment {found['id']} contains itself")
    return _segment(room, conn, app, found, (*path, found["id"]))


def _conditions(dimensions: dict[str, Any], now: float) -> list[Step]:
    found = []
    for condition in conditions(dimensions, now):
        part, _, name = condition.label.partition(".")
        found.append(Step(condition.label, condition.test, (dimensions.get(part) or {}).get(name)))
    return found


def _joined(label: str, kind: str, parts: list[Step]) -> Step:
    return Step(label, combine(kind, [part.test for part in parts], label), None, kind, parts)


def _counts(room: Engage, conn: Connection, app: App, root: Step) -> dict[str, Any]:
    """How many endpoints pass each step for itself, and how many all steps up to it."""
    steps = list(root.all())
    chain = root.parts if root.kind == "ALL" else []
    passed, left, ends = [0] * len(steps), [0] * len(chain), Counter[str]()
    total = members = 0
    for row, candidate in audience.everybody(room, conn, app):
        total += 1
        for n, (_, step) in enumerate(steps):
            passed[n] += step.test(candidate)
        for n, step in enumerate(chain):
            if not step.test(candidate):
                break
            left[n] += 1
        if root.test(candidate):
            members += 1
            state = targeting.refusal(row.channel, row.address, row.opt_out, row.status, CHANNELS)
            ends[state or "can_be_sent_to"] += 1
    remaining = {id(step): count for step, count in zip(chain, left, strict=True)}
    shown = []
    for (depth, step), count in zip(steps, passed, strict=True):
        line = {"step": step.label, "depth": depth, "passes": count}
        if step.kind:
            line["kind"] = step.kind
        if id(step) in remaining:
            line["left"] = remaining[id(step)]
        shown.append(line)
    return {"endpoints": total, "members": members, "steps": shown, "members_by_state": dict(ends)}


def _one(room: Engage, conn: Connection, app: App, root: Step, endpoint_id: str) -> dict[str, Any]:
    """Each step for one endpoint, with what it wants and what the endpoint has."""
    endpoint = endpoints.find(room, conn, app, endpoint_id)
    if endpoint is None:
        raise NotFound(f"There is no endpoint {endpoint_id} in application {app.id}")
    people = endpoints.read_users(room, conn, app, [endpoint.user_id])
    person = people.get(endpoint.user_id or "") or NOTHING
    number = endpoints.number_of(room, conn, app, endpoint)
    moment = endpoints.last_active(room, conn, app, endpoint)
    candidate = Candidate(number, endpoint.channel, moment, endpoint.body, person)
    shown = []
    for depth, step in root.all():
        line = {"step": step.label, "depth": depth, "passes": step.test(candidate)}
        if step.kind:
            line["kind"] = step.kind
        else:
            line |= {"wanted": step.wanted, "has": _held(step.label, endpoint, person)}
        shown.append(line)
    is_member = root.test(candidate)
    state = targeting.refusal(
        endpoint.channel, endpoint.address, endpoint.opt_out, endpoint.status, CHANNELS
    )
    missing = [s["step"] for s in shown if "kind" not in s and not s["passes"]]
    answer: dict[str, Any] = {"endpoint": endpoint.id, "is_member": is_member, "steps": shown}
    if not is_member:
        answer["does_not_match"] = missing
    if state is not None:
        answer["cannot_be_sent_to"] = ledger.STATES[state].words
    return answer


def _held(label: str, endpoint: Endpoint, person: dict[str, Any]) -> Any:
    part, _, name = label.partition(".")
    if label == "Demographic.Channel":
        return endpoint.channel
    if part == "Behavior":
        return iso(endpoint.effective)
    if part == "UserAttributes":
        return person.get(name)
    if label == "Location.GPSPoint":
        return endpoint.body.get("Location")
    return (endpoint.body.get(part) or NOTHING).get(name)
