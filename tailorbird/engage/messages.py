"""Direct messages: to addresses, to endpoints, or to all endpoints of people, with real results.

The answer is 200 even when some were not sent; each recipient's result says what became of it.
Rules: Pinpoint API reference, "Messages" and "Users messages".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from tailorbird import channels, ids
from tailorbird.access import Caller
from tailorbird.channels import Message
from tailorbird.engage import (
    apps,
    channel_settings,
    content,
    endpoints,
    ledger,
    message_events,
    targeting,
    tracking,
)
from tailorbird.engage.apps import App
from tailorbird.engage.content import Selection
from tailorbird.engage.definitions import definition
from tailorbird.engage.render import Rendered, RenderError, options_of
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotBuilt, TailorbirdError, Unavailable

EMAIL = "EMAIL"
MAX_USERS = 100
NOT_BUILT = ("VoiceMessage", "VoiceTemplate", "InAppMessage", "InAppTemplate", "CustomMessage")
OVERRIDES = ("TitleOverride", "BodyOverride")
OPT_OUT, DUPLICATE = "OPT_OUT", "DUPLICATE"
STATUS_CODES = {OPT_OUT: 400, DUPLICATE: 400, channels.PERMANENT_FAILURE: 400}
NOTHING_TO_SAY = "The request has no message for its channel"
Result = dict[str, Any]


class Recipient(NamedTuple):
    """One address to send to: its endpoint, or what stands in for it, and what is only for it."""

    key: str
    endpoint: dict[str, Any]
    own: dict[str, Any]  # AddressConfiguration or EndpointSendConfiguration

    @property
    def channel(self) -> str | None:
        return self.endpoint.get("ChannelType")

    @property
    def address(self) -> str:
        return str(self.endpoint.get("Address") or "")


class Letter(NamedTuple):
    """What is sent to all recipients of a request on one channel."""

    selection: Selection
    sender: str
    headers: dict[str, str]
    return_path: str
    context: dict[str, str]
    besides: dict[str, str]  # what its mails carry
    blocked: str | None


Letters = Mapping[str, Letter]


def send_messages(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    wanted = request["MessageRequest"]
    named, to_endpoints = wanted.get("Addresses") or {}, wanted.get("Endpoints") or {}
    if not named and not to_endpoints:
        raise Invalid("Addresses and Endpoints are empty: nobody to send to")
    addresses = [
        Recipient(address, {"ChannelType": how.get("ChannelType"), "Address": address}, how)
        for address, how in named.items()
    ]
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        known = _endpoints(room, conn, app, to_endpoints)
        letters = _letters(room, conn, app, wanted, [*addresses, *known])
    answer: dict[str, Any] = {"ApplicationId": app.id, "RequestId": caller.request_id}
    if addresses:
        answer["Result"] = _send(room, app, letters, addresses)
    if to_endpoints:
        missing = {key: _result(_MISSING, "There is no such endpoint") for key in to_endpoints}
        answer["EndpointResult"] = {**missing, **_with_addresses(room, app, letters, known)}
    return {"MessageResponse": answer}


def send_users_messages(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """To every endpoint of the people whose channel has a message."""
    wanted = request["SendUsersMessageRequest"]
    people = wanted["Users"]
    if not 1 <= len(people) <= MAX_USERS:
        raise Invalid(f"Users has {len(people)} people; 1 to {MAX_USERS} are right")
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        by_user = {uid: _of_user(room, conn, app, uid, how) for uid, how in people.items()}
        everybody = [recipient for found in by_user.values() for recipient in found]
        letters = _letters(room, conn, app, wanted, everybody)
    results = {
        user_id: _with_addresses(room, app, letters, [r for r in found if r.channel in letters])
        for user_id, found in by_user.items()
    }
    answer = {"ApplicationId": app.id, "RequestId": caller.request_id, "Result": results}
    return {"SendUsersMessageResponse": answer}


_MISSING = channels.PERMANENT_FAILURE


def _letters(
    room: Engage,
    conn: Connection,
    app: App,
    wanted: dict[str, Any],
    recipients: Iterable[Recipient],
) -> dict[str, Letter]:
    """What is said on each channel of the recipients; Invalid when nothing is said at all."""
    messages = {n: m for n, m in (wanted.get("MessageConfiguration") or {}).items() if m}
    named = {n: m for n, m in (wanted.get("TemplateConfiguration") or {}).items() if m}
    _check_built(messages, named)
    letters = {}
    said_to = {r.channel for r in recipients if r.channel} | content.channels_of(messages, named)
    for channel in sorted(said_to):  # also those of nobody: what is wrong with them is said
        chosen = content.selected(conn, app, messages, named, channel, options_of(room.settings))
        if chosen is not None:
            letters[channel] = _letter(conn, app, channel, chosen, wanted.get("Context") or {})
    return letters


def _check_built(messages: Mapping[str, Any], named: Mapping[str, Any]) -> None:
    for name in (*messages, *named):
        if name in NOT_BUILT:
            raise NotBuilt(f"{name} in direct messages")
    if not messages and not named:
        raise Invalid("MessageConfiguration and TemplateConfiguration are missing: nothing to say")


def _letter(
    conn: Connection, app: App, channel: str, chosen: Selection, context: dict[str, str]
) -> Letter:
    row = channel_settings.read(conn, app, channel)
    sender = content.sender(channel, chosen.message, (row or {}).get("body") or {})
    replies = chosen.message.get("ReplyToAddresses")
    return Letter(
        selection=chosen,
        sender=sender,
        headers={"Reply-To": ", ".join(replies)} if replies else {},
        return_path=str(chosen.message.get("FeedbackForwardingAddress") or ""),
        context=context,
        besides=tracking.mail_data(conn, app.id, {}) if channel == EMAIL else {},
        blocked=channel_settings.blocked(app, row, sender, channel),
    )


def _endpoints(
    room: Engage, conn: Connection, app: App, wanted: Mapping[str, dict[str, Any]]
) -> list[Recipient]:
    """Those of the endpoints that exist, under the ids they were asked for by."""
    found = []
    for endpoint_id, how in wanted.items():
        endpoint = endpoints.find(room, conn, app, endpoint_id)
        if endpoint is not None:
            people = endpoints.read_users(room, conn, app, [endpoint.user_id])
            shown = definition(endpoint, people.get(endpoint.user_id or ""))
            found.append(Recipient(endpoint_id, {**shown, "Id": endpoint.id}, how))
    return found


def _of_user(
    room: Engage, conn: Connection, app: App, user_id: str, how: dict[str, Any]
) -> list[Recipient]:
    people = endpoints.read_users(room, conn, app, [user_id])
    return [
        Recipient(
            endpoint.id, {**definition(endpoint, people.get(user_id)), "Id": endpoint.id}, how
        )
        for endpoint in endpoints.of_user(room, conn, app, user_id)
    ]


def _with_addresses(
    room: Engage, app: App, letters: Letters, recipients: list[Recipient]
) -> dict[str, Result]:
    found = {recipient.key: recipient.address for recipient in recipients}
    sent = _send(room, app, letters, recipients)
    return {key: {**result, "Address": found[key]} for key, result in sent.items()}


def _send(
    room: Engage, app: App, letters: Letters, recipients: list[Recipient]
) -> dict[str, Result]:
    """One result for each recipient."""
    results: dict[str, Result] = {}
    ready: dict[str, list[Recipient]] = {}
    seen: set[tuple[str | None, str]] = set()
    for recipient in recipients:
        refused = _refusal(letters, recipient, seen)
        if refused is None:
            seen.add((recipient.channel, recipient.address))
            ready.setdefault(str(recipient.channel), []).append(recipient)
        else:
            results[recipient.key] = refused
    for channel, chosen in ready.items():
        results |= _send_on(room, app, channel, letters[channel], chosen)
    return results


def _send_on(
    room: Engage, app: App, channel: str, letter: Letter, recipients: list[Recipient]
) -> dict[str, Result]:
    shared = letter.selection.substitutions
    rendered = letter.selection.compiled.render(
        [_values(recipient) for recipient in recipients],
        now=room.clock.now(),
        substitutions=[{**shared, **(r.own.get("Substitutions") or {})} for r in recipients],
    )
    results: dict[str, Result] = {}
    messages: dict[str, Message] = {}
    for recipient, one in zip(recipients, rendered, strict=True):
        if isinstance(one, RenderError):
            results[recipient.key] = _result(channels.PERMANENT_FAILURE, one.message)
        else:
            messages[recipient.key] = _message(app, channel, letter, recipient, one)
    return {**results, **_deliver(room, channel, messages)}


def _values(recipient: Recipient) -> dict[str, Any]:
    own = {name: recipient.own[name] for name in OVERRIDES if recipient.own.get(name)}
    return {**recipient.endpoint, **own}


def _refusal(
    letters: Letters, recipient: Recipient, seen: set[tuple[str | None, str]]
) -> Result | None:
    endpoint = recipient.endpoint
    state = targeting.refusal(
        recipient.channel, recipient.address, endpoint.get("OptOut"),
        endpoint.get("EndpointStatus"), letters,
    )  # fmt: skip
    if state == ledger.OPTED_OUT:
        return _result(OPT_OUT, ledger.STATES[state].words)
    if state == ledger.WRONG_CHANNEL:
        return _result(channels.PERMANENT_FAILURE, NOTHING_TO_SAY)
    if state is not None:
        return _result(channels.PERMANENT_FAILURE, ledger.STATES[state].words)
    if (recipient.channel, recipient.address) in seen:
        return _result(DUPLICATE, ledger.STATES[ledger.DUPLICATE_ADDRESS].words)
    blocked = letters[str(recipient.channel)].blocked
    return _result(channels.PERMANENT_FAILURE, blocked) if blocked else None


def _message(
    app: App, channel: str, letter: Letter, recipient: Recipient, rendered: Rendered
) -> Message:
    data = {**content.data_of(channel, letter.selection.message, rendered), **letter.besides}
    context = {**letter.context, **(recipient.own.get("Context") or {})}
    if recipient.own.get("RawContent"):
        data["RawContent"] = recipient.own["RawContent"]
    return Message(
        id=ids.hex32(),
        application_id=app.id,
        channel_type=channel,
        address=recipient.address,
        endpoint_id=recipient.endpoint.get("Id"),
        from_address=letter.sender,
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        headers={**letter.headers, **rendered.headers},
        return_path=letter.return_path,
        data={**data, "Context": context} if context else data,
        raw=content.raw_of(letter.selection.message) if channel == EMAIL else b"",
    )


def _deliver(room: Engage, channel: str, messages: dict[str, Message]) -> dict[str, Result]:
    if not messages:
        return {}
    try:
        receipts = channels.send_batch(room.channels, channel, list(messages.values()))
    except Unavailable as away:
        return {key: _away(away) for key in messages}
    sent = list(messages.values())
    message_events.note_direct(room, sent[0].application_id, zip(sent, receipts, strict=True))
    return {
        key: _result(_status(receipt.status), receipt.message, receipt.status_code, message.id)
        for (key, message), receipt in zip(messages.items(), receipts, strict=True)
    }


def _status(status: str) -> str:
    """The service knows no word for a channel that is not built."""
    return channels.PERMANENT_FAILURE if status == channels.UNSUPPORTED else status


def _away(error: TailorbirdError) -> Result:
    return _result(channels.TEMPORARY_FAILURE, error.message, 503)


def _result(
    status: str, words: str, code: int | None = None, message_id: str | None = None
) -> Result:
    result: Result = {
        "DeliveryStatus": status,
        "StatusCode": code if code is not None else STATUS_CODES[status],
        "StatusMessage": words,
    }
    return {**result, "MessageId": message_id} if message_id else result
