"""Prepare: exact rows, a reason for every other call, and a file that is whole or absent."""

import csv
import gzip
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tailorbird import prepare
from tailorbird.clock import SystemClock
from tailorbird.errors import Invalid, NotFound
from tailorbird.prepare import SEED, Mapping, Prepare, from_dict, interactions
from tailorbird.prepare.engines import ENGINES
from tailorbird.prepare.mapping import REASONS
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects, Worker
from tests.conftest import wait_for
from tests.unit.prepare import messy, reference

BARE = Mapping(item_keys=("sku",), products=False)
MAPPINGS = {"default": Mapping(), "seed": SEED, "bare": BARE}
ARCHIVE = "s3://tailorbird-archive/segment-logs/source/"


@pytest.fixture
def room(db: Database, jobs: Jobs, objects: Objects, settings: Settings) -> Prepare:
    return Prepare(db, jobs, objects, SystemClock(), settings)


def archived(room: Prepare, *files: list[bytes]) -> None:
    for n, lines in enumerate(files):
        room.objects.put(f"{ARCHIVE}1795219200000/{n}.gz", gzip.compress(b"\n".join(lines) + b"\n"))


def rows_of(text: str) -> tuple[list[str], Counter[tuple[str, ...]]]:
    header, *rows = list(csv.reader(io.StringIO(text, newline="")))
    return header, Counter(map(tuple, rows))


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("name", sorted(MAPPINGS))
def test_messy_lines_give_exactly_the_rows_and_reasons_of_the_rule(
    tmp_path: Path, engine: str, name: str
) -> None:
    mapping, file, output = MAPPINGS[name], tmp_path / "calls.gz", tmp_path / "out.csv"
    lines = messy.lines()
    file.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    written, rejected = ENGINES[engine]([file], mapping, output, tmp_path)
    rows, reasons = reference.convert(lines, mapping)
    found = Counter(map(tuple, csv.reader(io.StringIO(output.read_text(), newline=""))))
    assert found - rows == Counter()
    assert rows - found == Counter()
    assert written == rows.total()
    assert rejected == reasons
    assert set(rejected) <= set(REASONS)


def test_an_archive_becomes_one_csv_with_a_report(room: Prepare) -> None:
    lines = messy.lines()
    archived(room, lines[:60], lines[60:])
    report = prepare.run(room, ARCHIVE, "s3://shop/in/interactions.csv")
    header, rows = rows_of(room.objects.get("s3://shop/in/interactions.csv").decode())
    expected, reasons = reference.convert(lines, Mapping())
    assert header == ["USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP"]
    assert rows == expected
    assert (report["rows"], report["rejected"]) == (expected.total(), dict(reasons))
    assert report["files"] == 2


def test_the_seeds_mode_writes_the_glue_jobs_columns(room: Prepare) -> None:
    archived(room, messy.lines())
    prepare.run(room, ARCHIVE, "s3://shop/seed.csv", from_dict({"mode": "seed"}))
    header, rows = rows_of(room.objects.get("s3://shop/seed.csv").decode())
    assert header == list(SEED.columns)
    assert ("a1", "u1", "s1", "Product Added", messy.GOOD["timestamp"], "1793527200") in rows


def test_files_are_read_in_groups_with_the_same_result(
    room: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = messy.lines()
    archived(room, *[lines[n::5] for n in range(5)])
    monkeypatch.setattr(interactions, "GROUP_FILES", 2)
    told: list[tuple[int, int]] = []
    report = prepare.run(
        room, ARCHIVE, "s3://shop/x.csv", told=lambda done, total: told.append((done, total))
    )
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert report["rows"] == reference.convert(lines, Mapping())[0].total()


def test_a_truncated_file_is_named_and_leaves_no_output(room: Prepare) -> None:
    whole = gzip.compress(b"\n".join(messy.lines()) + b"\n")
    room.objects.put(f"{ARCHIVE}1/cut.gz", whole[: len(whole) // 2])
    with pytest.raises(Invalid, match=r"cut\.gz"):
        prepare.run(room, ARCHIVE, "s3://shop/x.csv")
    assert "shop" not in room.objects.buckets()


def test_an_output_on_this_machine_is_replaced_whole(room: Prepare, tmp_path: Path) -> None:
    archived(room, messy.lines())
    target = tmp_path / "out" / "interactions.csv"
    prepare.run(room, ARCHIVE, str(target))
    prepare.run(room, ARCHIVE, str(target))
    assert rows_of(target.read_text())[1] == reference.convert(messy.lines(), Mapping())[0]
    assert [file.name for file in target.parent.iterdir()] == ["interactions.csv"]


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
    assert job["result"]["rows"] == reference.convert(messy.lines(), Mapping())[0].total()


def done(room: Prepare, job_id: int) -> dict[str, Any] | None:
    job = room.jobs.get(job_id)
    return job if job["state"] in ("done", "failed") else None


def test_an_empty_archive_is_not_found(room: Prepare) -> None:
    with pytest.raises(NotFound, match="segment-logs/nobody"):
        prepare.run(room, ARCHIVE.replace("source", "nobody"), "s3://shop/x.csv")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"mode": "glue"}, 'mode is .glue.; "default" or "seed"'),
    ({"event": ["a"]}, "no field 'event'"),
    ({"events": "Product Added"}, "events is 'Product Added'; a list of texts"),
    ({"events": []}, "may not be empty"),
    ({"products": "yes"}, "products is 'yes'; true or false"),
    ({"columns": ["USER"]}, "columns are of ANONYMOUS_ID"),
]


@pytest.mark.parametrize(("given", "what"), WRONG)
def test_a_wrong_mapping_is_refused_by_field(given: dict[str, Any], what: str) -> None:
    with pytest.raises(Invalid, match=what):
        from_dict(given)


@pytest.mark.parametrize("slip", [b',"n":NaN}', b',"n":-Infinity}', b",}"])
def test_slips_of_sloppy_writers_are_overlooked(tmp_path: Path, slip: bytes) -> None:
    file, output = tmp_path / "c.gz", tmp_path / "o.csv"
    call = json.dumps(messy.GOOD).encode()
    file.write_bytes(gzip.compress(call[:-1] + slip))
    assert ENGINES["duckdb"]([file], Mapping(), output, tmp_path) == (1, Counter())


def test_quotes_in_event_names_and_keys_stay_data(tmp_path: Path) -> None:
    file, output = tmp_path / "c.gz", tmp_path / "o.csv"
    line = (
        b'{"event":"it\'s","userId":"u","properties":{"a\'b\\"c":"x"},'
        b'"timestamp":"2026-11-01T10:00:00Z"}'
    )
    file.write_bytes(gzip.compress(line))
    mapping = Mapping(events=("it's",), item_keys=("a'b\"c",))
    assert ENGINES["duckdb"]([file], mapping, output, tmp_path) == (1, Counter())
    assert output.read_text() == "u,x,it's,1793527200\n"
