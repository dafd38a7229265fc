"""What a campaign may ask for: impossible things are refused, things not built are refused by
name. Pure.

Rules: Pinpoint API reference, "WriteCampaignRequest"; developer guide, "Quotas".
"""

from __future__ import annotations

from typing import Any

from tailorbird.engage import (
    channel_content,
    delivery,
    hook_calls,
    in_app_rules,
    schedules,
    treatments,
)
from tailorbird.errors import Invalid, NotBuilt

MAX_CAP = 100  # messages, Limits.Daily and Limits.Total
MAX_MESSAGES_PER_SECOND = 20_000
MIN_DURATION_SECONDS = 60
MESSAGES_BUILT = ("EmailMessage", "CustomMessage", *channel_content.MESSAGES)
TEMPLATES_BUILT = ("EmailTemplate", *channel_content.TEMPLATES)


def check(body: dict[str, Any]) -> None:
    """Raise Invalid or NotBuilt when a campaign like this cannot run."""
    if not body.get("SegmentId"):
        raise Invalid("SegmentId is missing; a campaign needs a segment")
    check_hook(body.get("Hook"))
    check_limits(body.get("Limits"))
    treatments.check(body)
    for treatment_id in treatments.ids(body):
        _check_treatment(treatments.body_of(body, treatment_id))


def check_hook(hook: dict[str, Any] | None) -> None:
    if not hook or not any(hook.values()):
        return
    if hook.get("Mode") not in (None, "FILTER", delivery.DELIVERY):
        raise Invalid(f"CampaignHook.Mode is {hook['Mode']!r}; right are FILTER, DELIVERY")
    if hook.get("LambdaFunctionName"):
        return
    if not hook.get("WebUrl"):
        raise Invalid("CampaignHook.LambdaFunctionName is missing: the name or ARN of a function")
    hook_calls.check_https(hook["WebUrl"])


def check_limits(limits: dict[str, Any] | None) -> None:
    """0 lifts a limit."""
    given = {name: value for name, value in (limits or {}).items() if value}
    for name in ("Daily", "Total"):
        if not 0 <= given.get(name, 0) <= MAX_CAP:
            raise Invalid(f"Limits.{name} is {given[name]}; 0 to {MAX_CAP} messages are right")
    if given.get("Session", 0) < 0:
        raise Invalid(f"Limits.Session is {given['Session']}; messages of a session from 0")
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


def _check_treatment(body: dict[str, Any]) -> None:
    schedule = body.get("Schedule") or {}
    schedules.check(schedule)
    in_app_rules.check(body)
    if not in_app_rules.is_in_app(body):
        _check_message(body)


def channels(body: dict[str, Any]) -> list[str]:
    """The channel types a campaign has a message for."""
    mail = {"EMAIL"} if has_mail(body) else set()
    return sorted(delivery.types_of(body) | channel_content.types_of(body) | mail)


def has_mail(body: dict[str, Any]) -> bool:
    inline = (body.get("MessageConfiguration") or {}).get("EmailMessage")
    return bool(inline or (body.get("TemplateConfiguration") or {}).get("EmailTemplate"))


def _check_message(body: dict[str, Any]) -> None:
    delivery.check(body)
    if delivery.is_legacy(body.get("Hook")):
        return
    messages = {n: m for n, m in (body.get("MessageConfiguration") or {}).items() if m}
    templates = {n: m for n, m in (body.get("TemplateConfiguration") or {}).items() if m}
    for name in messages:
        if name not in MESSAGES_BUILT:
            raise NotBuilt(f"MessageConfiguration.{name} in campaigns")
    for name in templates:
        if name not in TEMPLATES_BUILT:
            raise NotBuilt(f"TemplateConfiguration.{name} in campaigns")
    mail = messages.get("EmailMessage") or {}
    if body.get("CustomDeliveryConfiguration"):
        return
    if channel_content.types_of(body) and not mail:
        return
    if not templates and not any(mail.get(part) for part in ("Title", "HtmlBody", "Body")):
        raise Invalid("MessageConfiguration or TemplateConfiguration is missing: nothing to send")
