"""Delivery: a courier for every enabled destination, and the reader that keeps the profiles."""

from __future__ import annotations

import logging
import threading
import time

import sqlalchemy as sa

from tailorbird.collect import catalog, profiles
from tailorbird.collect.catalog.definition import Destination
from tailorbird.collect.courier import Courier
from tailorbird.collect.room import Collect
from tailorbird.collect.tables import destinations, sources
from tailorbird.store.processes import is_dead, process_name

LOOK_SECONDS = 2.0  # another process's changes to destinations are seen after this long
PROFILES_SECONDS = 0.1  # calls that come together are taken into the profiles together

logger = logging.getLogger("tailorbird.collect")


class Delivery:
    """Keeps one courier for each destination of this installation that this process may serve."""

    def __init__(self, room: Collect) -> None:
        self.room = room
        self._couriers: dict[str, Courier] = {}
        self._bell = threading.Event()
        self._changed = True
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping = False
        self.release_dead()
        self.room.log.appended.append(self._wake)
        self._thread = threading.Thread(target=self._run, name="collect-delivery", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let every courier commit what it has in flight."""
        if self._thread is None:
            return
        self._stopping = True
        self._bell.set()
        self._thread.join()
        self._thread = None
        self.room.log.appended.remove(self._wake)
        for courier in self._couriers.values():
            courier.end()
        for courier in self._couriers.values():
            courier.stop()
        self._couriers.clear()
        self._release(process_name())

    def changed(self) -> None:
        """A destination was made, changed or taken away: look now."""
        self._changed = True
        self._bell.set()

    def release_dead(self) -> None:
        """Take over the destinations of this machine's processes that are gone."""
        with self.room.db.read() as conn:
            owned = sa.select(destinations.c.owner).distinct()
            owners = [owner for owner in conn.execute(owned).scalars() if owner]
        for owner in owners:
            if is_dead(owner):
                self._release(owner)

    def _release(self, owner: str) -> None:
        with self.room.db.write() as conn:
            mine = sa.update(destinations).where(destinations.c.owner == owner)
            conn.execute(mine.values(owner=None, lease=0.0))

    def _wake(self, size: int) -> None:
        self._bell.set()
        for courier in list(self._couriers.values()):
            courier.wake()

    def _run(self) -> None:
        looked = float("-inf")
        while not self._stopping:
            try:
                if self._changed or time.monotonic() - looked >= LOOK_SECONDS:
                    self._changed = False
                    self._look()
                    looked = time.monotonic()
                while profiles.read_on(self.room):
                    pass
            except sa.exc.OperationalError as error:
                logger.warning("delivery waits for the database: %s", error.orig)
            except Exception as error:
                logger.error("delivery", exc_info=error)
            self._bell.wait(LOOK_SECONDS)
            self._bell.clear()
            if not self._stopping:
                time.sleep(PROFILES_SECONDS)

    def _look(self) -> None:
        """Start and stop couriers as the destinations say."""
        wanted = self._wanted()
        for name in [
            name for name, courier in self._couriers.items() if courier.to != wanted.get(name)
        ]:
            self._couriers.pop(name).stop()
        for name, to in wanted.items():
            if name not in self._couriers:
                kind = catalog.find(self._types[name])
                self._couriers[name] = Courier(self.room, to, kind, process_name())
                self._couriers[name].start()

    def _wanted(self) -> dict[str, Destination]:
        d, s = destinations, sources
        query = (
            sa.select(d.c.id, d.c.source_id, d.c.type, d.c.settings, s.c.account)
            .join_from(d, s, d.c.source_id == s.c.id)
            .where(d.c.enabled)
        )
        with self.room.db.read() as conn:
            rows = list(conn.execute(query))
        self._types = {row.id: row.type for row in rows}
        return {
            row.id: Destination(row.id, row.source_id, row.account, row.settings) for row in rows
        }
