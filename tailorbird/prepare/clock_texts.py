"""Instants as calls write them: ISO 8601 with any offset, to whole seconds or milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(:[0-5][0-9])?"
    r"(?:[.,]([0-9]+))?(?:Z|([+-])((?:[01][0-9]|2[0-3])):?([0-5][0-9])?)?"
)
USUAL_LENGTH = len("2026-11-21T18:02:51.123Z")
MINUTES_KEPT = 100_000
SECONDS = {f"{n:02}": n for n in range(60)}
MILLIS = frozenset(f"{n:03}" for n in range(1000))


class Clock:
    """Texts to instants; remembers the minutes it has met."""

    def __init__(self) -> None:
        self.minutes: dict[str, int] = {}

    def seconds(self, text: Any) -> int | None:
        """Epoch seconds of an ISO 8601 text, down; UTC without an offset; else None."""
        if is_usual(text):
            minute, second = self.minutes.get(text[:17]), SECONDS.get(text[17:19])
            if minute is not None and second is not None:
                return minute + second
        found = self.milliseconds(text)
        return None if found is None else found // 1000

    def usual_seconds(self, text: Any) -> int | None:
        """The same of `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'` only, as the Glue job of the seed reads it."""
        return self.seconds(text) if is_usual(text) and text[10] == "T" else None

    def milliseconds(self, text: Any) -> int | None:
        found = MOMENT.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            return None
        day, clock, second, fraction, sign, hours, minutes = found.groups()
        try:
            moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
        except ValueError:
            return None
        minute = int(moment.timestamp())
        if second and text[10] == "T":
            if len(self.minutes) >= MINUTES_KEPT:
                self.minutes.clear()
            self.minutes[text[:17]] = minute
        offset = int(hours or 0) * 3600 + int(minutes or 0) * 60
        since = minute + int((second or ":00")[1:]) - (-offset if sign == "-" else offset)
        return since * 1000 + int((fraction or "")[:3].ljust(3, "0"))


def is_usual(text: Any) -> bool:
    """Whether a text may be what Segment itself writes: 2026-11-21T18:02:51.123Z."""
    return (
        type(text) is str
        and len(text) == USUAL_LENGTH
        and text[20:23] in MILLIS
        and text[19] == "."
        and text[23] == "Z"
    )
