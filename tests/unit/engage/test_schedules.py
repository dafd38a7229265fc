"""When a campaign runs, computed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tailorbird.clock import iso, parse_iso
from tailorbird.engage import schedules
from tailorbird.errors import Invalid


def runs(count: int, **schedule: Any) -> list[str]:
    """The first runs of a schedule, as text without seconds."""
    moment = schedules.starts_at(schedule)
    assert moment is not None
    found, anchor = [moment], moment
    while len(found) < count:
        following = schedules.next_run(schedule, anchor, found[-1])
        if following is None:
            break
        found.append(following)
    return [iso(m)[:16] for m in found]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"StartTime": "2026-11-21T23:30:00", "Frequency": "HOURLY"},
         ["2026-11-21T23:30", "2026-11-22T00:30", "2026-11-22T01:30"]),
        ({"StartTime": "2026-11-21T13:00:00Z", "Frequency": "DAILY"},
         ["2026-11-21T13:00", "2026-11-22T13:00", "2026-11-23T13:00"]),
        ({"StartTime": "2026-11-21T13:00:00Z", "Frequency": "WEEKLY"},
         ["2026-11-21T13:00", "2026-11-28T13:00", "2026-12-05T13:00"]),
        # A month without the day gets its last one, and the day comes back.
        ({"StartTime": "2026-12-31T08:00:00Z", "Frequency": "MONTHLY"},
         ["2026-12-31T08:00", "2027-01-31T08:00", "2027-02-28T08:00", "2027-03-31T08:00"]),
        # Pinpoint's names of time zones; a time without an offset is wall time there.
        ({"StartTime": "2026-11-21T09:00:00", "Timezone": "UTC+05:30", "Frequency": "DAILY"},
         ["2026-11-21T03:30", "2026-11-22T03:30"]),
        ({"StartTime": "2026-11-21T09:00:00Z", "Timezone": "UTC+05:30", "Frequency": "DAILY"},
         ["2026-11-21T09:00", "2026-11-22T09:00"]),
        # Nine o'clock in Amsterdam stays nine o'clock when the clocks change (25 October 2026).
        ({"StartTime": "2026-10-24T09:00:00", "Timezone": "Europe/Amsterdam", "Frequency": "DAILY"},
         ["2026-10-24T07:00", "2026-10-25T08:00", "2026-10-26T08:00"]),
    ],
)  # fmt: skip
def test_runs_follow_each_other(schedule: dict[str, Any], expected: list[str]) -> None:
    assert runs(len(expected), **schedule) == expected


def test_the_last_run_is_not_after_the_end() -> None:
    schedule = {"StartTime": "2026-11-21T13:00:00Z", "EndTime": "2026-11-23T13:00:00Z"}
    assert len(runs(9, **schedule, Frequency="DAILY")) == 3
    assert runs(9, **schedule) == ["2026-11-21T13:00"]


def test_the_next_run_after_a_long_pause_is_in_the_future() -> None:
    schedule = {"StartTime": "2026-01-31T08:00:00Z", "Frequency": "MONTHLY"}
    anchor, now = parse_iso("2026-01-31T08:00:00Z"), parse_iso("2029-02-01T00:00:00Z")
    found = schedules.next_run(schedule, anchor, now)
    assert found is not None
    assert iso(found)[:16] == "2029-02-28T08:00"


def test_local_time_is_the_digits_that_were_written() -> None:
    for text, zone in (
        ("2026-11-21T09:00:00", None),
        ("2026-11-21T09:00:00Z", None),
        ("2026-11-21T09:00:00+02:00", None),
        ("2026-11-21T08:00:00+01:00", "UTC+02"),
    ):
        schedule = {"StartTime": text, "IsLocalTime": True, "Timezone": zone}
        start = schedules.starts_at(schedule)
        assert start is not None
        assert iso(start)[:16] == "2026-11-21T09:00"
        assert iso(schedules.due(schedule, start))[:16] == "2026-11-20T19:00"


@pytest.mark.parametrize(
    ("quiet", "minute", "is_quiet"),
    [
        (("22:00", "07:00"), "21:59", False), (("22:00", "07:00"), "22:00", True),
        (("22:00", "07:00"), "03:00", True), (("22:00", "07:00"), "07:00", True),
        (("22:00", "07:00"), "07:01", False), (("09:00", "12:00"), "09:00", True),
        (("09:00", "12:00"), "12:00", True), (("09:00", "12:00"), "12:01", False),
    ],
)  # fmt: skip
def test_quiet_time_takes_in_both_ends_and_wraps_midnight(
    quiet: tuple[str, str], minute: str, is_quiet: bool
) -> None:
    minutes = schedules.quiet_minutes({"Start": quiet[0], "End": quiet[1]})
    assert minutes is not None
    now = parse_iso(f"2026-11-21T{minute}:30+01:00")
    assert schedules.is_quiet(minutes, "Europe/Amsterdam", now) is is_quiet
    for nowhere in (None, "", "Mars/Olympus", 3):
        assert not schedules.is_quiet(minutes, nowhere, now)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({}, "StartTime is missing"),
        ({"StartTime": "tomorrow"}, "not an ISO 8601"),
        ({"StartTime": "2026-11-21T09:00:00Z", "EndTime": "2026-11-20T09:00:00Z"}, "EndTime lies"),
        ({"StartTime": "2026-11-21T09:00:00Z", "Timezone": "Moon"}, "Timezone 'Moon'"),
        ({"StartTime": "2026-11-21T09:00:00Z", "Timezone": "UTC+15"}, "Timezone 'UTC"),
        ({"StartTime": "IMMEDIATE", "IsLocalTime": True}, "IsLocalTime needs a StartTime"),
        ({"StartTime": "IMMEDIATE", "QuietTime": {"Start": "22:00"}}, "QuietTime.End"),
        ({"StartTime": "IMMEDIATE", "QuietTime": {"Start": "9:00", "End": "25:00"}}, "HH:MM"),
        ({"StartTime": "IMMEDIATE", "Frequency": "EVENT"}, "EventFilter is missing"),
        ({"StartTime": "IMMEDIATE", "EventFilter": {"FilterType": "ENDPOINT", "Dimensions": {}}},
         "EventFilter goes with"),
    ],
)  # fmt: skip
def test_impossible_schedules_are_refused(schedule: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        schedules.check(schedule)


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00"),  # the hour that is left out: an hour later
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00"),  # the hour that comes twice: the first
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00"),
    ],
)
def test_a_local_hour_comes_once_when_the_clocks_change(wall: str, utc: str) -> None:
    written = datetime.fromisoformat(wall).replace(tzinfo=UTC).timestamp()
    moment = schedules.at_wall_time(written, ZoneInfo("Europe/Amsterdam"))
    assert datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat() == utc


def test_quiet_time_goes_by_the_clock_on_the_wall_when_clocks_change() -> None:
    before = datetime(2026, 3, 29, 0, 59, tzinfo=UTC).timestamp()  # 01:59 in Amsterdam
    quiet = (2 * 60, 2 * 60 + 59)  # 02:00 to 02:59, which that night does not have
    minutes = [schedules.is_quiet(quiet, "Europe/Amsterdam", before + 60 * n) for n in range(120)]
    assert not any(minutes)
