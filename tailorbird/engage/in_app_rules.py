"""What an in-app campaign may ask for, and what it shows.

Source: service model, "CampaignInAppMessage" and "InAppTemplateRequest".
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from tailorbird.engage import schedules, templates
from tailorbird.engage.apps import App
from tailorbird.engage.template_types import check_in_app
from tailorbird.errors import Invalid

MESSAGE, TEMPLATE = "InAppMessage", "InAppTemplate"
MEMBERS = ("Layout", "Content", "CustomConfig")


def check(body: dict[str, Any]) -> None:
    """Invalid when an in-app campaign, or one with an in-app message, cannot be. Pure."""
    message, template = _parts(body)
    in_app = schedules.frequency(body["Schedule"]) == schedules.IN_APP_EVENT
    if not in_app and (message or template):
        raise Invalid("An in-app message goes with Schedule.Frequency IN_APP_EVENT")
    if in_app and not (message or template):
        raise Invalid(
            f"Frequency IN_APP_EVENT needs MessageConfiguration.{MESSAGE} or"
            f" TemplateConfiguration.{TEMPLATE}"
        )
    if message:
        check_in_app(message, f"MessageConfiguration.{MESSAGE}.")


def is_in_app(body: dict[str, Any]) -> bool:
    return schedules.frequency(body["Schedule"]) == schedules.IN_APP_EVENT


def find_template(conn: Connection, app: App, body: dict[str, Any]) -> None:
    """NotFound when a treatment's in-app template is not there."""
    message_of(conn, app, body)


def message_of(conn: Connection, app: App, body: dict[str, Any]) -> dict[str, Any]:
    """What a treatment shows; NotFound when its template is gone."""
    message, named = _parts(body)
    if named:
        message = dict(templates.find_named(conn, app, "INAPP", named).body)
    return {name: message[name] for name in MEMBERS if message.get(name)}


def _parts(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    message = (body.get("MessageConfiguration") or {}).get(MESSAGE) or {}
    return message, (body.get("TemplateConfiguration") or {}).get(TEMPLATE) or {}
