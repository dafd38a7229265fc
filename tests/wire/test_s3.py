"""S3 as published scripts use it around these services, with the real boto3."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

MIB = 1024 * 1024


@pytest.fixture
def s3(server: Any) -> Any:
    return server.client("s3")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


def read(s3: Any, bucket: str, key: str, **more: Any) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read())


@pytest.mark.parametrize(
    "key", ["a", "a b+c.csv", "d/café/ü.json", "p%20q", "tilde~*'()!", "a=b&c?d#e", "x" * 200]
)
def test_what_is_put_is_got(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"abc")
    assert read(s3, bucket, key) == b"abc"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_an_object_keeps_its_type_its_metadata_and_its_etag(s3: Any, bucket: str) -> None:
    put = s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"abc",
        ContentType="text/csv",
        ContentEncoding="gzip",
        CacheControl="no-cache",
        Metadata={"Made-By": "ana"},
    )
    head = s3.head_object(Bucket=bucket, Key="k")
    assert put["ETag"] == head["ETag"] == f'"{hashlib.md5(b"abc").hexdigest()}"'
    assert head["ContentType"] == "text/csv"
    assert (head["ContentEncoding"], head["CacheControl"]) == ("gzip", "no-cache")
    assert (head["Metadata"], head["ContentLength"]) == ({"made-by": "ana"}, 3)


def test_an_empty_object_is_an_object(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k")
    assert read(s3, bucket, "k") == b""


def test_an_object_put_again_forgets_its_first_metadata(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc", Metadata={"a": "1"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"abd")
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {}


def test_an_object_another_room_wrote_is_seen(s3: Any, bucket: str, server: Any) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc", ContentType="text/csv")
    (server.data / "objects" / bucket / "k").write_bytes(b"abcd")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentLength"], head["ContentType"]) == (4, "binary/octet-stream")


@pytest.mark.parametrize(
    ("asked", "content", "said"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-100", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-30", b"0123456789", "bytes 0-9/10"),
        ("bytes=4-2", b"0123456789", None),
        ("lines=1-2", b"0123456789", None),
    ],
)
def test_a_range_is_served(s3: Any, bucket: str, asked: str, content: bytes, said: Any) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    answer = s3.get_object(Bucket=bucket, Key="k", Range=asked)
    assert (answer["Body"].read(), answer.get("ContentRange")) == (content, said)


def test_a_range_past_the_end_is_refused(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    refused = lambda: s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")  # noqa: E731
    assert code_of(refused) == "InvalidRange"


def test_conditions_of_a_read(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"abc")["ETag"]
    assert read(s3, bucket, "k", IfMatch=etag) == b"abc"
    assert code_of(lambda: s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)) == "304"
    assert code_of(lambda: s3.get_object(Bucket=bucket, Key="k", IfMatch='"x"')) == (
        "PreconditionFailed"
    )


def test_conditions_of_a_write(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"abc", IfNoneMatch="*")["ETag"]
    again = lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"x", IfNoneMatch="*")  # noqa: E731
    assert code_of(again) == "PreconditionFailed"
    s3.put_object(Bucket=bucket, Key="k", Body=b"abd", IfMatch=etag)
    stale = lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"x", IfMatch=etag)  # noqa: E731
    assert code_of(stale) == "PreconditionFailed"
    assert read(s3, bucket, "k") == b"abd"


@pytest.mark.parametrize(
    "algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5"]
)
def test_checksums_the_client_sends_are_checked_and_given_back(
    s3: Any, bucket: str, algorithm: str
) -> None:
    from tailorbird.gateway.s3 import checksums

    making = checksums.make(algorithm)
    making.update(b"abc" * 50_000)
    name, right = f"Checksum{algorithm}", checksums.text(making.digest())
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc" * 50_000, **{name: right})
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (right, "FULL_OBJECT")
    wrong = lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"abd", **{name: right})  # noqa: E731
    assert code_of(wrong) == "BadDigest"


def test_a_wrong_content_md5_is_refused_and_nothing_is_kept(s3: Any, bucket: str) -> None:
    wrong = lambda: s3.put_object(  # noqa: E731
        Bucket=bucket, Key="k", Body=b"abc", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA=="
    )
    assert code_of(wrong) == "BadDigest"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_large_file_goes_up_in_parts_and_comes_back(s3: Any, bucket: str, tmp_path: Path) -> None:
    content = os.urandom(20 * MIB + 5)
    (tmp_path / "up").write_bytes(content)
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB)
    s3.upload_file(
        str(tmp_path / "up"), bucket, "big", Config=config, ExtraArgs={"ContentType": "text/csv"}
    )
    s3.download_file(bucket, "big", str(tmp_path / "down"), Config=config)
    assert (tmp_path / "down").read_bytes() == content
    head = s3.head_object(Bucket=bucket, Key="big")
    assert (head["ETag"][-3:], head["ContentType"]) == ('-3"', "text/csv")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("SHA256", "COMPOSITE")],
)
def test_the_checksum_of_an_upload(s3: Any, bucket: str, algorithm: str, kind: str) -> None:
    parts = [b"a" * 5 * MIB, b"b"]
    answer = upload(s3, bucket, parts, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert answer["ChecksumType"] == kind
    assert answer[f"Checksum{algorithm}"].endswith("-2") == (kind == "COMPOSITE")
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["ChecksumType"] == kind


def upload(s3: Any, bucket: str, parts: list[bytes], **create: Any) -> dict[str, Any]:
    made = s3.create_multipart_upload(Bucket=bucket, Key="k", **create)["UploadId"]
    common = {"Bucket": bucket, "Key": "k", "UploadId": made}
    algorithm = {k: v for k, v in create.items() if k == "ChecksumAlgorithm"}
    listed = []
    for number, body in enumerate(parts, 1):
        sent = s3.upload_part(PartNumber=number, Body=body, **common, **algorithm)
        checksum = {k: v for k, v in sent.items() if k.startswith("Checksum")}
        listed.append({"PartNumber": number, "ETag": sent["ETag"], **checksum})
    answer: dict[str, Any] = s3.complete_multipart_upload(
        MultipartUpload={"Parts": listed}, **common
    )
    return answer


def test_an_upload_is_seen_and_aborted(s3: Any, bucket: str) -> None:
    made = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    common = {"Bucket": bucket, "Key": "k", "UploadId": made}
    s3.upload_part(PartNumber=1, Body=b"old", **common)
    s3.upload_part(PartNumber=1, Body=b"new!", **common)
    [part] = s3.list_parts(**common)["Parts"]
    assert (part["PartNumber"], part["Size"]) == (1, 4)
    [seen] = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert (seen["UploadId"], seen["Key"]) == (made, "k")
    s3.abort_multipart_upload(**common)
    assert code_of(lambda: s3.list_parts(**common)) == "NoSuchUpload"


@pytest.mark.parametrize(
    ("numbers", "etag", "code"),
    [
        ([1, 2], None, "EntityTooSmall"),
        ([2, 1], None, "InvalidPartOrder"),
        ([1, 3], None, "InvalidPart"),
        ([1], '"0"', "InvalidPart"),
    ],
)
def test_parts_that_make_no_object_are_refused(
    s3: Any, bucket: str, numbers: list[int], etag: str | None, code: str
) -> None:
    made = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    common = {"Bucket": bucket, "Key": "k", "UploadId": made}
    sent = {n: s3.upload_part(PartNumber=n, Body=b"x", **common)["ETag"] for n in (1, 2)}
    parts = [{"PartNumber": n, "ETag": etag or sent.get(n, '"0"')} for n in numbers]
    refused = lambda: s3.complete_multipart_upload(  # noqa: E731
        MultipartUpload={"Parts": parts}, **common
    )
    assert code_of(refused) == code


def test_a_part_may_come_from_another_object(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    made = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    common = {"Bucket": bucket, "Key": "k", "UploadId": made}
    source = {"CopySource": f"{bucket}/source", "CopySourceRange": "bytes=2-4"}
    sent = s3.upload_part_copy(PartNumber=1, **source, **common)["CopyPartResult"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": sent["ETag"]}]}
    s3.complete_multipart_upload(MultipartUpload=parts, **common)
    assert read(s3, bucket, "k") == b"234"


def test_listing_pages_through_a_bucket(s3: Any, bucket: str) -> None:
    keys = [f"d/{n:02}" for n in range(7)] + ["e"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 3}
    )
    assert [[o["Key"] for o in page["Contents"]] for page in pages] == [
        keys[:3],
        keys[3:6],
        keys[6:],
    ]
    old = s3.get_paginator("list_objects").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
    assert [o["Key"] for page in old for o in page["Contents"]] == keys


def test_listing_rolls_up_at_a_delimiter(s3: Any, bucket: str) -> None:
    for key in ("a", "d/1", "d/2", "d/e/3", "f/4", "z ü"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [o["Key"] for o in page["Contents"]] == ["a", "z ü"]
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["d/", "f/"]
    inner = s3.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix="d/")
    assert [o["Key"] for o in inner["Contents"]] == ["d/1", "d/2"]
    assert [p["Prefix"] for p in inner["CommonPrefixes"]] == ["d/e/"]
    after = s3.list_objects_v2(Bucket=bucket, StartAfter="d/2", MaxKeys=1)
    assert ([o["Key"] for o in after["Contents"]], after["IsTruncated"]) == (["d/e/3"], True)


def test_a_listed_object_has_the_etag_of_its_head(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc")
    [listed] = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"]
    assert listed["ETag"] == s3.head_object(Bucket=bucket, Key="k")["ETag"]
    assert (listed["Size"], listed["Owner"]["ID"]) == (3, "123456789012")


def test_a_folder_marker_is_an_empty_object(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="raw/", Body=b"")
    s3.put_object(Bucket=bucket, Key="raw/a.csv", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="raw/")["ContentLength"] == 0
    assert read(s3, bucket, "raw/") == b""
    page = s3.list_objects_v2(Bucket=bucket, Prefix="raw/", Delimiter="/")
    assert [o["Key"] for o in page["Contents"]] == ["raw/", "raw/a.csv"]
    assert code_of(lambda: s3.head_object(Bucket=bucket, Key="other/")) == "404"
    full = lambda: s3.put_object(Bucket=bucket, Key="raw/", Body=b"x")  # noqa: E731
    assert code_of(full) == "InvalidArgument"
    s3.copy_object(Bucket=bucket, Key="new/", CopySource=f"{bucket}/raw/")
    for key in ("raw/", "raw/a.csv", "new/"):
        s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)


def test_a_copy_has_the_bytes_and_the_metadata(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a b", Body=b"abc", Metadata={"x": "1"})
    source = {"Bucket": bucket, "Key": "a b"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    s3.copy_object(
        Bucket=bucket,
        Key="new",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"y": "2"},
    )
    assert read(s3, bucket, "kept") == b"abc"
    assert s3.head_object(Bucket=bucket, Key="kept")["Metadata"] == {"x": "1"}
    assert s3.head_object(Bucket=bucket, Key="new")["Metadata"] == {"y": "2"}
    onto_itself = lambda: s3.copy_object(Bucket=bucket, Key="a b", CopySource=source)  # noqa: E731
    assert code_of(onto_itself) == "InvalidRequest"


def test_deleting_one_and_many(s3: Any, bucket: str) -> None:
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_object(Bucket=bucket, Key="a")
    s3.delete_object(Bucket=bucket, Key="never")
    listed = {"Objects": [{"Key": "b"}, {"Key": "../x"}, {"Key": "c"}]}
    answer = s3.delete_objects(Bucket=bucket, Delete=listed)
    assert [d["Key"] for d in answer["Deleted"]] == ["b", "c"]
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("../x", "InvalidArgument")]
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_bucket_lives_and_goes(s3: Any) -> None:
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert name in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-central-1"
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "eu-central-1"
    again = lambda: s3.create_bucket(  # noqa: E731
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    assert code_of(again) == "BucketAlreadyOwnedByYou"
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    assert code_of(lambda: s3.delete_bucket(Bucket=name)) == "BucketNotEmpty"
    s3.delete_object(Bucket=name, Key="k")
    s3.delete_bucket(Bucket=name)
    assert code_of(lambda: s3.head_bucket(Bucket=name)) == "404"


def test_making_ones_bucket_again_in_us_east_1_is_no_error(s3: Any, bucket: str) -> None:
    assert s3.create_bucket(Bucket=bucket)["Location"] == f"/{bucket}"
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


@pytest.mark.parametrize(
    ("operation", "request_", "code"),
    [
        ("get_object", {"Key": "none"}, "NoSuchKey"),
        ("head_object", {"Key": "none"}, "404"),
        ("get_object", {"Bucket": "no-such-bucket", "Key": "k"}, "NoSuchBucket"),
        ("put_object", {"Bucket": "no-such-bucket", "Key": "k"}, "NoSuchBucket"),
        ("list_objects_v2", {"Bucket": "no-such-bucket"}, "NoSuchBucket"),
        ("copy_object", {"Key": "k", "CopySource": "no-such-bucket/k"}, "NoSuchBucket"),
        ("put_object", {"Key": "a//b"}, "InvalidArgument"),
        ("put_object", {"Key": "a/../b"}, "InvalidArgument"),
        ("put_object", {"Key": "a\nb"}, "InvalidArgument"),
        ("put_object", {"Key": "x" * 1100}, "KeyTooLongError"),
        ("put_object", {"Key": "k", "ACL": "public-read"}, "NotImplemented"),
        ("put_object", {"Key": "k", "Tagging": "a=b"}, "NotImplemented"),
        ("get_object", {"Key": "k", "VersionId": "v1"}, "NoSuchKey"),
        ("get_bucket_policy", {}, "NoSuchBucketPolicy"),
        ("put_bucket_policy", {"Policy": "{"}, "MalformedPolicy"),
        ("get_bucket_acl", {}, "NotImplemented"),
        ("create_bucket", {"Bucket": "a..b"}, "InvalidBucketName"),
    ],
)
def test_what_is_wrong_has_its_code(
    s3: Any, bucket: str, operation: str, request_: dict[str, Any], code: str
) -> None:
    call = lambda: getattr(s3, operation)(**{"Bucket": bucket, **request_})  # noqa: E731
    assert code_of(call) == code


def test_a_key_under_an_object_is_refused(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert code_of(lambda: s3.get_object(Bucket=bucket, Key="a/b")) == "NoSuchKey"
    assert code_of(lambda: s3.put_object(Bucket=bucket, Key="a/b", Body=b"x")) == "InvalidArgument"


def test_a_bucket_policy_is_kept_and_its_deny_counts(s3: Any, bucket: str) -> None:
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{bucket}/secret/*",
            },
        }
    )
    for key in ("secret/a", "open"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == policy
    assert code_of(lambda: s3.get_object(Bucket=bucket, Key="secret/a")) == "AccessDenied"
    assert read(s3, bucket, "open") == b"x"
    s3.delete_bucket_policy(Bucket=bucket)
    assert read(s3, bucket, "secret/a") == b"x"


def test_a_bucket_policy_speaks_of_its_own_bucket(s3: Any, bucket: str) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "personalize.amazonaws.com"},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    right = {"Version": "2012-10-17", "Id": "PersonalizeS3BucketAccessPolicy"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(right | {"Statement": [statement]}))
    other = statement | {"Resource": "arn:aws:s3:::other/*"}
    wrong = lambda: s3.put_bucket_policy(  # noqa: E731
        Bucket=bucket, Policy=json.dumps(right | {"Statement": [other]})
    )
    assert code_of(wrong) == "MalformedPolicy"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_addresses_work_without_keys(server: Any, bucket: str, version: str) -> None:
    s3 = server.client("s3", signature_version=version)
    where = {"Bucket": bucket, "Key": "a b"}
    address = s3.generate_presigned_url("put_object", Params=where)
    put = urllib.request.Request(address, b"abc", {"Content-Type": ""}, method="PUT")
    assert urllib.request.urlopen(put).status == 200
    options = {"ResponseContentType": "text/csv"}
    get = s3.generate_presigned_url("get_object", Params=where | options)
    with urllib.request.urlopen(get) as answer:
        assert (answer.read(), answer.headers["content-type"]) == (b"abc", "text/csv")
    assert _status(get.replace("a%20b", "other")) == 403
    assert _status(get.replace("text", "html")) == 403
    ended = s3.generate_presigned_url("get_object", Params=where, ExpiresIn=1)
    time.sleep(2.1)
    assert _status(ended) == 403


def _status(address: str | urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(address) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_the_bucket_may_be_in_the_host_name(server: Any, bucket: str) -> None:
    host = server.url.replace("127.0.0.1", "localhost")
    style = Config(s3={"addressing_style": "virtual"})
    s3 = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=host,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=style,
    )
    s3.meta.events.register("before-send.s3", _to_loopback)
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc")
    assert read(s3, bucket, "k") == b"abc"


def _to_loopback(request: Any, **_: Any) -> None:
    """What a resolver that knows *.localhost does."""
    host, _, rest = request.url.partition("//")[2].partition("/")
    assert host.count(".localhost") == 1
    request.headers["Host"] = host
    request.url = f"http://127.0.0.1:{host.rpartition(':')[2]}/{rest}"


@pytest.mark.parametrize(
    "payload", [{"payload_signing_enabled": True}, {"payload_signing_enabled": False}]
)
@pytest.mark.parametrize("checksums", ["when_supported", "when_required"])
def test_every_way_boto3_sends_a_body(
    server: Any, bucket: str, payload: dict[str, bool], checksums: str
) -> None:
    s3 = server.client("s3", s3=payload, request_checksum_calculation=checksums)
    s3.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(b"abc" * 100_000))
    assert read(s3, bucket, "k") == b"abc" * 100_000


@pytest.mark.parametrize(("trailer", "status"), [("NSRBwg==", 200), ("AAAAAA==", 400), (None, 400)])
def test_a_streamed_body_ends_in_its_checksum(
    server: Any, s3: Any, bucket: str, trailer: str | None, status: int
) -> None:
    """What SDKs send over https: unsigned chunks and a CRC-32 after them."""
    last = f"x-amz-checksum-crc32:{trailer}\r\n" if trailer else ""
    body = f"2\r\nab\r\n1\r\nc\r\n0\r\n{last}\r\n".encode()
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "X-Amz-Decoded-Content-Length": "3",
        "X-Amz-Trailer": "x-amz-checksum-crc32",
    }
    request = AWSRequest("PUT", f"{server.url}/{bucket}/k", headers, body)
    credentials = Credentials(server.access_key, server.secret_key)
    SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    sent = urllib.request.Request(request.url, body, dict(request.headers), method="PUT")
    assert _status(sent) == status
    if status == 200:
        assert read(s3, bucket, "k") == b"abc"
        assert "ContentEncoding" not in s3.head_object(Bucket=bucket, Key="k")


def test_a_wrong_secret_is_refused(server: Any) -> None:
    s3 = server.client("s3", secret_key="wrong")
    assert code_of(s3.list_buckets) == "SignatureDoesNotMatch"


def test_an_unknown_key_is_refused(server: Any) -> None:
    s3 = server.client("s3", access_key="AKIAUNKNOWN")
    assert code_of(s3.list_buckets) == "InvalidAccessKeyId"
