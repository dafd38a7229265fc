"""What an event campaign may ask for, and its filter as a test of one event.

Rules: Pinpoint API reference, "CampaignEventFilter"; user guide, "Scheduling the campaign".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.engage import schedules
from tailorbird.engage import tables as t
from tailorbird.engage.apps import App
from tailorbird.engage.dimensions import NOTHING, Candidate, all_of, conditions
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, LimitExceeded

if TYPE_CHECKING:
    from tailorbird.engage.events import Event

CLOSE = "engage.close"
QUEUE = "engage"
ENDPOINT, SYSTEM = "ENDPOINT", "SYSTEM"
DELIVER_WITHIN_SECONDS = 300.0

Matches = Callable[["Event"], bool]


def check(
    room: Engage, conn: Connection, app: App, campaign: dict[str, Any], alive: Sequence[str]
) -> None:
    """Invalid or LimitExceeded when an event campaign like this cannot be."""
    body = campaign["body"]
    kind = schedules.frequency(body["Schedule"])
    if kind not in schedules.WAITING:
        return
    matcher(body["Schedule"]["EventFilter"], room.clock.now())
    if any(treatment.get("Schedule") for treatment in body.get("AdditionalTreatments") or []):
        raise Invalid("Treatments of an event campaign share its Schedule")
    c, settings = t.campaigns.c, room.settings
    most, words, name = settings.engage_max_event_campaigns, "event", "engage_max_event_campaigns"
    if kind == schedules.IN_APP_EVENT:
        most, words = settings.engage_max_in_app_campaigns, "in-app"
        name = "engage_max_in_app_campaigns"
    others = sa.select(sa.func.count()).where(
        c.application_id == app.id, c.frequency == kind, c.state.in_(alive),
        c.id != campaign["id"],
    )  # fmt: skip
    if most and (conn.execute(others).scalar() or 0) >= most:
        raise LimitExceeded(f"An application has at most {most} {words} campaigns (setting {name})")


def matcher(event_filter: dict[str, Any], now: float) -> Matches:
    """An EventFilter as a test of one event; Invalid when it is none."""
    kind = event_filter.get("FilterType")
    if kind not in (ENDPOINT, SYSTEM):
        raise Invalid(f"EventFilter.FilterType is {kind!r}; right are ENDPOINT, SYSTEM")
    dimensions = event_filter.get("Dimensions") or {}
    types = set((dimensions.get("EventType") or {}).get("Values") or [])
    if not types:
        raise Invalid("EventFilter.Dimensions.EventType needs Values: names of events")
    inclusive = (dimensions["EventType"].get("DimensionType") or "INCLUSIVE") == "INCLUSIVE"
    looked_at = {part: dimensions.get(part) or {} for part in ("Attributes", "Metrics")}
    test = all_of(condition.test for condition in conditions(looked_at, now))

    def matches(event: Event) -> bool:
        if (event.type in types) is not inclusive:
            return False
        attributes = {name: [value] for name, value in event.attributes.items()}
        body = {"Attributes": attributes, "Metrics": event.metrics}
        return test(Candidate(0, None, event.moment, body, NOTHING))

    return matches


def close_at_end(room: Engage, conn: Connection, campaign: dict[str, Any]) -> None:
    """Plan the end of an event campaign."""
    schedule = campaign["body"]["Schedule"]
    end = schedules.ends_at(schedule)
    if schedules.frequency(schedule) in schedules.WAITING and end is not None:
        payload = {"campaign": campaign["id"], "version": campaign["version"]}
        key = f"{CLOSE}:{campaign['id']}:{campaign['version']}"
        room.jobs.enqueue(conn, CLOSE, payload, queue=QUEUE, key=key, due=end)
