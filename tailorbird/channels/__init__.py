"""The back doors: each channel takes rendered messages and gives one receipt for each.

Whatever is wrong with one message is in its receipt; `errors.Unavailable` means that the whole
channel is away and nothing of the batch was handed over, so sending the batch again is right.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tailorbird.channels import inbox
from tailorbird.channels.email import Email, Headers
from tailorbird.channels.messages import (
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
from tailorbird.clock import Clock
from tailorbird.settings import Settings
from tailorbird.store import Database

__all__ = [
    "CHANNELS",
    "PERMANENT_FAILURE",
    "SUCCESSFUL",
    "TEMPORARY_FAILURE",
    "THROTTLED",
    "UNKNOWN_FAILURE",
    "UNSUPPORTED",
    "Channel",
    "Channels",
    "Message",
    "Receipt",
    "inbox",
    "send_batch",
]


class Channel(Protocol):
    def send(self, messages: Sequence[Message]) -> list[Receipt]:
        """One receipt for each message, in order; Unavailable when the channel is away."""

    def close(self) -> None:
        """Let go of connections; the channel is not used again."""


CHANNELS: dict[str, Callable[[Clock, Settings], Channel]] = {"EMAIL": Email}


@dataclass
class Channels:
    """The room. `start()` is optional: a channel opens with its first message."""

    db: Database | None
    clock: Clock
    settings: Settings
    _open: dict[str, Channel] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def start(self) -> None:
        """Open every channel now, so that a wrong setting is said at start."""
        for channel_type in CHANNELS:
            channel(self, channel_type)

    def stop(self) -> None:
        with self._lock:
            channels, self._open = self._open, {}
        for opened in channels.values():
            opened.close()


def send_batch(room: Channels, channel_type: str, messages: Sequence[Message]) -> list[Receipt]:
    """One receipt for each message, in order; to be called from any thread."""
    if channel_type not in CHANNELS:
        words = f"The channel {channel_type} is not built; built: {', '.join(CHANNELS)}"
        return [receipt(message, UNSUPPORTED, words) for message in messages]
    return channel(room, channel_type).send(messages)


def channel(room: Channels, channel_type: str) -> Channel:
    """The open channel of that type."""
    with room._lock:
        if channel_type not in room._open:
            room._open[channel_type] = CHANNELS[channel_type](room.clock, room.settings)
        return room._open[channel_type]


def add_headers(room: Channels, headers: Headers) -> None:
    """Let `headers(message)` add headers to every mail (List-Unsubscribe, tracking)."""
    email = channel(room, "EMAIL")
    assert isinstance(email, Email)
    email.extra_headers = headers
