"""How a campaign reaches a customer's function: by its name, or by an https URL."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from tailorbird import functions
from tailorbird.channels import webhook
from tailorbird.channels.outgoing import Call, check_url
from tailorbird.engage import apps, hooks
from tailorbird.engage.apps import App
from tailorbird.engage.room import Engage
from tailorbird.errors import Denied, Throttled, Unavailable

HTTPS = "https://"
BUSY = (429, 502, 503, 504)  # what is answered in place of a server that is away


class Answered(NamedTuple):
    """What a URL answered."""

    payload: bytes
    request_id: str
    function_error: str | None = None


def call_of(room: Engage, app: App, campaign_id: str, target: str) -> hooks.Call:
    """A function's name or ARN, or a URL, as the Pinpoint service calls it for a campaign."""
    if is_url(target):
        return lambda payload: _post(room, app, target, payload)
    return for_source(room, app, apps.arn(app, f"campaigns/{campaign_id}"), target)


def for_source(room: Engage, app: App, source_arn: str, target: str) -> hooks.Call:
    """A function's name or ARN, as the Pinpoint service calls it for a campaign or recommender."""
    caller = functions.ServiceCaller(
        service=f"pinpoint.{app.region}.amazonaws.com",
        source_arn=source_arn,
        source_account=app.account,
    )

    def call(payload: bytes) -> hooks.Answer:
        try:
            return functions.invoke(
                room.functions,
                target,
                payload,
                caller=caller,
                account=app.account,
                region=app.region,
                timeout=room.settings.engage_hook_timeout_seconds,
            )
        except (Throttled, Unavailable) as error:
            if not room.settings.engage_hook_away_busy:
                raise
            raise hooks.Away(error.message) from None

    return call


def is_url(target: str) -> bool:
    return "://" in target


def check_https(url: str) -> None:
    """Invalid unless this is a whole https URL."""
    check_url(url, encrypted=True)


def _post(room: Engage, app: App, url: str, payload: bytes) -> Answered:
    """One signed request; the same batch has the same webhook-id in each attempt."""
    message_id = hashlib.sha256(payload).hexdigest()[:32]
    secret = room.channels.webhook_secret(app.id)
    headers = webhook.signed(secret, message_id, room.clock.now(), payload)
    call = Call(
        url,
        payload,
        headers,
        most_bytes=hooks.MAX_PAYLOAD_BYTES + 1,
        seconds=room.settings.engage_hook_timeout_seconds,
    )
    answer = webhook.outgoing(room.channels).send([call], guarded=True)[0]
    if answer.refused:
        raise Denied(f"{url}: {answer.words}")
    busy = room.settings.engage_hook_away_busy and answer.status in BUSY
    if busy or not (answer.reached or answer.stranger):
        raise hooks.Away(answer.words if not answer.status else f"{url} answered {answer.words}")
    if not answer.good:
        raise Unavailable(f"{url} answered {answer.words}" if answer.status else answer.words)
    if len(answer.body) > hooks.MAX_PAYLOAD_BYTES:
        raise Unavailable(f"{url} answered more than {hooks.MAX_PAYLOAD_BYTES} bytes")
    return Answered(answer.body, message_id)
