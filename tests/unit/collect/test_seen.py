"""Ids that were seen: known in memory, kept in eight bytes each, shared by processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tailorbird.collect import Collect, seen, trace
from tailorbird.collect.seen import Seen, hashed
from tailorbird.errors import NotFound
from tailorbird.store import Database, ask
from tests.unit.collect.conftest import NOON, entry

DAY = 86_400


def put(db: Database, first: int, ids: list[str], now: float = NOON) -> None:
    with db.write() as conn:
        ask(conn, [seen.addition(db, first, now, hashed(ids))])


def known(db: Database, of: Seen, ids: list[str], now: float = NOON) -> list[bool]:
    with db.read() as conn:
        of.read_on(db, conn, now)
    hashes = hashed(ids)
    found = of.known(hashes)
    return [mark in found for mark in hashes.tolist()]


def test_ids_are_known_from_their_commit_on_to_every_process(db: Database) -> None:
    one, other = Seen(), Seen()
    put(db, 1, ["a", "b"])
    assert known(db, one, ["a", "b", "c"]) == [True, True, False]
    put(db, 3, ["c"])
    assert known(db, one, ["c", "d"]) == [True, False]
    assert known(db, other, ["a", "b", "c", "d"]) == [True, True, True, False]


def test_ids_of_yesterday_are_known_and_those_before_are_not(db: Database) -> None:
    put(db, 1, ["a"])
    running = Seen()
    assert known(db, running, ["a"]) == [True]
    for days, expected in ((1, True), (2, False)):
        assert known(db, running, ["a"], NOON + days * DAY) == [expected]
        assert known(db, Seen(), ["a"], NOON + days * DAY) == [expected]


def test_many_ids_are_known_in_little_memory(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "RECENT_MAX", 1_000)
    running = Seen()
    for start in range(0, 20_000, 700):
        put(db, start + 1, [f"m{n}" for n in range(start, start + 700)])
        known(db, running, ["x"])
    ids = [f"m{n}" for n in range(20_300)]
    assert all(known(db, running, ids))
    assert not any(known(db, running, [f"n{n}" for n in range(20_000)]))
    [day] = running._days.values()
    assert len(day._recent) <= 1_000
    assert len(day._sorted) <= 6


def test_the_path_of_a_call_is_found_by_its_id(make_room: Callable[..., Collect]) -> None:
    room = make_room()
    room.start()
    room.log.append_and_wait(entry(room, 1, 2, 3))
    room.log.append_and_wait(entry(room, 3, 4))
    found = trace.find(room, "m4")
    assert found["call"]["messageId"] == "m4"
    assert trace.find(room, "m3")["number"] == trace.find(room, "m2")["number"] + 1
    with pytest.raises(NotFound):
        trace.find(room, "m5")
