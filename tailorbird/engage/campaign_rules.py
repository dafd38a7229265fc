"""What a campaign may ask for: impossible things are refused, things not built are refused by
name. Pure.

Rules: Pinpoint API reference, "WriteCampaignRequest"; developer guide, "Quotas".
"""

from __future__ import annotations

from typing import Any

from tailorbird.clock import parse_iso
from tailorbird.errors import Invalid, NotBuilt

IMMEDIATE = "IMMEDIATE"
MAX_CAP = 100  # messages, Limits.Daily and Limits.Total
MAX_MESSAGES_PER_SECOND = 20_000
MIN_DURATION_SECONDS = 60
PAST_TOLERANCE_SECONDS = 300.0
MESSAGES_BUILT = {"EmailMessage": "EMAIL"}
NOT_BUILT_PARTS = ("AdditionalTreatments", "CustomDeliveryConfiguration")
TEMPLATES_BUILT = ("EmailTemplate",)


def check(body: dict[str, Any]) -> None:
    """Raise Invalid or NotBuilt when a campaign like this cannot run."""
    for part in NOT_BUILT_PARTS:
        if body.get(part):
            raise NotBuilt(part)
    if not body.get("SegmentId"):
        raise Invalid("SegmentId is missing; a campaign needs a segment")
    check_hook(body.get("Hook"))
    check_limits(body.get("Limits"))
    holdout = body.get("HoldoutPercent") or 0
    if not 0 <= holdout <= 100:
        raise Invalid(f"HoldoutPercent is {holdout}; 0 to 100 are right")
    check_schedule(body.get("Schedule") or {})
    _check_message(body)


def check_hook(hook: dict[str, Any] | None) -> None:
    if not hook or not any(hook.values()):
        return
    if hook.get("WebUrl"):
        raise NotBuilt("CampaignHook.WebUrl")
    if hook.get("Mode") == "DELIVERY":
        raise NotBuilt("CampaignHook.Mode DELIVERY")
    if not hook.get("LambdaFunctionName"):
        raise Invalid("CampaignHook.LambdaFunctionName is missing: the name or ARN of a function")


def check_limits(limits: dict[str, Any] | None) -> None:
    """0 lifts a limit."""
    given = {name: value for name, value in (limits or {}).items() if value}
    for name in ("Daily", "Total"):
        if not 0 <= given.get(name, 0) <= MAX_CAP:
            raise Invalid(f"Limits.{name} is {given[name]}; 0 to {MAX_CAP} messages are right")
    if not 0 <= given.get("MessagesPerSecond", 0) <= MAX_MESSAGES_PER_SECOND:
        raise Invalid(
            f"Limits.MessagesPerSecond is {given['MessagesPerSecond']};"
            f" 1 to {MAX_MESSAGES_PER_SECOND} are right"
        )
    if given.get("MaximumDuration", MIN_DURATION_SECONDS) < MIN_DURATION_SECONDS:
        raise Invalid(
            f"Limits.MaximumDuration is {given['MaximumDuration']} seconds;"
            f" {MIN_DURATION_SECONDS} is the least"
        )


def check_schedule(schedule: dict[str, Any]) -> None:
    if schedule.get("Frequency") not in (None, "ONCE"):
        raise NotBuilt(f"Schedule.Frequency {schedule['Frequency']}")
    if schedule.get("EventFilter"):
        raise NotBuilt("Schedule.EventFilter")
    if schedule.get("IsLocalTime"):
        raise NotBuilt("Schedule.IsLocalTime")
    if any((schedule.get("QuietTime") or {}).values()):
        raise NotBuilt("Schedule.QuietTime")
    start = starts_at(schedule)
    if schedule.get("EndTime") and start is not None and _instant(schedule, "EndTime") < start:
        raise Invalid("Schedule.EndTime lies before StartTime")


def starts_at(schedule: dict[str, Any]) -> float | None:
    """When a campaign starts; None is at once. Without an offset the time is UTC."""
    if not schedule.get("StartTime"):
        raise Invalid("Schedule.StartTime is missing: IMMEDIATE or an ISO 8601 time")
    return None if schedule["StartTime"] == IMMEDIATE else _instant(schedule, "StartTime")


def check_not_past(schedule: dict[str, Any], now: float) -> None:
    start = starts_at(schedule)
    if start is not None and start < now - PAST_TOLERANCE_SECONDS:
        raise Invalid(
            f"Schedule.StartTime {schedule['StartTime']} has passed; IMMEDIATE starts at once"
        )


def channels(body: dict[str, Any]) -> list[str]:
    """The channel types a campaign has a message for."""
    found = {
        MESSAGES_BUILT[name] for name, m in (body.get("MessageConfiguration") or {}).items() if m
    }
    if (body.get("TemplateConfiguration") or {}).get("EmailTemplate"):
        found.add("EMAIL")
    return sorted(found)


def _check_message(body: dict[str, Any]) -> None:
    messages = {n: m for n, m in (body.get("MessageConfiguration") or {}).items() if m}
    templates = {n: m for n, m in (body.get("TemplateConfiguration") or {}).items() if m}
    for name in messages:
        if name not in MESSAGES_BUILT:
            raise NotBuilt(f"MessageConfiguration.{name} in campaigns")
    for name in templates:
        if name not in TEMPLATES_BUILT:
            raise NotBuilt(f"TemplateConfiguration.{name} in campaigns")
    mail = messages.get("EmailMessage") or {}
    if not templates and not any(mail.get(part) for part in ("Title", "HtmlBody", "Body")):
        raise Invalid("MessageConfiguration or TemplateConfiguration is missing: nothing to send")


def _instant(schedule: dict[str, Any], name: str) -> float:
    try:
        return parse_iso(schedule[name])
    except ValueError:
        raise Invalid(f"Schedule.{name} {schedule[name]!r} is not an ISO 8601 time") from None
