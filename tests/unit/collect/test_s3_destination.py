"""AWS S3 as a destination: the archive's files, in Segment's layout, in the customer's bucket."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from tailorbird.collect import Collect, archive, catalog, destinations, job_kinds, replays
from tailorbird.collect.catalog import aws_s3
from tailorbird.errors import Invalid, Unavailable
from tailorbird.store import Worker
from tests.conftest import wait_for
from tests.unit.collect.conftest import entry, source_id

BUCKET = {"bucket": "customers-bucket"}


def connect(room: Collect, **settings: Any) -> str:
    made = destinations.create(room, source_id(room), "AWS S3", {**BUCKET, **settings})
    return str(made["id"])


def copies(room: Collect) -> dict[str, int]:
    """The files in the customer's bucket, with the calls in each."""
    if "customers-bucket" not in room.objects.buckets():
        return {}
    found = room.objects.list("s3://customers-bucket/")
    return {
        info.uri: len(gzip.decompress(room.objects.get(info.uri)).splitlines()) for info in found
    }


def steps(room: Collect, to: str) -> dict[str, int]:
    return dict(destinations.overview(room, to)["steps"])


def test_every_file_is_copied_under_its_name(room: Collect) -> None:
    to = connect(room, prefix="from/segment/")
    room.log.append_and_wait(entry(room, 1, 2))
    [uri] = archive.flush(room)
    key = uri.removeprefix("s3://tailorbird-archive/")
    wanted = {f"s3://customers-bucket/from/segment/{key}": 2}
    wait_for(lambda: copies(room) == wanted, 10)
    wait_for(lambda: steps(room, to)["successful_delivery"] == 2, 10)
    room.log.append_and_wait(entry(room, 3))
    archive.flush(room)
    wait_for(lambda: steps(room, to)["successful_delivery"] == 3, 10)
    assert sum(copies(room).values()) == 3


def test_integrations_do_not_apply_to_it(room: Collect) -> None:
    connect(room)
    room.log.append_and_wait(entry(room, 1, integrations={"All": False, "AWS S3": False}))
    archive.flush(room)
    wait_for(lambda: sum(copies(room).values()) == 1, 10)


def test_a_bucket_that_is_away_for_hours_stops_nothing_and_loses_nothing(
    room: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = connect(room)
    put = room.objects.put

    def away(uri: str, data: Any) -> None:
        if uri.startswith("s3://customers-bucket/"):
            raise Unavailable("the bucket is away")
        put(uri, data)

    with monkeypatch.context() as patch:
        patch.setattr(room.objects, "put", away)
        for hour in range(6):
            room.log.append_and_wait(entry(room, hour))
            assert len(archive.flush(room)) == 1  # the archive goes on
            room.clock.advance(3600)  # type: ignore[attr-defined]
        wait_for(lambda: steps(room, to)["pending"] == 6, 20)
        wait_for(lambda: steps(room, to)["retried"] >= 6, 20)
        seen = destinations.overview(room, to)
        assert seen["steps"]["failed_delivery"] == 0
        assert seen["samples"][0]["message"] == "the bucket is away"

    def back() -> bool:
        room.clock.advance(60)  # type: ignore[attr-defined]
        return steps(room, to)["successful_delivery"] == 6

    wait_for(back, 20)
    assert sum(copies(room).values()) == 6


def test_the_log_does_not_wait_for_a_destination_of_files(room: Collect) -> None:
    connect(room)
    room.log.append_and_wait(entry(room, 1))
    archive.flush(room)
    from tailorbird.collect import cursors

    with room.db.read() as conn:
        slowest = cursors.slowest(conn, source_id(room), catalog.OF_FILES)
        assert slowest >= cursors.slowest(conn, source_id(room))


def test_a_replay_copies_the_files_of_the_time_again(room: Collect) -> None:
    room.log.append_and_wait(entry(room, 1))
    archive.flush(room)
    room.clock.advance(7200)  # type: ignore[attr-defined]
    room.log.append_and_wait(entry(room, 2))
    archive.flush(room)
    to = connect(room)
    with pytest.raises(Invalid, match="takes whole files"):
        replays.start(room, {"destinationId": to, "events": ["x"]})
    made = replays.start(room, {"destinationId": to, "start": "2026-11-21T13:00:00Z"})
    worker = Worker(room.jobs, job_kinds(room), 1)
    worker.start()
    wait_for(lambda: replays.get(room, made["id"])["state"] == "done", 20)
    worker.stop()
    assert list(copies(room).values()) == [1]
    assert replays.get(room, made["id"])["counts"]["delivered"] == 1


WRONG = [
    ({}, "needs the setting 'bucket'"),
    ({"bucket": "No_Bucket"}, "not a bucket name"),
    ({"bucket": "b-1", "prefix": "../x"}, "'.' or '..'"),
    ({"bucket": "b-1", "iamRoleArn": "role"}, "iamRoleArn is 'role'"),
]


@pytest.mark.parametrize(("settings", "why"), WRONG)
def test_wrong_settings_are_named(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid) as caught:
        aws_s3.AWS_S3.checked(settings)
    assert why in caught.value.message


def test_the_names_of_the_public_api_are_taken_too() -> None:
    settings = aws_s3.AWS_S3.checked({"s3Bucket": "b-1", "region": "us-east-1"})
    found = aws_s3.address(settings, "s3://archive/segment-logs/s/0/f.gz")
    assert found == "s3://b-1/segment-logs/s/0/f.gz"
    assert catalog.find("Amazon S3") is aws_s3.AWS_S3
