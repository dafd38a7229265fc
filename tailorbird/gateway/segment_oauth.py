"""OAuth for the tracking API: a client shows a JWT signed with its key and gets a token for a day.

Segment's SDKs ask `POST /token` of https://oauth2.segment.io, or of the server they are told. The
public keys are those of the setting `segment_oauth_clients`.
Source: Segment, "OAuth 2.0" of the HTTP tracking API; RFC 7523; analytics-python's OauthManager.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt

from tailorbird import access
from tailorbird.errors import Invalid
from tailorbird.settings import Settings

SCOPE = "tracking_api:write"
SKEW_SECONDS = 5
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_MAX_SECONDS = 60  # of its `exp` from now: "valid for less than sixty seconds"
SEGMENTS_NAMES = ("https://oauth2.segment.io", "https://oauth2.eu1.segmentapis.com")
LOOPBACK = ("127.0.0.1", "::1")
FORM = b"application/x-www-form-urlencoded"


Address = tuple[str, int | None]
IsFirst = Callable[[str, str, float], bool]  # client, jti, when it expires


class OauthError(Exception):
    """A refusal in OAuth's words."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


class Oauth:
    """The clients that may have tokens, and the tokens they were given."""

    def __init__(self, settings: Settings, is_first: IsFirst) -> None:
        self._is_first = is_first
        self._names = (*SEGMENTS_NAMES, *_entries(settings.segment_oauth_names))
        self._seconds = settings.segment_oauth_seconds
        self._fixed = settings.tracking_token
        self._keys = dict(_client(entry) for entry in _entries(settings.segment_oauth_clients))
        self._secret = access.secret(settings.data, "oauth_secret") if self._keys else ""

    def accepts(self, token: str) -> bool:
        """True for a token set, or given out here to a client that is still known; for any where
        nothing is set.
        """
        if self._fixed and hmac.compare_digest(token.encode(), self._fixed.encode()):
            return True
        if not self._keys:
            return not self._fixed
        try:
            claims = jwt.decode(token, self._secret, ["HS256"], audience=SCOPE)
        except jwt.InvalidTokenError:
            return False
        return claims.get("sub") in self._keys

    def grant(self, body: bytes, content_type: bytes, at: Address | None) -> dict[str, Any]:
        """The answer to a request for a token that came in at a socket's address; OauthError says
        what is wrong with it.
        """
        if content_type.partition(b";")[0].strip().lower() != FORM:
            raise OauthError(415, "invalid_request", f"the body is a form: {FORM.decode()}")
        form = {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}
        if form.get("grant_type") != "client_credentials":
            raise OauthError(400, "unsupported_grant_type", "grant_type is client_credentials")
        if form.get("client_assertion_type") != ASSERTION:
            raise OauthError(400, "invalid_request", f"client_assertion_type is {ASSERTION}")
        if form.get("scope", SCOPE) != SCOPE:
            raise OauthError(400, "invalid_scope", f"the scope there is is {SCOPE}")
        client = self._verified(form.get("client_assertion", ""), at)
        claims = {"sub": client, "aud": SCOPE, "exp": int(time.time()) + self._seconds}
        token = jwt.encode(claims, self._secret, "HS256")
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self._seconds,
            "scope": SCOPE,
        }

    def _verified(self, assertion: str, at: Address | None) -> str:
        """The client whose key signed the assertion, for this server and just now."""
        names = [*self._names, *_addresses(at)]
        try:
            claimed = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.InvalidTokenError as error:
            raise OauthError(400, "invalid_request", f"client_assertion: {error}") from None
        client = str(claimed.get("sub"))
        key = self._keys.get(client)
        if key is None:
            said = f"no key is known of client {client} (sub); segment_oauth_clients lists them"
            raise OauthError(401, "invalid_client", said)
        if claimed.get("iss") not in (None, client, *names):
            said = "client_assertion: iss is neither the client, as sub, nor this server"
            raise OauthError(401, "invalid_client", said)
        claims = _decoded(assertion, key, [*names, *(f"{name}/token" for name in names)])
        if claims["exp"] > time.time() + ASSERTION_MAX_SECONDS + SKEW_SECONDS:
            said = f"client_assertion: exp is more than {ASSERTION_MAX_SECONDS} seconds from now"
            raise OauthError(400, "invalid_request", said)
        id = str(claims["jti"])
        if not self._is_first(client, id, float(claims["exp"]) + SKEW_SECONDS):
            raise OauthError(400, "invalid_request", f"client_assertion: jti {id} was used before")
        return client


def _decoded(assertion: str, key: Any, audience: list[str]) -> dict[str, Any]:
    """Its claims, when the key signed it for one of the audience and it holds just now."""
    try:
        return dict(
            jwt.decode(
                assertion,
                key,
                ["RS256"],
                audience=audience,
                leeway=SKEW_SECONDS,
                options={"require": ["exp", "sub", "jti"]},
            )
        )
    except jwt.ExpiredSignatureError:
        raise OauthError(400, "invalid_request", "Token is expired") from None
    except jwt.ImmatureSignatureError:
        raise OauthError(400, "invalid_request", "Token used before issued") from None
    except jwt.InvalidTokenError as error:
        raise OauthError(401, "invalid_client", f"client_assertion: {error}") from None


def _addresses(at: Address | None) -> list[str]:
    """What a client may call a socket's address; a Host header is no proof of a name."""
    if at is None or at[1] is None:
        return []
    hosts = [at[0], "localhost"] if at[0] in LOOPBACK else [at[0]]
    return [f"{scheme}://{host}:{at[1]}" for scheme in ("http", "https") for host in hosts]


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _client(entry: str) -> tuple[str, Any]:
    """`CLIENT=FILE` of the setting as the client and its public key."""
    name, _, file = entry.partition("=")
    try:
        pem = Path(file).read_bytes()
        key: Mapping[str, Any] | Any = jwt.algorithms.RSAAlgorithm(
            jwt.algorithms.RSAAlgorithm.SHA256
        ).prepare_key(pem)
    except (OSError, ValueError, jwt.InvalidKeyError) as error:
        raise Invalid(
            f"segment_oauth_clients: {entry!r} is no CLIENT=FILE with an RSA public key in PEM:"
            f" {error}"
        ) from None
    return name, key
