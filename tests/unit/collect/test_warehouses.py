"""Warehouses: what is archived is loaded once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailorbird.collect import Collect, archive, job_kinds, sources, syncs, warehouse, warehouses
from tailorbird.errors import Conflict, Invalid, NotFound
from tailorbird.store import Job, Worker
from tests.conftest import wait_for
from tests.unit.collect.conftest import entry, source_id
from tests.unit.collect.warehouse_fixtures import Place, place

TIMES = dict.fromkeys(("receivedAt", "sentAt", "originalTimestamp"), "2026-11-21T12:00:00.000Z")


@pytest.fixture
def at(request: pytest.FixtureRequest, room: Collect) -> Place:
    return place("sqlite", request, warehouses.folder(room))


def made(room: Collect, at: Place, connected: bool = True, **settings: Any) -> str:
    found = warehouses.create(room, at.kind, {**at.settings, **settings})
    if connected:
        warehouses.connect(room, found["id"], source_id(room))
    return str(found["id"])


def send(room: Collect, *numbers: int, **fields: Any) -> None:
    room.log.append_and_wait(entry(room, *numbers, timestamp=TIMES["sentAt"], **TIMES, **fields))


def sync(room: Collect, warehouse_id: str) -> dict[str, Any]:
    """The last sync's record."""
    job = syncs.start(room, warehouse_id)
    worker = Worker(room.jobs, job_kinds(room), 2)
    worker.start()
    wait_for(lambda: room.jobs.get(job)["state"] in ("done", "failed"), 20)
    worker.stop()
    assert room.jobs.get(job)["state"] == "done", room.jobs.get(job)["error"]
    return (syncs.list_all(room, warehouse_id) or [{}])[0]


def ids(at: Place) -> list[str]:
    return [row[0] for row in at.ask("SELECT id FROM _default.tracks ORDER BY id", "_default")]


def test_a_sync_loads_the_history_and_then_what_is_new(room: Collect, at: Place) -> None:
    send(room, 1, 2)
    warehouse_id = made(room, at)
    first = sync(room, warehouse_id)
    assert (first["status"], first["calls"], first["rows"]) == ("SUCCESS", 2, 4)
    assert sync(room, warehouse_id)["rows"] == 0
    send(room, 3)
    assert sync(room, warehouse_id)["rows"] == 2
    assert ids(at) == ["m1", "m2", "m3"]


def test_each_source_has_a_schema_of_its_own(room: Collect, at: Place) -> None:
    other = sources.create(room.db, room.clock, room.settings, "My Shop", "my-shop")
    warehouse_id = made(room, at)
    warehouses.connect(room, warehouse_id, other["id"])
    send(room, 1)
    entry_of_other = entry(room, 2, timestamp=TIMES["sentAt"], **TIMES)
    entry_of_other.source_id = other["id"]
    room.log.append_and_wait(entry_of_other)
    sync(room, warehouse_id)
    assert ids(at) == ["m1"]
    assert at.ask("SELECT id FROM my_shop.tracks", "my_shop") == [("m2",)]


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


@pytest.mark.parametrize("when", ["in the rows", "before the place", "after the place"])
def test_a_killed_sync_leaves_neither_gap_nor_duplicate(
    room: Collect, at: Place, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncs, "BATCH_CALLS", 2)
    send(room, *range(1, 8))
    warehouse_id = made(room, at)
    commit, load = syncs._Sync._commit, syncs.load
    turns = iter(range(10))

    def killed(self: Any, *args: Any) -> None:
        if next(turns) < 1 or when == "after the place":
            commit(self, *args)
        if next(turns) > 1:
            raise Killed

    def half(to: Any, *args: Any) -> int:
        if next(turns) < 1:
            return load(to, *args)
        with to.transaction():
            load.__globals__["_make"](to, {}, "half", {"id": warehouse_columns})
            raise Killed

    from tailorbird.collect.warehouse.columns import Type

    warehouse_columns = Type.TEXT
    with room.db.write() as conn:
        number = room.jobs.enqueue(conn, syncs.KIND, {"warehouse": warehouse_id})
    with monkeypatch.context() as patch:
        if when == "in the rows":
            patch.setattr(syncs, "load", half)
        else:
            patch.setattr(syncs._Sync, "_commit", killed)
        with pytest.raises(Killed):
            syncs.run(room, claimed(room, number))
    again = room.jobs.get(number)
    assert again["state"] == "running"
    syncs.run(room, claimed(room, number, release=True))
    assert ids(at) == [f"m{n}" for n in range(1, 8)]
    assert at.ask("SELECT COUNT(*) FROM _default.product_added", "_default") == [(7,)]
    cut, last = syncs.list_all(room, warehouse_id)[::-1]
    assert (cut["status"], last["status"]) == ("PARTIAL", "SUCCESS")


def claimed(room: Collect, number: int | None, release: bool = False) -> Job:
    if release:
        room.clock.advance(120)  # type: ignore[attr-defined]
    return next(job for job in room.jobs.claim(["default"], "w", 50) if job.id == number)


