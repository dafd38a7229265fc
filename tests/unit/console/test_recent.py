"""A look at the house is taken again only when it is old for what it cost."""

from __future__ import annotations

import pytest

from tailorbird.console.recent import COST_FACTOR, LEAST_SECONDS, Recent


class Watch:
    """A clock that the look itself moves by what it costs."""

    def __init__(self) -> None:
        self.time = 100.0
        self.looks = 0

    def look(self, cost: float) -> int:
        self.time += cost
        self.looks += 1
        return self.looks


@pytest.mark.parametrize(
    ("cost", "later", "looks"),
    [
        (0.01, LEAST_SECONDS / 2, 1),
        (0.01, LEAST_SECONDS * 2, 2),
        (2.0, COST_FACTOR * 1.9, 1),
        (2.0, COST_FACTOR * 2.1, 2),
    ],
)
def test_a_costly_look_is_kept_longer(cost: float, later: float, looks: int) -> None:
    watch = Watch()
    recent = Recent(lambda: watch.time)
    recent.look("loop", lambda: watch.look(cost))
    watch.time += later
    assert recent.look("loop", lambda: watch.look(cost)) == looks


def test_looks_do_not_share_their_answers() -> None:
    recent = Recent()
    assert (recent.look("a", lambda: 1), recent.look("b", lambda: 2)) == (1, 2)


def test_a_look_that_fails_is_taken_again() -> None:
    recent = Recent()
    with pytest.raises(ZeroDivisionError):
        recent.look("a", lambda: 1 / 0)
    assert recent.look("a", lambda: 1) == 1
