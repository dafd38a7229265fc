"""What comes back about sent messages, as it changes the people's endpoints.

A bounce for good or a device token that is gone makes the address INACTIVE; a complaint, an
unsubscribe link and an SMS that says STOP opt it out, START opts it in again.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.channels import Feedback
from tailorbird.channels.feedback import (
    COMPLAINT,
    GONE,
    HARD_BOUNCE,
    STARTED,
    STOPPED,
    UNSUBSCRIBED,
)
from tailorbird.engage import happenings
from tailorbird.engage import tables as t
from tailorbird.engage.definitions import key_of
from tailorbird.engage.room import Engage

CHANGES = {
    HARD_BOUNCE: {"status": "INACTIVE"},
    GONE: {"status": "INACTIVE"},
    COMPLAINT: {"opt_out": "ALL"},
    UNSUBSCRIBED: {"opt_out": "ALL"},
    STOPPED: {"opt_out": "ALL"},
    STARTED: {"opt_out": "NONE"},
}
BY_PERSON = (COMPLAINT, UNSUBSCRIBED)  # said by a person, whatever address the endpoint has now


def take_feedback(room: Engage, conn: Connection, feedback: Feedback) -> int:
    """Tell of a piece of feedback and change the endpoints it is about; how many they were."""
    found = happenings.of_feedback(feedback)
    if found is not None:
        happenings.tell(room, conn, found)
    values = CHANGES.get(feedback.kind)
    if values is None or not room.settings.engage_feedback:
        return 0
    origin, c = feedback.origin, t.endpoints.c
    whose: sa.ColumnElement[bool] = c.address.in_(_spellings(origin.channel_type, origin.address))
    if feedback.kind in BY_PERSON and origin.endpoint_id:
        whose = sa.or_(whose, c.key == key_of(origin.endpoint_id))
    where = [c.channel == origin.channel_type, whose]
    if origin.application_id:
        mine = sa.select(t.apps.c.number).where(t.apps.c.id == origin.application_id)
        where.append(c.app == mine.scalar_subquery())
    changed = sa.update(t.endpoints).where(*where).values(effective=room.clock.now(), **values)
    return conn.execute(changed).rowcount


def _spellings(channel_type: str, address: str) -> list[str]:
    """How the address may be written on an endpoint."""
    if channel_type != "SMS":
        return [address]
    digits = address.lstrip("+")
    return [digits, f"+{digits}", address]
