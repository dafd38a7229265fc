"""Time zones as the JavaScript engine takes them: every change of the clocks, as lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FIRST_YEAR = 1970
LAST_YEAR = 2060
STEP = timedelta(days=28)  # shorter than the shortest pause of summer time (Ramadan in Morocco)


@lru_cache(maxsize=64)
def changes(name: str) -> dict[str, list[Any]] | None:
    """{at, offset, name}: offset[i] seconds until at[i], the last one ever after; None: no such."""
    zone = _zone(name)
    if zone is None:
        return None
    moment = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    end = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
    state = _state(zone, moment)
    found: dict[str, list[Any]] = {"at": [], "offset": [state[0]], "name": [state[1]]}
    while moment < end:
        following = moment + STEP
        if _state(zone, following) != state:
            change = _change(zone, moment, following)
            state = _state(zone, change)
            found["at"].append(int(change.timestamp()))
            found["offset"].append(state[0])
            found["name"].append(state[1])
            following = change
        moment = following
    return found


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _state(zone: ZoneInfo, moment: datetime) -> tuple[int, str]:
    local = moment.astimezone(zone)
    offset = local.utcoffset() or timedelta()
    return int(offset.total_seconds()), local.tzname() or ""


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second at which the state of `before` no longer holds."""
    state = _state(zone, before)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if _state(zone, middle) == state:
            before = middle
        else:
            after = middle
    return after
