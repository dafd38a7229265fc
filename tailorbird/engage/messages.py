"""Direct messages: to addresses, to endpoints, or to all endpoints of people, with real results.

The answer is 200 even when some were not sent; each recipient's result says what became of it.
Rules: Pinpoint API reference, "Messages" and "Users messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from tailorbird import channels, ids
from tailorbird.access import Caller
from tailorbird.channels import Message
from tailorbird.engage import apps, channel_settings, endpoints, ledger, targeting, templates
from tailorbird.engage.apps import App
from tailorbird.engage.definitions import definition
from tailorbird.engage.render import (
    Compiled,
    Options,
    Rendered,
    RenderError,
    compile_message,
    options_of,
)
from tailorbird.engage.room import Engage
from tailorbird.errors import Invalid, NotBuilt, TailorbirdError, Unavailable

EMAIL = "EMAIL"
MAX_USERS = 100
MESSAGES_BUILT = ("EmailMessage",)
TEMPLATES_BUILT = ("EmailTemplate",)
OPT_OUT, DUPLICATE = "OPT_OUT", "DUPLICATE"
STATUS_CODES = {OPT_OUT: 400, DUPLICATE: 400, channels.PERMANENT_FAILURE: 400}
Result = dict[str, Any]


class Recipient(NamedTuple):
    """One address to send to: its endpoint (or what stands in for it) and its own substitutions."""

    key: str
    endpoint: dict[str, Any]
    substitutions: dict[str, list[str]]


class Mail(NamedTuple):
    """What is sent to all recipients of a request."""

    compiled: Compiled
    from_address: str
    headers: dict[str, str]
    substitutions: dict[str, list[str]]
    blocked: str | None


def send_messages(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    wanted = request["MessageRequest"]
    named, to_endpoints = wanted.get("Addresses") or {}, wanted.get("Endpoints") or {}
    if not named and not to_endpoints:
        raise Invalid("Addresses and Endpoints are empty: nobody to send to")
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        mail = _mail(conn, app, wanted, options_of(room.settings))
        known = _endpoints(room, conn, app, to_endpoints)
    addresses = [
        Recipient(
            address,
            {"ChannelType": how.get("ChannelType"), "Address": address},
            how.get("Substitutions") or {},
        )
        for address, how in named.items()
    ]
    answer: dict[str, Any] = {"ApplicationId": app.id, "RequestId": caller.request_id}
    if addresses:
        answer["Result"] = _send(room, app, mail, addresses)
    if to_endpoints:
        results = _send(room, app, mail, known)
        missing = {key: _result(_MISSING, "There is no such endpoint") for key in to_endpoints}
        found = {member.key: member.endpoint.get("Address") for member in known}
        shown = {key: {**result, "Address": found[key]} for key, result in results.items()}
        answer["EndpointResult"] = {**missing, **shown}
    return {"MessageResponse": answer}


def send_users_messages(room: Engage, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    """To every endpoint of the people that has a channel with a message."""
    wanted = request["SendUsersMessageRequest"]
    people = wanted["Users"]
    if not 1 <= len(people) <= MAX_USERS:
        raise Invalid(f"Users has {len(people)} people; 1 to {MAX_USERS} are right")
    results = {}
    with room.db.read() as conn:
        app = apps.find(conn, caller, request["ApplicationId"])
        mail = _mail(conn, app, wanted, options_of(room.settings))
        by_user = {uid: _of_user(room, conn, app, uid, how) for uid, how in people.items()}
    for user_id, recipients in by_user.items():
        sent = _send(room, app, mail, recipients)
        found = {member.key: member.endpoint.get("Address") for member in recipients}
        results[user_id] = {key: {**r, "Address": found[key]} for key, r in sent.items()}
    answer = {"ApplicationId": app.id, "RequestId": caller.request_id, "Result": results}
    return {"SendUsersMessageResponse": answer}


_MISSING = channels.PERMANENT_FAILURE


def _mail(conn: Connection, app: App, wanted: dict[str, Any], options: Options) -> Mail:
    """The mail of a request; Invalid or NotBuilt when there is none that could be sent."""
    messages = {n: m for n, m in (wanted.get("MessageConfiguration") or {}).items() if m}
    named = {n: m for n, m in (wanted.get("TemplateConfiguration") or {}).items() if m}
    for name in (*messages, *named):
        if name not in (*MESSAGES_BUILT, *TEMPLATES_BUILT):
            raise NotBuilt(f"{name} in direct messages")
    message = messages.get("EmailMessage") or {}
    for part in ("RawEmail", "FeedbackForwardingAddress"):
        if message.get(part):
            raise NotBuilt(f"EmailMessage.{part}")
    if "EmailTemplate" in named:
        which = named["EmailTemplate"]
        template = templates.find(conn, app, EMAIL, which["Name"], which.get("Version"))
        compiled = template.compile(EMAIL, options)
    elif message:
        compiled = compile_message(message, options=options)
    else:
        raise Invalid("MessageConfiguration.EmailMessage and TemplateConfiguration are missing")
    channel = channel_settings.read(conn, app, EMAIL)
    sender = message.get("FromAddress") or ((channel or {}).get("body") or {}).get("FromAddress")
    replies = message.get("ReplyToAddresses")
    return Mail(
        compiled=compiled,
        from_address=sender or "",
        headers={"Reply-To": ", ".join(replies)} if replies else {},
        substitutions=message.get("Substitutions") or {},
        blocked=channel_settings.blocked(app, channel, sender),
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
            values = {**shown, "Id": endpoint.id}
            found.append(Recipient(endpoint_id, values, how.get("Substitutions") or {}))
    return found


def _of_user(
    room: Engage, conn: Connection, app: App, user_id: str, how: dict[str, Any]
) -> list[Recipient]:
    people = endpoints.read_users(room, conn, app, [user_id])
    return [
        Recipient(
            endpoint.id,
            {**definition(endpoint, people.get(user_id)), "Id": endpoint.id},
            how.get("Substitutions") or {},
        )
        for endpoint in endpoints.of_user(room, conn, app, user_id)
    ]


def _send(room: Engage, app: App, mail: Mail, recipients: list[Recipient]) -> dict[str, Result]:
    """One result for each recipient."""
    results: dict[str, Result] = {}
    ready: list[Recipient] = []
    seen: set[str] = set()
    for recipient in recipients:
        refused = _refusal(mail, recipient, seen)
        if refused is None:
            seen.add(recipient.endpoint["Address"])
            ready.append(recipient)
        else:
            results[recipient.key] = refused
    rendered = mail.compiled.render(
        [recipient.endpoint for recipient in ready],
        now=room.clock.now(),
        substitutions=[{**mail.substitutions, **r.substitutions} for r in ready],
    )
    messages: dict[str, Message] = {}
    for recipient, one in zip(ready, rendered, strict=True):
        if isinstance(one, RenderError):
            results[recipient.key] = _result(channels.PERMANENT_FAILURE, one.message)
        else:
            messages[recipient.key] = _message(app, mail, recipient, one)
    return {**results, **_deliver(room, messages)}


def _refusal(mail: Mail, recipient: Recipient, seen: set[str]) -> Result | None:
    endpoint = recipient.endpoint
    state = targeting.refusal(
        endpoint.get("ChannelType"), endpoint.get("Address"), endpoint.get("OptOut"),
        endpoint.get("EndpointStatus"), (EMAIL,),
    )  # fmt: skip
    if state == ledger.OPTED_OUT:
        return _result(OPT_OUT, ledger.STATES[state].words)
    if state is not None:
        return _result(channels.PERMANENT_FAILURE, ledger.STATES[state].words)
    if endpoint["Address"] in seen:
        return _result(DUPLICATE, ledger.STATES[ledger.DUPLICATE_ADDRESS].words)
    return _result(channels.PERMANENT_FAILURE, mail.blocked) if mail.blocked else None


def _message(app: App, mail: Mail, recipient: Recipient, rendered: Rendered) -> Message:
    return Message(
        id=ids.hex32(),
        application_id=app.id,
        channel_type=EMAIL,
        address=recipient.endpoint["Address"],
        endpoint_id=recipient.endpoint.get("Id"),
        from_address=mail.from_address,
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        headers={**mail.headers, **rendered.headers},
    )


def _deliver(room: Engage, messages: dict[str, Message]) -> dict[str, Result]:
    if not messages:
        return {}
    try:
        receipts = channels.send_batch(room.channels, EMAIL, list(messages.values()))
    except Unavailable as away:
        return {key: _away(away) for key in messages}
    return {
        key: _result(receipt.status, receipt.message, receipt.status_code, message.id)
        for (key, message), receipt in zip(messages.items(), receipts, strict=True)
    }


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