def test_two_jobs_do_not_load_one_warehouse_at_once(room: Collect, at: Place) -> None:
    send(room, *range(1, 30))
    warehouse_id = made(room, at)
    jobs = [syncs.start(room, warehouse_id) for _ in range(4)]
    worker = Worker(room.jobs, job_kinds(room), 4)
    worker.start()
    wait = lambda: all(room.jobs.get(job)["state"] == "done" for job in jobs)  # noqa: E731

    def all_done() -> bool:
        room.clock.advance(1.0)  # type: ignore[attr-defined]
        return wait()

    wait_for(all_done, 20)
    worker.stop()
    assert len(ids(at)) == 29
    assert sum(row["rows"] for row in syncs.list_all(room, warehouse_id)) == 58


def test_the_hour_brings_a_sync(make_room: Callable[..., Collect], at: Place) -> None:
    room = make_room(warehouse_seconds=600.0)
    room.start()
    warehouse_id = made(room, at)
    send(room, 1)
    worker = Worker(room.jobs, job_kinds(room), 2)
    worker.start()

    def later() -> bool:
        room.clock.advance(60)  # type: ignore[attr-defined]
        room.jobs.nudge()
        return any(row["rows"] for row in syncs.list_all(room, warehouse_id))

    try:
        wait_for(later, 30)
    finally:
        worker.stop()
    assert ids(at) == ["m1"]


def test_a_schedule_names_the_hours() -> None:
    times = [{"hourOfDay": 14, "enabled": True}, {"hourOfDay": 9, "enabled": False}]
    in_berlin = {"enabled": True, "schedule": {"times": times, "timezone": "Europe/Berlin"}}
    noon = 1_795_262_400.0  # 2026-11-21T12:00:00Z, 13 o'clock in Berlin
    assert warehouses.is_time({"enabled": False}, noon)
    assert not warehouses.is_time(in_berlin, noon)
    assert warehouses.is_time(in_berlin, noon + 3600)
    assert not warehouses.is_time(in_berlin, noon - 4 * 3600)


def override(room: Collect, warehouse_id: str, **one: Any) -> list[str]:
    return warehouses.override(room, warehouse_id, [{"sourceId": source_id(room), **one}])


def test_a_source_that_was_off_is_loaded_from_where_it_was(room: Collect, at: Place) -> None:
    warehouse_id = made(room, at)
    override(room, warehouse_id, enabled=False)
    send(room, 1)
    assert sync(room, warehouse_id) == {}
    override(room, warehouse_id, enabled=True)
    assert sync(room, warehouse_id)["rows"] == 2


def test_a_table_that_was_off_takes_new_calls_only(room: Collect, at: Place) -> None:
    warehouse_id = made(room, at)
    said = override(room, warehouse_id, collection="product_added", enabled=False)
    assert "no collection 'product_added' yet" in said[0]
    send(room, 1)
    sync(room, warehouse_id)
    override(room, warehouse_id, collection="product_added", enabled=True)
    send(room, 2)
    sync(room, warehouse_id)
    assert ids(at) == ["m1", "m2"]
    assert at.ask("SELECT id FROM _default.product_added", "_default") == [("m2",)]


def test_a_column_that_is_off_is_not_made(room: Collect, at: Place) -> None:
    warehouse_id = made(room, at)
    override(room, warehouse_id, collection="product_added", property="card", enabled=False)
    send(room, 1, properties={"card": "4111", "sku": "tea"})
    sync(room, warehouse_id)
    tables = warehouses.connection(room, warehouse_id, source_id(room))["tables"]
    assert "sku" in tables["product_added"]
    assert "card" not in tables["product_added"]


def test_a_call_says_which_warehouses_take_it(room: Collect, at: Place) -> None:
    warehouse_id = made(room, at)
    send(room, 1, integrations={"Warehouses": {"all": False}})
    send(room, 2, integrations={"Warehouses": {"warehouseIds": [warehouse_id]}})
    send(room, 3, integrations={"Warehouses": {"warehouseIds": ["another"]}})
    send(room, 4, integrations={"All": False})  # says nothing about warehouses
    sync(room, warehouse_id)
    assert ids(at) == ["m2", "m4"]


def test_a_warehouse_that_cannot_be_opened_is_a_failed_sync_with_a_reason(
    room: Collect, at: Place
) -> None:
    at.folder.mkdir(parents=True)
    (at.folder / at.settings["file"]).write_text("not a folder")
    warehouse_id = made(room, at)
    send(room, 1)
    ended = sync(room, warehouse_id)
    assert (ended["status"], ended["rows"]) == ("FAILURE", 0)
    assert "SQLite" in ended["notices"][0]["message"]
    (at.folder / at.settings["file"]).unlink()
    assert sync(room, warehouse_id)["rows"] == 2


