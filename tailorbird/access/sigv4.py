"""AWS Signature Version 4, verified: in the Authorization header and in presigned addresses.

Codes of a refusal are neutral; each service's own word for them is the gateway's table.
Source: IAM guide, "Create a signed AWS API request"; S3 API reference, "Authenticating Requests".
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from time import gmtime, strftime
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from tailorbird.access.room import AccessKey
from tailorbird.errors import Denied

SKEW_SECONDS = 300.0
PRESIGNED_MAX_SECONDS = 604_800
ALGORITHM = b"AWS4-HMAC-SHA256"
UNSIGNED = b"UNSIGNED-PAYLOAD"
STREAMING = b"STREAMING-"
TERMINATOR = "aws4_request"

MISSING = "MissingAuthenticationToken"
INCOMPLETE = "IncompleteSignature"
UNKNOWN_KEY = "InvalidClientTokenId"
MISMATCH = "SignatureDoesNotMatch"
SKEWED = "RequestExpired"
EXPIRED_TOKEN = "ExpiredToken"
BODY_MISMATCH = "XAmzContentSHA256Mismatch"
CODES = (MISSING, INCOMPLETE, UNKNOWN_KEY, MISMATCH, SKEWED, EXPIRED_TOKEN, BODY_MISMATCH)

_HEX_DIGEST = re.compile(rb"[0-9a-f]{64}")
_AMZ_DATE = re.compile(rb"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_HTTP_DATE = re.compile(rb"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")

Headers = list[tuple[bytes, bytes]]


class Seed(NamedTuple):
    """What the chunks of a streamed body are signed with, starting from the request's signature."""

    key: bytes
    amz_date: bytes
    scope: bytes
    signature: bytes


@dataclass(frozen=True)
class Signed:
    """A request whose signature is right.

    `payload` is the body's declared digest (64 hex digits), `UNSIGNED-PAYLOAD` or `STREAMING-...`;
    `payload_verified` says that the body given was compared with it.
    """

    access_key: AccessKey
    region: str
    service: str
    payload_verified: bool
    payload: str
    seed: Seed


class _Claim(NamedTuple):
    """What the request says about its own signature."""

    key_id: str
    day: str
    region: str
    service: str
    signed_headers: list[bytes]
    signature: bytes
    amz_date: bytes
    token: bytes | None
    valid_seconds: int | None  # presigned only


def verify(
    method: str,
    raw_path: bytes,
    raw_query: bytes,
    headers: Headers,
    body: bytes | None,
    *,
    secret_for: Callable[[str], AccessKey | None],
    now: float,
    skew_seconds: float = SKEW_SECONDS,
) -> Signed:
    """Who signed this request; Denied with one of CODES when nobody known rightly did.

    `raw_path` and `raw_query` are as they stood on the wire. `body` None: it will be read later and
    the caller compares it with `payload`.
    """
    folded = _fold(headers)
    query = _pairs(raw_query) if raw_query else []
    claim = _claim(folded, query)
    key = _key_of(claim, folded, secret_for, now)
    _check_time(claim, now, skew_seconds)
    _check_signed_headers(claim, folded)
    payload = _payload_hash(claim, folded, query, body)
    canonical = b"\n".join(
        (
            method.encode(),
            _single_encoded(raw_path) if claim.service == "s3" else _double_encoded(raw_path),
            _canonical_query(query),
            *(name + b":" + folded.get(name, b"") for name in claim.signed_headers),
            b"",
            b";".join(claim.signed_headers),
            payload,
        )
    )
    scope = f"{claim.day}/{claim.region}/{claim.service}/{TERMINATOR}".encode()
    digest = hashlib.sha256(canonical).hexdigest().encode()
    signing_key = _signing_key(key.secret, claim.day, claim.region, claim.service)
    text = b"\n".join((ALGORITHM, claim.amz_date, scope, digest))
    expected = _hmac(signing_key, text)
    if not hmac.compare_digest(expected, claim.signature):
        raise Denied(
            "The request signature we calculated does not match the signature you provided. "
            f"Check the secret of access key {key.id} and that the host seen here "
            f"({folded.get(b'host', b'').decode('latin-1')}) is the one you signed.",
            code=MISMATCH,
        )
    verified = body is not None and _HEX_DIGEST.fullmatch(payload) is not None
    seed = Seed(signing_key, claim.amz_date, scope, expected)
    return Signed(key, claim.region, claim.service, verified, payload.decode(), seed)


