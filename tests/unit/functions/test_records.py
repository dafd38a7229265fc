"""Recorded invocations: switched on per function, bounded, private, replayed against new code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tailorbird.errors import Invalid, NotFound
from tailorbird.functions import catalog, records, replays
from tailorbird.functions.names import FunctionRef
from tailorbird.functions.records import Record, Records
from tests.unit.functions.conftest import ACCOUNT, OWNER, REGION, Workshop, zipped

REF = FunctionRef(ACCOUNT, REGION, "f")


def record(number: int, size: int = 10) -> Record:
    id = f"{1795284000000 + number}-r{number}"
    return Record(id, f"r{number}", "$LATEST", number, 1.5, None, b"x" * size, b"null", "log")


def here(workshop: Workshop, name: str) -> tuple[Records, FunctionRef]:
    return workshop.room.supervisor.records, FunctionRef(ACCOUNT, REGION, name)


def test_nothing_is_recorded_unless_asked(workshop: Workshop):
    name = workshop.create("def handler(event, context): pass")
    workshop.invoke(name)
    kept, ref = here(workshop, name)
    assert kept.list(ref) == []


def test_an_invocation_is_recorded_with_event_result_log_and_duration(workshop: Workshop):
    name = workshop.create(
        "def handler(event, context):\n    print('hm')\n    return event['n'] + 1"
    )
    kept, ref = here(workshop, name)
    kept.switch(ref, True)
    done = workshop.invoke(name, {"n": 1})
    kept.switch(ref, False)
    workshop.invoke(name, {"n": 2})
    [found] = [each.whole() for each in kept.list(ref)]
    assert (found["event"], found["response"], found["error"]) == ({"n": 1}, 2, None)
    assert "hm\n" in found["log"] and "REPORT" in found["log"]
    assert found["duration_ms"] == pytest.approx(done.duration_ms, abs=0.01)


@pytest.mark.parametrize(("value", "count"), [("1", 1), ("true", 1), ("0", 0), ("off", 0)])
def test_a_variable_of_the_function_switches_it_too(workshop: Workshop, value: str, count: int):
    variables = {"Variables": {"TAILORBIRD_RECORD": value}}
    name = workshop.create("def handler(event, context): pass", Environment=variables)
    workshop.invoke(name)
    kept, ref = here(workshop, name)
    assert len(kept.list(ref)) == count


def test_errors_and_timeouts_are_recorded_as_they_ended(workshop: Workshop):
    source = """
import time
def handler(event, context):
    if event.get("sleep"): time.sleep(5)
    raise ValueError("no")
"""
    name = workshop.create(source, Timeout=1, Environment={"Variables": {"TAILORBIRD_RECORD": "1"}})
    workshop.invoke(name, {})
    workshop.invoke(name, {"sleep": True})
    kept, ref = here(workshop, name)
    types = [each.whole()["response"]["errorType"] for each in kept.list(ref)]
    assert types == ["Sandbox.Timedout", "ValueError"]


def test_only_the_owner_reads_them(tmp_path: Path):
    kept = Records(tmp_path, 1)
    kept.switch(REF, True)
    kept.keep(REF, record(1))
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "records").rglob("*.json")}
    folders = {p.stat().st_mode & 0o777 for p in (tmp_path / "records").rglob("*") if p.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


def test_the_oldest_go_when_the_functions_share_is_full(tmp_path: Path):
    kept = Records(tmp_path, 0.1)
    for number in range(20):
        kept.keep(REF, record(number, 10_000))
    files = list((tmp_path / "records").rglob("*.json"))
    assert sum(file.stat().st_size for file in files) <= 0.1 * 1024 * 1024
    assert kept.list(REF)[0].request_id == "r19"
    assert 3 <= len(files) < 10


def test_there_are_never_more_than_a_thousand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(records, "MAX_RECORDS", 5)
    kept = Records(tmp_path, 1)
    for number in range(9):
        kept.keep(REF, record(number))
    assert [each.request_id for each in kept.list(REF)] == ["r8", "r7", "r6", "r5", "r4"]


def test_a_disk_that_cannot_be_written_costs_only_the_record(tmp_path: Path):
    (tmp_path / "records").write_text("not a folder")
    Records(tmp_path, 1).keep(REF, record(1))
    assert Records(tmp_path, 1).list(REF) == []


@pytest.mark.parametrize("id", ["../../../etc/passwd", "a/b", ".hidden"])
def test_an_id_leads_nowhere_else(tmp_path: Path, id: str):
    with pytest.raises(Invalid):
        Records(tmp_path, 1).get(REF, id)
    with pytest.raises(NotFound):
        Records(tmp_path, 1).get(REF, "unknown")


def test_a_replay_says_whether_the_result_is_still_the_same(workshop: Workshop):
    name = workshop.create("def handler(event, context): return event['n'] * 2")
    kept, ref = here(workshop, name)
    kept.switch(ref, True)
    for number in (2, 3):
        workshop.invoke(name, {"n": number})
    recorded = kept.list(ref)
    assert [replays.replay(workshop.room, ref, each)["same"] for each in recorded] == [True, True]
    assert len(kept.list(ref)) == 2
    code = zipped({"app.py": "def handler(event, context): return event['n'] ** 2"})
    catalog.update_function_code(workshop.room, OWNER, {"FunctionName": name, "ZipFile": code})
    three, two = [replays.replay(workshop.room, ref, each) for each in recorded]
    assert (two["same"], three["same"]) == (True, False)
    assert (three["was"]["response"], three["now"]["response"]) == (6, 9)


def test_the_same_error_again_is_no_difference_though_its_request_is_another(workshop: Workshop):
    name = workshop.create("def handler(event, context): raise ValueError('no')")
    kept, ref = here(workshop, name)
    kept.switch(ref, True)
    workshop.invoke(name)
    [recorded] = kept.list(ref)
    assert replays.replay(workshop.room, ref, recorded)["same"]


def test_what_is_no_json_is_shown_as_base64():
    assert records.readable(b"\xff") == {"base64": "/w=="}
    assert records.readable(json.dumps([1]).encode()) == [1]
