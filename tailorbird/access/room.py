"""The room's state, and who is calling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy.engine import Connection

from tailorbird.clock import Clock
from tailorbird.settings import Settings
from tailorbird.store import Database


@dataclass(frozen=True)
class AccessKey:
    """A key pair somebody may sign with; temporary ones carry a token and end."""

    id: str
    secret: str
    account: str
    principal: str
    session_token: str | None = None
    expires: float | None = None


@dataclass(frozen=True)
class Caller:
    """Who signed a request: what every operation is told about its caller."""

    account: str
    region: str
    principal: str
    access_key_id: str
    request_id: str
    service: str | None = None
    trace: str = ""  # the request's X-Amzn-Trace-Id


@dataclass(frozen=True)
class Held:
    """One policy of a role: inline by its name, or attached by its ARN."""

    name: str
    text: str
    document: Mapping[str, Any]
    attached: bool


@dataclass
class Rights:
    """What a role may do, as it was read; `plain` policies have no conditions and no variables."""

    account: str
    name: str
    arn: str
    role_id: str
    found: Literal["made", "deleted", "never made"]
    read_at: float
    policies: tuple[Held, ...] = ()
    plain: bool = True
    trust: str = ""
    decided: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)


@dataclass
class Access:
    """Keys, roles and policies of one installation."""

    db: Database
    clock: Clock
    settings: Settings
    known: dict[str, tuple[AccessKey, float]] = field(default_factory=dict, repr=False)
    rights: dict[tuple[str, str], Rights] = field(default_factory=dict, repr=False)
    changes: int = field(default=0, repr=False)

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """One transaction over roles or policies, after which they are read anew."""
        try:
            with self.db.write() as conn:
                yield conn
        finally:
            self.changes += 1
            self.rights.clear()
