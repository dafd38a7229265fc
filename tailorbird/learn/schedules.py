"""Schedules of automatic training: what a solution asks for, and the job of its next time."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.engine import Connection

from tailorbird import ids
from tailorbird.errors import Invalid
from tailorbird.learn.room import Learn

KIND = "learn.auto_train"
QUEUE = "learn"
FIRST_SECONDS = 3_600.0
DAY_SECONDS = 86_400.0
DEFAULT_DAYS = 7
MOST_DAYS = 30
CHAIN = "_chain"  # in the definition: the schedule in force; an older one's job ends


def days(definition: dict[str, Any]) -> int:
    """The interval of `solutionConfig.autoTrainingConfig`; Invalid says what is right."""
    config = (definition.get("solutionConfig") or {}).get("autoTrainingConfig") or {}
    text = config.get("schedulingExpression")
    if text is None:
        return DEFAULT_DAYS
    match = re.fullmatch(r"rate\(\s*(\d+)\s+days?\s*\)", text)
    if match is None or not 1 <= int(match[1]) <= MOST_DAYS:
        raise Invalid(f"schedulingExpression is {text!r}; rate(1 day) to rate(30 days) is right")
    return int(match[1])


def wanted(room: Learn, definition: dict[str, Any]) -> bool:
    """Whether a solution trains by itself; where it does not say, the setting does."""
    return bool(definition.get("performAutoTraining", room.settings.learn_auto_training))


def begin(room: Learn, conn: Connection, definition: dict[str, Any], arn: str) -> dict[str, Any]:
    """The definition with a schedule in force (or none), its first job added."""
    kept = {name: value for name, value in definition.items() if name != CHAIN}
    if not wanted(room, kept):
        return kept
    chain = ids.hex8()
    enqueue(room, conn, arn, chain, FIRST_SECONDS)
    return {**kept, CHAIN: chain}


def enqueue(room: Learn, conn: Connection, arn: str, chain: str, seconds: float) -> None:
    due = room.clock.now() + seconds
    room.jobs.enqueue(conn, KIND, {"arn": arn, "chain": chain}, queue=QUEUE, due=due)
