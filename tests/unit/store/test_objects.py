"""The same objects on a local folder and on an S3-compatible server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tailorbird import settings as settings_module
from tailorbird.errors import AlreadyExists, Conflict, Invalid, NotFound, Unavailable
from tailorbird.store import Objects

BUCKET = "things"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket=BUCKET)
    yield url
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        store = Objects(tmp_path)
        store.create_bucket(BUCKET)
        return store
    return remote(request.getfixturevalue("s3_url"), tmp_path)


def remote(url: str, folder: Path) -> Objects:
    flags = {
        "s3_endpoint_url": url,
        "s3_access_key_id": "k",
        "s3_secret_access_key": "s",
    }
    return Objects(folder, settings_module.load(flags, environment={}, folder=folder))


@pytest.mark.parametrize("key", ["a.csv", "deep/er/file", "we ird %é#?.txt", "run-1-part-r-00000"])
def test_what_was_put_is_got_back(objects: Objects, key: str) -> None:
    objects.put(f"s3://{BUCKET}/{key}", b"content")
    assert objects.get(f"s3://{BUCKET}/{key}") == b"content"


def test_a_file_is_put_and_fetched_as_a_file(objects: Objects, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(os.urandom(20 * 1024 * 1024))
    objects.put(f"s3://{BUCKET}/big", source)
    with objects.fetch(f"s3://{BUCKET}/big") as copy:
        assert copy.read_bytes() == source.read_bytes()


def test_a_stream_is_put_whole(objects: Objects) -> None:
    objects.put(f"s3://{BUCKET}/stream", (bytes([n]) * 1000 for n in range(5)))
    assert objects.head(f"s3://{BUCKET}/stream").size == 5000


def test_a_part_of_an_object_can_be_read(objects: Objects) -> None:
    objects.put(f"s3://{BUCKET}/digits", b"0123456789")
    assert b"".join(objects.stream(f"s3://{BUCKET}/digits", 2, 5)) == b"234"


def test_listing_takes_any_prefix_and_is_in_order(objects: Objects) -> None:
    for key in ("list/b", "list/a1", "list/a2/x", "other"):
        objects.put(f"s3://{BUCKET}/{key}", b"")
    keys = [info.uri for info in objects.list(f"s3://{BUCKET}/list/a")]
    assert keys == [f"s3://{BUCKET}/list/a1", f"s3://{BUCKET}/list/a2/x"]


def test_what_is_not_there_is_said_to_be_missing(objects: Objects) -> None:
    with pytest.raises(NotFound, match="nothing"):
        objects.get(f"s3://{BUCKET}/nothing")


def test_deleting_twice_is_no_error(objects: Objects) -> None:
    objects.put(f"s3://{BUCKET}/gone", b"x")
    objects.delete(f"s3://{BUCKET}/gone")
    objects.delete(f"s3://{BUCKET}/gone")
    assert not objects.exists(f"s3://{BUCKET}/gone")


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "s3://UPPER/k",
        "s3://things/../../etc/passwd",
        "s3://things/",
        "s3://x",
    ],
)
def test_an_address_that_is_none_is_refused(objects: Objects, uri: str) -> None:
    with pytest.raises(Invalid):
        objects.put(uri, b"")


def test_a_half_written_object_is_never_seen(objects: Objects) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield b"x" * 1000
        raise ConnectionError("the sender is gone")

    with pytest.raises(Exception, match="sender is gone"):
        objects.put(f"s3://{BUCKET}/half", breaks_off())
    assert not objects.exists(f"s3://{BUCKET}/half")


def test_a_bucket_that_is_not_empty_is_not_deleted(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    objects.put("s3://full/x", b"")
    with pytest.raises(Conflict, match="not empty"):
        objects.delete_bucket("full")


def test_a_bucket_is_made_once(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    objects.create_bucket("once")
    with pytest.raises(AlreadyExists):
        objects.create_bucket("once")


def test_a_missing_bucket_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no bucket nowhere"):
        Objects(tmp_path).get("s3://nowhere/x")


@pytest.mark.timeout(60)
def test_a_server_that_is_away_is_said_to_be_away(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        remote("http://127.0.0.1:9", tmp_path).get(f"s3://{BUCKET}/x")
