"""The fuse box: opens the store, builds the rooms in order, serves them, stops them in reverse."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tailorbird import __version__, access, collect, engage, functions, ids, learn, prepare
from tailorbird.access import Access
from tailorbird.channels import Channels
from tailorbird.clock import Clock, MovedClock, SystemClock
from tailorbird.collect import Collect
from tailorbird.collect.intake import put_calls
from tailorbird.engage import Engage, app_events
from tailorbird.engage.room import Recommend
from tailorbird.errors import TailorbirdError
from tailorbird.functions import Functions
from tailorbird.learn import Learn, crowd
from tailorbird.prepare import Prepare
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Kind, Objects, Worker, metadata
from tailorbird.store.migrations import upgrade
from tailorbird.store.processes import spare_the_collector

LISTEN_BACKLOG = 2048
SECRETS_MODE = 0o700

log = logging.getLogger("tailorbird")


@dataclass
class House:
    """Every room, built and wired; nothing runs until `start`."""

    settings: Settings
    clock: Clock
    db: Database
    jobs: Jobs
    objects: Objects
    access: Access
    functions: Functions
    channels: Channels
    learn: Learn
    collect: Collect
    prepare: Prepare
    engage: Engage
    _stops: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, repr=False)

    @classmethod
    def open(cls, settings: Settings, clock: Clock | None = None) -> House:
        """Make the data folder, bring the database to the newest form and build the rooms."""
        true_clock = clock or SystemClock()  # what clients sign with, whatever the test clock says
        if clock is None and settings.test_clock:
            clock = MovedClock(settings.data / "clock")
        clock = clock or true_clock
        settings.data.mkdir(parents=True, exist_ok=True, mode=SECRETS_MODE)
        db = Database(settings.database())
        upgrade(db)
        jobs = Jobs(db, clock, settings.job_lease_seconds)
        objects = Objects(settings.data / "objects", settings)
        keys = Access(db, true_clock, settings)
        workshop = Functions(db, jobs, objects, clock, settings, keys)
        doors = Channels(db, clock, settings)
        study = Learn(db, jobs, objects, clock, settings)
        parlour = Engage(db, jobs, objects, clock, settings, workshop, doors, study)
        parlour.recommend = _recommend_door(study)
        doors.on_feedback = partial(engage.take_feedback, parlour)
        porch = Collect(
            db,
            jobs,
            objects,
            clock,
            settings,
            workshop,
            study,
            _endpoints_door(parlour),
            doors,
            _app_events_door(parlour),
        )
        parlour.calls = partial(put_calls, porch)
        kitchen = Prepare(db, jobs, objects, clock, settings)
        house = cls(
            settings,
            clock,
            db,
            jobs,
            objects,
            keys,
            workshop,
            doors,
            study,
            porch,
            kitchen,
            parlour,
        )
        access.first_credentials(keys, settings.data)
        collect.ensure_default_source(porch, access.secret(settings.data, "write_key"))
        access.secret(settings.data, "api_token")
        return house

    def kinds(self) -> dict[str, Kind]:
        """Every kind of background work this house can do."""
        rooms: list[dict[str, Kind]] = [
            functions.job_kinds(self.functions),
            learn.job_kinds(self.learn),
            collect.job_kinds(self.collect),
            prepare.job_kinds(self.prepare),
            engage.job_kinds(self.engage),
        ]
        return {name: kind for kinds in rooms for name, kind in kinds.items()}

    def start(self, *, serving: bool = True) -> None:
        """Start the rooms that keep something running, then the workers."""
        rooms: list[Any] = [self.functions, self.channels, *([self.collect] if serving else [])]
        for room in rooms:
            room.start()
            self._stops.callback(room.stop)
        worker = Worker(self.jobs, self.kinds(), self.settings.worker_threads)
        worker.start()
        self._stops.callback(worker.stop)
        self._stops.callback(self.engage.stop)  # before the workers: they wait for its batches
        spare_the_collector()

    def stop(self) -> None:
        """Stop in reverse; what was cut off goes on at the next start."""
        self._stops.close()
        self.db.close()

    def reset(self) -> House:
        """The same house, empty: for test suites on temporary data. Keys and secrets stay."""
        self.stop()
        db = Database(self.settings.database())
        with db.write() as conn:
            for table in reversed(metadata.sorted_tables):
                if table.name == "access_keys":  # sessions end: their roles are gone
                    conn.execute(table.delete().where(table.c.expires.is_not(None)))
                else:
                    conn.execute(table.delete())
        db.close()
        for folder in self.settings.data.iterdir():
            if folder.is_dir():
                shutil.rmtree(folder)
        moved = isinstance(self.clock, MovedClock)
        house = House.open(self.settings, None if moved else self.clock)
        house.start()
        return house

    def health(self) -> dict[str, Any]:
        """What `GET /_/health` says; raises when the database does not answer."""
        with self.db.read() as conn:
            conn.exec_driver_sql("SELECT 1")
        return {
            "status": "ok",
            "version": __version__,
            "process": os.getpid(),
            "database": self.db.dialect,
            "sandbox": self.functions.level,
        }


def _recommend_door(study: Learn) -> Recommend:
    """How engage asks Personalize for the items of people, as a caller of the same account."""

    def recommend(
        arn: str, people: Sequence[str], count: int, columns: list[str]
    ) -> dict[str, list[tuple[str, dict[str, Any]]] | TailorbirdError]:
        region, account = arn.split(":")[3:5]
        caller = access.Caller(account, region, f"arn:aws:iam::{account}:root", "", ids.uuid4())
        named = "recommenderArn" if ":recommender/" in arn else "campaignArn"
        request: dict[str, Any] = {named: arn, "numResults": count}
        if columns:
            request["metadataColumns"] = {"ITEMS": columns}
        answers = crowd.get_recommendations(study, caller, request, people)
        return {person: _items(answer, columns) for person, answer in answers.items()}

    return recommend


def _items(
    answer: dict[str, Any] | TailorbirdError, columns: list[str]
) -> list[tuple[str, dict[str, Any]]] | TailorbirdError:
    if isinstance(answer, TailorbirdError):
        return answer
    items = answer["itemList"]
    return [(item["itemId"], _values(item.get("metadata") or {}, columns)) for item in items]


def _values(metadata: dict[str, str], columns: list[str]) -> dict[str, str]:
    """The columns under the names they were asked by: answers have them in lower case."""
    return {name: metadata.get(name.lower(), "") for name in columns}


def _app_events_door(parlour: Engage) -> Callable[[str, str, dict[str, Any]], dict[str, Any]]:
    """How collect's track calls become a Pinpoint application's events; a result for each."""

    def put(account: str, application_id: str, batch: dict[str, Any]) -> dict[str, Any]:
        region = parlour.settings.region
        caller = access.Caller(account, region, f"arn:aws:iam::{account}:root", "", ids.uuid4())
        request = {"ApplicationId": application_id, "EventsRequest": {"BatchItem": batch}}
        found: dict[str, Any] = app_events.put_events(parlour, caller, request)
        return dict(found["EventsResponse"]["Results"])

    return put


def _endpoints_door(parlour: Engage) -> Callable[[str, str, list[dict[str, Any]]], None]:
    """How collect reaches Pinpoint endpoints, one floor neighbour to another."""

    def update(account: str, application_id: str, endpoints: list[dict[str, Any]]) -> None:
        engage.update_endpoints(parlour, account, application_id, endpoints)

    return update
