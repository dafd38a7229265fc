"""What a campaign says: its message or template, ready to render, and as a hook is shown it.

With both, the template gives the content and the message the sender.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from tailorbird.engage import render, templates
from tailorbird.engage.apps import App
from tailorbird.engage.template_types import PUSH_PLATFORMS

CHARSET = "UTF-8"
EMAIL = "EMAIL"
# The member of a MessageConfiguration that is a channel's own (service model).
OWN = {
    EMAIL: "EmailMessage",
    "SMS": "SMSMessage",
    "VOICE": "VoiceMessage",
    "ADM": "ADMMessage",
    "APNS": "APNSMessage",
    "APNS_SANDBOX": "APNSMessage",
    "APNS_VOIP": "APNSMessage",
    "APNS_VOIP_SANDBOX": "APNSMessage",
    "BAIDU": "BaiduMessage",
    "GCM": "GCMMessage",
}
DEFAULT, DEFAULT_PUSH = "DefaultMessage", "DefaultPushNotificationMessage"
CONTENT_PARTS = (
    "RawEmail",
    "Title",
    "Body",
    "RawContent",
    "JsonBody",
    "SimpleEmail",
    "Subject",
    "HtmlBody",
)
Substitutions = dict[str, list[str]]


class Content(NamedTuple):
    """The message of one channel."""

    compiled: render.Compiled
    from_address: str
    configuration: dict[str, Any]  # DirectMessageConfiguration, unrendered
    recommender_id: str | None = None  # of its template


class Selection(NamedTuple):
    """What a message configuration or template says on one channel."""

    compiled: render.Compiled
    message: dict[str, Any]  # every member, under the service's names
    substitutions: Substitutions
    recommender_id: str | None = None  # of its template


def selected(
    conn: Connection,
    owner: templates.Owner,
    configuration: Mapping[str, Any],
    named: Mapping[str, Any],
    channel_type: str,
    options: render.Options = render.DEFAULT_OPTIONS,
) -> Selection | None:
    """The message for a channel; None when there is none.

    A channel's own message goes before the default push message, and that before the default one,
    member by member. A template (`named` is a TemplateConfiguration) gives the words, the message
    the rest.
    """
    message, substitutions = _inline(configuration, channel_type)
    which = named.get(_template_member(channel_type)) or {}
    if which:
        kind = _template_member(channel_type).removesuffix("Template").upper()
        template = templates.find_named(conn, owner, kind, which)
        rest = {name: value for name, value in message.items() if name not in CONTENT_PARTS}
        compiled = template.compile(channel_type, options)
        whole = {**rest, **template.message(channel_type)}
        return Selection(compiled, whole, substitutions, template.recommender_id)
    if not any(message.get(part) for part in CONTENT_PARTS) and not message.get("SilentPush"):
        return None
    return Selection(render.compile_message(message, options=options), message, substitutions)


def channels_of(configuration: Mapping[str, Any], named: Mapping[str, Any]) -> set[str]:
    """One channel of each kind that a configuration has a message or template of its own for."""
    found = {
        min(c for c, own in OWN.items() if own == name)
        for name in configuration
        if name in OWN.values()
    }
    by_template = {"EmailTemplate": EMAIL, "SMSTemplate": "SMS", "PushTemplate": "GCM"}
    return found | {by_template[name] for name in named if name in by_template}


def sender(channel_type: str, message: Mapping[str, Any], channel: Mapping[str, Any]) -> str:
    """Who a message comes from: what it says itself, else what its channel is set up with."""
    names = ("FromAddress",) if channel_type == EMAIL else ("OriginationNumber", "SenderId")
    stored = ("FromAddress",) if channel_type == EMAIL else ("SenderId", "ShortCode")
    given = [message.get(name) for name in names] + [channel.get(name) for name in stored]
    return str(next((text for text in given if text), ""))


def raw_of(message: Mapping[str, Any]) -> bytes:
    """The whole mail of a message that has one; it holds no variables."""
    return (message.get("RawEmail") or {}).get("Data") or b""


def data_of(
    channel_type: str, message: Mapping[str, Any], rendered: render.Rendered
) -> dict[str, Any]:
    """What a channel needs besides title and body: nothing for mail."""
    if channel_type == EMAIL:
        return {}
    rest = {name: value for name, value in message.items() if name not in ("Title", "Body")}
    return {**rest, **rendered.extras}


def _inline(
    configuration: Mapping[str, Any], channel_type: str
) -> tuple[dict[str, Any], Substitutions]:
    names = [DEFAULT]
    if channel_type in PUSH_PLATFORMS:
        names.append(DEFAULT_PUSH)
    names.append(OWN.get(channel_type, ""))
    message: dict[str, Any] = {}
    substitutions: Substitutions = {}
    for name in names:
        given = configuration.get(name) or {}
        message |= {key: value for key, value in given.items() if value not in (None, "")}
        substitutions |= given.get("Substitutions") or {}
    message.pop("Substitutions", None)
    if message.get("SimpleEmail"):
        message.pop("Body", None)
    return message, substitutions


def _template_member(channel_type: str) -> str:
    if channel_type in PUSH_PLATFORMS:
        return "PushTemplate"
    return "EmailTemplate" if channel_type == EMAIL else f"{channel_type}Template"


def check(
    conn: Connection,
    app: App,
    body: dict[str, Any],
    options: render.Options = render.DEFAULT_OPTIONS,
) -> None:
    """Invalid or NotFound when the message could not be rendered at all."""
    email(conn, app, body, options)


def email(
    conn: Connection,
    app: App,
    body: dict[str, Any],
    options: render.Options = render.DEFAULT_OPTIONS,
    version: str | None = None,
) -> Content:
    """The campaign's mail; `version` of its template when a run has settled on one."""
    inline = (body.get("MessageConfiguration") or {}).get("EmailMessage") or {}
    named = (body.get("TemplateConfiguration") or {}).get("EmailTemplate") or {}
    sender = str(inline.get("FromAddress") or "")
    if not named:
        compiled = render.compile_message(inline, options=options)
        return Content(compiled, sender, _direct(inline, sender))
    template = templates.find_named(conn, app, EMAIL, named, version)
    compiled = template.compile(EMAIL, options)
    shown = _direct(template.message(EMAIL), sender)
    return Content(compiled, sender, shown, template.recommender_id)


def template_version(conn: Connection, app: App, body: dict[str, Any]) -> str | None:
    """The version of its template that a campaign would use now."""
    named = (body.get("TemplateConfiguration") or {}).get("EmailTemplate") or {}
    if not named:
        return None
    return str(templates.find_named(conn, app, EMAIL, named).version)


def _direct(message: Mapping[str, Any], sender: str) -> dict[str, Any]:
    simple: dict[str, Any] = {}
    for part, names in (
        ("Subject", ("Subject", "Title")),
        ("HtmlPart", ("HtmlPart", "HtmlBody")),
        ("TextPart", ("TextPart", "Body")),
    ):
        text = next((message[name] for name in names if message.get(name)), None)
        if text is not None:
            simple[part] = {"Charset": CHARSET, "Data": text}
    if message.get("Headers"):
        simple["Headers"] = message["Headers"]
    mail: dict[str, Any] = {"FromAddress": sender} if sender else {}
    return {"EmailMessage": {**mail, "SimpleEmail": simple}}
