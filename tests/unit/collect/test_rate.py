"""A workspace may send a second's requests at once, then goes on at its rate."""

from tailorbird.collect.rate import Rate

NOON = 1_795_262_400.0


def test_a_second_of_requests_comes_in_and_the_next_is_told_when_to_come_back() -> None:
    rate = Rate(3, NOON)
    assert [rate.wait_seconds(NOON) for _ in range(4)] == [0, 0, 0, 1]


def test_after_the_wait_that_was_told_a_request_comes_in() -> None:
    rate = Rate(0.25, NOON)
    rate.wait_seconds(NOON)
    wait = rate.wait_seconds(NOON + 1)
    assert wait == 2
    assert rate.wait_seconds(NOON + 1 + wait) == 0


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    rate = Rate(1, NOON)
    assert rate.wait_seconds(NOON) == 0
    assert rate.wait_seconds(NOON - 100) == 1


def test_nothing_is_refused_without_a_limit() -> None:
    rate = Rate(0, NOON)
    assert {rate.wait_seconds(NOON) for _ in range(5000)} == {0}
