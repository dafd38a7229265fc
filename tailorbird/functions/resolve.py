"""From a name to what runs: the stored version and its policy, read once a second at most.

An alias may lead to two versions: each invocation draws one by their weights.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection, Row

from tailorbird.functions import hot_reload, log_lines, permissions, stored
from tailorbird.functions.log_lines import Logging
from tailorbird.functions.names import LATEST, FunctionRef
from tailorbird.functions.room import Functions

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
    logging: Logging
    layers: tuple[str, ...] = ()  # packages for /opt, a later one over an earlier one
    directory: str | None = None  # hot reload: a folder in place of the package
    loops: bool = False  # it may invoke itself over and over
    reserved: int | None = None  # invocations of the function at a time, at most

    @property
    def qualified(self) -> FunctionRef:
        """Exactly this version."""
        return FunctionRef(self.ref.account, self.ref.region, self.ref.name, self.version)

    @property
    def key(self) -> tuple[str, str, str]:
        """Environments with the same key are interchangeable."""
        return (self.ref.arn, self.version, self.revision_id)


@dataclass(frozen=True)
class Route:
    """What a qualifier leads to: a version, and for an alias with weights one that shares."""

    main: FunctionVersion
    other: FunctionVersion | None
    weight: float  # the share of `other`, 0 to 1
    policy: Mapping[str, Any]

    def pick(self, draw: float) -> FunctionVersion:
        """The version for an invocation that drew a number from 0 to 1."""
        return self.other if self.other is not None and draw < self.weight else self.main


def resolve(room: Functions, ref: FunctionRef) -> tuple[FunctionVersion, Mapping[str, Any]]:
    """The version meant and the resource policy that guards it; NotFound in Lambda's words."""
    route = _known(room, ref)
    return route.pick(random.random()) if route.other else route.main, route.policy


def _known(room: Functions, ref: FunctionRef) -> Route:
    guard = ref.qualifier or LATEST
    now = time.monotonic()
    held: tuple[float, Route] | None = room.known.get(ref.arn, {}).get(guard)
    if held is not None and held[0] > now:
        return held[1]
    changes = room.changes
    route = _read(room, ref, guard)
    if held is not None and route.main.directory and route.main.key != held[1].main.key:
        room.retire(route.main.qualified)  # a file of the folder changed: what ran before it ends
        changes = room.changes
    if room.changes == changes:
        room.known.setdefault(ref.arn, {})[guard] = (now + KNOWN_SECONDS, route)
    return route


def _read(room: Functions, ref: FunctionRef, guard: str) -> Route:
    wanted = FunctionRef(ref.account, ref.region, ref.name, ref.version)
    with room.db.read() as conn:
        main = stored.version(conn, wanted)
        function = stored.function(conn, ref)
        policy = permissions.policy_of(conn, wanted)
        other, weight = _other(conn, ref, guard, main)
    return Route(
        _version(room, ref, main, function),
        _version(room, ref, other, function) if other is not None else None,
        weight,
        permissions.document(policy.statements, policy.head) if policy else NO_POLICY,
    )


def _other(
    conn: Connection, ref: FunctionRef, guard: str, main: Row[Any]
) -> tuple[Row[Any] | None, float]:
    """The second version of an alias and its weight."""
    if guard == main.version:
        return None, 0.0
    alias = stored.alias(conn, ref, guard)
    for version, weight in (alias.weights if alias is not None else {}).items():
        return stored.version_or_none(conn, ref, version), float(weight)
    return None, 0.0


def _version(
    room: Functions, ref: FunctionRef, row: Row[Any], function: Row[Any]
) -> FunctionVersion:
    configuration = row.configuration
    revision = row.revision_id
    if row.directory:
        hot_reload.folder(room.settings, row.directory)
        revision = f"{revision}-{hot_reload.fingerprint(row.directory)}"
    return FunctionVersion(
        ref=FunctionRef(ref.account, ref.region, ref.name),
        version=row.version,
        revision_id=revision,
        runtime=configuration["Runtime"],
        handler=configuration["Handler"],
        role=configuration["Role"],
        variables=configuration.get("Environment", {}).get("Variables") or {},
        timeout_seconds=configuration["Timeout"],
        memory_mb=configuration["MemorySize"],
        storage_mb=configuration["EphemeralStorage"]["Size"],
        package=row.package,
        logging=log_lines.of(configuration["LoggingConfig"]),
        layers=tuple(layer["package"] for layer in row.layers),
        directory=row.directory,
        reserved=function.reserved,
        loops=function.recursive_loop == "Allow",
    )
