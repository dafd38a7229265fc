"""The archive: Segment's layout, every call once, also when the writer was killed."""

import gzip
from collections import Counter
from collections.abc import Callable

import orjson
import pytest
import sqlalchemy as sa

from tailorbird.collect import Collect, archive, job_kinds, tables
from tailorbird.store import Worker
from tests.conftest import wait_for
from tests.unit.collect.conftest import NOON, entry, source_id

DAY_MS = 86_400_000


def archived(room: Collect) -> Counter[str]:
    """How often each message id stands in the archive."""
    found: Counter[str] = Counter()
    if "tailorbird-archive" not in room.objects.buckets():
        return found
    for info in room.objects.list(archive.location(room, source_id(room))):
        lines = gzip.decompress(room.objects.get(info.uri)).splitlines()
        found.update(orjson.loads(line)["messageId"] for line in lines)
    return found


def test_files_lie_where_segment_puts_them(room: Collect) -> None:
    room.log.append_and_wait(entry(room, 1, 2))
    [uri] = archive.flush(room)
    midnight = int(NOON * 1000) // DAY_MS * DAY_MS
    folder = f"s3://tailorbird-archive/segment-logs/{source_id(room)}/{midnight}/"
    assert uri.startswith(folder + "20261121T120000Z.")
    assert uri.endswith(".gz")
    assert archived(room) == {"m1": 1, "m2": 1}


def test_what_is_archived_is_not_archived_again(room: Collect) -> None:
    room.log.append_and_wait(entry(room, 1))
    assert len(archive.flush(room)) == 1
    assert archive.flush(room) == []
    room.log.append_and_wait(entry(room, 1, 2))
    assert len(archive.flush(room)) == 1
    assert archived(room) == {"m1": 1, "m2": 1}


def test_each_day_of_receipt_has_its_own_folder(room: Collect) -> None:
    room.log.append_and_wait(entry(room, 1))
    room.clock.advance(86_400)  # type: ignore[attr-defined]
    room.log.append_and_wait(entry(room, 2))
    days = [uri.split("/")[-2] for uri in archive.flush(room)]
    assert int(days[1]) - int(days[0]) == DAY_MS


def test_a_file_is_cut_at_its_size(make_room: Callable[..., Collect]) -> None:
    room = make_room(archive_file_bytes=300)
    room.start()
    for n in range(9):
        room.log.append_and_wait(entry(room, n))
    assert len(archive.flush(room)) == 3
    assert len(archived(room)) == 9


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


@pytest.mark.parametrize("when", ["before the file", "after the file"])
def test_a_killed_writer_leaves_neither_gap_nor_duplicate(
    room: Collect, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.log.append_and_wait(entry(room, 1, 2))
    put = room.objects.put

    def killed(uri: str, data: object) -> None:
        if when == "after the file":
            put(uri, data)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(room.objects, "put", killed)
        with pytest.raises(Killed):
            archive.flush(room)
    room.log.append_and_wait(entry(room, 3))
    archive.flush(room)
    assert archived(room) == {"m1": 1, "m2": 1, "m3": 1}


def test_the_log_is_tidied_only_behind_every_reader(room: Collect) -> None:
    room.log.append_and_wait(entry(room, 1))
    room.clock.advance(30 * 3600)  # type: ignore[attr-defined]
    archive.tidy(room)
    assert rows_of_log(room) == 1  # not archived yet
    archive.flush(room)
    wait_for(lambda: tidied(room) == 0)


def tidied(room: Collect) -> int:
    archive.tidy(room)  # the profiles' reader comes by in its own time
    return rows_of_log(room)


def rows_of_log(room: Collect) -> int:
    with room.db.read() as conn:
        return int(conn.execute(sa.select(sa.func.count()).select_from(tables.log)).scalar_one())


def test_the_job_archives_every_hour(room: Collect) -> None:
    worker = Worker(room.jobs, job_kinds(room), threads=1)
    worker.start()

    def later(calls: int) -> bool:
        room.clock.advance(20)  # type: ignore[attr-defined]
        room.jobs.nudge()
        return len(archived(room)) == calls

    try:
        for hour in (1, 2):
            room.log.append_and_wait(entry(room, hour))
            wait_for(lambda hour=hour: later(hour), 60, every_seconds=0.02)
    finally:
        worker.stop()


def test_much_at_once_is_archived_before_the_hour(make_room: Callable[..., Collect]) -> None:
    room = make_room(archive_file_bytes=1_000)
    room.start()
    worker = Worker(room.jobs, job_kinds(room), threads=1)
    worker.start()
    try:
        room.log.append_and_wait(entry(room, *range(5)))
        assert archived(room) == {}
        room.log.append_and_wait(entry(room, *range(5, 20)))
        wait_for(lambda: len(archived(room)) == 20, 10)
    finally:
        worker.stop()
