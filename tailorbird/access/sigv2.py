"""Presigned S3 addresses in the older form, which boto3 still makes unless told otherwise.

Source: S3 user guide, "Signing and authenticating REST requests (AWS signature version 2)".
"""

import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence

from tailorbird.access.room import AccessKey
from tailorbird.access.sigv4 import (
    EXPIRED_TOKEN,
    INCOMPLETE,
    MISMATCH,
    SKEWED,
    UNKNOWN_KEY,
    UNSIGNED,
    Seed,
    Signed,
)
from tailorbird.errors import Denied

# Query parameters that are part of what is signed.
SIGNED_PARAMETERS = frozenset(
    {
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "delete",
        "inventory",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "partNumber",
        "policy",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "select",
        "select-type",
        "storageClass",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)

Query = Mapping[str, Sequence[str]]


def is_presigned(query: Query) -> bool:
    """True for an address that carries a signature of this form."""
    return {"AWSAccessKeyId", "Signature", "Expires"} <= query.keys()


def verify_presigned(
    method: str,
    path: str,
    query: Query,
    headers: Mapping[str, str],
    *,
    secret_for: Callable[[str], AccessKey | None],
    now: float,
    region: str,
) -> Signed:
    """Who signed the address. `path` begins with the bucket and is encoded as it came."""
    key = _key(query, secret_for, now)
    expires = query["Expires"][0]
    if not expires.isdigit():
        raise Denied(f"Expires {expires!r} must be epoch seconds", code=INCOMPLETE)
    text = "\n".join(
        (
            method,
            headers.get("content-md5", _first(query, "content-md5")),
            headers.get("content-type", _first(query, "content-type")),
            expires,
            _amz_lines(query, headers) + _resource(path, query),
        )
    )
    expected = b64encode(hmac.digest(key.secret.encode(), text.encode(), "sha1"))
    if not hmac.compare_digest(expected, query["Signature"][0].encode()):
        raise Denied(
            "The request signature we calculated does not match the signature you provided: the "
            f"address was made for another method, key or content type (access key {key.id})",
            code=MISMATCH,
        )
    if int(expires) < now:
        raise Denied("Request has expired", code=SKEWED)
    unsigned = UNSIGNED.decode()
    return Signed(key, region, "s3", False, unsigned, Seed(b"", b"", b"", b""))


def _key(query: Query, secret_for: Callable[[str], AccessKey | None], now: float) -> AccessKey:
    key_id = query["AWSAccessKeyId"][0]
    key = secret_for(key_id)
    if key is None or (key.session_token or "") != _first(query, "x-amz-security-token"):
        raise Denied(
            f"The AWS access key Id {key_id} is not known here, or came with a wrong token",
            code=UNKNOWN_KEY,
        )
    if key.expires is not None and key.expires <= now:
        raise Denied(f"The token of access key {key_id} has expired", code=EXPIRED_TOKEN)
    return key


def _amz_lines(query: Query, headers: Mapping[str, str]) -> str:
    found = {n: v[0] for n, v in query.items() if n.startswith("x-amz-")}
    found |= {n: v for n, v in headers.items() if n.startswith("x-amz-")}
    return "".join(f"{name}:{found[name].strip()}\n" for name in sorted(found))


def _resource(path: str, query: Query) -> str:
    signed = sorted(name for name in query if name in SIGNED_PARAMETERS)
    pairs = (f"{n}={query[n][0]}" if query[n][0] else n for n in signed)
    return path + "?" * bool(signed) + "&".join(pairs)


def _first(query: Query, name: str) -> str:
    return query[name][0] if name in query else ""
