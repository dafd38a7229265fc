"""Microseconds of the wire layer alone: route, parse and check, render; the same operations through
botocore's ParamValidator (which only checks) in the same run.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from tailorbird.access import Access, AccessKey
from tailorbird.clock import SystemClock
from tailorbird.gateway import SERVICES, Gateway
from tailorbird.gateway.services import Table
from tailorbird.gateway.wire import Request, api
from tailorbird.settings import load

ROUNDS = 7
ROUND_SECONDS = 0.1
WHOLE_CALLS = 500
CAMPAIGN = "arn:aws:personalize:us-east-1:123456789012:campaign/shop"


def endpoint(number: int) -> dict[str, Any]:
    return {
        "Id": f"endpoint-{number}",
        "Address": f"person{number}@example.com",
        "ChannelType": "EMAIL",
        "OptOut": "NONE",
        "Attributes": {"Interests": ["cooking", "garden"], "Plan": ["gold"]},
        "Metrics": {"Orders": 3.0, "Spent": 99.5},
        "Demographic": {"Locale": "en_GB", "Timezone": "Europe/London", "AppVersion": "1.2"},
        "Location": {"City": "Leeds", "Country": "GB", "PostalCode": "LS1"},
        "User": {"UserId": f"u{number}", "UserAttributes": {"FirstName": ["Ana"], "Age": ["41"]}},
    }


BATCH = {"Item": [endpoint(number) for number in range(50)]}
RECOMMEND = {"campaignArn": CAMPAIGN, "userId": "u1", "numResults": 25}
EVENTS = {
    "trackingId": "t",
    "userId": "u1",
    "sessionId": "s",
    "eventList": [{"eventType": "view", "sentAt": 1.5e9, "itemId": "i1", "properties": "{}"}],
}
ITEMS = [{"itemId": f"item-{n}", "score": 1 / (n + 1)} for n in range(25)]

# service, operation, method, path, headers, body, what boto3 is given, the answer
CASES: list[Any] = [
    (
        "personalize-runtime",
        "GetRecommendations",
        "POST",
        "/recommendations",
        {},
        RECOMMEND,
        RECOMMEND,
        {"itemList": ITEMS, "recommendationId": "RID-1"},
    ),
    ("personalize-events", "PutEvents", "POST", "/events", {}, EVENTS, EVENTS, {}),
    (
        "pinpoint",
        "UpdateEndpointsBatch",
        "PUT",
        "/v1/apps/a1b2/endpoints",
        {},
        BATCH,
        {"ApplicationId": "a1b2", "EndpointBatchRequest": BATCH},
        {"MessageBody": {"Message": "Accepted", "RequestID": "r"}},
    ),
    (
        "lambda",
        "Invoke",
        "POST",
        "/2015-03-31/functions/hook/invocations",
        {"x-amz-invocation-type": "RequestResponse"},
        {"key": "value"},
        {"FunctionName": "hook", "Payload": b'{"key":"value"}'},
        {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": b'{"key":"value"}'},
    ),
]


def main() -> None:
    print(
        f"{'operation':<24}{'body':>8}{'route':>9}{'parse':>9}{'render':>9}{'orjson':>9}"
        f"{'botocore checks':>17}   microseconds, medians"
    )
    for service, name, method, path, headers, body, params, answer in CASES:
        sent = json.dumps(body).encode()
        request = Request(method, path, {}, dict(headers), sent)
        served = api(service)
        operation = served.find(request)
        assert operation is not None
        assert operation.name == name
        model = ServiceModel(Loader().load_service_model(service, "service-2"))
        shape = model.operation_model(name).input_shape
        calls: list[Callable[[], object]] = [
            lambda: served.find(request),  # noqa: B023
            lambda: operation.parse(request),  # noqa: B023
            lambda: operation.render(answer, "request-1"),  # noqa: B023
            lambda: orjson.loads(sent),  # noqa: B023
            lambda: ParamValidator().validate(params, shape),  # noqa: B023
        ]
        times = [median_us(call) for call in calls]
        print(
            f"{name:<24}{len(sent):>6} B"
            + "".join(f"{t:>9.1f}" for t in times[:4])
            + f"{times[4]:>17.1f}"
            + f"   x{times[4] / (times[0] + times[1]):.1f} of route+parse"
        )

    inline, threaded = whole_call(frozenset({"GetRecommendations"})), whole_call(frozenset())
    print(
        f"GetRecommendations signed, through the whole gateway: {inline:.0f} us on the event loop,"
        f" {threaded:.0f} us by way of a thread"
    )


def whole_call(inline: frozenset[str]) -> float:
    """Microseconds of a signed GetRecommendations through the whole gateway, without a socket."""
    clock = SystemClock()
    key = AccessKey("AKIDEXAMPLE", "secret", "123456789012", "arn:aws:iam::123456789012:root")
    settings = load({}, environment={})
    room = Access(None, clock, settings, {key.id: (key, clock.now())})  # type: ignore[arg-type]
    answer = {"itemList": ITEMS, "recommendationId": "RID-1"}
    table = Table({"GetRecommendations": lambda *_: answer}, inline)
    gateway = Gateway(room, {}, settings, clock, {s.key: table for s in SERVICES})
    body = json.dumps(RECOMMEND).encode()
    signed = AWSRequest("POST", "http://localhost/recommendations", data=body)
    SigV4Auth(Credentials(key.id, key.secret), "personalize", "us-east-1").add_auth(signed)
    headers = [(b"host", b"localhost")]
    headers += [(n.lower().encode(), v.encode()) for n, v in signed.headers.items()]
    path = "/recommendations"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": headers}
    statuses: set[int] = set()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        statuses.add(message.get("status", 200))

    async def calls() -> float:
        rounds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for _ in range(WHOLE_CALLS):
                await gateway(scope, receive, send)
            rounds.append((time.perf_counter() - start) / WHOLE_CALLS * 1e6)
        return statistics.median(rounds)

    took = asyncio.run(calls())
    gateway.close()
    assert statuses == {200}
    return took


def median_us(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    count = max(1, int(ROUND_SECONDS / max(time.perf_counter() - start, 1e-7)))

    def one_round() -> float:
        start = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - start) / count * 1e6

    return statistics.median(one_round() for _ in range(ROUNDS))


if __name__ == "__main__":
    main()
