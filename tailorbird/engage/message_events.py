"""What became of messages, told: counts by the hour, records for the event streams, and events
that campaigns of FilterType SYSTEM wait for. All in the transaction of what they tell.

A mail counts as delivered when its server took it, unless the setting says that reports alone
tell (`delivered_on_acceptance`); push and custom channels know nothing later either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tailorbird import channels
from tailorbird.channels import Message, Receipt, sms_text
from tailorbird.channels.origins import Origin
from tailorbird.engage import counts, endpoints, ledger, outbox, records
from tailorbird.engage import tables as t
from tailorbird.engage.bulk import among
from tailorbird.engage.counts import Count
from tailorbird.engage.definitions import Endpoint, definition
from tailorbird.engage.ledger import Entry
from tailorbird.engage.room import Engage
from tailorbird.store import fetch

EMAIL, SMS, CUSTOM = "EMAIL", "SMS", "CUSTOM"
HANDED_OVER = {
    ledger.SENT: channels.SUCCESSFUL, ledger.CHANNEL_FAILED: channels.PERMANENT_FAILURE,
}  # fmt: skip
KINDS = {"number": "bigint", "key": "text"}
REPORTED = (EMAIL, SMS)  # channels that may say later what became of a message
SEND_STATUS = {
    ledger.SENT: "SUCCESS",
    ledger.EXPIRED: "EXPIRED",
    ledger.HELD_OUT: "HOLDOUT",
    ledger.QUIET: "QUIET_TIME",
    ledger.DUPLICATE_ADDRESS: "DUPLICATE_ADDRESS",
    ledger.HOOK_FAILED: "HOOK_FAILURE",
    ledger.RECOMMENDATION_FAILED: "RECOMMENDATION_FAILURE",
    ledger.RENDER_FAILED: "FAILURE",
    ledger.CHANNEL_FAILED: "FAILURE",
    ledger.RUN_FAILED: "FAILURE",
}  # what has no status here leaves no record: it was not to be sent to
COLUMNS = ", ".join(f"e.{name.strip()}" for name in endpoints.COLUMNS.split(","))
Record = dict[str, Any]


class Owner(NamedTuple):
    """Whose messages they are: the application's number, its id and its account."""

    number: int
    id: str
    account: str
    is_streamed: bool
    is_waited_for: bool  # an event campaign may be waiting


_OWNER = (
    "SELECT a.number, a.id, a.account,"
    " EXISTS (SELECT 1 FROM engage_streams s WHERE s.app = a.number),"
    " EXISTS (SELECT 1 FROM engage_campaigns c WHERE c.application_id = a.id"
    " AND c.frequency = 'EVENT' AND c.state IN ('SCHEDULED', 'EXECUTING'))"
    " FROM engage_apps a WHERE a.id = ?"
)


def owner(room: Engage, conn: Connection, application_id: str) -> Owner | None:
    found = fetch(conn, room.db.sql(_OWNER), (application_id,))
    return Owner(*found[0]) if found else None


def note(
    room: Engage, conn: Connection, activity: dict[str, Any], entries: Sequence[Entry],
    moment: float,
) -> Owner | None:  # fmt: skip
    """Tell what the ledger has just been told of a run; whose run it is."""
    mine = owner(room, conn, activity["application_id"]) if entries else None
    if mine is None:
        return None
    counts.add(room, conn, mine.number, moment, _counts(room, activity, entries))
    if mine.is_streamed:
        told = _records(room, conn, mine, activity, entries, moment)
        outbox.add(room, conn, mine.number, outbox.streams(room, conn, mine.number), told)
    return mine


def note_direct(
    room: Engage, application_id: str, found: Iterable[tuple[Message, Receipt]]
) -> None:
    """Tell what became of direct messages."""
    pairs, now = list(found), room.clock.now()
    with room.db.write() as conn:
        mine = owner(room, conn, application_id)
        if mine is None:
            return
        counted: Counter[tuple[str, str, str]] = Counter()
        for message, receipt in pairs:
            taken = receipt.status == channels.SUCCESSFUL
            for measure, detail, amount in _message(room, message, taken, receipt.status):
                counted[message.channel_type, measure, detail] += amount  # type: ignore[assignment]
        rows = [Count("", "", *key[:2], n, key[2]) for key, n in counted.items()]
        counts.add(room, conn, mine.number, now, rows)
        if mine.is_streamed:
            to = outbox.streams(room, conn, mine.number)
            told = [r for m, receipt in pairs for r in _handed_over(room, mine, m, receipt, now)]
            outbox.add(room, conn, mine.number, to, told)


def is_delivered(room: Engage, channel: str) -> bool:
    """Whether a message of the channel counts as delivered when it is taken."""
    if channel not in REPORTED:
        return True
    names = room.settings.delivered_on_acceptance.split(",")
    return channel in {name.strip().upper() for name in names}


def snapshots(
    room: Engage, conn: Connection, app: int, column: str, wanted: Sequence[Any]
) -> dict[Any, dict[str, Any]]:
    """Definitions of some endpoints as they are now, by `number` or `key`."""
    if not wanted:
        return {}
    chosen, values = among(room.db, f"e.{column}", wanted, KINDS[column])
    text = (
        f"SELECT {COLUMNS}, e.{column}, u.attributes FROM engage_endpoints e"
        " LEFT JOIN engage_users u ON u.app = e.app AND u.user_id = e.user_id"
        f" WHERE e.app = ? AND {chosen}"
    )
    found = {}
    for row in conn.exec_driver_sql(room.db.sql(text), (app, *values)):
        endpoint = Endpoint(*row[:10])
        endpoint.body = room.db.load(row[10])
        person = room.db.load(row[12]) if row[12] is not None else None
        found[row[11]] = definition(endpoint, person)
    return found