def _fold(headers: Headers) -> dict[bytes, bytes]:
    """Header values by lower-case name, trimmed, inner spaces collapsed, repeated ones joined."""
    folded: dict[bytes, bytes] = {}
    for name, value in headers:
        name, value = name.lower(), b" ".join(value.split())
        folded[name] = folded[name] + b"," + value if name in folded else value
    return folded


def _claim(folded: dict[bytes, bytes], query: list[tuple[bytes, bytes]]) -> _Claim:
    if authorization := folded.get(b"authorization"):
        return _header_claim(authorization, folded)
    asked = dict(query)
    if b"X-Amz-Signature" in asked or b"X-Amz-Algorithm" in asked:
        return _query_claim(asked)
    raise Denied(
        "Missing Authentication Token: sign the request with the keys of the credentials file",
        code=MISSING,
    )


def _header_claim(authorization: bytes, folded: dict[bytes, bytes]) -> _Claim:
    algorithm, _, rest = authorization.partition(b" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"Authorization uses {_text(algorithm)}; {_text(ALGORITHM)} is read here")
    fields = dict(part.strip().partition(b"=")[::2] for part in rest.split(b","))
    for name in (b"Credential", b"SignedHeaders", b"Signature"):
        if not fields.get(name):
            raise _incomplete(f"Authorization header requires '{_text(name)}' parameter.")
    date = folded.get(b"x-amz-date") or _from_http_date(folded.get(b"date"))
    return _Claim(
        *_scope(fields[b"Credential"]),
        fields[b"SignedHeaders"].split(b";"),
        fields[b"Signature"],
        date,
        folded.get(b"x-amz-security-token"),
        None,
    )


def _query_claim(asked: dict[bytes, bytes]) -> _Claim:
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"):
        if not asked.get(f"X-Amz-{name}".encode()):
            raise _incomplete(f"The presigned address has no X-Amz-{name}")
    if asked[b"X-Amz-Algorithm"] != ALGORITHM:
        raise _incomplete(f"X-Amz-Algorithm must be {_text(ALGORITHM)}")
    expires = asked[b"X-Amz-Expires"]
    if not expires.isdigit() or not 1 <= int(expires) <= PRESIGNED_MAX_SECONDS:
        raise _incomplete(f"X-Amz-Expires must be 1 to {PRESIGNED_MAX_SECONDS} seconds")
    return _Claim(
        *_scope(asked[b"X-Amz-Credential"]),
        asked[b"X-Amz-SignedHeaders"].split(b";"),
        asked[b"X-Amz-Signature"],
        asked[b"X-Amz-Date"],
        asked.get(b"X-Amz-Security-Token"),
        int(expires),
    )


@lru_cache(maxsize=1024)
def _scope(credential: bytes) -> tuple[str, str, str, str]:
    """(access key id, day, region, service) of a Credential."""
    parts = _text(credential).rsplit("/", 4)
    if len(parts) != 5 or parts[4] != TERMINATOR or not all(parts):
        raise _incomplete(
            f"Credential {_text(credential)!r} must be "
            f"<key id>/<day>/<region>/<service>/{TERMINATOR}"
        )
    return parts[0], parts[1], parts[2], parts[3]


def _key_of(
    claim: _Claim,
    folded: dict[bytes, bytes],
    secret_for: Callable[[str], AccessKey | None],
    now: float,
) -> AccessKey:
    key = secret_for(claim.key_id)
    given = claim.token.decode("latin-1") if claim.token else None
    expected = key.session_token if key else None
    same = hmac.compare_digest((given or "").encode(), (expected or "").encode())
    if key is None or not same:
        raise Denied(
            f"The security token included in the request is invalid: access key {claim.key_id} "
            + ("is not known here" if key is None else "was sent with a wrong session token"),
            code=UNKNOWN_KEY,
        )
    if key.expires is not None and key.expires <= now:
        raise Denied(
            f"The security token included in the request is expired (access key {key.id})",
            code=EXPIRED_TOKEN,
        )
    return key


def _check_time(claim: _Claim, now: float, skew_seconds: float) -> None:
    signed_at = _epoch(claim.amz_date)
    if claim.amz_date[:8] != claim.day.encode():
        raise Denied(
            f"Credential is scoped to {claim.day}, the request is dated {_text(claim.amz_date)}",
            code=MISMATCH,
        )
    earliest = now - skew_seconds if claim.valid_seconds is None else now - claim.valid_seconds
    if signed_at < earliest:
        raise Denied(
            f"Signature expired: signed at {_text(claim.amz_date)}, now is {_stamp(now)}",
            code=SKEWED,
        )
    if signed_at > now + skew_seconds:
        raise Denied(
            f"Signature not yet current: signed at {_text(claim.amz_date)}, now is {_stamp(now)}",
            code=SKEWED,
        )


def _check_signed_headers(claim: _Claim, folded: dict[bytes, bytes]) -> None:
    """`host` and every x-amz- header must be signed, or somebody on the way could change them."""
    signed = claim.signed_headers
    if b"host" not in signed:
        raise Denied("'host' must be a signed header", code=MISMATCH)
    for name in folded:
        if name.startswith(b"x-amz-") and name not in signed and name != b"x-amz-content-sha256":
            raise Denied(f"Header {_text(name)} is present but not signed", code=MISMATCH)


def _payload_hash(
    claim: _Claim, folded: dict[bytes, bytes], query: list[tuple[bytes, bytes]], body: bytes | None
) -> bytes:
    declared = folded.get(b"x-amz-content-sha256") or dict(query).get(b"X-Amz-Content-Sha256")
    if declared is None and claim.valid_seconds is not None and claim.service == "s3":
        return UNSIGNED
    if declared is None:
        if body is None:
            raise _incomplete("Missing required header for this request: x-amz-content-sha256")
        return hashlib.sha256(body).hexdigest().encode()
    if declared == UNSIGNED or (declared.startswith(STREAMING) and claim.service == "s3"):
        return declared
    if not _HEX_DIGEST.fullmatch(declared):
        raise _incomplete(f"x-amz-content-sha256 {_text(declared)!r} is not a SHA-256 digest")
    if body is not None and hashlib.sha256(body).hexdigest().encode() != declared:
        raise Denied(
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            code=BODY_MISMATCH,
        )
    return declared


def _pairs(raw_query: bytes) -> list[tuple[bytes, bytes]]:
    pairs = []
    for part in raw_query.split(b"&"):
        if part:
            name, _, value = part.replace(b"+", b" ").partition(b"=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return pairs


def _canonical_query(query: list[tuple[bytes, bytes]]) -> bytes:
    if not query:
        return b""
    encoded = sorted(
        (quote_from_bytes(name, safe="-_.~"), quote_from_bytes(value, safe="-_.~"))
        for name, value in query
        if name != b"X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in encoded).encode()


@lru_cache(maxsize=4096)
def _double_encoded(raw_path: bytes) -> bytes:
    """The path as sent, without empty and dot segments, encoded once more."""
    kept: list[bytes] = []
    for segment in raw_path.split(b"/"):
        if segment == b"..":
            kept[-1:] = []
        elif segment not in (b"", b"."):
            kept.append(segment)
    tail = b"/" if kept and raw_path.endswith(b"/") else b""
    return quote_from_bytes(b"/" + b"/".join(kept) + tail, safe="/~").encode()


def _single_encoded(raw_path: bytes) -> bytes:
    """S3 signs the path as sent: nothing is removed, nothing encoded twice."""
    return quote_from_bytes(unquote_to_bytes(raw_path), safe="/~").encode() or b"/"


@lru_cache(maxsize=1024)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _hmac(key: bytes, text: bytes) -> bytes:
    """HMAC-SHA256 in hex digits. `hmac.digest` looks its algorithm up anew and lets other threads
    in for each of these few bytes."""
    inner, outer = (begun.copy() for begun in _begun(key))
    inner.update(text)
    outer.update(inner.digest())
    return outer.hexdigest().encode()


@lru_cache(maxsize=1024)
def _begun(key: bytes) -> tuple[Any, Any]:
    """Both hashes of an HMAC with the key taken in (RFC 2104; a signing key fits in a block)."""
    block = key.ljust(64, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    return hashlib.sha256(inner), hashlib.sha256(outer)


@lru_cache(maxsize=64)
def _epoch(amz_date: bytes) -> float:
    found = _AMZ_DATE.fullmatch(amz_date)
    try:
        if found:
            return datetime(*map(int, found.groups()), tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]
    except ValueError:
        pass
    raise _incomplete(f"Date {_text(amz_date)!r} must be in ISO-8601 'basic format'")


def _from_http_date(value: bytes | None) -> bytes:
    """The Date header in the form of X-Amz-Date."""
    found = _HTTP_DATE.fullmatch(value or b"")
    if not found:
        raise _incomplete(
            "Authorization header requires existence of either 'X-Amz-Date' or 'Date'"
        )
    day, month, year, *time = found.groups()
    number = _MONTHS.find(month) // 3 + 1
    return b"%b%02d%bT%bZ" % (year, number, day, b"".join(time))


def _stamp(now: float) -> str:
    return strftime("%Y%m%dT%H%M%SZ", gmtime(now))


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _incomplete(message: str) -> Denied:
    return Denied(message, code=INCOMPLETE)
