"""OAuth for the tracking API: a client shows a JWT signed with its key and gets a token for a day.

Segment's SDKs ask `POST /token` of https://oauth2.segment.io, or of the server they are told. The
public keys are those of the setting `segment_oauth_clients`.
Source: Segment, "OAuth 2.0" of the HTTP tracking API; RFC 7523; analytics-python's OauthManager.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt

from tailorbird import access
from tailorbird.errors import Invalid
from tailorbird.settings import Settings

SCOPE = "tracking_api:write"
TOKEN_SECONDS = 86_400
SKEW_SECONDS = 5
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OWN_NAME = "https://oauth2.segment.io"
FORM = b"application/x-www-form-urlencoded"


class OauthError(Exception):
    """A refusal in OAuth's words."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


class Oauth:
    """The clients that may have tokens, and the tokens they were given."""

    def __init__(self, settings: Settings) -> None:
        self._fixed = settings.tracking_token
        self._keys = dict(_client(entry) for entry in _entries(settings.segment_oauth_clients))
        self._secret = access.secret(settings.data, "oauth_secret") if self._keys else ""
        self._used: dict[str, float] = {}  # assertions by their id, until they expire

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

    def grant(self, body: bytes, content_type: bytes, host: str) -> dict[str, Any]:
        """The answer to a request for a token; OauthError says what is wrong with it."""
        if content_type.partition(b";")[0].strip().lower() != FORM:
            raise OauthError(415, "invalid_request", f"the body is a form: {FORM.decode()}")
        form = {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}
        if form.get("grant_type") != "client_credentials":
            raise OauthError(400, "unsupported_grant_type", "grant_type is client_credentials")
        if form.get("client_assertion_type") != ASSERTION:
            raise OauthError(400, "invalid_request", f"client_assertion_type is {ASSERTION}")
        if form.get("scope", SCOPE) != SCOPE:
            raise OauthError(400, "invalid_scope", f"the scope there is is {SCOPE}")
        client = self._verified(form.get("client_assertion", ""), host)
        claims = {"sub": client, "aud": SCOPE, "exp": int(time.time()) + TOKEN_SECONDS}
        token = jwt.encode(claims, self._secret, "HS256")
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": SCOPE,
        }

    def _verified(self, assertion: str, host: str) -> str:
        """The client whose key signed the assertion, for this server and just now."""
        try:
            client = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
        except jwt.InvalidTokenError as error:
            raise OauthError(400, "invalid_request", f"client_assertion: {error}") from None
        key = self._keys.get(str(client))
        if key is None:
            said = f"no key is known of client {client}; segment_oauth_clients lists them"
            raise OauthError(401, "invalid_client", said)
        allowed = [OWN_NAME, *(f"{scheme}://{host}" for scheme in ("http", "https"))]
        try:
            claims = jwt.decode(
                assertion,
                key,
                ["RS256"],
                audience=[*allowed, *(f"{name}/token" for name in allowed)],
                leeway=SKEW_SECONDS,
                options={"require": ["exp", "sub", "jti"]},
            )
        except jwt.ExpiredSignatureError:
            raise OauthError(400, "invalid_request", "Token is expired") from None
        except jwt.ImmatureSignatureError:
            raise OauthError(400, "invalid_request", "Token used before issued") from None
        except jwt.InvalidTokenError as error:
            raise OauthError(401, "invalid_client", f"client_assertion: {error}") from None
        if claims["sub"] != client:
            raise OauthError(401, "invalid_client", "client_assertion: sub is not iss")
        self._use_once(str(claims["jti"]), float(claims["exp"]))
        return str(client)

    def _use_once(self, id: str, expires: float) -> None:
        now = time.time()
        self._used = {key: until for key, until in self._used.items() if until > now}
        if id in self._used:
            raise OauthError(400, "invalid_request", f"client_assertion: jti {id} was used before")
        self._used[id] = expires + SKEW_SECONDS


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
