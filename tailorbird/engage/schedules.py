"""When a campaign runs: first and next runs, in a fixed time zone or at each person's own wall
clock. Pure.

Rules: Pinpoint API reference, "Schedule". A StartTime without an offset is wall time in Timezone
(UTC when there is none). A run keeps its wall time when the clocks change; a day that a month does
not have is its last day.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tailorbird.errors import Invalid

IMMEDIATE = "IMMEDIATE"
ONCE, HOURLY, DAILY, WEEKLY, MONTHLY = "ONCE", "HOURLY", "DAILY", "WEEKLY", "MONTHLY"
EVENT, IN_APP_EVENT = "EVENT", "IN_APP_EVENT"
WAITING = (EVENT, IN_APP_EVENT)  # for events, in place of a time
FREQUENCIES = (ONCE, HOURLY, DAILY, WEEKLY, MONTHLY, EVENT, IN_APP_EVENT)
RECURRING = (HOURLY, DAILY, WEEKLY, MONTHLY)
EASTMOST_SECONDS = 14 * 3600.0  # the first time zone that reaches a wall time
WESTMOST_SECONDS = 12 * 3600.0  # the last one, after UTC
PAST_TOLERANCE_SECONDS = 300.0
STEP_DAYS = {DAILY: 1, WEEKLY: 7}
_OFFSET = re.compile(r"(?:UTC|GMT)(?:([+-])(\d{1,2})(?::?(\d{2}))?)?")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def check(schedule: dict[str, Any]) -> None:
    """Invalid when no run could come of it."""
    kind = frequency(schedule)
    if kind not in FREQUENCIES:
        raise Invalid(f"Schedule.Frequency is {kind!r}; right are {', '.join(FREQUENCIES)}")
    start = starts_at(schedule)
    end = ends_at(schedule)
    if end is not None and start is not None and end < start:
        raise Invalid("Schedule.EndTime lies before StartTime")
    if is_local(schedule) and start is None:
        raise Invalid("Schedule.IsLocalTime needs a StartTime; IMMEDIATE has no wall time")
    if is_local(schedule) and kind in WAITING:
        raise Invalid(f"Schedule.IsLocalTime does not go with Frequency {kind}")
    if kind in WAITING and not (schedule.get("EventFilter") or {}).get("Dimensions"):
        raise Invalid(f"Schedule.EventFilter is missing: the events Frequency {kind} waits for")
    if kind not in WAITING and schedule.get("EventFilter"):
        raise Invalid(f"Schedule.EventFilter goes with Frequency EVENT, not with {kind}")
    quiet_minutes(schedule.get("QuietTime"))


def frequency(schedule: dict[str, Any]) -> str:
    return str(schedule.get("Frequency") or ONCE)


def is_local(schedule: dict[str, Any]) -> bool:
    return bool(schedule.get("IsLocalTime"))


def starts_at(schedule: dict[str, Any]) -> float | None:
    """The start; None is at once. With IsLocalTime: the wall time, written as if it were UTC."""
    if not schedule.get("StartTime"):
        raise Invalid("Schedule.StartTime is missing: IMMEDIATE or an ISO 8601 time")
    return None if schedule["StartTime"] == IMMEDIATE else _instant(schedule, "StartTime")


def ends_at(schedule: dict[str, Any]) -> float | None:
    return _instant(schedule, "EndTime") if schedule.get("EndTime") else None


def due(schedule: dict[str, Any], scheduled: float) -> float:
    """When work on a run begins: with IsLocalTime, as the first time zone reaches its hour."""
    return scheduled - EASTMOST_SECONDS if is_local(schedule) else scheduled


def check_not_past(schedule: dict[str, Any], now: float) -> None:
    start = starts_at(schedule)
    last = WESTMOST_SECONDS if is_local(schedule) else 0.0
    if start is not None and start + last < now - PAST_TOLERANCE_SECONDS:
        raise Invalid(
            f"Schedule.StartTime {schedule['StartTime']} has passed; IMMEDIATE starts at once"
        )


def next_run(schedule: dict[str, Any], anchor: float, after: float) -> float | None:
    """The first run later than `after` of a schedule that began at `anchor`; None: no more."""
    kind = frequency(schedule)
    if kind not in RECURRING:
        return None
    zone = UTC if is_local(schedule) else zone_of(schedule)
    begin = max(0, _about(kind, after - anchor) - 1)
    moment = next(m for k in count(begin) if (m := _occurrence(kind, anchor, k, zone)) > after)
    end = ends_at(schedule)
    return None if end is not None and moment > end else moment


def zone_of(schedule: dict[str, Any]) -> tzinfo:
    """Schedule.Timezone: UTC, UTC+05:30 as Pinpoint names them, or Europe/Amsterdam."""
    name = schedule.get("Timezone") or "UTC"
    found = named_zone(name)
    if found is None:
        raise Invalid(f"Schedule.Timezone {name!r}: UTC, UTC+01, UTC+05:30 or Europe/Amsterdam")
    return found


@lru_cache(maxsize=1024)
def named_zone(name: str) -> tzinfo | None:
    """A time zone by its offset or its name; None when there is no such."""
    match = _OFFSET.fullmatch(name)
    if match:
        hours, minutes = int(match[2] or 0), int(match[3] or 0)
        if hours > 14 or minutes > 59:
            return None
        offset = timedelta(hours=hours, minutes=minutes)
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def at_wall_time(scheduled: float, zone: tzinfo) -> float:
    """The instant at which clocks in a zone show a wall time that was written as UTC."""
    wall = datetime.fromtimestamp(scheduled, UTC).replace(tzinfo=None)
    return wall.replace(tzinfo=zone).timestamp()


def quiet_minutes(quiet: dict[str, Any] | None) -> tuple[int, int] | None:
    """QuietTime as minutes of the day; Invalid unless both ends are HH:MM."""
    if not quiet or not any(quiet.values()):
        return None
    minutes = []
    for name in ("Start", "End"):
        match = _CLOCK.fullmatch(str(quiet.get(name) or ""))
        if match is None:
            raise Invalid(f"QuietTime.{name} is {quiet.get(name)!r}; HH:MM is right, like 22:30")
        minutes.append(int(match[1]) * 60 + int(match[2]))
    return minutes[0], minutes[1]


def is_quiet(quiet: tuple[int, int], timezone_name: Any, now: float) -> bool:
    """Both ends belong to it and it may span midnight; without a valid zone nothing is quiet."""
    zone = named_zone(timezone_name) if isinstance(timezone_name, str) and timezone_name else None
    if zone is None:
        return False
    local = datetime.fromtimestamp(now, zone)
    minute, (start, end) = local.hour * 60 + local.minute, quiet
    return start <= minute <= end if start <= end else minute >= start or minute <= end


def _instant(schedule: dict[str, Any], name: str) -> float:
    text = str(schedule[name])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"Schedule.{name} {text!r} is not an ISO 8601 time") from None
    zone = zone_of(schedule)
    if is_local(schedule):
        if moment.tzinfo is not None and schedule.get("Timezone"):
            moment = moment.astimezone(zone)
        return moment.replace(tzinfo=UTC).timestamp()
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()


def _about(kind: str, seconds: float) -> int:
    """A number of runs that surely fit into some seconds."""
    longest = {HOURLY: 3600.0, MONTHLY: 31 * 86_400.0}
    length = longest.get(kind) or STEP_DAYS[kind] * 86_400.0
    return int(max(0.0, seconds) // length)


def _occurrence(kind: str, anchor: float, k: int, zone: tzinfo) -> float:
    if kind == HOURLY:
        return anchor + k * 3600.0
    first = datetime.fromtimestamp(anchor, zone).replace(tzinfo=None)
    if kind == MONTHLY:
        year, month = divmod(first.year * 12 + first.month - 1 + k, 12)
        day = min(first.day, calendar.monthrange(year, month + 1)[1])
        wall = first.replace(year=year, month=month + 1, day=day)
    else:
        wall = first + timedelta(days=k * STEP_DAYS[kind])
    return wall.replace(tzinfo=zone).timestamp()
