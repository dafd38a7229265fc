"""The log: durable, without duplicates, in order, shared by several processes."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from tailorbird.collect import Collect, counts, cursors, log, seen
from tailorbird.collect.append import Entry
from tailorbird.collect.receive import Refused
from tailorbird.errors import Unavailable
from tests.unit.collect.conftest import entry, kept, source_id

DAY = 86_400


def ids(room: Collect) -> list[tuple[int, str]]:
    """Number and message id of every call in the log."""
    import orjson

    with room.db.read() as conn:
        rows = log.read(conn, None, 1, 1000)
    return [(n, orjson.loads(line)["messageId"]) for row in rows for n, line in row.calls()]


def test_what_was_appended_can_be_read_in_order(room: Collect) -> None:
    assert room.log.append_and_wait(entry(room, 1, 2)) == 2
    assert room.log.append_and_wait(entry(room, 3)) == 1
    assert [name for _, name in ids(room)] == ["m1", "m2", "m3"]
    numbers = [number for number, _ in ids(room)]
    assert numbers == sorted(set(numbers))


def test_a_long_row_is_compressed_and_read_as_it_came(room: Collect) -> None:
    room.log.append_and_wait(entry(room, *range(500)))
    room.log.append_and_wait(entry(room, *range(400, 501)))
    assert [name for _, name in ids(room)] == [f"m{n}" for n in range(501)]
    with room.db.read() as conn:
        query = "SELECT size, length(lines) FROM collect_log ORDER BY first"
        (size, kept_bytes), (one, kept_one) = conn.exec_driver_sql(query)
        lines = log.read(conn, None, 1, 1)[0].lines
    assert len(lines) == size > 4 * kept_bytes
    assert one == kept_one  # a short row is kept as it is


def test_a_message_id_counts_once_also_in_one_batch_and_after_a_restart(
    make_room: Callable[..., Collect],
) -> None:
    first = make_room()
    first.start()
    assert first.log.append_and_wait(entry(first, 1, 2, 1)) == 2
    first.stop()
    second = make_room()
    second.start()
    assert second.log.append_and_wait(entry(second, 2, 3)) == 1
    assert [name for _, name in ids(second)] == ["m1", "m2", "m3"]
    found = counts.by_step(counts.totals(second.db, source_id(second)))
    assert found == {counts.RECEIVED: 3, counts.FILTERED_AT_SOURCE: 2}


@pytest.mark.parametrize(("days", "new"), [(0.5, 0), (1.0, 0), (1.4, 0), (2.1, 1)])
def test_a_message_id_is_remembered_for_at_least_a_day(
    room: Collect, days: float, new: int
) -> None:
    room.log.append_and_wait(entry(room, 1))
    room.clock.advance(days * DAY)  # type: ignore[attr-defined]
    assert room.log.append_and_wait(entry(room, 1)) == new


def test_ids_of_days_long_past_are_dropped(room: Collect) -> None:
    room.log.append_and_wait(entry(room, 1, 2))
    room.clock.advance(3 * DAY)  # type: ignore[attr-defined]
    room.log.append_and_wait(entry(room, 3))
    seen.forget(room.db, room.clock.now())
    with room.db.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM collect_seen").scalar() == 1


def test_requests_of_the_same_moment_share_a_commit_and_none_is_lost(room: Collect) -> None:
    async def all_at_once() -> list[int]:
        return await asyncio.gather(
            *(room.log.append(entry(room, 2 * n, 2 * n + 1)) for n in range(200))
        )

    commits: list[int] = []
    room.log.appended.append(commits.append)
    assert asyncio.run(all_at_once()) == [2] * 200
    assert len({name for _, name in ids(room)}) == 400
    assert len(commits) < 100


def test_two_processes_that_get_the_same_call_keep_it_once(
    make_room: Callable[..., Collect],
) -> None:
    rooms = [make_room(), make_room()]
    for room in rooms:
        room.start()
    fresh = [0, 0]

    def send(which: int) -> None:
        for n in range(30):
            fresh[which] += rooms[which].log.append_and_wait(entry(rooms[which], n, n + 1))

    threads = [threading.Thread(target=send, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(fresh) == 31
    assert len(ids(rooms[0])) == 31


def test_a_refused_call_is_counted_with_its_reason_and_a_sample(room: Collect) -> None:
    refused = Refused("batch[1]", "track", "event_not_defined", "track needs an event", "{}")
    room.log.append_and_wait(Entry(source_id(room), room.clock.now(), [kept(1)], [refused]))
    rows = counts.totals(room.db, source_id(room))
    assert {(row["step"], row["reason"], row["n"]) for row in rows} == {
        (counts.RECEIVED, "", 1),
        (counts.FAILED_ON_INGEST, "event_not_defined", 1),
    }
    assert counts.last_samples(room.db, source_id(room))[0]["message"] == "track needs an event"


def test_a_nul_character_in_a_refused_call_costs_no_neighbour(room: Collect) -> None:
    refused = Refused("batch[1]", "track", "bad_request", "a \0 in it", '{"a":"\0"}')
    fresh = room.log.append_and_wait(Entry(source_id(room), room.clock.now(), [kept(1)], [refused]))
    assert fresh == 1
    assert counts.last_samples(room.db, source_id(room))[0]["message"] == "a \ufffd in it"


def test_only_the_newest_samples_of_a_reason_are_kept(room: Collect) -> None:
    for n in range(25):
        refused = Refused("call", "track", "bad_request", f"number {n}", "{}")
        room.log.append_and_wait(Entry(source_id(room), room.clock.now(), [], [refused]))
        room.clock.advance(1)  # type: ignore[attr-defined]
    messages = [s["message"] for s in counts.last_samples(room.db, source_id(room))]
    assert messages == [f"number {n}" for n in range(24, 14, -1)]


def test_a_log_that_is_not_running_refuses_rather_than_loses(
    make_room: Callable[..., Collect],
) -> None:
    room = make_room()
    with pytest.raises(Unavailable):
        room.log.append_and_wait(entry(room, 1))


def test_a_cursor_moves_for_one_reader_only(room: Collect) -> None:
    with room.db.write() as conn:
        assert cursors.advance(conn, "reader", 1, 10)
        assert not cursors.advance(conn, "reader", 1, 12)
        assert cursors.advance(conn, "reader", 10, 20)
        assert cursors.get(conn, "reader") == 20
