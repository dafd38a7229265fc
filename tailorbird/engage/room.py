"""What the room holds: the store, the clock, the settings and the doors of the rooms below."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event, Lock, Semaphore
from typing import Any
from weakref import WeakValueDictionary

from tailorbird.clock import Clock
from tailorbird.errors import NotFound, TailorbirdError
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects

WRITERS = 4  # of endpoints, at once in a process: each holds up to 300 of PostgreSQL's locks

Items = list[tuple[str, dict[str, Any]]]
Recommend = Callable[[str, Sequence[str], int, list[str]], Mapping[str, Items | TailorbirdError]]


def _nothing_recommends(arn: str, people: Sequence[str], *_: Any) -> dict[str, TailorbirdError]:
    return dict.fromkeys(people, NotFound(f"There is no campaign {arn}"))


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
    # Track calls for a source of `collect` (source id, calls); Invalid for a source there is not.
    calls: Callable[[str, list[dict[str, Any]]], None] | None = None

    # The best items for people (ARN of a Personalize campaign or recommender, its user ids, count,
    # metadata columns): for each person the items with the values of those columns, the best first,
    # or why there are none.
    recommend: Recommend = field(default=_nothing_recommends, repr=False)
    event_names: dict[int, set[tuple[str, str]]] = field(default_factory=dict, repr=False)
    attribute_names: dict[int, dict[str, set[str]]] = field(default_factory=dict, repr=False)
    app_numbers: dict[str, int] = field(default_factory=dict, repr=False)  # they never change
    writers: Semaphore = field(default_factory=lambda: Semaphore(WRITERS), repr=False)
    # By activity: since when a channel takes nothing, as this process has seen it.
    away_since: dict[int, float] = field(default_factory=dict, repr=False)
    # By activity: whose stretch begins batches in this process.
    turns: WeakValueDictionary[int, Lock] = field(default_factory=WeakValueDictionary, repr=False)
    stopping: Event = field(default_factory=Event, repr=False)

    @cached_property
    def lanes(self) -> ThreadPoolExecutor:
        """The threads in which batches wait for hooks and channels."""
        return ThreadPoolExecutor(self.settings.engage_hook_concurrency, "engage-batch")

    @cached_property
    def slots(self) -> Semaphore:
        """One for each batch between its beginning and its commit, over all runs."""
        return Semaphore(self.settings.engage_hook_concurrency)

    def stop(self) -> None:
        """Begin no more batches; runs go on at the next start where they were."""
        self.stopping.set()
