"""What the room holds: the store, the clock, the settings, and the models it has open."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tailorbird.clock import Clock
from tailorbird.durations import Durations
from tailorbird.learn.buckets import Buckets
from tailorbird.learn.known import Known
from tailorbird.learn.models import native
from tailorbird.learn.recipes import own
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects

if TYPE_CHECKING:
    from tailorbird.learn.action_past import ActionPast
    from tailorbird.learn.artifacts import Trained
    from tailorbird.learn.metadata import Table
    from tailorbird.learn.past import Past
    from tailorbird.learn.shelf import Shelf


@dataclass
class Learn:
    """Personalize's side of the house."""

    db: Database
    jobs: Jobs
    objects: Objects
    clock: Clock
    settings: Settings
    models: dict[str, Trained] = field(
        default_factory=dict, repr=False
    )  # by their folder's address
    opening: threading.Lock = field(default_factory=threading.Lock, repr=False)
    tables: dict[str, Table] = field(default_factory=dict, repr=False)  # by dataset ARN
    shelves: dict[str, Shelf] = field(default_factory=dict, repr=False)  # by the model's address
    pasts: dict[str, Past] = field(default_factory=dict, repr=False)  # by the part's address

    action_pasts: dict[str, ActionPast] = field(default_factory=dict, repr=False)

    buckets: Buckets = field(default_factory=Buckets, repr=False)
    latencies: dict[str, Durations] = field(default_factory=dict, repr=False)  # by ARN
    costs: dict[str, float] = field(default_factory=dict, repr=False)  # CPU s an answer, by ARN
    known: Known = field(init=False, repr=False)
    native: native.Native | None = field(init=False, repr=False)  # None: all is done in Python

    def __post_init__(self) -> None:
        self.db = self.db.door()
        self.known = Known(self.db)
        self.native = native.opened(self.settings.learn_native)
        own.register(self.settings.learn_recipe_folder)
