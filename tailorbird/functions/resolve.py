"""From a name to what runs: the stored version and its policy, read once a second at most."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tailorbird.errors import NotFound
from tailorbird.functions import permissions
from tailorbird.functions.names import LATEST, FunctionRef
from tailorbird.functions.room import Functions
from tailorbird.functions.tables import functions_policies, functions_versions

KNOWN_SECONDS = 1.0  # how long another process may take to see a change; this one sees it at once
NO_POLICY: dict[str, Any] = {"Version": "2012-10-17", "Id": "default", "Statement": []}


@dataclass(frozen=True)
class FunctionVersion:
    """Everything an execution environment is made from."""

    ref: FunctionRef
    version: str
    revision_id: str
    runtime: str
    handler: str
    role: str
    variables: Mapping[str, str]
    timeout_seconds: int
    memory_mb: int
    storage_mb: int
    package: str
    log_format: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Environments with the same key are interchangeable."""
        return (self.ref.arn, self.version, self.revision_id)


def resolve(room: Functions, ref: FunctionRef) -> tuple[FunctionVersion, Mapping[str, Any]]:
    """The version meant and the resource policy that guards it; NotFound in Lambda's words."""
    guard = ref.qualifier or LATEST
    now = time.monotonic()
    known = room.known.get(ref.arn, {}).get(guard)
    if known is not None and known[0] > now:
        return known[1], known[2]
    changes = room.changes
    version, policy = _read(room, ref), _read_policy(room, ref, guard)
    if room.changes == changes:
        room.known.setdefault(ref.arn, {})[guard] = (now + KNOWN_SECONDS, version, policy)
    return version, policy


def _read(room: Functions, ref: FunctionRef) -> FunctionVersion:
    c = functions_versions.c
    query = sa.select(functions_versions).where(
        c.account == ref.account,
        c.region == ref.region,
        c.name == ref.name,
        c.version == ref.version,
    )
    with room.db.read() as conn:
        row = conn.execute(query).first()
    if row is None:
        raise NotFound(
            f"Function not found: {ref.arn}:{ref.version}", code="ResourceNotFoundException"
        )
    configuration = row.configuration
    return FunctionVersion(
        ref=FunctionRef(ref.account, ref.region, ref.name),
        version=row.version,
        revision_id=row.revision_id,
        runtime=configuration["Runtime"],
        handler=configuration["Handler"],
        role=configuration["Role"],
        variables=configuration.get("Environment", {}).get("Variables") or {},
        timeout_seconds=configuration["Timeout"],
        memory_mb=configuration["MemorySize"],
        storage_mb=configuration["EphemeralStorage"]["Size"],
        package=row.package,
        log_format=configuration["LoggingConfig"].get("LogFormat", "Text"),
    )


def _read_policy(room: Functions, ref: FunctionRef, guard: str) -> Mapping[str, Any]:
    c = functions_policies.c
    query = sa.select(c.statements).where(
        c.account == ref.account, c.region == ref.region, c.name == ref.name, c.qualifier == guard
    )
    with room.db.read() as conn:
        statements = conn.execute(query).scalar()
    return permissions.document(statements) if statements else NO_POLICY
