"""What a channel is given and what it answers: one message to one address, one receipt back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

# The delivery statuses of Pinpoint's MessageResult (service model, DeliveryStatus) ...
SUCCESSFUL = "SUCCESSFUL"
THROTTLED = "THROTTLED"
TEMPORARY_FAILURE = "TEMPORARY_FAILURE"
PERMANENT_FAILURE = "PERMANENT_FAILURE"
UNKNOWN_FAILURE = "UNKNOWN_FAILURE"
# ... and ours, for a channel that is not built: nothing was tried.
UNSUPPORTED = "UNSUPPORTED"

STATUS_CODES = {
    SUCCESSFUL: 200,
    THROTTLED: 429,
    TEMPORARY_FAILURE: 503,
    PERMANENT_FAILURE: 400,
    UNKNOWN_FAILURE: 500,
    UNSUPPORTED: 400,
}
# Nothing of the message was taken: a later attempt cannot make two of it.
NOT_TAKEN = (THROTTLED, TEMPORARY_FAILURE)


class Message(msgspec.Struct, frozen=True, gc=False):
    """One rendered message to one address; the same `id` sent again is the same message."""

    id: str
    application_id: str
    channel_type: str
    address: str
    campaign_id: str | None = None
    endpoint_id: str | None = None
    from_address: str = ""
    subject: str = ""
    html: str = ""
    text: str = ""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    activity_id: str | None = None
    treatment_id: str | None = None
    return_path: str = ""  # where bounces of this mail go; empty is the setting's
    # What push, SMS and webhooks have besides title and body, under the service's own names.
    data: Mapping[str, Any] = msgspec.field(default_factory=dict)
    raw: bytes = b""  # a whole mail, in place of subject, text and HTML


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What the channel answered for one message, in words a person can read."""

    status: str
    status_code: int
    message: str
    message_id: str
    gone: bool = False  # the address will never work again: a device token that is not registered
    provider_id: str | None = None  # what the provider calls the message in its own receipts


def receipt(
    message: Message,
    status: str,
    words: str,
    *,
    gone: bool = False,
    provider_id: str | None = None,
) -> Receipt:
    return Receipt(status, STATUS_CODES[status], words, message.id, gone, provider_id)
