"""The compiler's corners: patterns, routes, bounds, timestamps."""

from __future__ import annotations

import re

import pytest

from tailorbird.errors import Invalid
from tailorbird.gateway.services import SERVICES
from tailorbird.gateway.wire import Refused, Request, api
from tailorbird.gateway.wire.check import pattern, scalar
from tailorbird.gateway.wire.json_in import document
from tailorbird.gateway.wire.model import load
from tailorbird.gateway.wire.moments import read, write

APP = "arn%3Aaws%3Amobiletargeting%3Aus-east-1%3A1%3Aapps%2Fa1"
LAYER = "/2018-10-31/layers"


@pytest.mark.parametrize("service", [service.key for service in SERVICES])
def test_every_pattern_of_the_models_can_be_read(service: str) -> None:
    for shape in load(service).shapes.values():
        if "pattern" in shape:
            assert isinstance(pattern(shape["pattern"]), re.Pattern)


@pytest.mark.parametrize(
    ("java", "fits", "does_not"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Zoë 1_a/b@c", "a*b"),
        (r"\p{ASCII}{0,5}", "abc", "é"),
        (r"[\w-_]*", "a-b_c", "a b"),
        (r"[a-z]+", "abc", "abc\n"),
        (r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)", "/a/", "/a"),
    ],
)
def test_a_java_pattern_matches_whole_strings(java: str, fits: str, does_not: str) -> None:
    assert pattern(java).fullmatch(fits)
    assert not pattern(java).fullmatch(does_not)


# service, method, path with query, operation, labels
ROUTES = [
    ("pinpoint", "GET", "/v1/apps", "GetApps", {}),
    ("pinpoint", "GET", "/v1/apps/", "GetApps", {}),
    ("pinpoint", "GET", "/v1/apps/a+b%20c", "GetApp", {"application-id": "a+b c"}),
    ("pinpoint", "GET", "/v1/apps//segments", None, None),
    ("pinpoint", "GET", f"/v1/tags/{APP}", "ListTagsForResource", None),
    (
        "pinpoint",
        "GET",
        "/v1/tags/arn:aws:mobiletargeting:us-east-1:1:apps/a1",
        "ListTagsForResource",
        {"resource-arn": "arn:aws:mobiletargeting:us-east-1:1:apps/a1"},
    ),
    ("lambda", "GET", LAYER, "ListLayers", {}),
    ("lambda", "GET", f"{LAYER}?find=LayerVersion&Arn=a", "GetLayerVersionByArn", {}),
    ("lambda", "GET", "/2015-03-31/functions/", "ListFunctions", {}),
    ("s3", "GET", "/", "ListBuckets", {}),
    ("s3", "GET", "/b", "ListObjects", {"Bucket": "b"}),
    ("s3", "GET", "/b/", "ListObjects", {"Bucket": "b"}),
    ("s3", "GET", "/b?list-type=2", "ListObjectsV2", {"Bucket": "b"}),
    ("s3", "GET", "/b?location", "GetBucketLocation", {"Bucket": "b"}),
    ("s3", "POST", "/b?delete", "DeleteObjects", {"Bucket": "b"}),
    ("s3", "GET", "/b/k", "GetObject", {"Bucket": "b", "Key": "k"}),
    ("s3", "GET", "/b//a%2Fb/", "GetObject", {"Bucket": "b", "Key": "/a/b/"}),
    ("s3", "PUT", "/b/k", "PutObject", {"Bucket": "b", "Key": "k"}),
    ("s3", "PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart", {"Bucket": "b", "Key": "k"}),
    ("s3", "POST", "/b/k?uploads", "CreateMultipartUpload", {"Bucket": "b", "Key": "k"}),
    ("s3", "POST", "/b/k?uploadId=u", "CompleteMultipartUpload", {"Bucket": "b", "Key": "k"}),
    ("s3", "DELETE", "/b/k?uploadId=u", "AbortMultipartUpload", {"Bucket": "b", "Key": "k"}),
    ("s3", "GET", "/b/k?uploadId=u", "ListParts", {"Bucket": "b", "Key": "k"}),
]


@pytest.mark.parametrize(("service", "method", "address", "name", "labels"), ROUTES)
def test_a_path_leads_to_its_operation(
    service: str, method: str, address: str, name: str | None, labels: dict[str, str] | None
) -> None:
    path, _, query = address.partition("?")
    given = {p.partition("=")[0]: [p.partition("=")[2]] for p in query.split("&") if p}
    request = Request(method, path, given, {}, b"")
    found = api(service).find(request)
    assert (found.name if found else None) == name
    if labels is not None:
        assert request.labels == labels


def test_a_copy_is_told_from_a_put_by_its_header() -> None:
    request = Request("PUT", "/b/k", {}, {"x-amz-copy-source": "/b/other"}, b"")
    found = api("s3").find(request)
    assert found is not None
    assert found.name == "CopyObject"


@pytest.mark.parametrize(
    ("shape", "value", "kept"),
    [
        ({"type": "integer"}, 3.0, 3),
        ({"type": "double"}, 3, 3.0),
        ({"type": "timestamp"}, "2026-11-21T00:00:00Z", 1795219200.0),
        ({"type": "timestamp"}, "1795219200.5", 1795219200.5),
        ({"type": "blob"}, "AAE=", b"\x00\x01"),
        ({"type": "string", "enum": ["a"]}, "a", "a"),
    ],
)
def test_a_value_is_kept_as_the_shape_wants_it(shape: dict, value: object, kept: object) -> None:
    assert scalar(shape)(value) == kept


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ({"type": "integer"}, 2**31),
        ({"type": "integer"}, True),
        ({"type": "integer"}, 1.5),
        ({"type": "long"}, 2**63),
        ({"type": "double"}, "1"),
        ({"type": "boolean"}, 1),
        ({"type": "string"}, ["a"]),
        ({"type": "string", "enum": ["a"]}, {}),
        ({"type": "string", "min": 1}, ""),
        ({"type": "timestamp"}, 1_795_219_200_000),  # milliseconds
        ({"type": "timestamp"}, "yesterday"),
        ({"type": "timestamp"}, True),
        ({"type": "blob"}, "AAE"),
        ({"type": "blob", "max": 1}, "AAE="),
    ],
)
def test_a_value_that_does_not_fit_is_refused(shape: dict, value: object) -> None:
    with pytest.raises(Refused):
        scalar(shape)(value)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nul",
        b"[1,]",
        b'"\\ud800"',
        b"\xff",
        b"[" * 2000,
        b"NaN",
        b"1e999",
        b'{"a": {"b": ["\\u0000"]}}',
        b'{"\\u0000": 1}',
        b"[" * 1000 + b'"\\u0000"' + b"]" * 1000,
    ],
)
def test_json_that_cannot_be_stored_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        document(body)


def test_a_backslash_before_u0000_is_only_text() -> None:
    assert document(rb'{"a": "\\u0000"}') == {"a": r"\u0000"}


@pytest.mark.parametrize("form", ["iso8601", "rfc822", "unixTimestamp"])
def test_an_instant_survives_each_of_its_forms(form: str) -> None:
    assert read(write(1_795_219_200.0, form)) == 1_795_219_200.0


@pytest.mark.parametrize("body", [b"\xff", b'{"a": "\x00"}'])
def test_a_text_body_that_cannot_be_stored_is_refused(body: bytes) -> None:
    request = Request("PUT", "/b", {"policy": [""]}, {}, body)
    found = api("s3").find(request)
    assert found is not None
    with pytest.raises(Invalid):
        found.parse(request)
