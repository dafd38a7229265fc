"""What is kept in mind: what this process changed is known at once, the others within a second."""

from __future__ import annotations

import pytest

from tailorbird.learn import known
from tailorbird.learn.known import Known
from tailorbird.store import Database

COUNT = "SELECT COUNT(*) FROM learn_sessions"
ADD = "INSERT INTO learn_sessions (group_arn, session_id, user_id) VALUES (?, ?, ?)"


@pytest.fixture
def counted(db: Database):
    """A door, a mind of it, and how often it had to look."""
    door = db.door()
    kept, looks = Known(door), []

    def count() -> int:
        def look() -> list[tuple]:
            looks.append(1)
            return door.look(COUNT)

        return kept.get("count", look)[0][0]

    return door, count, looks


def add(db: Database, name: str, **how) -> None:
    with db.write(**how) as conn:
        conn.exec_driver_sql(db.sql(ADD), ("g", name, "u"))


def test_what_did_not_change_is_not_looked_for_again(counted):
    _door, count, looks = counted
    assert [count() for _ in range(5)] == [0] * 5
    assert len(looks) == 1


def test_what_went_through_the_door_is_known_at_once(counted):
    door, count, _looks = counted
    assert count() == 0
    add(door, "one")
    assert count() == 1


def test_rows_that_nobody_keeps_in_mind_make_nothing_forgotten(counted):
    door, count, looks = counted
    assert count() == 0
    add(door, "one", in_mind=False)
    assert (count(), len(looks)) == (0, 1)


def test_what_others_wrote_is_known_within_a_second(counted, db, monkeypatch):
    _door, count, _looks = counted
    assert count() == 0
    add(db, "one")  # as another process would: not through the room's door
    assert count() == 0
    assert known.KNOWN_SECONDS <= 1.0
    monkeypatch.setattr(known, "KNOWN_SECONDS", 0.0)
    assert count() == 1


def test_nothing_is_not_kept_in_mind(db):
    kept = Known(db)
    assert kept.get("filter", lambda: None) is None
    assert kept.get("filter", lambda: "made") == "made"
    assert kept.get("filter", lambda: "another") == "made"


def test_minds_do_not_grow_for_ever(db, monkeypatch):
    monkeypatch.setattr(known, "KEPT", 10)
    kept = Known(db)
    for n in range(100):
        kept.get(n, lambda: "x")
    assert len(kept._kept) <= 10
