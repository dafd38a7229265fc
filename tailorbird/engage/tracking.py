"""Opens and clicks: who of them counts, and where tracking is switched off.

The tag `tailorbird:tracking` = `off` on an application or a campaign leaves its mails as they are.
Machines that fetch a mail's links before anybody reads it are not counted (setting
`tracking_ignore`); Apple's and Google's image proxies cannot be told from readers and are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird.channels import links
from tailorbird.engage import happenings
from tailorbird.engage import tables as t
from tailorbird.engage.happenings import CLICK, OPEN, Happening
from tailorbird.engage.room import Engage

TAG = "tailorbird:tracking"
AHEAD_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
AHEAD_WORDS = ("prefetch", "preview", "prerender")


def take(room: Engage, token: str, address: str, headers: Mapping[str, str]) -> links.Hit:
    """Note that a pixel or link was fetched, unless by a machine; what it says. Denied when it is
    not ours.
    """
    hit = links.read(room.channels, token)
    agent = headers.get("user-agent", "")
    if is_machine(room, headers):
        return hit
    event = {"ip_address": address, "user_agent": agent}
    if hit.url:
        event["link"] = hit.url
    found = Happening(
        CLICK if hit.url else OPEN, hit.origin, event,
        sender=hit.sender, subject=hit.subject, sent=hit.sent,
    )  # fmt: skip
    with room.db.write() as conn:
        happenings.tell(room, conn, found)
    return hit


def is_machine(room: Engage, headers: Mapping[str, str]) -> bool:
    """Whether a fetch says that nobody looks at it."""
    ahead = " ".join(headers.get(name, "") for name in AHEAD_HEADERS).lower()
    if any(word in ahead for word in AHEAD_WORDS):
        return True
    agent = headers.get("user-agent", "").lower()
    words = (word.strip().lower() for word in room.settings.tracking_ignore.split(","))
    return any(word and word in agent for word in words)


def mail_data(conn: Connection, application_id: str, tags: Mapping[str, Any]) -> dict[str, str]:
    """What mails of an application (and a campaign with these tags) carry besides."""
    query = sa.select(t.apps.c.tags).where(t.apps.c.id == application_id)
    of_app = conn.execute(query).scalar() or {}
    is_off = links.OFF in (tags.get(TAG), of_app.get(TAG))
    return {links.TRACKING: links.OFF} if is_off else {}