def _counts(room: Engage, activity: dict[str, Any], entries: Iterable[Entry]) -> list[Count]:
    found: Counter[tuple[str, str, str]] = Counter()
    for entry in entries:
        if entry.state == ledger.SENT:
            message = entry.message
            if message is not None and message.channel_type == SMS:
                for measure, detail, amount in _message(room, message, True, ""):
                    found[SMS, measure, detail] += amount  # type: ignore[assignment]
            else:
                channel = CUSTOM if message is None else message.channel_type
                found[channel, counts.SENT, ""] += 1
        elif entry.state == ledger.CHANNEL_FAILED:
            channel = "" if entry.message is None else entry.message.channel_type
            found[channel, counts.FAILED, ""] += 1
    for (channel, measure, _), n in list(found.items()):
        if measure == counts.SENT and channel != SMS and is_delivered(room, channel):
            found[channel, counts.DELIVERED, ""] += n
    run = (activity["campaign_id"], activity["id"])
    return [Count(*run, *key[:2], n, key[2]) for key, n in found.items()]


def _message(
    room: Engage, message: Message, taken: bool, status: str
) -> Iterable[tuple[str, str, float]]:
    """What one message counts as: measure, detail, amount."""
    channel = message.channel_type
    country = sms_text.country(message.address) if channel == SMS else ""
    if not taken:
        yield counts.FAILED, status if channel == SMS else "", 1
        return
    yield counts.SENT, country, 1
    delivered = is_delivered(room, channel)
    if delivered:
        yield counts.DELIVERED, country, 1
    if channel == SMS:
        parts = sms_text.parts(message.text)
        yield counts.PARTS, country, parts
        yield counts.PRICE, country, parts * room.settings.sms_price_millicents
        if delivered:
            yield counts.DELIVERED_PARTS, country, parts


def _records(
    room: Engage, conn: Connection, mine: Owner, activity: dict[str, Any],
    entries: Sequence[Entry], moment: float,
) -> list[Record]:  # fmt: skip
    told = [
        entry for entry in entries if entry.state in SEND_STATUS or entry.state == ledger.CAPPED
    ]
    known = snapshots(room, conn, mine.number, "number", [entry.endpoint for entry in told])
    found: list[Record] = []
    for entry in told:
        endpoint = known.get(entry.endpoint)
        message = entry.message
        channel = message.channel_type if message else (endpoint or {}).get("ChannelType", "")
        if entry.state == ledger.SENT and message is None:
            channel = CUSTOM
        found.append(
            records.campaign_send(
                mine.id, mine.account, activity, entry.endpoint_id, _status(entry), channel,
                endpoint, moment,
            )
        )  # fmt: skip
        if message is not None and entry.state in HANDED_OVER:
            done = channels.receipt(message, HANDED_OVER[entry.state], entry.reason or "")
            found += _handed_over(room, mine, message, done, moment)
    return found


def _status(entry: Entry) -> str:
    if entry.state == ledger.CAPPED:
        return "DAILY_CAP" if (entry.reason or "").startswith("Limits.Daily") else "CAMPAIGN_CAP"
    return SEND_STATUS[entry.state]


def _handed_over(
    room: Engage, mine: Owner, message: Message, receipt: Receipt, moment: float
) -> list[Record]:
    """Records of a message's hand-over by e-mail or SMS; other channels have none."""
    origin, context = records.origin_of(message), message.data.get("Context") or {}
    taken = receipt.status == channels.SUCCESSFUL
    if message.channel_type == EMAIL:
        about = {"sender": message.from_address, "subject": message.subject, "context": context}

        def mail(kind: str, event: Record) -> Record:
            return records.email(mine.id, mine.account, kind, origin, event, moment, **about)  # type: ignore[arg-type]

        if not taken:
            return [mail("rejected", {"reason": receipt.message})]
        found = [mail("send", {})]
        if is_delivered(room, EMAIL):
            found.append(mail("delivered", records.delivery(origin, receipt.message, "")))
        return found
    if message.channel_type == SMS:
        kind = "FAILURE" if not taken else "SUCCESS" if is_delivered(room, SMS) else "BUFFERED"
        record = records.sms(
            mine.id, mine.account, kind, origin, moment, room.settings.sms_price_millicents,
            text=message.text, sender=message.from_address, context=context,
            message_type=str(message.data.get("MessageType") or ""),
            status="" if taken else receipt.status,
        )  # fmt: skip
        return [record]
    return []


def applications_of(room: Engage, conn: Connection, origin: Origin) -> list[tuple[str, str]]:
    """(application, endpoint) pairs that a word about an address without a message concerns."""
    e, a = t.endpoints.c, t.apps.c
    digits = origin.address.lstrip("+")
    spellings = [origin.address, digits, f"+{digits}"]
    query = (
        sa.select(a.id, e.id)
        .join_from(t.endpoints, t.apps, a.number == e.app)
        .where(e.channel == origin.channel_type, e.address.in_(spellings))
    )
    if origin.application_id:
        query = query.where(a.id == origin.application_id)
    return [(row[0], row[1]) for row in conn.execute(query)]
