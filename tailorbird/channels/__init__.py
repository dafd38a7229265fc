"""The back doors: each channel takes rendered messages and gives one receipt for each.

Whatever is wrong with one message is in its receipt; `errors.Unavailable` means that the whole
channel is away and nothing of the batch was handed over, so sending the batch again is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, cast

from tailorbird.channels import (
    apns,
    credentials,
    feedback,
    inbox,
    intake,
    intents,
    origins,
    rates,
    webhook,
)
from tailorbird.channels.apns import Apns
from tailorbird.channels.email import Email, Headers
from tailorbird.channels.fcm import Fcm
from tailorbird.channels.feedback import Feedback
from tailorbird.channels.messages import (
    NOT_TAKEN,
    PERMANENT_FAILURE,
    SUCCESSFUL,
    TEMPORARY_FAILURE,
    THROTTLED,
    UNKNOWN_FAILURE,
    UNSUPPORTED,
    Message,
    Receipt,
    receipt,
)
from tailorbird.channels.room import Channels
from tailorbird.channels.sms import Sms
from tailorbird.channels.tables import provider_ids
from tailorbird.channels.webhook import Webhook
from tailorbird.errors import Invalid, Unavailable
from tailorbird.store import insert

__all__ = [
    "CHANNELS",
    "NOT_TAKEN",
    "PERMANENT_FAILURE",
    "SUCCESSFUL",
    "TEMPORARY_FAILURE",
    "THROTTLED",
    "UNKNOWN_FAILURE",
    "UNSUPPORTED",
    "Channel",
    "Channels",
    "Feedback",
    "Message",
    "Receipt",
    "credentials",
    "feedback",
    "inbox",
    "intake",
    "may_repeat",
    "not_taken",
    "open_all",
    "origins",
    "send_batch",
    "webhook",
]


class Channel(Protocol):
    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """One receipt for each message, in order; Unavailable when the channel is away."""

    def close(self) -> None:
        """Let go of connections; the channel is not used again."""


CHANNELS: dict[str, Callable[[Channels], Channel]] = {
    "EMAIL": Email,
    "SMS": Sms,
    "GCM": Fcm,
    **{name: partial(Apns, channel_type=name) for name in apns.CHANNELS},
    "CUSTOM": Webhook,
}
NOT_SENT_YET = ("ADM", "BAIDU", "VOICE")  # may be set up; nothing sends to them yet


def open_all(room: Channels) -> None:
    """Open every channel, so that a wrong setting is said now."""
    _once_only(room)
    for channel_type in CHANNELS:
        channel(room, channel_type)
        _rate(room, channel_type)
    intents.forget_old(room)


def send_batch(room: Channels, channel_type: str, messages: Sequence[Message]) -> list[Receipt]:
    """One receipt for each message, in order; to be called from any thread."""
    if channel_type not in CHANNELS:
        return _not_built(room, channel_type, messages)
    rate = _rate(room, channel_type)
    if rate is None:
        receipts = _send(room, channel_type, messages)
    else:
        receipts = _send_paced(room, channel_type, messages, rate)
    _follow_up(room, messages, receipts)
    return receipts


def may_repeat(room: Channels, channel_type: str, status: str) -> bool:
    """May a message with this receipt be sent again, as far as the channel's promise goes?

    What was certainly not taken may. What may have arrived is sent again on channels that send at
    least once, and not on those that send at most once.
    """
    if status == UNKNOWN_FAILURE:
        return channel_type not in _once_only(room)
    return status in NOT_TAKEN


def not_taken(messages: Iterable[Message], words: str) -> list[Receipt]:
    """Receipts of messages that were not handed over for the moment."""
    return [receipt(message, TEMPORARY_FAILURE, words) for message in messages]


def channel(room: Channels, channel_type: str) -> Channel:
    """The open channel of that type."""
    return cast(Channel, room.once(f"channel {channel_type}", lambda: CHANNELS[channel_type](room)))


def add_headers(room: Channels, headers: Headers) -> None:
    """Let `headers(message)` add headers to every mail (tracking)."""
    email = channel(room, "EMAIL")
    assert isinstance(email, Email)
    email.extra_headers = headers


def _not_built(room: Channels, channel_type: str, messages: Sequence[Message]) -> list[Receipt]:
    if room.settings.channels_inbox_only and channel_type in NOT_SENT_YET:
        kept = inbox.Inbox(room.settings.data, fsync=room.settings.inbox_fsync)
        return list(kept.keep(messages, room.clock.now()))
    words = f"The channel {channel_type} is not built; built: {', '.join(CHANNELS)}"
    return [receipt(message, UNSUPPORTED, words) for message in messages]


def _send_paced(
    room: Channels, channel_type: str, messages: Sequence[Message], rate: rates.Rate
) -> list[Receipt]:
    """Portions that keep to the rate; what comes after a silent channel is not tried."""
    receipts: list[Receipt] = []
    while len(receipts) < len(messages):
        portion = messages[len(receipts) : len(receipts) + rate.portion]
        if room.stopping.wait(rate.book(len(portion))):
            _raise_at_first(receipts, Unavailable("This process is stopping"))
            return receipts + not_taken(messages[len(receipts) :], "This process is stopping")
        try:
            receipts += _send(room, channel_type, portion)
        except Unavailable as away:
            _raise_at_first(receipts, away)
            return receipts + not_taken(messages[len(receipts) :], away.message)
    return receipts


def _raise_at_first(receipts: Sequence[Receipt], away: Unavailable) -> None:
    """Nothing was handed over yet: then the whole batch may come again."""
    if not receipts:
        raise away


def _send(room: Channels, channel_type: str, messages: Sequence[Message]) -> list[Receipt]:
    opened = channel(room, channel_type)
    if channel_type not in _once_only(room):
        return opened.send(messages)
    known = intents.begin(room, messages)
    fresh = [message for message in messages if message.id not in known]
    try:
        sent = opened.send(fresh) if fresh else []
    except Unavailable:
        intents.withdraw(room, fresh)
        raise
    intents.end(room, sent)
    done = known | {one.message_id: one for one in sent}
    return [done[message.id] for message in messages]


def _follow_up(room: Channels, messages: Sequence[Message], receipts: Sequence[Receipt]) -> None:
    """Remember what a provider calls a message, and tell of addresses that are gone."""
    if room.db is None:
        return
    now = room.clock.now()
    gone, rows = [], []
    for message, one in zip(messages, receipts, strict=True):
        if one.gone:
            gone.append(Feedback(feedback.GONE, origins.of(message), one.message, now))
        if one.provider_id:
            rows.append(
                {
                    "channel": message.channel_type,
                    "provider_id": one.provider_id,
                    "origin": origins.sign(room, origins.of(message)),
                    "moment": now,
                }
            )
    if rows:
        with room.db.write() as conn:
            conn.execute(insert(room.db, provider_ids).on_conflict_do_nothing(), rows)
    if gone:
        feedback.take(room, gone)


def _rate(room: Channels, channel_type: str) -> rates.Rate | None:
    per_second = rates.parse(room.settings.channel_rates).get(channel_type)
    if per_second is None:
        return None
    rate: rates.Rate = room.shared(f"rate {channel_type}", lambda: rates.Rate(per_second))
    return rate


def _once_only(room: Channels) -> frozenset[str]:
    """Channels that send at most once."""
    names = [name.strip().upper() for name in room.settings.channel_at_most_once.split(",")]
    unknown = sorted({name for name in names if name} - CHANNELS.keys())
    if unknown:
        raise Invalid(
            f"channel_at_most_once: there is no channel {', '.join(unknown)}; {', '.join(CHANNELS)}"
        )
    return frozenset(names)
