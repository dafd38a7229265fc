"""An import changes the dataset in one step or not at all."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import sqlalchemy as sa

from tailorbird.errors import AlreadyExists, Invalid, LimitExceeded, NotBuilt, NotFound
from tailorbird.learn import imports
from tailorbird.learn.tables import learn_parts

from .conftest import Study, as_csv, chains

ROWS = as_csv(chains(users=10))  # 300 rows


def parts_of(study: Study) -> list[int]:
    with study.room.db.read() as conn:
        query = sa.select(learn_parts.c.rows).where(learn_parts.c.dataset_arn == study.dataset)
        return list(conn.execute(query.order_by(learn_parts.c.id)).scalars())


def test_full_replaces_and_incremental_adds(study: Study):
    study.interactions()
    assert study.bring(ROWS)["status"] == "ACTIVE"
    assert study.bring(ROWS, importMode="INCREMENTAL")["importMode"] == "INCREMENTAL"
    assert parts_of(study) == [300, 300]
    study.bring(as_csv(chains(users=5)), importMode="FULL")
    assert parts_of(study) == [150]
    stored = list(study.room.objects.list(f"s3://{study.room.settings.learn_bucket}/parts/"))
    assert len(stored) == 1


def test_a_folder_of_objects_of_any_name_is_one_import(study: Study):
    study.interactions()
    objects = study.room.objects
    objects.put("s3://data/run/run-1-part-r-00000", ROWS)
    objects.put("s3://data/run/my_folder000", gzip.compress(as_csv(chains(users=4))))
    objects.put("s3://data/run/_SUCCESS", b"")
    for folder in ("s3://data/run/", "s3://data/run"):
        job = study.bring_from(folder)
        assert job["status"] == "ACTIVE", job
        assert parts_of(study) == [420]


def test_one_bad_row_fails_the_import_and_is_kept_in_the_report(study: Study):
    study.interactions()
    job = study.bring(ROWS + b"u,i,view,1700000000000\n")
    assert job["status"] == "CREATE FAILED"
    assert "line 302" in job["failureReason"]
    assert "milliseconds" in job["failureReason"]
    report = imports.report(study.room, job["datasetImportJobArn"])
    assert report["examples"][0]["row"] == "u,i,view,1700000000000"
    assert parts_of(study) == []


FILMS = b"ITEM_ID,GENRE,YEAR\n1,Comedy,1995\n2,(no genres listed),\n3,Drama,2006\xe2\x80\x932007\n"
FILM_FIELDS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "GENRE", "type": "string", "categorical": True},
    {"name": "YEAR", "type": "int"},
]


def bring_films(study: Study) -> dict:
    """The item metadata of AWS's proof-of-concept workshop in three rows, by its own schema."""
    study.interactions()
    study.items(FILM_FIELDS)
    return study.bring(FILMS)


def test_an_item_keeps_its_row_where_a_number_that_describes_it_is_missing(study: Study):
    job = bring_films(study)
    assert job["status"] == "ACTIVE", job
    report = imports.report(study.room, job["datasetImportJobArn"])
    assert (report["rows"], report["rejected"]) == (3, 0)
    assert report["blanked"] == {"YEAR: empty": 1, "YEAR: not a number of its type": 1}
    assert report["blanked_examples"][0]["line"] == 4


def test_such_a_row_is_a_bad_row_where_the_setting_says_so(study: Study):
    study.room.settings = study.room.settings.replace(learn_import_bad_numbers="refuse")
    job = bring_films(study)
    assert job["status"] == "CREATE FAILED"
    assert "2 of 3 rows cannot be read" in job["failureReason"]


