"""What a campaign says: its message or template, ready to render, and as a hook is shown it.

With both, the template gives the content and the message the sender.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from tailorbird.engage import render, templates
from tailorbird.engage.apps import App

CHARSET = "UTF-8"
EMAIL = "EMAIL"


class Content(NamedTuple):
    """The message of one channel."""

    compiled: render.Compiled
    from_address: str
    configuration: dict[str, Any]  # DirectMessageConfiguration, unrendered


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
    template = templates.find(conn, app, EMAIL, named["Name"], version or named.get("Version"))
    compiled = template.compile(EMAIL, options)
    return Content(compiled, sender, _direct(template.message(EMAIL), sender))


def template_version(conn: Connection, app: App, body: dict[str, Any]) -> str | None:
    """The version of its template that a campaign would use now."""
    named = (body.get("TemplateConfiguration") or {}).get("EmailTemplate") or {}
    if not named:
        return None
    return str(templates.find(conn, app, EMAIL, named["Name"], named.get("Version")).version)


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