def test_a_file_of_the_archive_that_is_gone_costs_no_other(room: Collect, at: Place) -> None:
    send(room, 1)
    [gone] = archive.flush(room)
    room.objects.delete(gone)
    send(room, 2)
    warehouse_id = made(room, at)
    ended = sync(room, warehouse_id)
    assert (ended["status"], ids(at)) == ("PARTIAL", ["m2"])
    assert "is not there any more" in ended["notices"][0]["message"]
    assert sync(room, warehouse_id)["status"] == "SUCCESS"


def test_secrets_are_neither_shown_nor_stored_in_the_open(room: Collect, request: Any) -> None:
    given = {"host": "db.example.com", "database": "wh", "username": "u", "password": "hunter2"}
    found = warehouses.create(room, "postgres", given)
    assert "hunter2" not in str(found)
    changed = warehouses.update(room, found["id"], settings={"host": "other.example.com"})
    assert changed["settings"]["host"] == "other.example.com"
    assert "hunter2" not in str(warehouses.list_all(room))
    from tailorbird.channels import credentials

    kept = credentials.read(room.channels, found["id"], warehouses.SEALED_AS)
    assert kept == {"password": "hunter2"}
    warehouses.update(room, found["id"], settings={"password": None})
    assert credentials.read(room.channels, found["id"], warehouses.SEALED_AS) == {}


REFUSED = [
    ("oracle", {}, "no kind of warehouse 'oracle'"),
    ("duckdb", {}, "needs the setting 'file'"),
    ("duckdb", {"file": "../x"}, "'file' is '../x'"),
    ("duckdb", {"file": "x", "path": "y"}, "no setting 'path'"),
    ("sqlite", {"file": "x", "textLength": -1}, "'textLength' is -1"),
    ("sqlite", {"file": "x", "productsSku": "yes"}, "'productsSku' is 'yes'"),
    ("postgres", {"host": "h", "database": "d", "port": "x"}, "'port' is 'x'"),
    ("postgres", {"host": "h", "database": "d", "sslMode": "x"}, "'sslMode' is 'x'"),
]


@pytest.mark.parametrize(("kind", "given", "why"), REFUSED)
def test_wrong_settings_are_named(kind: str, given: dict[str, Any], why: str) -> None:
    with pytest.raises((Invalid, NotFound)) as caught:
        warehouses.checked(warehouse.find(kind), given)
    assert why in caught.value.message


OVERRIDES: list[tuple[Any, str]] = [
    (1, "syncOverrides[0] is not an object"),
    ({"enabled": True}, "sourceId is None"),
    ({"sourceId": "s"}, "enabled is None"),
    ({"sourceId": "s", "enabled": True, "property": "p"}, "names a property but no collection"),
    ({"sourceId": "s", "enabled": True, "x": 1}, "no field 'x'"),
]


@pytest.mark.parametrize(("item", "why"), OVERRIDES)
def test_wrong_overrides_are_named(item: Any, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        warehouses.checked_override(item, 0)
    assert why in caught.value.message


SCHEDULES: list[tuple[dict[str, Any], str]] = [
    ({}, "enabled is None"),
    ({"enabled": True}, "schedule is missing"),
    ({"enabled": True, "schedule": {"times": [{"hourOfDay": 24, "enabled": True}]}}, "0 to 23"),
    ({"enabled": True, "schedule": {"times": [], "timezone": "Mars/Base"}}, "'Mars/Base'"),
]


@pytest.mark.parametrize(("given", "why"), SCHEDULES)
def test_wrong_schedules_are_named(given: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid) as caught:
        warehouses.checked_schedule(given)
    assert why in caught.value.message


def test_a_warehouse_that_is_off_is_not_loaded(room: Collect, at: Place) -> None:
    warehouse_id = made(room, at)
    warehouses.update(room, warehouse_id, enabled=False)
    with pytest.raises(Conflict):
        syncs.start(room, warehouse_id)
    warehouses.delete(room, warehouse_id)
    with pytest.raises(NotFound):
        warehouses.get(room, warehouse_id)


def test_a_source_that_is_deleted_is_no_part_of_a_warehouse(room: Collect, at: Place) -> None:
    other = sources.create(room.db, room.clock, room.settings, "Gone", "gone")
    warehouse_id = made(room, at)
    warehouses.connect(room, warehouse_id, other["id"])
    sources.delete(room.db, other["id"])
    assert [one["source_id"] for one in warehouses.connections(room, warehouse_id)] == [
        source_id(room)
    ]


def test_every_kind_says_whether_it_is_reached(
    room: Collect, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    for kind in warehouse.KINDS.values():
        given = place(kind.slug, request, tmp_path)
        warehouses.reach(room, kind.slug, given.settings)
        found = warehouses.create(room, kind.slug, given.settings)
        assert warehouses.is_reached(room, found["id"])
    gone = {"host": "127.0.0.1", "port": "1", "database": "d"}
    assert not warehouses.is_reached(room, warehouses.create(room, "postgres", gone)["id"])
