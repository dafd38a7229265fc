"""Signatures by botocore's own signers are accepted; anything changed on the way is not."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore import auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.credentials import Credentials

from tailorbird.access import AccessKey, Signed, sigv4, verify
from tailorbird.errors import Denied

KEY = AccessKey("AKIDEXAMPLE", "wJalrXUtnFEMI", "123456789012", "arn:aws:iam::123456789012:root")
SESSION = replace(KEY, id="ASIAEXAMPLE", session_token="token+/=", expires=4_000_000_000.0)
KEYS = {KEY.id: KEY, SESSION.id: SESSION}
NAMES = {"sigv4": auth.SigV4Auth, "s3": auth.S3SigV4Auth}


def signed(
    method: str = "POST",
    path: str = "/v1/apps/a/endpoints",
    *,
    service: str = "mobiletargeting",
    region: str = "eu-west-1",
    key: AccessKey = KEY,
    body: bytes = b'{"x":1}',
    signer: Any = auth.SigV4Auth,
    **headers: str,
) -> AWSPreparedRequest:
    request = AWSRequest(method, f"http://localhost:8080{path}", dict(headers), body)
    signer(Credentials(key.id, key.secret, key.session_token), service, region).add_auth(request)
    return request.prepare()


def check(request: AWSPreparedRequest, **changed: Any) -> Signed:
    address = urlsplit(request.url)
    headers = [(b"host", b"localhost:8080")] + [
        (name.lower().encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in request.headers.items()
        if name.lower() != "host"
    ]
    given: dict[str, Any] = {
        "method": request.method,
        "raw_path": address.path.encode(),
        "raw_query": address.query.encode(),
        "headers": headers,
        "body": request.body or b"",
        "secret_for": KEYS.get,
        "now": datetime.now(UTC).timestamp(),
    }
    given |= changed
    arguments = [given.pop(n) for n in ("method", "raw_path", "raw_query", "headers", "body")]
    return verify(*arguments, **given)


def code_of(request: AWSPreparedRequest, **changed: Any) -> str | None:
    with pytest.raises(Denied) as refused:
        check(request, **changed)
    return refused.value.code


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/apps",
        "/v1/apps/a/endpoints/eqmj8wpxszeqy%2Fb3vch04sn41yw",
        "/v1/tags/arn%3Aaws%3Amobiletargeting%3Aus-east-1%3A1%3Aapps%2Fa?tagKeys=a&tagKeys=b",
        "/a//b/./c/../d/",
        "/caf%C3%A9/%20x",
        "/v1/apps?token=a%2Bb&page-size=10&empty=&flag",
        "/v1/apps?z=1&a=2&A=3&aa=~",
    ],
)
def test_what_botocore_signs_is_accepted(path: str) -> None:
    found = check(signed(path=path))
    assert (found.access_key, found.region, found.service) == (KEY, "eu-west-1", "mobiletargeting")


@pytest.mark.parametrize(
    "path", ["/b", "/b/a%20b", "/b//x/../y", "/b/caf%C3%A9%2B.csv", "/b/k?uploads", "/b/~x%25"]
)
def test_s3_paths_are_encoded_once(path: str) -> None:
    request = signed("PUT", path, service="s3", signer=auth.S3SigV4Auth)
    assert check(request).service == "s3"


def test_a_body_given_is_verified() -> None:
    assert check(signed()).payload_verified


def test_a_body_read_later_is_not_verified_yet() -> None:
    request = signed("PUT", "/b/k", service="s3", signer=auth.S3SigV4Auth, body=b"abc")
    found = check(request, body=None)
    assert (found.payload_verified, len(found.payload)) == (False, 64)


def test_a_session_key_is_accepted_with_its_token() -> None:
    assert check(signed(key=SESSION)).access_key == SESSION


def test_header_values_are_trimmed_and_their_spaces_collapsed() -> None:
    assert check(signed(**{"X-Amz-Target": "  Amazon   Personalize.Create  "}))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"method": "PUT"}, "SignatureDoesNotMatch"),
        ({"raw_path": b"/v1/apps/b/endpoints"}, "SignatureDoesNotMatch"),
        ({"raw_query": b"x=1"}, "SignatureDoesNotMatch"),
        ({"body": b"{}"}, "SignatureDoesNotMatch"),
        ({"headers": []}, "MissingAuthenticationToken"),
        ({"secret_for": {}.get}, "InvalidClientTokenId"),
        ({"secret_for": {KEY.id: replace(KEY, secret="other")}.get}, "SignatureDoesNotMatch"),
        ({"now": datetime.now(UTC).timestamp() + 86_400}, "RequestExpired"),
        ({"now": datetime.now(UTC).timestamp() - 86_400}, "RequestExpired"),
    ],
)
def test_anything_changed_is_refused(changed: dict[str, Any], code: str) -> None:
    assert code_of(signed(), **changed) == code


def test_the_skew_is_a_choice() -> None:
    assert check(signed(), now=datetime.now(UTC).timestamp() + 400, skew_seconds=900)


def test_an_expired_session_is_refused_by_name() -> None:
    ended = replace(SESSION, expires=1.0)
    assert code_of(signed(key=ended), secret_for={ended.id: ended}.get) == "ExpiredToken"


@pytest.mark.parametrize("token", [None, "other"])
def test_a_session_key_without_its_token_is_refused(token: str | None) -> None:
    assert code_of(signed(key=replace(SESSION, session_token=token))) == "InvalidClientTokenId"


def test_a_permanent_key_with_a_token_is_refused() -> None:
    assert code_of(signed(key=replace(KEY, session_token="t"))) == "InvalidClientTokenId"


def test_an_amz_header_added_on_the_way_is_refused() -> None:
    request = signed()
    request.headers["X-Amz-Target"] = "AmazonPersonalize.DeleteCampaign"
    assert code_of(request) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer abc",
        "AWS AKID:signature",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=short, SignedHeaders=host, Signature=x",
        "AWS4-HMAC-SHA256 Credential=a/20260101/r/s/other, SignedHeaders=host, Signature=x",
    ],
)
def test_a_broken_authorization_says_what_is_missing(authorization: str) -> None:
    headers = [(b"host", b"h"), (b"authorization", authorization.encode())]
    assert code_of(signed(), headers=headers) == "IncompleteSignature"


@pytest.mark.parametrize("date", [b"", b"yesterday", b"20261399T000000Z", b"2026-11-21"])
def test_a_broken_date_says_so(date: bytes) -> None:
    credential = b"AKIDEXAMPLE/20261121/r/s/aws4_request"
    headers = [
        (b"host", b"h"),
        (b"x-amz-date", date),
        (
            b"authorization",
            b"AWS4-HMAC-SHA256 Credential=%b,SignedHeaders=host,Signature=x" % credential,
        ),
    ]
    assert code_of(signed(), headers=headers) == "IncompleteSignature"


def test_a_scope_of_another_day_is_refused() -> None:
    request = signed()
    request.headers["X-Amz-Date"] = "20200101T000000Z"
    assert code_of(request) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("service", "signer"),
    [("s3", auth.S3SigV4QueryAuth), ("sts", auth.SigV4QueryAuth)],
)
@pytest.mark.parametrize("key", [KEY, SESSION])
def test_presigned_addresses_are_accepted_until_they_expire(
    service: str, signer: Any, key: AccessKey
) -> None:
    request = signed("GET", "/b/a%20b?x=1", service=service, key=key, signer=signer, body=b"")
    assert check(request).access_key == key
    assert check(request, now=datetime.now(UTC).timestamp() + 3590)
    assert code_of(request, now=datetime.now(UTC).timestamp() + 3610) == "RequestExpired"


@pytest.mark.parametrize(
    ("text", "replaced", "code"),
    [
        ("X-Amz-Expires=3600", "X-Amz-Expires=604801", "IncompleteSignature"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=9999", "SignatureDoesNotMatch"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=soon", "IncompleteSignature"),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=", "IncompleteSignature"),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=none", "IncompleteSignature"),
        ("/b/k", "/b/other", "SignatureDoesNotMatch"),
    ],
)
def test_a_changed_presigned_address_is_refused(text: str, replaced: str, code: str) -> None:
    request = signed("GET", "/b/k", service="s3", signer=auth.S3SigV4QueryAuth, body=b"")
    request.url = request.url.replace(text, replaced)
    assert code_of(request) == code


def test_an_unsigned_payload_is_accepted_and_said_so() -> None:
    request = AWSRequest("PUT", "http://localhost:8080/b/k", {}, b"abc")
    request.context["payload_signing_enabled"] = False
    request.context["client_config"] = None
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    auth.SigV4Auth(Credentials(KEY.id, KEY.secret), "s3", "us-east-1").add_auth(request)
    found = check(request.prepare())
    assert (found.payload, found.payload_verified) == ("UNSIGNED-PAYLOAD", False)


def test_a_declared_digest_is_compared_with_the_body() -> None:
    request = signed("PUT", "/b/k", service="s3", signer=auth.S3SigV4Auth, body=b"abc")
    assert code_of(request, body=b"abd") == sigv4.BODY_MISMATCH


def test_every_code_is_listed() -> None:
    assert len(set(sigv4.CODES)) == 7
