"""What a push message says to each platform, under the names that Pinpoint's apps look for.

Sources: APNSMessage, GCMMessage and Message of the service model; the notification keys that
Amplify's and the mobile SDKs' notification clients read (pinpoint.notification.title, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tailorbird.channels.messages import Message
from tailorbird.errors import Invalid

DEEP_LINK, URL = "DEEP_LINK", "URL"
DIRECT = "_DIRECT"  # the campaign id of a message of no campaign
SILENT = ("1", "0")
ANDROID_IMAGES = {
    "pinpoint.notification.imageUrl": ("ImageUrl",),
    "pinpoint.notification.imageIconUrl": ("ImageIconUrl", "IconReference"),
    "pinpoint.notification.imageSmallIconUrl": ("SmallImageIconUrl", "ImageSmallIconUrl"),
    "pinpoint.notification.icon": ("IconReference",),
    "pinpoint.notification.sound": ("Sound",),
    "pinpoint.jsonBody": ("JsonBody",),
}
Payload = dict[str, Any]


def raw(message: Message) -> Payload | None:
    """RawContent, which stands for the whole message; Invalid when it is no JSON object."""
    text = message.data.get("RawContent")
    if not text:
        return None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"RawContent is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Invalid("RawContent is not a JSON object")
    return found


def android(message: Message) -> Payload:
    """The data of an Android message: all values are texts."""
    given = message.data
    silent = bool(given.get("SilentPush"))
    data = {
        "pinpoint.notification.title": message.subject,
        "pinpoint.notification.body": message.text,
        "pinpoint.notification.silentPush": SILENT[0] if silent else SILENT[1],
        **{f"pinpoint.campaign.{name}": text for name, text in campaign(message).items()},
    }
    for key, names in ANDROID_IMAGES.items():
        text = next((given[name] for name in names if given.get(name)), None)
        if text:
            data[key] = str(text)
    action, url = given.get("Action"), given.get("Url")
    if action == DEEP_LINK and url:
        data["pinpoint.deeplink"] = str(url)
    elif action == URL and url:
        data["pinpoint.url"] = str(url)
    else:
        data["pinpoint.openApp"] = "true"
    if given.get("Context"):
        data["pinpoint"] = orjson.dumps(given["Context"]).decode()
    return {**{k: str(v) for k, v in (given.get("Data") or {}).items()}, **data}


def apple(message: Message) -> Payload:
    """The payload of an Apple message."""
    given = message.data
    aps: Payload = {"content-available": 1} if given.get("SilentPush") else {}
    if not given.get("SilentPush"):
        alert = {"title": message.subject, "body": message.text}
        aps["alert"] = {name: text for name, text in alert.items() if text}
    named = {"badge": "Badge", "sound": "Sound", "category": "Category", "thread-id": "ThreadId"}
    aps |= {key: given[name] for key, name in named.items() if given.get(name) is not None}
    if given.get("MediaUrl") or given.get("ImageUrl"):
        aps["mutable-content"] = 1
    return {"aps": aps, "data": _apple_data(message)}


def campaign(message: Message) -> dict[str, str]:
    """Whose message it is, for the app's own events."""
    if not message.campaign_id:
        return {"campaign_id": DIRECT}
    named = {
        "campaign_id": message.campaign_id,
        "campaign_activity_id": message.activity_id,
        "treatment_id": message.treatment_id,
    }
    return {name: text for name, text in named.items() if text}


def _apple_data(message: Message) -> Payload:
    given: Mapping[str, Any] = message.data
    pinpoint: Payload = {**(given.get("Context") or {}), "campaign": campaign(message)}
    if given.get("Action") == DEEP_LINK and given.get("Url"):
        pinpoint["deeplink"] = given["Url"]
    elif given.get("Action") == URL and given.get("Url"):
        pinpoint["url"] = given["Url"]
    else:
        pinpoint["openApp"] = "true"
    data: Payload = {**(given.get("Data") or {}), "pinpoint": pinpoint}
    media = given.get("MediaUrl") or given.get("ImageUrl")
    if media:
        data["media-url"] = media
    if given.get("JsonBody"):
        data["jsonBody"] = given["JsonBody"]
    return data
