"""Microseconds to verify one signature, against botocore's own signing of the same request."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tailorbird.access import AccessKey, verify

ROUNDS, CALLS = 7, 2_000
KEY = AccessKey("AKIDEXAMPLE", "wJalrXUtnFEMI", "123456789012", "arn:aws:iam::123456789012:root")
CASES = {
    "GetRecommendations, 60 B": ("POST", "/recommendations", "personalize", b"x" * 60),
    "UpdateEndpointsBatch, 17 KB": (
        "PUT",
        "/v1/apps/a/endpoints",
        "mobiletargeting",
        b"x" * 17_000,
    ),
    "GetSegments, no body": ("GET", "/v1/apps/a/segments?page-size=100", "mobiletargeting", b""),
}


def main() -> None:
    for name, (method, path, service, body) in CASES.items():
        ours = median_us(verifier(method, path, service, body))
        theirs = median_us(botocore_signer(method, path, service, body))
        print(
            f"{name:<28} verify {ours:6.1f} us   botocore {theirs:6.1f} us   x{theirs / ours:.1f}"
        )


def verifier(method: str, path: str, service: str, body: bytes) -> Callable[[], object]:
    request = AWSRequest(method, f"http://localhost:8080{path}", {"Content-Type": "json"}, body)
    auth.SigV4Auth(Credentials(KEY.id, KEY.secret), service, "us-east-1").add_auth(request)
    address = urlsplit(request.url)
    headers = [(b"host", b"localhost:8080"), (b"user-agent", b"Boto3/1.44.5"), (b"accept", b"*/*")]
    headers += [(n.lower().encode(), v.encode()) for n, v in request.headers.items()]
    raw_path, raw_query = address.path.encode(), address.query.encode()
    now = datetime.now(UTC).timestamp()
    keys = {KEY.id: KEY}.get
    return lambda: verify(method, raw_path, raw_query, headers, body, secret_for=keys, now=now)


def botocore_signer(method: str, path: str, service: str, body: bytes) -> Callable[[], object]:
    signer = auth.SigV4Auth(Credentials(KEY.id, KEY.secret), service, "us-east-1")
    request = AWSRequest(method, f"http://localhost:8080{path}", {"Content-Type": "json"}, body)
    request.context["timestamp"] = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]

    def sign() -> str:
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return str(signer.signature(text, request))

    return sign


def median_us(call: Callable[[], object]) -> float:
    def one_round() -> float:
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        return (time.perf_counter() - start) / CALLS * 1e6

    return statistics.median(one_round() for _ in range(ROUNDS))


if __name__ == "__main__":
    main()
