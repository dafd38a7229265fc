"""Batch jobs on Spark write the very bytes that jobs of one process write."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from typing import Any

import pytest

from tailorbird.learn import batch_inference
from tailorbird.learn.filters import resources

from .conftest import Study, as_csv, chains
from .test_batch import files, infer, segment

HERE = pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None,
    reason="PySpark or Java is not here: pip install '.[spark]'",
)


def on_spark(study: Study, lines: int = 1, master: str = "local[2]") -> None:
    study.room.settings = study.room.settings.replace(
        learn_spark_master=master, learn_spark_lines=lines
    )


def where(study: Study) -> list[Any]:
    with study.room.db.read() as conn:
        rows = conn.execute(batch_inference.TABLE.select()).mappings().all()
    return [(row["report"] or {}).get("where") for row in rows]


@HERE
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_jobs_on_spark_write_what_jobs_here_write(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.learn.conftest.SETTLED_SECONDS", 240.0)  # Java starts slowly
    monkeypatch.setattr("tailorbird.learn.batch_spark.TASK_LINES", 3)
    monkeypatch.setattr("tailorbird.learn.batch_spark.TASK_USERS", 25)
    study.interactions()
    study.bring(as_csv(chains()))
    version = study.train()["solutionVersionArn"]
    seen = study(
        resources.create_filter,
        name="seen",
        datasetGroupArn=study.group,
        filterExpression="EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ($KIND)",
    )["filterArn"]
    people: list[Any] = [{"userId": f"u{n}"} for n in range(20)]
    people += ["{no json", {"x": 1}, {"userId": "new"}, {"userId": "u1", "filterValues": 7}]
    people += [{"userId": "u1", "filterValues": {"KIND": '"view"'}}]
    people += [{"userId": "u2", "itemList": ["i1", "i9", "never"]}]
    affinity = study.train("aws-item-affinity")["solutionVersionArn"]
    items = [{"itemId": "i5"}, {"itemId": "never"}, {"itemId": "i9"}]

    def all_of_them() -> list[Any]:
        return [
            infer(study, version, people, filterArn=seen, numResults=7),
            segment(study, affinity, items, numResults=10),
        ]

    on_spark(study, lines=1_000)
    here = all_of_them()
    on_spark(study)
    assert all_of_them() == here
    assert where(study) == ["this process", "local[2]"]
    small = study.room.settings.replace(learn_spark_lines=len(people) + 1)
    study.room.settings = small
    infer(study, version, people)
    assert where(study)[-1] == "this process"


@pytest.mark.skipif(bool(find_spec("pyspark")), reason="PySpark is here")
def test_without_pyspark_a_job_fails_and_names_what_to_install(study: Study):
    on_spark(study)
    study.interactions()
    study.bring(as_csv(chains()))
    version = study.train("aws-popularity-count")["solutionVersionArn"]
    request = files([{"userId": "u1"}], study) | {"jobName": "x", "solutionVersionArn": version}
    arn = study(batch_inference.create_batch_inference_job, **request)["batchInferenceJobArn"]
    shown = study.settled(
        lambda: study(batch_inference.describe_batch_inference_job, batchInferenceJobArn=arn)[
            "batchInferenceJob"
        ]
    )
    assert shown["status"] == "CREATE FAILED"
    assert "pip install 'tailorbird[spark]'" in shown["failureReason"], json.dumps(shown)
