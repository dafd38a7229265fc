"""Custom channels: a customer's function or URL gets each batch and delivers it itself.

CustomDeliveryConfiguration is today's way; a hook with Mode DELIVERY is the one before it. What
the function returns is not looked at. Source: Pinpoint developer guide, "Creating custom channels".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tailorbird.channels import webhook
from tailorbird.engage import hook_calls, hooks, treatments
from tailorbird.engage.apps import App
from tailorbird.engage.definitions import CHANNELS
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid

MAX_DATA_BYTES = 5 * 1024
DELIVERY = "DELIVERY"
_URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~?/#:]+")


@dataclass(frozen=True)
class Custom:
    """Where batches of some channel types go, and what they carry besides the endpoints."""

    target: str
    call: hooks.Call
    types: frozenset[str]
    payload: dict[str, Any]


def types_of(body: dict[str, Any]) -> frozenset[str]:
    """The channel types that a campaign's own function delivers to; all when it names none."""
    if is_legacy(body.get("Hook")):
        return frozenset(CHANNELS)
    configuration = body.get("CustomDeliveryConfiguration")
    if not configuration:
        return frozenset()
    return frozenset(configuration.get("EndpointTypes") or CHANNELS)


def is_legacy(hook: dict[str, Any] | None) -> bool:
    return bool(hook) and (hook or {}).get("Mode") == DELIVERY


def custom_of(
    room: Engage, app: App, campaign_id: str, body: dict[str, Any], run: dict[str, Any]
) -> Custom | None:
    """The custom channel of a treatment; `run` is what a FILTER hook is told of the run."""
    types = types_of(body)
    if not types:
        return None
    payload = {name: value for name, value in run.items() if name != "MessageConfiguration"}
    messages = body.get("MessageConfiguration") or {}
    if is_legacy(body.get("Hook")):
        hook = body["Hook"]
        target = hook.get("LambdaFunctionName") or hook["WebUrl"]
        payload["Message"] = _lower(messages)
    else:
        target = body["CustomDeliveryConfiguration"]["DeliveryUri"]
        payload["Message"] = {}
        data = (messages.get("CustomMessage") or {}).get("Data")
        if data:
            payload["Data"] = data
    return Custom(target, hook_calls.call_of(room, app, campaign_id, target), types, payload)


def check(body: dict[str, Any]) -> None:
    """Invalid when a custom channel like this cannot be."""
    data = ((body.get("MessageConfiguration") or {}).get("CustomMessage") or {}).get("Data")
    configuration = body.get("CustomDeliveryConfiguration")
    if data and not configuration:
        raise Invalid("MessageConfiguration.CustomMessage needs a CustomDeliveryConfiguration")
    size = len((data or "").encode())
    if size > MAX_DATA_BYTES:
        raise Invalid(f"CustomMessage.Data has {size} bytes; {MAX_DATA_BYTES} is the limit")
    if not configuration:
        return
    target = configuration.get("DeliveryUri") or ""
    if not target:
        raise Invalid("CustomDeliveryConfiguration.DeliveryUri is missing: a function or https URL")
    if hook_calls.is_url(target):
        hook_calls.check_https(target)
        if not _URL_CHARACTERS.fullmatch(target):
            raise Invalid(f"DeliveryUri {target!r}: letters, digits and - . _ ~ ? / # : are right")
    for name in configuration.get("EndpointTypes") or []:
        if name not in CHANNELS:
            raise Invalid(f"EndpointTypes has {name!r}; right are {', '.join(CHANNELS)}")


def prove(room: Engage, account: str, body: dict[str, Any]) -> None:
    """Invalid unless every URL of a campaign says that it takes messages of this account."""
    bodies = [treatments.body_of(body, treatment_id) for treatment_id in treatments.ids(body)]
    found = {(own.get("CustomDeliveryConfiguration") or {}).get("DeliveryUri") for own in bodies}
    for url in sorted(uri for uri in found if uri and hook_calls.is_url(uri)):
        hook_calls.check_https(url)
        answer = webhook.head(room.channels, url)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        said = headers.get(webhook.ACCOUNT_HEADER.lower())
        if not answer.good or said != account:
            saw = f"{webhook.ACCOUNT_HEADER}: {said}" if answer.good else answer.words
            raise Invalid(
                f"HEAD {url} has to answer 2xx with {webhook.ACCOUNT_HEADER}: {account}; saw {saw}"
            )


def _lower(value: Any) -> Any:
    """With keys in lower case, as DELIVERY hooks were written for."""
    if isinstance(value, dict):
        return {str(name).lower(): _lower(inner) for name, inner in value.items()}
    return value
