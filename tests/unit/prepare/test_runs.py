"""A run: one output that is whole or absent, a report, progress, and parts that outlive a kill."""

from __future__ import annotations

import csv
import fcntl
import gzip
import io
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tailorbird import prepare
from tailorbird.clock import SystemClock
from tailorbird.errors import InUse, Invalid, NotFound
from tailorbird.prepare import Options, Prepare, Progress, from_dict, inputs, outputs
from tailorbird.prepare.counts import Counts
from tailorbird.prepare.staging import staging
from tailorbird.prepare.worker import greeted, greeting
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects, Worker
from tests.conftest import wait_for
from tests.unit.prepare import messy, reference
from tests.unit.prepare.mappings import GIVEN, dataset_name

ARCHIVE = "s3://tailorbird-archive/segment-logs/source/"
DEFAULT = from_dict({}).interactions


@pytest.fixture
def room(db: Database, jobs: Jobs, objects: Objects, settings: Settings) -> Prepare:
    return Prepare(db, jobs, objects, SystemClock(), settings)


@pytest.fixture
def here(tmp_path: Path, settings: Settings) -> Prepare:
    """A room for runs that need no database."""
    db = Database(f"sqlite:///{tmp_path / 'none.db'}")
    return Prepare(db, Jobs(db, SystemClock()), Objects(tmp_path / "o"), SystemClock(), settings)


def archived(room: Prepare, *files: list[bytes]) -> None:
    for n, lines in enumerate(files):
        room.objects.put(f"{ARCHIVE}1795219200000/{n}.gz", gzip.compress(b"\n".join(lines) + b"\n"))


def rows_of(text: str) -> tuple[list[str], Counter[tuple[str, ...]]]:
    header, *rows = list(csv.reader(io.StringIO(text, newline=""), escapechar="\\"))
    return header, Counter(map(tuple, rows))


def test_an_archive_becomes_one_csv_with_a_report(here: Prepare) -> None:
    lines = messy.lines()
    archived(here, lines[:60], lines[60:])
    report = prepare.run(here, ARCHIVE, "s3://shop/in/interactions.csv")
    header, rows = rows_of(here.objects.get("s3://shop/in/interactions.csv").decode())
    expected = reference.convert(lines, DEFAULT)
    assert header == ["USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP"]
    assert rows == expected.rows
    assert (report["rows"], report["rejected"]) == (rows.total(), dict(expected.rejected))
    assert (report["files"], report["read"]) == (2, report["kept"] + report["rejected_total"])
    assert report["future"] == 1  # of the year 5138


