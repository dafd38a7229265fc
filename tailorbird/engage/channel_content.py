"""What a campaign says on channels other than email: SMS and push.

DefaultMessage is for the push channels only: an SMS costs money, so it has to be written as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from tailorbird.engage import channel_settings, content
from tailorbird.engage.apps import App
from tailorbird.engage.content import Selection
from tailorbird.engage.render import DEFAULT_OPTIONS, Options
from tailorbird.engage.template_types import PUSH_PLATFORMS

SMS = "SMS"
MESSAGES = (
    "SMSMessage",
    "GCMMessage",
    "APNSMessage",
    "ADMMessage",
    "BaiduMessage",
    "DefaultMessage",
)
TEMPLATES = ("SMSTemplate", "PushTemplate")


class Words(NamedTuple):
    """The message of a campaign on one channel."""

    selection: Selection
    sender: str
    blocked: str | None  # why nothing can be sent by the channel at all


def types_of(body: Mapping[str, Any]) -> frozenset[str]:
    """The channels besides email that a campaign has a message for. Pure."""
    messages = {n for n, m in (body.get("MessageConfiguration") or {}).items() if m}
    templates = {n for n, m in (body.get("TemplateConfiguration") or {}).items() if m}
    found = {SMS} if "SMSMessage" in messages or "SMSTemplate" in templates else set()
    if "DefaultMessage" in messages or "PushTemplate" in templates:
        return frozenset(found | PUSH_PLATFORMS.keys())
    own = {channel for channel in PUSH_PLATFORMS if content.OWN[channel] in messages}
    return frozenset(found | own)


def configuration_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The part of MessageConfiguration that hooks are told besides the mail."""
    messages = body.get("MessageConfiguration") or {}
    return {name: messages[name] for name in MESSAGES if messages.get(name)}


def of_campaign(
    conn: Connection, app: App, body: Mapping[str, Any], options: Options = DEFAULT_OPTIONS
) -> dict[str, Words]:
    """What is said on each channel; Invalid or NotFound when something cannot be rendered."""
    found = {}
    for channel in sorted(types_of(body)):
        chosen = content.selected(
            conn,
            app,
            _messages(body, channel),
            body.get("TemplateConfiguration") or {},
            channel,
            options,
        )
        if chosen is None:
            continue
        row = channel_settings.read(conn, app, channel)
        sender = content.sender(channel, chosen.message, (row or {}).get("body") or {})
        blocked = channel_settings.blocked(app, row, sender, channel)
        found[channel] = Words(chosen, sender, blocked)
    return found


def _messages(body: Mapping[str, Any], channel: str) -> dict[str, Any]:
    messages = configuration_of(body)
    if channel == SMS:
        messages.pop("DefaultMessage", None)
    return messages
