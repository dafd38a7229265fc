"""The room's state, and who is calling."""

from dataclasses import dataclass, field

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


@dataclass
class Access:
    """Keys, roles and policies of one installation."""

    db: Database
    clock: Clock
    settings: Settings
    known: dict[str, tuple[AccessKey, float]] = field(default_factory=dict, repr=False)
