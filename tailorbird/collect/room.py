"""The porch's state: what every deed of collect is given first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tailorbird.channels import Channels
from tailorbird.clock import Clock
from tailorbird.collect.log import Log
from tailorbird.collect.sources import Keyring
from tailorbird.functions import Functions
from tailorbird.learn import Learn
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects

if TYPE_CHECKING:
    from tailorbird.collect.delivery import Delivery

UpdateEndpoints = Callable[[str, str, list[dict[str, Any]]], None]
PutAppEvents = Callable[[str, str, dict[str, Any]], dict[str, Any]]  # BatchItem -> Results


@dataclass
class Collect:
    """Segment's side of one installation; calls are taken between `start` and `stop`."""

    db: Database
    jobs: Jobs
    objects: Objects
    clock: Clock
    settings: Settings
    functions: Functions
    learn: Learn
    update_endpoints: UpdateEndpoints
    channels: Channels
    put_app_events: PutAppEvents
    keys: Keyring = field(init=False)
    log: Log = field(init=False)
    delivery: Delivery = field(init=False)

    def __post_init__(self) -> None:
        from tailorbird.collect.delivery import Delivery

        self.keys = Keyring(self.db)
        self.log = Log(self.db, self.clock, self.settings.collect_fsync)
        self.delivery = Delivery(self)

    def caller_at(self, address: tuple[str, int] | None) -> str | None:
        """The function that sends calls from this address, if one does."""
        return self.functions.caller_at(address)

    def start(self) -> None:
        """Take calls, deliver what is waiting, archive on the hour and when much has come in."""
        from tailorbird.collect import archive, syncs

        self.log.appended = [archive.Scale(self).weigh]
        self.log.start()
        self.delivery.start()
        archive.schedule(self)
        syncs.schedule(self)

    def stop(self) -> None:
        """Commit what was taken; deliveries go on at the next start."""
        self.log.stop()
        self.delivery.stop()
