"""One Segment call: what makes it acceptable, and the form in which it is kept.

Source: Segment's HTTP API and Delivery Overview pages (discard codes).
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tailorbird.collect.nesting import DEPTH_MAX, is_deep

TYPES = frozenset(("track", "identify", "page", "screen", "group", "alias"))
CALL_MAX_BYTES = 32 * 1024
PROPERTIES_MAX = 10_000
MESSAGE_ID_MAX_CHARACTERS = 100
VERSION = 2

_ALPHABET = string.ascii_letters + string.digits
_ENCODER = msgspec.json.Encoder()


class Refusal(Exception):
    """This call cannot be taken; `reason` is Segment's discard code. A malformed one is no JSON."""

    def __init__(self, reason: str, message: str, malformed: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.malformed = malformed


@dataclass(slots=True)
class Receipt:
    """What the server knows about the request that a call came in.

    Moments here and below are datetimes without a zone that mean UTC: they are the quick ones.
    """

    source_id: str
    write_key: str
    received: datetime
    sent_at: Any = None  # of the batch; a call of its own carries it inside
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None
    client: bool = False
    ip: str | None = None
    received_text: str = field(init=False)
    sent: datetime | None = field(init=False)
    sent_text: str = field(init=False)

    def __post_init__(self) -> None:
        self.received_text = canonical(self.received)
        self.sent = instant(self.sent_at)
        self.sent_text = canonical(self.sent or self.received)


class Kept(msgspec.Struct, frozen=True, gc=False):
    """An accepted call: its id, its type and its one line of the log.

    Thousands wait for a commit at once; the garbage collector does not look at them.
    """

    message_id: str
    type: str
    line: bytes


def accept(call: Any, receipt: Receipt, call_type: str | None = None) -> Kept:
    """Check one call and give it its kept form; Refusal says why not."""
    if not isinstance(call, dict):
        raise Refusal("bad_request", f"a call is a JSON object, not {_kind(call)}")
    kind = call_type or call.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise Refusal(
            "bad_request", f"type is {kind!r}; one of {', '.join(sorted(TYPES))} is right"
        )
    check(call, kind)
    normalise(call, kind, receipt)
    try:
        line = _ENCODER.encode(call)
    except (UnicodeEncodeError, ValueError, RecursionError) as error:
        raise Refusal("bad_request", f"the call cannot be kept as JSON: {error}") from None
    if is_deep(line):
        raise Refusal("bad_request", f"the call is nested deeper than {DEPTH_MAX} levels")
    return Kept(call["messageId"], kind, line)


def check(call: dict[str, Any], kind: str) -> None:
    """Segment's rules for one call; raises Refusal with Segment's discard code."""
    user, anonymous = call.get("userId"), call.get("anonymousId")
    for name, value in (("userId", user), ("anonymousId", anonymous)):
        if value is not None and not isinstance(value, str):
            raise Refusal("id_not_string", f"{name} is {_kind(value)}; a string is right")
    if not user and not anonymous:
        raise Refusal("no_user_anon_id", "a call needs a userId or an anonymousId (not empty)")
    _CHECKS[kind](call)
    for name in ("context", "integrations"):
        if call.get(name) is not None and not isinstance(call[name], dict):
            raise Refusal("bad_request", f"{name} is {_kind(call[name])}; an object is right")
    message_id = call.get("messageId")
    if message_id and not isinstance(message_id, str):
        raise Refusal("bad_request", f"messageId is {_kind(message_id)}; a string is right")
    if message_id and "\0" in message_id:
        raise Refusal("bad_request", "messageId holds a NUL character")
    if message_id and len(message_id) > MESSAGE_ID_MAX_CHARACTERS:
        raise Refusal(
            "bad_request",
            f"messageId has {len(message_id)} characters; {MESSAGE_ID_MAX_CHARACTERS} at most",
        )


def normalise(call: dict[str, Any], kind: str, receipt: Receipt) -> None:
    """Add what Segment adds at receipt: ids, the four timestamps, version, channel, context."""
    call["type"] = kind
    if not call.get("messageId"):
        call["messageId"] = new_message_id()
    if receipt.context:
        call["context"] = {**receipt.context, **(call.get("context") or {})}
    if receipt.integrations:
        call["integrations"] = {**receipt.integrations, **(call.get("integrations") or {})}
    _stamp(call, receipt)
    call["version"] = VERSION
    call["projectId"] = receipt.source_id
    call["writeKey"] = receipt.write_key
    call.setdefault("channel", "client" if receipt.client else "server")
    context = call.get("context") or {}
    if receipt.ip and "ip" not in context and (receipt.client or context.get("direct") is True):
        call["context"] = {**context, "ip": receipt.ip}


def instant(value: Any) -> datetime | None:
    """The moment an ISO 8601 text names (UTC when it has no offset), or None."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.removesuffix("Z").removesuffix("+00:00"))
        offset = moment.utcoffset()
        return moment if offset is None else (moment - offset).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return instant(f"{value[:-1]}Z") if value.endswith("z") else None


def canonical(moment: datetime) -> str:
    """`2026-11-21T18:02:51.123Z`, cut to milliseconds: the only form the seed's Glue job reads."""
    return moment.isoformat("T", "milliseconds") + "Z"


def new_message_id() -> str:
    """An id for a call that came without one, in the form Segment's API gives."""
    return "api-" + "".join(secrets.choice(_ALPHABET) for _ in range(27))


def _stamp(call: dict[str, Any], receipt: Receipt) -> None:
    """timestamp = receivedAt - (sentAt - originalTimestamp): the client's clock is set right."""
    sent, sent_text = receipt.sent, receipt.sent_text
    if "sentAt" in call:  # a browser's call carries its own
        sent = instant(call["sentAt"]) or sent
        sent_text = canonical(sent or receipt.received)
    original = instant(call.get("timestamp"))
    if original is None:
        call["originalTimestamp"], call["timestamp"] = sent_text, receipt.received_text
    else:
        call["originalTimestamp"] = text = canonical(original)
        call["timestamp"] = text if sent is None else _shifted(receipt.received, original - sent)
    call["receivedAt"] = receipt.received_text
    call["sentAt"] = sent_text


def _shifted(received: datetime, by: timedelta) -> str:
    try:
        return canonical(received + by)
    except OverflowError:
        return canonical(received)


def _track(call: dict[str, Any]) -> None:
    event = call.get("event")
    if event is None or event == "":
        raise Refusal("event_not_defined", "track needs an event name")
    if not isinstance(event, str):
        raise Refusal("event_not_string", f"event is {_kind(event)}; a string is right")
    _object(call, "properties")


def _page(call: dict[str, Any]) -> None:
    for name in ("name", "category"):
        if call.get(name) is not None and not isinstance(call[name], str):
            reason = f"{name}_not_string"
            raise Refusal(reason, f"{name} is {_kind(call[name])}; a string is right")
    _object(call, "properties")


def _identify(call: dict[str, Any]) -> None:
    _object(call, "traits")


def _group(call: dict[str, Any]) -> None:
    _id(call, "groupId")
    _object(call, "traits")


def _alias(call: dict[str, Any]) -> None:
    _id(call, "previousId")
    _id(call, "userId")


_CHECKS = {
    "track": _track,
    "page": _page,
    "screen": _page,
    "identify": _identify,
    "group": _group,
    "alias": _alias,
}


def _id(call: dict[str, Any], field: str) -> None:
    value = call.get(field)
    if value is None or value == "":
        raise Refusal("id_required", f"this type of call needs {field}")
    if not isinstance(value, str):
        raise Refusal("id_not_string", f"{field} is {_kind(value)}; a string is right")


def _object(call: dict[str, Any], field: str) -> None:
    value = call.get(field)
    if value is None:
        return
    if not isinstance(value, dict):
        raise Refusal(f"{field}_not_object", f"{field} is {_kind(value)}; an object is right")
    if len(value) > PROPERTIES_MAX:
        raise Refusal("bad_request", f"{field} has {len(value)} entries; {PROPERTIES_MAX} at most")


def _kind(value: Any) -> str:
    """The JSON name of a value's type, for people."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    names |= {list: "an array", dict: "an object"}
    return names.get(type(value), type(value).__name__)
