"""Layer versions as they are stored, found by what a request calls them: name or ARN."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tailorbird import ids
from tailorbird.access import Caller
from tailorbird.errors import Invalid, NotFound
from tailorbird.functions.tables import functions_layer_versions

_VERSION_ARN = re.compile(
    r"arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12})"
    r":layer:(?P<name>[a-zA-Z0-9-_]{1,140})(?::(?P<version>\d+))?"
)


@dataclass(frozen=True)
class LayerRef:
    """One layer, and one of its versions where one is meant."""

    account: str
    region: str
    name: str
    version: int = 0

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:layer:{self.name}"

    @property
    def version_arn(self) -> str:
        return f"{self.arn}:{self.version}"


def own(caller: Caller, request: Mapping[str, Any]) -> LayerRef:
    """The layer a request names, which must be the caller's."""
    ref = _named(caller, request["LayerName"])
    check_owner(caller, ref)
    return ref


def check_owner(caller: Caller, ref: LayerRef) -> None:
    """NotFound when the layer is not of the caller's account and region."""
    if (ref.account, ref.region) != (caller.account, caller.region):
        raise NotFound(f"There is no layer {ref.arn} in {caller.account}, {caller.region}")


def _named(caller: Caller, name_or_arn: str) -> LayerRef:
    found = _VERSION_ARN.fullmatch(name_or_arn)
    if found is not None:
        if found["version"]:
            raise _invalid(f"{name_or_arn} is a layer version; the layer's own ARN is right")
        return LayerRef(found["account"], found["region"], found["name"])
    return LayerRef(caller.account, caller.region, name_or_arn)


def parse(arn: str) -> LayerRef:
    """The layer version of an ARN."""
    found = _VERSION_ARN.fullmatch(arn)
    if found is None or found["version"] is None:
        raise _invalid(
            f"{arn} is no ARN of a layer version: arn:aws:lambda:REGION:ACCOUNT:layer:NAME:NUMBER"
        )
    return LayerRef(found["account"], found["region"], found["name"], int(found["version"]))


def numbered(caller: Caller, request: Mapping[str, Any]) -> LayerRef:
    """The layer version a request names, by name or ARN."""
    ref = _named(caller, request["LayerName"])
    number = int(request["VersionNumber"])
    if number < 1:
        raise _invalid("Layer Version Cannot be less than 1.")
    return LayerRef(ref.account, ref.region, ref.name, number)


def require(conn: Connection, ref: LayerRef, *, lock: bool = False) -> Row[Any]:
    """The stored layer version, nobody else's to change with `lock`; NotFound in Lambda's words."""
    row = find(conn, ref, lock=lock)
    if row is None:
        raise NotFound("The resource you requested does not exist.")
    return row


def save_policy(conn: Connection, ref: LayerRef, statements: list[dict[str, Any]]) -> str:
    """Write who may use the layer version; the policy's new revision."""
    revision, t = ids.uuid4(), functions_layer_versions
    changed = sa.update(t).where(*same(ref), t.c.version == ref.version)
    conn.execute(changed.values(statements=statements, revision_id=revision))
    return revision


def find(conn: Connection, ref: LayerRef, *, lock: bool = False) -> Row[Any] | None:
    """The stored layer version, or None."""
    t = functions_layer_versions
    found = sa.select(t).where(*same(ref), t.c.version == ref.version)
    return conn.execute(found.with_for_update() if lock else found).first()


def same(ref: LayerRef) -> tuple[sa.ColumnElement[bool], ...]:
    c = functions_layer_versions.c
    return (c.account == ref.account, c.region == ref.region, c.name == ref.name)


def _invalid(message: str) -> Invalid:
    return Invalid(message, code="InvalidParameterValueException")
