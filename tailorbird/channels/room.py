"""What the room holds, and its secret: the key that seals credentials and signs links."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from tailorbird import access
from tailorbird.clock import Clock
from tailorbird.settings import Settings
from tailorbird.store import Database

if TYPE_CHECKING:
    from tailorbird.channels.feedback import Feedback

KEY_FILE = "channels_key"
SECRET_PREFIX = "whsec_"  # Standard Webhooks


@dataclass
class Channels:
    """The room. `start()` is optional: a channel opens with its first message."""

    db: Database | None
    clock: Clock
    settings: Settings
    # What came back about a message, for whoever knows people: in the transaction that notes it.
    on_feedback: Callable[[Connection, Feedback], object] | None = None
    stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    _open: dict[str, Any] = field(default_factory=dict, repr=False)
    _shared: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: Any = field(default_factory=threading.RLock, repr=False)

    def start(self) -> None:
        """Open every channel now, so that a wrong setting is said at start."""
        from tailorbird.channels import open_all

        self.stopping.clear()
        open_all(self)

    def stop(self) -> None:
        self.stopping.set()
        with self._lock:
            opened, self._open = self._open, {}
        for one in reversed(opened.values()):
            one.close()

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """The one thing of that name, made when it is first asked for, closed with the room."""
        with self._lock:
            if name not in self._open:
                self._open[name] = make()
            return self._open[name]

    def shared(self, name: str, make: Callable[[], Any]) -> Any:
        """The one thing of that name that has nothing to close."""
        with self._lock:
            if name not in self._shared:
                self._shared[name] = make()
            return self._shared[name]

    def key(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose; all come from the room's one secret."""
        return hmac.new(self._secret, purpose.encode(), hashlib.sha256).digest()

    def webhook_secret(self, application_id: str) -> str:
        """What signs webhooks for an application, as its receiver is told: whsec_..."""
        if self.settings.webhook_secret:
            return str(self.settings.webhook_secret)
        key = self.key(f"webhook {application_id}")
        return SECRET_PREFIX + base64.b64encode(key).decode()

    @cached_property
    def _secret(self) -> bytes:
        given = self.settings.channels_key or access.secret(self.settings.data, KEY_FILE)
        return str(given).encode()