def test_every_rejected_row_is_kept_in_a_file(study: Study):
    study.interactions()
    rows = [("u", "", "view", n) if n % 2 else ("u", "i", "view", n) for n in range(200)]
    job = study.bring(as_csv(rows))
    assert job["status"] == "CREATE FAILED"
    found = imports.report(study.room, job["datasetImportJobArn"])
    assert (found["rejected"], len(found["examples"])) == (100, 20)
    lines = study.room.objects.get(found["rejectedRows"]).decode().splitlines()
    assert len(lines) == 101
    assert lines[1] == 's3://data/in.csv,3,ITEM_ID,empty,"u,,view,1"'


def test_bad_rows_are_left_out_where_the_setting_says_so(study: Study):
    study.room.settings = study.room.settings.replace(learn_import_bad_rows="skip")
    study.interactions()
    job = study.bring(ROWS + b"u,i,view,soon\n")
    assert job["status"] == "ACTIVE"
    assert parts_of(study) == [300]
    assert imports.report(study.room, job["datasetImportJobArn"])["rejected"] == 1


FAILING = {
    "nothing there": ("s3://data/none/", "Invalid Data location"),
    "no bucket": ("s3://nowhere/none.csv", "Invalid Data location"),
}


@pytest.mark.parametrize("where, reason", FAILING.values(), ids=FAILING)
def test_a_place_without_data_fails_the_job(study: Study, where: str, reason: str):
    study.interactions()
    job = study.bring_from(where)
    assert job["status"] == "CREATE FAILED"
    assert reason in job["failureReason"]


def test_too_few_rows_fail_with_the_setting_that_changes_it(study: Study):
    study.interactions()
    job = study.bring(as_csv(chains(users=2)))
    assert "needs 100 (setting learn_min_interactions)" in job["failureReason"]


def test_a_local_file_needs_a_setting(study: Study, tmp_path: Path):
    study.interactions()
    file = tmp_path / "in" / "rows.csv"
    file.parent.mkdir()
    file.write_bytes(ROWS)
    with pytest.raises(Invalid, match="learn_import_roots"):
        study.bring_from(f"file://{file}")
    study.room.settings = study.room.settings.replace(learn_import_roots=str(file.parent))
    for where in (f"file://{file}", str(file), str(file.parent)):
        assert study.bring_from(where)["status"] == "ACTIVE"
    with pytest.raises(Invalid, match="learn_import_roots"):
        study.bring_from(f"{file.parent}/../secret.csv")


def test_requests_that_cannot_work_are_refused_at_once(study: Study):
    study.interactions()
    with pytest.raises(Invalid, match="must be FULL"):
        study.bring(ROWS, importMode="INCREMENTAL")
    with pytest.raises(NotBuilt, match="http"):
        study.bring_from("https://example.com/rows.csv")
    with pytest.raises(NotFound, match="dataset"):
        study.bring(ROWS, datasetArn=study.dataset + "x")
    with pytest.raises(Invalid, match="bucket"):
        study.bring_from("s3://A_B/rows.csv")
    study.bring(ROWS, jobName="once")
    with pytest.raises(AlreadyExists, match="dataset-import-job/once"):
        study.bring(ROWS, jobName="once")


def test_a_job_is_described_as_it_was_asked_for(study: Study):
    study.interactions()
    role = "arn:aws:iam::123456789012:role/PersonalizeRole"
    job = study.bring(ROWS, roleArn=role)
    assert (job["roleArn"], job["importMode"]) == (role, "FULL")
    assert job["dataSource"] == {"dataLocation": "s3://data/in.csv"}
    assert job["datasetImportJobArn"].endswith(":dataset-import-job/job-1")


def test_imports_at_once_have_a_limit(study: Study):
    study.worker.stop()
    study.room.settings = study.room.settings.replace(learn_max_busy_imports=1)
    study.interactions()
    request = {"datasetArn": study.dataset, "dataSource": {"dataLocation": "s3://data/x"}}
    study(imports.create_dataset_import_job, jobName="a", **request)
    with pytest.raises(LimitExceeded, match="More than 1 resources with PENDING"):
        study(imports.create_dataset_import_job, jobName="b", **request)
