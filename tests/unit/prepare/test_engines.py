"""Every engine makes exactly the rows of the rule, and counts every other call by its reason."""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from tailorbird import prepare
from tailorbird.clock import SystemClock
from tailorbird.errors import Invalid
from tailorbird.prepare import Options, Prepare, blocks, from_dict
from tailorbird.prepare.engines import ENGINES
from tailorbird.prepare.mapping import LEFT_OUT, REASONS
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects
from tests.unit.prepare import mappings, messy, reference

HERE = sorted(ENGINES.keys() - {"spark"})  # Spark has test_spark.py
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The messy lines in three files: gzip, gzip of two pieces, plain."""
    folder = tmp_path_factory.mktemp("archive")
    given = [line + b"\n" for line in messy.lines()]
    third = len(given) // 3
    (folder / "1.gz").write_bytes(gzip.compress(b"".join(given[:third])))
    pieces = given[third : third + 9], given[third + 9 : 2 * third]
    (folder / "2.gz").write_bytes(b"".join(gzip.compress(b"".join(piece)) for piece in pieces))
    (folder / "3.json").write_bytes(b"".join(given[2 * third :])[:-1])
    return folder


@pytest.fixture
def room(tmp_path: Path, settings: Settings) -> Prepare:
    db = Database(f"sqlite:///{tmp_path / 'none.db'}")
    return Prepare(db, Jobs(db, SystemClock()), Objects(tmp_path / "o"), SystemClock(), settings)


def rows_of(file: Path) -> tuple[tuple[str, ...], Counter[tuple[str, ...]]]:
    with file.open(newline="") as text:
        header, *rows = map(tuple, csv.reader(text, escapechar="\\", strict=True))
    return header, Counter(rows)


@pytest.mark.parametrize("name", sorted(mappings.GIVEN))
@pytest.mark.parametrize("engine", HERE)
def test_messy_lines_give_exactly_the_rows_and_reasons_of_the_rule(
    room: Prepare, archive: Path, tmp_path: Path, engine: str, name: str
) -> None:
    mapping, dataset = from_dict(mappings.GIVEN[name]), mappings.dataset_name(name)
    wanted = prepare.dataset_of(mapping, dataset)
    target = tmp_path / "out.csv"
    report = prepare.run(
        room, str(archive), str(target), mapping, dataset=dataset, options=Options(engine=engine)
    )
    expected = reference.convert(messy.lines(), wanted)
    header, rows = rows_of(target)
    assert header == wanted.header
    assert rows - expected.rows == Counter()
    assert expected.rows - rows == Counter()
    assert report["rows"] == expected.rows.total()
    assert report["rejected"] == dict(expected.rejected)
    assert report["read"] == expected.read == report["kept"] + report["rejected_total"]
    assert report["left_out"].get("entry_without_item", 0) == expected.without_item
    assert set(report["rejected"]) <= set(REASONS)
    assert set(report["left_out"]) <= set(LEFT_OUT)
    assert set(report["samples"]) == set(report["rejected"])


def test_with_the_standard_library_alone_the_rows_are_the_same(
    room: Prepare, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a Spark executor that has nothing but Python."""
    for name in ("msgspec", "isal"):
        monkeypatch.setitem(sys.modules, name, None)
    mapping = from_dict(mappings.GIVEN["rich"])
    report = prepare.run(room, str(archive), str(tmp_path / "o.csv"), mapping)
    expected = reference.convert(messy.lines(), mapping.interactions)
    assert rows_of(tmp_path / "o.csv")[1] == expected.rows
    assert report["rejected"] == dict(expected.rejected)


@pytest.mark.skipif(bool(find_spec("pyspark")), reason="PySpark is here")
def test_spark_without_pyspark_names_what_to_install(
    room: Prepare, archive: Path, tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match=r"pip install 'tailorbird\[spark\]'"):
        prepare.run(room, str(archive), str(tmp_path / "o.csv"), options=Options(engine="spark"))


@pytest.mark.parametrize("engine", HERE)
def test_a_truncated_file_gives_the_lines_before_the_cut_and_is_named(
    room: Prepare, tmp_path: Path, engine: str
) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    calls = [{**messy.GOOD, "userId": f"u{n}", "context": os.urandom(300).hex()} for n in range(50)]
    whole = gzip.compress("\n".join(map(json.dumps, calls)).encode())
    (folder / "cut.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "good.gz").write_bytes(gzip.compress(json.dumps(messy.GOOD).encode()))
    report = prepare.run(room, str(folder), str(tmp_path / "o.csv"), options=Options(engine=engine))
    assert [one["file"].rpartition("/")[2] for one in report["damaged"]] == ["cut.gz"]
    assert 10 < report["rows"] < 40
    assert report["rejected"] in ({}, {"not_a_call": 1})
    _, rows = rows_of(tmp_path / "o.csv")
    assert rows.total() == report["rows"]


@pytest.mark.parametrize("engine", HERE)
@pytest.mark.parametrize("slip", [b',"n":NaN}', b',"n":-Infinity}', b",}"])
def test_slips_of_sloppy_writers_are_overlooked(
    room: Prepare, tmp_path: Path, engine: str, slip: bytes
) -> None:
    file = tmp_path / "c.gz"
    file.write_bytes(gzip.compress(json.dumps(messy.GOOD).encode()[:-1] + slip))
    report = prepare.run(room, str(file), str(tmp_path / "o.csv"), options=Options(engine=engine))
    assert (report["rows"], report["rejected"]) == (1, {})


@pytest.mark.parametrize("engine", HERE)
def test_quotes_in_event_names_and_keys_stay_data(
    room: Prepare, tmp_path: Path, engine: str
) -> None:
    file = tmp_path / "c.gz"
    line = (
        b'{"event":"it\'s","userId":"u","properties":{"a\'b\\"c":"x"},'
        b'"timestamp":"2026-11-01T10:00:00Z"}'
    )
    file.write_bytes(gzip.compress(line))
    mapping = from_dict({"events": ["it's"], "item_keys": ["a'b\"c"]})
    prepare.run(room, str(file), str(tmp_path / "o.csv"), mapping, options=Options(engine=engine))
    assert (tmp_path / "o.csv").read_text().splitlines()[1:] == ["u,x,it's,1793527200"]


def test_a_line_beyond_the_limit_costs_itself_only(
    room: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "LINE_MAX_BYTES", 3 * MIB)
    file, good = tmp_path / "c.gz", json.dumps(messy.GOOD).encode()
    big = json.dumps({**messy.GOOD, "context": "x" * MIB}).encode()
    giant = json.dumps({**messy.GOOD, "context": "x" * 4 * MIB}).encode()
    file.write_bytes(gzip.compress(b"\n".join([good, giant, big, good]), 1))
    report = prepare.run(room, str(file), str(tmp_path / "o.csv"))
    assert (report["rows"], report["rejected"]) == (3, {"not_a_call": 1})