def test_samples_name_the_file_and_the_line(here: Prepare, tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    file.write_bytes(b"\n".join([json.dumps(messy.GOOD).encode(), b"garbage{", b'{"event":"x"}']))
    report = prepare.run(here, str(file), str(tmp_path / "o.csv"))
    assert report["samples"] == {
        "not_a_call": [{"file": str(file), "line": 2, "text": "garbage{"}],
        "event_not_wanted": [{"file": str(file), "line": 3, "text": '{"event":"x"}'}],
    }


def test_the_seeds_mode_writes_the_glue_jobs_columns_into_a_folder_of_its_name(
    here: Prepare,
) -> None:
    odd = {**messy.GOOD, "timestamp": "2026-11-01T10:00:00Z"}
    archived(here, [json.dumps(call).encode() for call in (messy.GOOD, odd)])
    mapping = from_dict({"mode": "seed"})
    prepare.run(here, ARCHIVE, "s3://shop/transformed/", mapping)
    names = [info.uri.rpartition("/")[2] for info in here.objects.list("s3://shop/transformed/")]
    assert names[0] == "_SUCCESS"
    assert names[1].startswith("run-17")
    assert names[1].endswith("-part-r-00000")
    header, rows = rows_of(here.objects.get(f"s3://shop/transformed/{names[1]}").decode())
    assert header == list(mapping.interactions.header)
    moment = messy.GOOD["timestamp"]
    assert rows == {
        ("a1", "u1", "s1", "Product Added", moment, "1793527200"): 1,
        ("a1", "u1", "s1", "Product Added", odd["timestamp"], ""): 1,  # as unix_timestamp does
    }


def test_a_folder_holds_parts_with_headers_and_nothing_of_an_earlier_run(
    here: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = messy.lines()
    archived(here, *[lines[n::5] for n in range(5)])
    prepare.run(here, ARCHIVE, "s3://shop/x/")
    monkeypatch.setattr(inputs, "GROUP_FILES", 2)
    prepare.run(here, ARCHIVE, "s3://shop/x/")
    monkeypatch.setattr(inputs, "GROUP_FILES", 4)
    prepare.run(here, ARCHIVE, "s3://shop/x/")
    found = {info.uri.rpartition("/")[2]: info.uri for info in here.objects.list("s3://shop/x/")}
    assert sorted(found) == ["_SUCCESS", "part-00000.csv", "part-00001.csv"]
    parts = [rows_of(here.objects.get(found[f"part-{n:05}.csv"]).decode()) for n in range(2)]
    assert {tuple(header) for header, _ in parts} == {DEFAULT.header}
    assert parts[0][1] + parts[1][1] == reference.convert(lines, DEFAULT).rows


def test_a_local_folder_with_something_else_in_it_is_not_replaced(
    here: Prepare, tmp_path: Path
) -> None:
    archived(here, messy.lines())
    target = tmp_path / "out"
    for _ in range(2):
        prepare.run(here, ARCHIVE, f"{target}/")
    assert sorted(file.name for file in target.iterdir()) == ["_SUCCESS", "part-00000.csv"]
    (target / "thesis.doc").write_text("mine")
    with pytest.raises(Invalid, match=r"holds thesis\.doc"):
        prepare.run(here, ARCHIVE, f"{target}/")
    assert (target / "thesis.doc").exists()


@pytest.mark.parametrize("engine", ["python", "duckdb"])
def test_groups_and_processes_change_nothing_but_the_pace(
    here: Prepare, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    lines = messy.lines()
    archived(here, *[lines[n::5] for n in range(5)])
    monkeypatch.setattr(inputs, "GROUP_FILES", 2)
    told: list[Progress] = []
    options = Options(engine=engine, processes=2)
    report = prepare.run(here, ARCHIVE, "s3://shop/x.csv", options=options, told=told.append)
    assert [one.files for one in told][-1] == 5
    assert told[-1].bytes == told[-1].bytes_total == report["bytes"]
    assert told[-1].seconds_left == 0
    assert report["rows"] == reference.convert(lines, DEFAULT).rows.total()


def test_a_strict_run_ends_at_a_damaged_file_and_leaves_no_output(here: Prepare) -> None:
    whole = gzip.compress(b"\n".join(messy.lines()) + b"\n")
    here.objects.put(f"{ARCHIVE}1/cut.gz", whole[: len(whole) // 2])
    with pytest.raises(Invalid, match=r"cut\.gz: the gzip ends before its end"):
        prepare.run(here, ARCHIVE, "s3://shop/x.csv", options=Options(strict=True))
    assert "shop" not in here.objects.buckets()


def test_an_output_on_this_machine_is_replaced_whole(here: Prepare, tmp_path: Path) -> None:
    archived(here, messy.lines())
    target = tmp_path / "out" / "interactions.csv"
    prepare.run(here, ARCHIVE, str(target))
    prepare.run(here, ARCHIVE, str(target))
    assert (
        rows_of(target.read_bytes().decode())[1] == reference.convert(messy.lines(), DEFAULT).rows
    )
    assert [file.name for file in target.parent.iterdir()] == ["interactions.csv"]


class Stop(Exception):
    pass


def test_a_run_cut_off_goes_on_with_the_parts_it_had(
    here: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = messy.lines()
    archived(here, *[lines[n::6] for n in range(6)])
    monkeypatch.setattr(inputs, "GROUP_FILES", 1)

    def stop(progress: Progress) -> None:
        if progress.files == 4:
            raise Stop

    with pytest.raises(Stop):
        prepare.run(here, ARCHIVE, "s3://shop/x.csv", told=stop, options=Options(processes=1))
    assert "shop" not in here.objects.buckets()
    told: list[Progress] = []
    prepare.run(here, ARCHIVE, "s3://shop/x.csv", told=told.append, options=Options(processes=1))
    assert [one.files for one in told] == [4, 5, 6]
    assert rows_of(here.objects.get("s3://shop/x.csv").decode())[1] == (
        reference.convert(lines, DEFAULT).rows
    )
    assert not (here.settings.data / "prepare").exists()


def test_new_files_or_another_mapping_begin_again(
    here: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = messy.lines()
    archived(here, lines[:50], lines[50:90])
    monkeypatch.setattr(inputs, "GROUP_FILES", 1)

    def stop(progress: Progress) -> None:
        if progress.files == 1:
            raise Stop

    with pytest.raises(Stop):
        prepare.run(here, ARCHIVE, "s3://shop/x.csv", told=stop, options=Options(processes=1))
    archived(here, lines[:50], lines[50:])
    report = prepare.run(here, ARCHIVE, "s3://shop/x.csv")
    assert report["rows"] == reference.convert(lines, DEFAULT).rows.total()


KILLED = """
import os, signal, sys
from pathlib import Path
from tailorbird import prepare, settings
from tailorbird.clock import SystemClock
from tailorbird.prepare import inputs
from tailorbird.store import Database, Jobs, Objects
place = Path(sys.argv[1])
inputs.GROUP_FILES = 1
db, clock = Database(f"sqlite:///{place}/none.db"), SystemClock()
given = settings.load({"data": place / "data"}, environment={}, folder=place)
room = prepare.Prepare(db, Jobs(db, clock), Objects(place / "o"), clock, given)
def told(progress):
    print(progress.files, flush=True)
    if progress.files == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
options = prepare.Options(processes=2)
prepare.run(room, str(place / "in"), str(place / "out.csv"), options=options, told=told)
"""


def test_kill_9_leaves_nothing_under_the_final_name_and_loses_one_part_at_most(
    tmp_path: Path,
) -> None:
    lines = messy.lines()
    (tmp_path / "in").mkdir()
    for n in range(6):
        (tmp_path / "in" / f"{n}.gz").write_bytes(gzip.compress(b"\n".join(lines[n::6])))
    output = tmp_path / "out.csv"
    first = script(tmp_path, 3)
    assert first.returncode == -signal.SIGKILL
    assert not output.exists()
    second = script(tmp_path, 99)
    assert second.returncode == 0
    assert int(second.stdout.split()[0]) == 3  # it went on from there
    assert rows_of(output.read_bytes().decode())[1] == reference.convert(lines, DEFAULT).rows
    assert [one.name for one in tmp_path.glob("*out*")] == ["out.csv"]


def script(place: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, str(place), str(kill_at)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ}, check=False)


def test_two_runs_at_once_do_not_share_their_parts(tmp_path: Path) -> None:
    again = staging(tmp_path, "k")
    with staging(tmp_path, "k"), pytest.raises(InUse, match="by another process"):
        again.__enter__()


def test_a_lock_that_went_away_with_its_folder_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run ends between this one's opening of the lock and its locking."""
    real, before = fcntl.flock, staging(tmp_path / "parts", "k")
    before.__enter__()

    def late(lock: Any, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real)
        before.__exit__(None, None, None)
        real(lock, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with staging(tmp_path / "parts", "k") as stage:
        stage.unfinished(0).write_text("a,b\n")
        stage.keep(0, Counts())
        assert stage.known(0) is not None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ({".out.0.old": "old", ".out.0.part": "new"}, "new"),  # killed between the two renames
        ({".out.0.old": "old"}, "old"),
        ({".out.0.old": "old", "out": "new"}, "new"),  # killed after them
        ({".out.0.part": "new", "out": "old"}, "old"),  # and before
    ],
)
def test_an_exchange_of_folders_that_was_cut_off_is_finished(
    tmp_path: Path, left: dict[str, str], expected: str
) -> None:
    for name, held in left.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "part-00000.csv").write_text(held)
        (tmp_path / name / "_SUCCESS").touch()
    outputs.recover(f"{tmp_path}/out/")
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "part-00000.csv").read_text() == expected


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_worker_is_told_its_dataset_as_it_is(name: str) -> None:
    dataset = from_dict(GIVEN[name]).dataset(dataset_name(name))
    assert dataset is not None
    assert greeted(greeting(dataset)) == dataset


def test_a_job_does_it_in_the_background_and_reports(room: Prepare) -> None:
    archived(room, messy.lines())
    job_id = prepare.start(room, "source", "s3://shop/x.csv")
    worker = Worker(room.jobs, prepare.job_kinds(room), threads=1)
    worker.start()
    try:
        job = wait_for(lambda: done(room, job_id), 20)
    finally:
        worker.stop()
    assert job["state"] == "done", job["error"]
    assert job["result"]["rows"] == reference.convert(messy.lines(), DEFAULT).rows.total()
    assert job["unit"] == f"bytes ({job['result']['rows']:,} rows)"
    assert prepare.progress_of(room, job) == {"rate": None, "secondsLeft": None}


def done(room: Prepare, job_id: int) -> dict[str, Any] | None:
    job = room.jobs.get(job_id)
    return job if job["state"] in ("done", "failed") else None


def test_a_running_job_says_its_pace(here: Prepare) -> None:
    job = {"state": "running", "done": 25, "total": 100, "started": here.clock.now() - 5}
    found = prepare.progress_of(here, job)
    assert (found["rate"], found["secondsLeft"]) == (5, pytest.approx(15, abs=1))


def test_an_empty_archive_is_not_found(here: Prepare) -> None:
    with pytest.raises(NotFound, match="segment-logs/nobody"):
        prepare.run(here, ARCHIVE.replace("source", "nobody"), "s3://shop/x.csv")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"output_uri": "s3://shop/x.parquet"}, "ends in .csv"),
        ({"options": Options(engine="hadoop")}, "no engine 'hadoop'; one of"),
        ({"dataset": "users"}, r"says nothing of users; a table \[users\]"),
        ({"dataset": "events"}, "no dataset 'events'; one of interactions"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(
    here: Prepare, given: dict[str, Any], what: str
) -> None:
    archived(here, messy.lines()[:2])
    output = given.pop("output_uri", "s3://shop/x.csv")
    with pytest.raises(Invalid, match=what):
        prepare.run(here, ARCHIVE, output, **given)
    assert "shop" not in here.objects.buckets()
