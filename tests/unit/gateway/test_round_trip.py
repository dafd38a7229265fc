"""Every operation of every served service, both ways through botocore's own code."""

from __future__ import annotations

import functools
import zlib
from typing import Any
from urllib.parse import urlencode, urlsplit

import botocore.parsers
import botocore.serialize
import pytest
from botocore.awsrequest import prepare_request_dict
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from tailorbird.gateway.services import SERVICES
from tailorbird.gateway.wire import Operation, Request, api
from tailorbird.gateway.wire.message import parse_query

from .samples import NoSample, Sampler, plain

SEEDS = (1, 2)
# Event streams (not built), and forms only boto3's own handlers can read.
UNSPOKEN = {
    "InvokeWithResponseStream",
    "StartLiveTail",
    "GetLogObject",
    "SelectObjectContent",
    "GetBucketLocation",  # boto3 reads its root element in a handler of its own
    "GetBucketNotification",  # superseded; two members of one element
    "PutBucketNotification",
}


@functools.cache
def model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def operations() -> list[Any]:
    return [
        pytest.param(service.key, name, id=f"{service.key}.{name}")
        for service in SERVICES
        for name in model(service.key).operation_names
        if name not in UNSPOKEN
    ]


def sent(operation: OperationModel, params: dict[str, Any]) -> Request:
    """The request boto3 would put on the wire."""
    protocol = operation.service_model.resolved_protocol
    serializer = botocore.serialize.create_serializer(protocol, include_validation=True)
    made = serializer.serialize_to_request(params, operation)
    prepare_request_dict(made, "http://127.0.0.1")
    url = urlsplit(made["url"])
    body = made["body"]
    body = urlencode(body, doseq=True).encode() if isinstance(body, dict) else body
    headers = {name.lower(): str(value) for name, value in made["headers"].items()}
    if isinstance(body, str):
        body = body.encode()
    return Request(made["method"], url.path, parse_query(url.query.encode()), headers, body or b"")


def seed_of(name: str, seed: int) -> int:
    return zlib.crc32(name.encode()) + seed


@pytest.mark.parametrize(("service", "name"), operations())
def test_what_boto3_sends_arrives_as_it_was_given(service: str, name: str) -> None:
    operation = model(service).operation_model(name)
    for seed in SEEDS:
        params = request_for(operation, seed_of(name, seed))
        request = sent(operation, params)
        found = api(service).find(request)
        assert found is not None
        assert found.name == name or shares_its_path(found, name)
        if found.name == name:
            assert found.parse(request) == plain(params)


@pytest.mark.parametrize(("service", "name"), operations())
def test_what_an_operation_answers_arrives_at_boto3(service: str, name: str) -> None:
    operation = model(service).operation_model(name)
    shape = operation.output_shape
    if shape is None:
        return
    for seed in SEEDS:
        answer = Sampler(seed_of(name, seed), checked=False).sample(shape)
        expected = answer
        payload = shape.serialization.get("payload")
        if payload is not None and payload not in answer:
            continue
        if payload is not None and shape.members[payload].type_name == "blob":
            answer |= {payload: b"[1, 2]"}
            answer |= {"ContentType": "text/plain"} if "ContentType" in shape.members else {}
            expected = answer | {payload: "[1, 2]"}
        assert received(operation, plain(answer)) == expected


def shares_its_path(found: Operation, name: str) -> bool:
    """Whether the model has two names for one thing (S3's superseded operations)."""
    other = api(found.service).model.operations[name]["http"]
    return bool(other == found.spec["http"])


def request_for(operation: OperationModel, seed: int) -> dict[str, Any]:
    if operation.input_shape is None:
        return {}
    try:
        params: dict[str, Any] = Sampler(seed).sample(operation.input_shape)
    except NoSample as missing:
        pytest.skip(f"no sample for {missing}")
    return params


def received(operation: OperationModel, answer: dict[str, Any]) -> dict[str, Any]:
    """What boto3 makes of our reply."""
    service = operation.service_model.service_name
    reply = api(service).operation(operation.name).render(answer, "request-1")
    parser = botocore.parsers.create_parser(operation.service_model.resolved_protocol)
    headers = botocore.awsrequest.HeadersDict(
        {n.decode("latin-1"): v.decode("latin-1") for n, v in reply.headers}
    )
    response = {"status_code": reply.status, "headers": headers, "body": reply.body}
    parsed = parser.parse(response, operation.output_shape)
    parsed.pop("ResponseMetadata", None)
    return dict(parsed)
