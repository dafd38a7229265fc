"""Replay: the chosen calls of the archive reach one destination again, each once."""

from typing import Any

import pytest

from tailorbird.collect import Collect, destinations, filters, job_kinds, replays
from tailorbird.errors import Invalid, NotFound
from tailorbird.store import Worker
from tests.conftest import wait_for
from tests.unit.collect.conftest import Endpoints, entry, source_id


@pytest.fixture
def to(room: Collect) -> str:
    """A destination that was disabled when the calls came."""
    kind, settings = "Amazon Pinpoint", {"applicationId": "shop"}
    made = destinations.create(room, source_id(room), kind, settings, enabled=False)
    return str(made["id"])


def send(room: Collect, *numbers: int, event: str = "Product Added", hour: int = 12) -> None:
    time = f"2026-11-21T{hour}:00:00.000Z"
    room.log.append_and_wait(entry(room, *numbers, event=event, timestamp=time))


def play(room: Collect, **given: Any) -> dict[str, Any]:
    made = replays.start(room, {"perSecond": 10_000, **given})
    worker = Worker(room.jobs, job_kinds(room), 1)
    worker.start()
    wait_for(lambda: replays.get(room, made["id"])["state"] != "running", 20)
    worker.stop()
    return replays.get(room, made["id"])


def ids(endpoints: Endpoints) -> set[str]:
    return {name for item in endpoints.app_events.values() for name in item["Events"]}


def test_calls_of_the_time_and_the_events_are_sent_again(
    room: Collect, endpoints: Endpoints, to: str
) -> None:
    send(room, 1, hour=10)
    send(room, 2, 3, hour=11)
    send(room, 4, hour=11, event="Product Viewed")
    send(room, 5, hour=12)
    done = play(
        room,
        destinationId=to,
        start="2026-11-21T11:00:00Z",
        end="2026-11-21T12:00:00Z",
        events=["Product Added"],
    )
    assert (done["state"], ids(endpoints)) == ("done", {"m2", "m3"})
    assert done["counts"] == {"looked_at": 5, "delivered": 2, "failed": 0, "filtered": 0}


def test_filters_apply_and_what_fails_is_counted_with_its_reason(
    room: Collect, endpoints: Endpoints, to: str
) -> None:
    filters.create(room, to, {"if": "userId = 'u1'", "actions": [{"type": "DROP"}]})
    send(room, 1, 2)
    send(room, 3, event="refused")
    done = play(room, destinationId=to)
    assert done["counts"] == {
        "looked_at": 3,
        "delivered": 1,
        "failed": 1,
        "failed: 400": 1,
        "filtered": 1,
    }


def test_a_replay_is_not_shown_in_the_delivery_overview(room: Collect, to: str) -> None:
    send(room, 1)
    play(room, destinationId=to)
    assert destinations.overview(room, to)["steps"]["successful_delivery"] == 0


def test_a_replay_that_was_cut_off_goes_on_where_it_was(
    room: Collect, endpoints: Endpoints, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "BATCH_CALLS", 2)
    send(room, *range(1, 8))
    made = replays.start(room, {"destinationId": to, "perSecond": 10_000})
    [job] = room.jobs.claim(["default"], "one")
    if job.kind != replays.KIND:
        [job] = room.jobs.claim(["default"], "one")
    sent = 0
    put = endpoints.put

    def cut_off(account: str, application: str, batch: dict[str, Any]) -> dict[str, Any]:
        nonlocal sent
        sent += 1
        if sent == 2:
            raise KeyboardInterrupt
        return put(account, application, batch)

    room.put_app_events = cut_off
    with pytest.raises(KeyboardInterrupt):
        replays.run(room, job)
    assert replays.get(room, made["id"])["counts"]["delivered"] == 2
    replays.run(room, job)
    assert replays.get(room, made["id"])["counts"]["delivered"] == 7
    assert ids(endpoints) == {f"m{n}" for n in range(1, 8)}


def test_a_replay_can_be_ended(room: Collect, endpoints: Endpoints, to: str) -> None:
    send(room, 1)
    made = replays.start(room, {"destinationId": to})
    assert replays.cancel(room, made["id"])["state"] == "cancelled"


WRONG: list[dict[str, Any]] = [
    {"start": "yesterday"},
    {"start": 3},
    {"start": "2026-11-21T12:00:00Z", "end": "2026-11-21T12:00:00Z"},
    {"events": []},
    {"events": "Product Added"},
    {"perSecond": 0},
    {"perSecond": True},
    {"speed": 3},
]


@pytest.mark.parametrize("given", WRONG)
def test_a_wrong_wish_is_refused(room: Collect, to: str, given: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        replays.start(room, {"destinationId": to, **given})
    assert replays.list_all(room) == []


def test_a_replay_needs_a_destination(room: Collect) -> None:
    with pytest.raises(NotFound):
        replays.start(room, {"destinationId": "nowhere"})
