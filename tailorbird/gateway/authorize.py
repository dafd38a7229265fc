"""May this signed caller do this: asked once for every operation, before it runs.

S3 asks in its own door (`gateway/s3/permission.py`), where the bucket's policy counts as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from tailorbird import access
from tailorbird.access import Access, Caller
from tailorbird.gateway import actions

# Where the usual word for a refusal is not what the service's gatekeeper says.
CODES = {"pinpoint": "AccessDeniedException"}

Scope = MutableMapping[str, Any]


def authorize(
    room: Access,
    caller: Caller,
    service: str,
    operation: str,
    request: dict[str, Any],
    scope: Scope | None = None,
) -> None:
    """Denied, in AWS's sentence and with the command that would allow it, or nothing."""
    if access.rights.is_own_key(caller.principal):
        return
    asked = actions.asked(room, caller, service, operation, request)
    if asked is None:
        return
    decision = access.may(
        room, caller, asked.actions, asked.resource, lambda: context_of(caller, request, scope)
    )
    if not decision.allowed:
        action, code = asked.actions[0], CODES.get(service)
        raise access.denied(room, caller, action, asked.resource, decision, code)


def context_of(caller: Caller, request: Mapping[str, Any], scope: Scope | None) -> dict[str, Any]:
    """Condition keys that the request itself gives.

    Source: IAM user guide, "AWS global condition context keys".
    """
    context: dict[str, Any] = {"aws:RequestedRegion": caller.region}
    if scope is not None:
        context |= connection(scope)
    tags = dict(_tags(request))
    if tags:
        context["aws:TagKeys"] = list(tags)
        context |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return context


def connection(scope: Scope) -> dict[str, Any]:
    """Condition keys of the connection the request came over."""
    context: dict[str, Any] = {"aws:SecureTransport": scope.get("scheme") == "https"}
    if scope.get("client"):
        context["aws:SourceIp"] = scope["client"][0]
    for name, value in scope["headers"]:
        if name == b"user-agent":
            context["aws:UserAgent"] = value.decode("latin-1")
    return context


def _tags(request: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Tags as the services write them: a map, or a list of keys and values."""
    for name in ("Tags", "tags", "TagsModel"):
        given = request.get(name)
        if isinstance(given, Mapping):
            yield from given.get("tags", given).items()
        elif isinstance(given, list):
            for tag in given:
                yield tag.get("Key", tag.get("tagKey", "")), tag.get("Value", tag.get("tagValue"))
    for name in ("TagKeys", "tagKeys"):
        for key in request.get(name) or ():
            yield key, ""
