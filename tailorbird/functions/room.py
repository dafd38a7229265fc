"""The workshop's state: what every operation is given first."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tailorbird.access import Access
from tailorbird.clock import Clock
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.tables import functions_versions
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects

if TYPE_CHECKING:
    from tailorbird.functions.supervisor import Supervisor

LOOPBACK = ("127.0.0.1", "::1")
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}


@dataclass
class Functions:
    """Functions of one installation; environments start when the first invocation asks for one."""

    db: Database
    jobs: Jobs
    objects: Objects
    clock: Clock
    settings: Settings
    access: Access
    known: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    changes: int = field(default=0, repr=False)
    _supervisor: Supervisor | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def root(self) -> Path:
        """The folder of code, logs and temporary files."""
        return Path(self.settings.data) / "functions"

    @property
    def house(self) -> tuple[str, int]:
        """Where functions reach every API of this house."""
        return ANY_ADDRESS.get(self.settings.host, self.settings.host), self.settings.port

    @property
    def url(self) -> str:
        host, port = self.house
        return f"http://{host}:{port}"

    @property
    def supervisor(self) -> Supervisor:
        """The keeper of environments, started when first needed."""
        with self._lock:
            if self._supervisor is None:
                from tailorbird.functions.supervisor import Supervisor

                self._supervisor = Supervisor(self)
            return self._supervisor

    @property
    def level(self) -> str:
        """How functions are walled in: `bwrap`, `rlimit` or `none`, and why not better."""
        return str(self.supervisor.walls)

    def counts(self) -> dict[str, int]:
        """Environments and invocations of this process, for the console."""
        with self._lock:
            supervisor = self._supervisor
        return supervisor.counts() if supervisor else {}

    def caller_at(self, address: tuple[str, int] | None) -> str | None:
        """The ARN of the function that a request from this address was sent by, if it was one."""
        supervisor = self._supervisor
        if supervisor is None or address is None or address[0] not in LOOPBACK:
            return None
        return supervisor.caller_at(address[1])

    def start(self) -> None:
        """Start the launcher and what the functions there are would wait for at their first use,
        and set the alarm for the sweep of zips."""
        from tailorbird.functions import shelf

        shelf.schedule(self)
        supervisor = self.supervisor
        with self.db.read() as conn:
            asked = sa.select(functions_versions.c.configuration["Runtime"].as_string()).distinct()
            named = [row[0] for row in conn.execute(asked)]
        for runtime in named:
            supervisor.prepare(runtime)

    def expect(self, runtime: str) -> None:
        """A function of this runtime is there: its first invocation may come any moment."""
        with self._lock:
            supervisor = self._supervisor
        if supervisor is not None:
            supervisor.prepare(runtime)

    def stop(self) -> None:
        """End every environment."""
        with self._lock:
            supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.stop()

    def forget(self, ref: FunctionRef) -> None:
        """Read the function and its policy anew at the next invocation."""
        self.changes += 1
        self.known.pop(ref.arn, None)

    def retire(self, ref: FunctionRef) -> None:
        """Let no environment of the function's old state take another invocation."""
        self.forget(ref)
        with self._lock:
            supervisor = self._supervisor
        if supervisor is not None:
            supervisor.retire(ref)
