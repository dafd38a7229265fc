"""Spark on a cluster of two executors gives exactly the rows of the rule, as every engine."""

from __future__ import annotations

import csv
import gzip
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tailorbird import prepare
from tailorbird.clock import SystemClock
from tailorbird.errors import Invalid
from tailorbird.prepare import Options, Prepare, from_dict, inputs
from tailorbird.settings import Settings
from tailorbird.store import Database, Jobs, Objects
from tests.unit.prepare import mappings, messy, reference

MASTER = "local-cluster[2,1,1024]"  # two executors, each a process with one core and 1 GB

pyspark = pytest.importorskip("pyspark", reason="PySpark is not here: pip install '.[spark]'")
if shutil.which("java") is None:
    pytest.skip("no Java here, which Spark needs", allow_module_level=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """One cluster for all: a run takes the Spark that is there already."""
    before = os.environ.get("PYSPARK_PYTHON")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    conf = pyspark.SparkConf().setMaster(MASTER).set("spark.ui.enabled", "false")
    context = pyspark.SparkContext(conf=conf)
    yield context
    context.stop()
    os.environ.pop("PYSPARK_PYTHON")
    if before:
        os.environ["PYSPARK_PYTHON"] = before


@pytest.fixture
def room(tmp_path: Path, settings: Settings) -> Prepare:
    db = Database(f"sqlite:///{tmp_path / 'none.db'}")
    return Prepare(db, Jobs(db, SystemClock()), Objects(tmp_path / "o"), SystemClock(), settings)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cluster_gives_the_rows_and_reasons_of_the_rule(
    cluster: Any, room: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, folder = messy.lines(), tmp_path / "in"
    folder.mkdir()
    for n in range(2):
        (folder / f"{n}.gz").write_bytes(gzip.compress(b"\n".join(lines[n::2])))
    for name, files in (("rich", 1), ("users", 2), ("seed", 2)):
        monkeypatch.setattr(inputs, "GROUP_FILES", files)
        mapping, dataset = from_dict(mappings.GIVEN[name]), mappings.dataset_name(name)
        target = tmp_path / f"{name}.csv"
        report = prepare.run(
            room,
            str(folder),
            str(target),
            mapping,
            dataset=dataset,
            options=Options(engine="spark", master=MASTER),
        )
        expected = reference.convert(lines, prepare.dataset_of(mapping, dataset))
        with target.open(newline="") as text:
            _, *rows = map(tuple, csv.reader(text, escapechar="\\", strict=True))
        assert Counter(rows) == expected.rows, name
        assert report["rejected"] == dict(expected.rejected), name
    assert cluster.statusTracker().getActiveStageIds() == []


def test_the_running_spark_is_not_exchanged_for_another(
    cluster: Any, room: Prepare, tmp_path: Path
) -> None:
    file = tmp_path / "c.gz"
    file.write_bytes(gzip.compress(b"\n".join(messy.lines()[:3])))
    options = Options(engine="spark", master="spark://elsewhere:7077")
    with pytest.raises(Invalid, match=r"runs with master local-cluster\[2,1,1024\] already"):
        prepare.run(room, str(file), str(tmp_path / "o.csv"), options=options)
