"""Which service a request is for: by credential scope, X-Amz-Target, form, host and path."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

from tailorbird import errors
from tailorbird.gateway.services import SERVICES, Service
from tailorbird.gateway.wire import Request
from tailorbird.gateway.wire.api import action
from tailorbird.gateway.wire.message import decode

Scope = MutableMapping[str, Any]

CREDENTIAL = re.compile(r"Credential=(?:[^/%&, ]*(?:/|%2F)){3}([a-z0-9-]+)(?:/|%2F)", re.I)
FORM = "application/x-www-form-urlencoded"
SCOPE_CHARACTERS = 512  # of an Authorization header, in which its scope is looked for first
QUERY_SERVICE, REST_XML_SERVICE = "sts", "s3"  # whose forms an unrecognised request is refused in


def is_s3(scope: Scope) -> bool:
    """Whether the credential scope, in the header or in a presigned address, is S3's."""
    said = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    presigned_v2 = b"AWSAccessKeyId=" in scope["query_string"]
    return presigned_v2 or _signed_for(said.decode("latin-1"), scope) == "s3"


def services_for(scope: Scope, headers: dict[str, str]) -> list[Service]:
    """The services a request may be for, most likely first; NotBuilt when none is served."""
    target = headers.get("x-amz-target", "").rpartition(".")[0]
    name = _signed_for(headers.get("authorization", ""), scope)
    if name is None:
        return [_unsigned(scope, headers, target)]
    found = _scoped_services(name, targeted=bool(target))
    if not found:
        raise errors.NotBuilt(f"Tailorbird does not serve {name!r}; it serves {_served()}")
    return found


@lru_cache(maxsize=1024)
def _scoped_services(name: str, *, targeted: bool) -> list[Service]:
    found = [s for s in SERVICES if name in s.scopes and bool(s.target) == targeted]
    return found or [s for s in SERVICES if name in s.scopes]


def _signed_for(authorization: str, scope: Scope) -> str | None:
    """The service name of the credential scope."""
    name = _scoped(authorization.partition(",")[0][:SCOPE_CHARACTERS])
    if name is None and authorization:
        found = CREDENTIAL.search(authorization)
        name = found[1].lower() if found else None
    if name is None and scope["query_string"]:
        found = CREDENTIAL.search(scope["query_string"].decode("latin-1"))
        name = found[1].lower() if found else None
    return name


@lru_cache(maxsize=1024)
def _scoped(text: str) -> str | None:
    """The service name of a credential scope; an Authorization header begins with one, which is
    the same for all requests of a key's day."""
    found = CREDENTIAL.search(text)
    return found[1].lower() if found else None


def _unsigned(scope: Scope, headers: dict[str, str], target: str) -> Service:
    """Whose form an unsigned request is refused in: by target, form, then path."""
    path: str = scope["path"]
    for service in SERVICES:
        if service.target and service.target == target:
            return service
        if any(path == p or path.startswith(p) for p in service.paths):
            return service
    form = headers.get("content-type", "").startswith(FORM) or b"Action=" in scope["query_string"]
    key = QUERY_SERVICE if form else REST_XML_SERVICE
    return next(s for s in SERVICES if s.key == key)


def unknown(service: Service, request: Request) -> str:
    if service.target:
        return f"{service.key} has no operation {request.headers.get('x-amz-target', '')!r}"
    if service.version:
        return f"{service.key} has no action {action(request)!r}"
    return f"{service.key} has no operation at {request.method} {decode(request.path)}"


def _served() -> str:
    return ", ".join(service.key for service in SERVICES)
