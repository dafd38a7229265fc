"""The five types of message template, and what each may hold.

Sources: service model; Pinpoint developer guide, "Quotas" (message templates).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tailorbird.engage.render import compile_message
from tailorbird.errors import Invalid, TooLarge

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}\Z")
EMAIL_CHARACTERS_MAX = 600_000
SMS_CHARACTERS_MAX = 1_600
PUSH_CHARACTERS_MAX = 4_000  # a title and body; ADM has more
ADM_CHARACTERS_MAX = 6_000
IN_APP_CHARACTERS_MAX = 200_000
VOICE_CHARACTERS_MAX = 10_000
HEADERS_MAX = 15
MAX_CONTENTS = 5  # modals of an in-app message
CAROUSEL = "CAROUSEL"

# Channel types and the member of a push template that is theirs; else Default is used.
PUSH_PLATFORMS = {
    "ADM": "ADM",
    "APNS": "APNS",
    "APNS_SANDBOX": "APNS",
    "APNS_VOIP": "APNS",
    "APNS_VOIP_SANDBOX": "APNS",
    "BAIDU": "Baidu",
    "GCM": "GCM",
}
PUSH_MEMBERS = ("ADM", "APNS", "Baidu", "Default", "GCM")


@dataclass(frozen=True)
class TemplateType:
    name: str  # in ARNs, tables and TemplateType
    word: str  # in the names of operations
    request: str
    response: str
    created: str = "CreateTemplateMessageBody"


TYPES = {
    kind.name: kind
    for kind in (
        TemplateType("EMAIL", "Email", "EmailTemplateRequest", "EmailTemplateResponse"),
        TemplateType("SMS", "Sms", "SMSTemplateRequest", "SMSTemplateResponse"),
        TemplateType(
            "PUSH", "Push", "PushNotificationTemplateRequest", "PushNotificationTemplateResponse"
        ),
        TemplateType("VOICE", "Voice", "VoiceTemplateRequest", "VoiceTemplateResponse"),
        TemplateType(
            "INAPP",
            "InApp",
            "InAppTemplateRequest",
            "InAppTemplateResponse",
            created="TemplateCreateMessageBody",
        ),
    )
}


def check_name(name: str) -> str:
    if not NAME.match(name):
        raise Invalid(
            f"TemplateName {name!r} has to start with a letter or digit and may hold letters, "
            "digits, _ and -, at most 128"
        )
    return name


def check_body(kind: TemplateType, body: Mapping[str, Any]) -> None:
    """Invalid, with part, line and column, unless every part of the template can be rendered."""
    for where, message, most in _messages(kind, body):
        size = _characters(message)
        if size > most:
            raise TooLarge(f"{where} has {size} characters; at most {most} are allowed")
        if kind.name == "INAPP":  # in-app texts take no variables
            check_in_app(body, "")
        else:
            compile_message(message, defaults=defaults(body))
    if len(body.get("Headers") or ()) > HEADERS_MAX:
        raise TooLarge(f"Headers has {len(body['Headers'])} headers; at most {HEADERS_MAX}")


def check_in_app(message: Mapping[str, Any], where: str) -> None:
    """Invalid unless there is something to show."""
    contents = message.get("Content") or []
    if not contents:
        raise Invalid(f"{where}Content is missing: what the message shows")
    if len(contents) > MAX_CONTENTS:
        raise Invalid(f"{where}Content has {len(contents)} parts; {MAX_CONTENTS} are allowed")
    if len(contents) > 1 and message.get("Layout") not in (None, CAROUSEL):
        raise Invalid(f"{where}Layout {message['Layout']} shows one part; {CAROUSEL} shows more")
    for number, content in enumerate(contents):
        for name in ("PrimaryBtn", "SecondaryBtn"):
            _check_button(content.get(name) or {}, f"{where}Content[{number}].{name}")


def defaults(body: Mapping[str, Any]) -> dict[str, Any]:
    """DefaultSubstitutions, which are a JSON object written as a string."""
    text = body.get("DefaultSubstitutions")
    if not text:
        return {}
    try:
        values = json.loads(text)
    except ValueError as error:
        raise Invalid(f"DefaultSubstitutions is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise Invalid(
            'DefaultSubstitutions has to be a JSON object, as {"Attributes.City": "Rome"}'
        )
    return values


def message_for(
    kind: TemplateType, body: Mapping[str, Any], channel_type: str
) -> Mapping[str, Any]:
    """The parts of the template that a channel sends: a push platform's own over Default's."""
    if kind.name != "PUSH":
        return body
    own = body.get(PUSH_PLATFORMS.get(channel_type, "Default")) or {}
    return {**(body.get("Default") or {}), **own}


def _messages(
    kind: TemplateType, body: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any], int]]:
    """(what it is, the message, most characters) for each message the template holds."""
    if kind.name == "PUSH":
        for member in PUSH_MEMBERS:
            most = ADM_CHARACTERS_MAX if member == "ADM" else PUSH_CHARACTERS_MAX
            yield f"{member} of the template", body.get(member) or {}, most
        return
    most = {
        "EMAIL": EMAIL_CHARACTERS_MAX,
        "SMS": SMS_CHARACTERS_MAX,
        "VOICE": VOICE_CHARACTERS_MAX,
        "INAPP": IN_APP_CHARACTERS_MAX,
    }[kind.name]
    yield "The template", body, most


def _characters(message: Mapping[str, Any]) -> int:
    if "Content" in message:
        return len(json.dumps(message["Content"]))
    return sum(len(message.get(name) or "") for name in ("Subject", "HtmlPart", "TextPart")) + sum(
        len(message.get(name) or "") for name in ("Title", "Body")
    )


def _check_button(button: dict[str, Any], where: str) -> None:
    for name, config in button.items():
        if (config or {}).get("ButtonAction") in ("LINK", "DEEP_LINK") and not config.get("Link"):
            raise Invalid(f"{where}.{name}.Link is missing; {config['ButtonAction']} goes there")
