"""Backoff and the loop guard."""

from typing import Any

import pytest

from tailorbird.collect import retries
from tailorbird.collect.loops import LoopGuard


@pytest.mark.parametrize(
    ("attempts", "chance", "seconds"),
    [(1, 0.0, 0.5), (1, 1.0, 1.0), (2, 1.0, 2.0), (5, 0.5, 12.0), (40, 1.0, 600.0)],
)
def test_the_wait_doubles_at_random_up_to_ten_minutes(
    attempts: int, chance: float, seconds: float
) -> None:
    assert retries.wait_seconds(attempts, chance) == seconds


def call(**fields: Any) -> dict[str, Any]:
    return {"type": "identify", "messageId": "m", "userId": "u", "traits": {"r": 1}} | fields


FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"


def played(guard: LoopGuard, times: int, sender: str | None) -> int:
    """How often a function is called when each call is followed by one from this sender."""
    now = 0.0
    for n in range(times):
        if guard.is_loop(call(), sender, now):
            return n
        guard.began(call(), sender, now, now + 0.01)
        guard.ended(call(), now + 0.05)
        now += 0.04
    return times


def test_a_function_that_answers_itself_is_stopped_at_the_depth() -> None:
    assert played(LoopGuard(3), 100, FUNCTION) == 4


def test_calls_that_no_function_sent_are_never_taken_for_a_loop() -> None:
    assert played(LoopGuard(0), 100, None) == 100


def test_calls_that_come_later_than_the_invocation_are_no_loop() -> None:
    guard = LoopGuard(0)
    for n in range(20):
        assert not guard.is_loop(call(), FUNCTION, n)
        guard.began(call(), FUNCTION, n, n + 0.01)
        guard.ended(call(), n + 0.1)


def test_another_persons_calls_are_no_loop() -> None:
    guard = LoopGuard(0)
    guard.began(call(), None, 0.0, 0.0)
    assert guard.is_loop(call(), FUNCTION, 0.1)
    assert not guard.is_loop(call(userId="v"), FUNCTION, 0.1)
