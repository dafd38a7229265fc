"""A destination's queue: what is in memory and what a restart finds are the same calls."""

from __future__ import annotations

import orjson
import pytest

from tailorbird.collect.catalog.definition import Parcel, State
from tailorbird.collect.queue import NEVER, Ends, Queue
from tailorbird.store import Database

TO = "destination"
NOW = 1_000.0


@pytest.fixture
def queue(db: Database) -> Queue:
    return looked(Queue(db, TO))


def looked(queue: Queue) -> Queue:
    with queue.db.read() as conn:
        queue.look(conn)
    return queue


def add(queue: Queue, *numbers: int) -> None:
    calls = [{"type": "track", "messageId": f"m{n}"} for n in numbers]
    parcels = [
        Parcel(n, call, orjson.dumps(call), 0, NOW, NOW)
        for n, call in zip(numbers, calls, strict=True)
    ]
    with queue.db.write() as conn:
        queue.add(conn, parcels, [call["messageId"] for call in calls])
    queue.added(parcels)


def end(queue: Queue, over: list[Parcel], again: dict[int, float], given: list[Parcel]) -> None:
    ends = Ends()
    for parcel in over:
        ends.over(parcel, State.DELIVERED, "", NOW, TO)
    for parcel in given:
        ends.retry(parcel, again[parcel.number], "503", TO)
    with queue.db.write() as conn:
        queue.end(conn, ends)
    queue.ended(ends)


def numbers(parcels: list[Parcel]) -> list[int]:
    return [parcel.number for parcel in parcels]


def test_calls_are_handed_out_in_their_order_and_each_once(queue: Queue) -> None:
    add(queue, 1, 2, 3)
    assert numbers(queue.take(2, NOW)) == [1, 2]
    assert numbers(queue.take(9, NOW)) == [3]
    assert queue.take(9, NOW) == []
    assert (queue.fresh, queue.under_way) == (3, 3)


def test_a_retry_comes_when_it_is_due_before_calls_that_came_since(queue: Queue) -> None:
    add(queue, 1, 2, 3)
    first, second, third = queue.take(3, NOW)
    end(queue, [second], {1: NOW + 5, 3: NOW + 9}, [first, third])
    add(queue, 4)
    assert (queue.fresh, queue.again, queue.next_due) == (1, 2, NOW + 5)
    assert numbers(queue.take(9, NOW + 4)) == [4]
    [again] = queue.take(9, NOW + 5)
    assert (again.number, again.attempts, again.call["messageId"]) == (1, 1, "m1")
    assert queue.next_due == NOW + 9
    end(queue, [again], {}, [])
    assert numbers(queue.take(9, NOW + 9)) == [3]
    assert queue.next_due == NEVER


def test_after_a_restart_what_had_not_ended_comes_again(queue: Queue) -> None:
    add(queue, *range(1, 8))
    taken = queue.take(3, NOW)
    end(queue, taken[:1], {2: NOW + 60}, taken[1:2])
    anew = looked(Queue(queue.db, TO))
    assert (anew.fresh, anew.again) == (5, 1)
    assert numbers(anew.take(3, NOW)) == [3, 4, 5]
    assert numbers(anew.take(3, NOW)) == [6, 7]
    assert anew.next_due == NOW + 60


def test_in_other_hands_for_a_while_only_what_is_under_way_is_kept(queue: Queue) -> None:
    add(queue, 1, 2, 3, 4)
    [under_way] = queue.take(1, NOW)
    other = looked(Queue(queue.db, TO))
    end(other, other.take(2, NOW)[1:], {}, [])
    queue.forget()
    looked(queue)
    assert numbers(queue.take(9, NOW)) == [3, 4]
    end(queue, [under_way], {}, [])
    assert (queue.fresh, queue.under_way) == (2, 2)
