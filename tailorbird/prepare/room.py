"""The kitchen's state: what every deed of prepare is given first."""

from __future__ import annotations

from dataclasses import dataclass

from tailorbird.clock import Clock
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects


@dataclass
class Prepare:
    """Archives to interactions; the work is done by jobs or by the caller."""

    db: Database
    jobs: Jobs
    objects: Objects
    clock: Clock
    settings: Settings
