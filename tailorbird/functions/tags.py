"""Tags of functions.

Source: Lambda API reference, TagResource; developer guide, "Using tags on Lambda functions".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotBuilt
from tailorbird.functions import stored
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import functions_functions

MAX_TAGS = 50
RESERVED_PREFIX = "aws:"


def tag_resource(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    return _change(room, caller, request, lambda old: {**old, **request["Tags"]})


def untag_resource(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    gone = set(request["TagKeys"])
    return _change(
        room, caller, request, lambda old: {k: v for k, v in old.items() if k not in gone}
    )


def list_tags(room: Functions, caller: Caller, request: dict[str, Any]) -> dict[str, Any]:
    with room.db.read() as conn:
        return {"Tags": stored.function(conn, _reference(caller, request["Resource"])).tags}


def check(tags: Mapping[str, str]) -> None:
    """Invalid when a function may not have these tags."""
    if len(tags) > MAX_TAGS:
        raise _invalid(f"Number of tags exceeds resource tag limit: {len(tags)} of {MAX_TAGS}.")
    if reserved := [key for key in tags if key.lower().startswith(RESERVED_PREFIX)]:
        raise _invalid(f"The tag key {reserved[0]!r} is AWS's own: no key begins with aws:")


def _change(
    room: Functions,
    caller: Caller,
    request: Mapping[str, Any],
    change: Callable[[dict[str, str]], dict[str, str]],
) -> dict[str, Any]:
    ref = _reference(caller, request["Resource"])
    with room.db.write() as conn:
        stored.lock(conn, ref)
        tags = change(stored.function(conn, ref).tags)
        check(tags)
        t = functions_functions
        conn.execute(sa.update(t).where(*stored.same(t, ref)).values(tags=tags))
    return {}


def _reference(caller: Caller, arn: str) -> FunctionRef:
    kind = arn.split(":", 6)[5] if arn.count(":") >= 6 else ""
    if kind != "function":
        raise NotBuilt(f"Tags of {arn}: functions alone have tags here")
    ref = stored.reference(caller, {"FunctionName": arn})
    if ref.qualifier:
        raise _invalid(
            "Tags on function aliases and versions are not supported. Please specify a function"
            " ARN."
        )
    return ref


def _invalid(message: str) -> Invalid:
    return Invalid(message, code="InvalidParameterValueException")
