"""The buckets in which Tailorbird keeps its own things."""

import io
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

HOUSE = "tailorbird-functions"


@pytest.fixture
def location(server: Any) -> Iterator[str]:
    """Where GetFunction says the code of a function lies."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return event")
    functions = server.client("lambda")
    functions.create_function(
        FunctionName="kept",
        Runtime="python3.11",
        Role="arn:aws:iam::123456789012:role/functions",
        Handler="index.handler",
        Code={"ZipFile": packed.getvalue()},
    )
    yield functions.get_function(FunctionName="kept")["Code"]["Location"]
    functions.delete_function(FunctionName="kept")


def test_a_house_bucket_is_not_listed_and_not_written(server: Any, location: str) -> None:
    s3 = server.client("s3")
    assert HOUSE in location
    assert HOUSE not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for refused in (
        lambda: s3.list_objects_v2(Bucket=HOUSE),
        lambda: s3.put_object(Bucket=HOUSE, Key="x", Body=b"x"),
        lambda: s3.delete_bucket(Bucket=HOUSE),
        lambda: s3.create_bucket(Bucket=HOUSE),
    ):
        with pytest.raises(ClientError) as said:
            refused()
        assert said.value.response["Error"]["Code"] == "AccessDenied"


def test_what_an_answer_points_to_in_a_house_bucket_is_read(server: Any, location: str) -> None:
    with urllib.request.urlopen(location) as answer:
        assert zipfile.ZipFile(io.BytesIO(answer.read())).namelist() == ["index.py"]
