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
    made = {"type": "identify", "messageId": "api-x", "userId": "u", "traits": {"r": 1}}
    return made | fields


def played(guard: LoopGuard, times: int, answered: dict[str, Any]) -> int:
    """How often a function is called that answers each call with one more; at most `times`."""
    now = 0.0
    for n in range(times):
        if guard.is_loop(answered, now):
            return n
        guard.began(answered, now, now + 0.01)
        guard.ended(answered, now + 0.05)
        now += 0.04
    return times


def test_a_function_that_answers_itself_is_stopped_at_the_depth() -> None:
    assert played(LoopGuard(3), 100, call()) == 4


@pytest.mark.parametrize("changes", [{"messageId": "node-next-1"}, {"messageId": "0c7e"}])
def test_calls_with_an_id_of_their_own_are_never_taken_for_a_loop(changes: dict[str, Any]) -> None:
    assert played(LoopGuard(3), 100, call(**changes)) == 100


def test_calls_that_come_later_than_the_invocation_are_no_loop() -> None:
    guard = LoopGuard(0)
    for n in range(20):
        assert not guard.is_loop(call(), n)
        guard.began(call(), n, n + 0.01)
        guard.ended(call(), n + 0.1)


def test_another_persons_calls_are_no_loop() -> None:
    guard = LoopGuard(0)
    guard.began(call(), 0.0, 0.0)
    assert guard.is_loop(call(), 0.1)
    assert not guard.is_loop(call(userId="v"), 0.1)
