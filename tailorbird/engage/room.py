"""What the room holds: the store, the clock, the settings and the doors of the rooms below."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tailorbird.clock import Clock
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects


@dataclass
class Engage:
    db: Database
    jobs: Jobs
    objects: Objects
    clock: Clock
    settings: Settings
    functions: Any
    channels: Any
    learn: Any

    @cached_property
    def lanes(self) -> ThreadPoolExecutor:
        """The threads in which batches wait for hooks and channels."""
        return ThreadPoolExecutor(self.settings.engage_hook_concurrency, "engage-batch")

    def stop(self) -> None:
        """Begin no more batches; what is not committed is done again after the next start."""
        self.lanes.shutdown(wait=False, cancel_futures=True)
