"""The way in for what comes back: reports of mail servers, receipts and texts of SMS providers.

Only what carries a signature of this house moves an endpoint; the rest is counted and left.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tailorbird.channels import feedback, origins, reports, sms
from tailorbird.channels import tables as t
from tailorbird.channels.feedback import DELIVERED, FAILED, STARTED, STOPPED, UNSUBSCRIBED, Feedback
from tailorbird.channels.origins import Origin
from tailorbird.channels.replies import at
from tailorbird.channels.reports import Report
from tailorbird.channels.room import Channels
from tailorbird.errors import Denied, Invalid

MAIL_MAX_BYTES = 5_000_000
KEY_LETTERS = 32
EMAIL = "EMAIL"


def key(room: Channels) -> str:
    """What providers put into the address (?key=) to be let in."""
    return room.key("intake").hex()[:KEY_LETTERS]


def take_mail(room: Channels, raw: bytes) -> dict[str, int]:
    """Take a bounce or complaint as it arrived: `taken` new, `known` before, `unverified`."""
    if len(raw) > MAIL_MAX_BYTES:
        raise Invalid(f"The mail has {len(raw)} bytes; {MAIL_MAX_BYTES} are the most")
    found = reports.parse(raw)
    verified = [one for one in (_verified(room, report) for report in found) if one is not None]
    taken = feedback.take(room, verified)
    return {
        "taken": taken,
        "known": len(verified) - taken,
        "unverified": len(found) - len(verified),
    }


def take_receipt(
    room: Channels, body: bytes, content_type: str, token: str | None = None
) -> dict[str, int]:
    """Take a delivery receipt of the SMS provider, by its own address or by the provider's id."""
    given = sms.fields(body, content_type)
    settings = room.settings
    state = str(at(given, settings.sms_receipt_status) or given.get("status") or "").lower()
    origin = origins.read(room, token) if token else _by_provider_id(room, given)
    if origin is None:
        return {"taken": 0, "unknown": 1}
    if state in _words(settings.sms_delivered):
        kind = DELIVERED
    elif state in _words(settings.sms_failed):
        kind = FAILED
    else:
        return {"taken": 0, "passing": 1}  # queued, sent: not the end
    return {"taken": feedback.take(room, [Feedback(kind, origin, state, room.clock.now())])}


def take_text(
    room: Channels, body: bytes, content_type: str, application_id: str = ""
) -> dict[str, Any]:
    """Take an incoming SMS: STOP opts the number out, START in again; others are left."""
    given = sms.fields(body, content_type)
    number = str(at(given, room.settings.sms_inbound_from) or "")
    text = str(at(given, room.settings.sms_inbound_text) or "").strip()
    if not number:
        raise Invalid(f"There is no {room.settings.sms_inbound_from} in it (sms_inbound_from)")
    if text.lower() in _words(room.settings.sms_stop_words):
        kind = STOPPED
    elif text.lower() in _words(room.settings.sms_start_words):
        kind = STARTED
    else:
        return {"taken": 0}
    origin = Origin("", sms.CHANNEL, sms.number(number), application_id)
    taken = feedback.take(room, [Feedback(kind, origin, text, room.clock.now())])
    return {"taken": taken, "kind": kind}


def unsubscribe(room: Channels, token: str) -> Origin:
    """Take the word of whoever holds the link of a mail; twice is once."""
    origin = origins.read(room, token)
    words = "The link of a mail"
    feedback.take(room, [Feedback(UNSUBSCRIBED, origin, words, room.clock.now())])
    return origin


def _verified(room: Channels, report: Report) -> Feedback | None:
    origin = _origin_of(room, report)
    if origin is None:
        return None
    return Feedback(report.kind, origin, report.words, room.clock.now())


def _origin_of(room: Channels, report: Report) -> Origin | None:
    if report.origin:
        try:
            return origins.read(room, report.origin)
        except Denied:
            return None
    if report.mark and report.mark == origins.short_mac(room, report.message_id, report.address):
        return Origin(report.message_id, EMAIL, report.address, "")
    return None


def _by_provider_id(room: Channels, given: dict[str, Any]) -> Origin | None:
    assert room.db is not None
    name = at(given, room.settings.sms_id)
    if not isinstance(name, str | int):
        raise Invalid(f"There is no {room.settings.sms_id} in the receipt (sms_id)")
    c = t.provider_ids.c
    query = sa.select(c.origin).where(c.channel == sms.CHANNEL, c.provider_id == str(name))
    with room.db.read() as conn:
        token = conn.scalar(query)
    return origins.read(room, token) if token else None


def _words(setting: str) -> set[str]:
    return {word.strip().lower() for word in setting.split(",") if word.strip()}
