"""A porch with everything real but the function that a call is delivered to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tailorbird.channels import Channels
from tailorbird.clock import TestClock
from tailorbird.collect import Collect, ensure_default_source
from tailorbird.collect.append import Entry
from tailorbird.collect.calls import Kept
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects

WRITE_KEY = "write-key"
NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z


@dataclass
class Endpoints:
    """Takes what the Pinpoint destination sends; `fail` is raised instead when it is set."""

    updates: list[tuple[str, str, list[dict[str, Any]]]] = field(default_factory=list)
    fail: Exception | None = None
    came: threading.Event = field(default_factory=threading.Event)
    app_events: dict[str, Any] = field(default_factory=dict)

    def __call__(self, account: str, application_id: str, endpoints: list[dict[str, Any]]) -> None:
        if self.fail is not None:
            raise self.fail
        self.updates.append((account, application_id, endpoints))
        self.came.set()

    def put(self, account: str, application_id: str, batch: dict[str, Any]) -> dict[str, Any]:
        """What PutEvents answers; an event named "refused" is."""
        if self.fail is not None:
            raise self.fail
        self.app_events |= batch
        return {
            endpoint: {
                "EventsItemResponse": {
                    name: {"StatusCode": 400 if event["EventType"] == "refused" else 202}
                    for name, event in item["Events"].items()
                }
            }
            for endpoint, item in batch.items()
        }


@pytest.fixture
def clock() -> TestClock:
    return TestClock(NOON)


@pytest.fixture
def endpoints() -> Endpoints:
    return Endpoints()


@pytest.fixture
def make_room(
    db: Database, objects: Objects, clock: TestClock, settings: Settings, endpoints: Endpoints
) -> Iterator[Callable[..., Collect]]:
    """Rooms on one database, as processes started one after the other would be."""
    rooms: list[Collect] = []

    def make(**changes: Any) -> Collect:
        nobody: Any = None  # no function is called in these tests
        jobs = Jobs(db, clock)
        with_changes = settings.replace(**changes)
        made = Collect(
            db,
            jobs,
            objects,
            clock,
            with_changes,
            nobody,
            nobody,
            endpoints,
            Channels(db, clock, with_changes),
            endpoints.put,
        )
        made.source = ensure_default_source(made, WRITE_KEY)  # type: ignore[attr-defined]
        rooms.append(made)
        return made

    yield make
    for made in rooms:
        made.stop()


@pytest.fixture
def room(make_room: Callable[..., Collect]) -> Collect:
    """A started porch with its default source."""
    made = make_room()
    made.start()
    return made


def source_id(room: Collect) -> str:
    return str(room.source["id"])  # type: ignore[attr-defined]


def kept(number: int, call_type: str = "track", **fields: Any) -> Kept:
    """An accepted call with the id `m<number>`."""
    import orjson

    call = {
        "type": call_type,
        "messageId": f"m{number}",
        "userId": f"u{number}",
        "event": "Product Added",
        **fields,
    }
    return Kept(call["messageId"], call_type, orjson.dumps(call))


def entry(room: Collect, *numbers: int, call_type: str = "track", **fields: Any) -> Entry:
    calls = [kept(number, call_type, **fields) for number in numbers]
    return Entry(source_id(room), room.clock.now(), calls)
