"""Batch jobs: lines in, lines out; taken over half-way; segments of users."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from tailorbird.errors import InUse, Invalid, NotBuilt
from tailorbird.learn import (
    batch,
    batch_inference,
    batch_segments,
    campaigns,
    datasets,
    imports,
    records,
    schemas,
    training,
)
from tailorbird.learn.filters import resources as filters
from tailorbird.store import Job

from .conftest import CALLER, Study, as_csv, chains, schema_text

ROLE = "arn:aws:iam::123456789012:role/r"


def files(lines: list[Any], study: Study, key: str = "in/lines.json") -> dict[str, Any]:
    data = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
    study.room.objects.put(f"s3://data/{key}", data.encode())
    return {
        "jobInput": {"s3DataSource": {"path": f"s3://data/{key}"}},
        "jobOutput": {"s3DataDestination": {"path": "s3://out/batch/"}},
        "roleArn": ROLE,
    }


def infer(study: Study, version: str, lines: list[Any], **more: Any) -> list[dict[str, Any]]:
    """The lines of a finished job's output."""
    request = files(lines, study) | {"jobName": study.name("batch"), "solutionVersionArn": version}
    arn = study(batch_inference.create_batch_inference_job, **request, **more)[
        "batchInferenceJobArn"
    ]
    shown = study.settled(
        lambda: study(batch_inference.describe_batch_inference_job, batchInferenceJobArn=arn)[
            "batchInferenceJob"
        ]
    )
    assert shown["status"] == "ACTIVE", shown
    return [
        json.loads(one)
        for one in study.room.objects.get("s3://out/batch/lines.json.out").splitlines()
    ]


def segment(study: Study, version: str, lines: list[Any], **more: Any) -> list[dict[str, Any]]:
    request = files(lines, study) | {"jobName": study.name("batch"), "solutionVersionArn": version}
    arn = study(batch_segments.create_batch_segment_job, **request, **more)["batchSegmentJobArn"]
    shown = study.settled(
        lambda: study(batch_segments.describe_batch_segment_job, batchSegmentJobArn=arn)[
            "batchSegmentJob"
        ]
    )
    assert shown["status"] == "ACTIVE", shown
    return [
        json.loads(one)
        for one in study.room.objects.get("s3://out/batch/lines.json.out").splitlines()
    ]


def with_genres(study: Study) -> None:
    """Items whose number is even are Comedy, those that 4 divides Comedy|Action."""
    fields = [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "GENRES", "type": "string", "categorical": True},
        {"name": "PRICE", "type": "float"},
    ]
    schema = study(schemas.create_schema, name="items", schema=schema_text(fields, "Items"))
    arn = study(
        datasets.create_dataset,
        name="items",
        schemaArn=schema["schemaArn"],
        datasetGroupArn=study.group,
        datasetType="Items",
    )["datasetArn"]
    genres = ["Comedy|Action", "Drama", "Comedy", "Drama"]
    rows = [(f"i{n}", genres[n % 4], n % 4) for n in range(40)]
    study.room.objects.put("s3://data/items.csv", as_csv(rows, "ITEM_ID,GENRES,PRICE"))
    job = study(
        imports.create_dataset_import_job,
        jobName="items",
        datasetArn=arn,
        dataSource={"dataLocation": "s3://data/items.csv"},
    )["datasetImportJobArn"]
    study.settled(
        lambda: study(imports.describe_dataset_import_job, datasetImportJobArn=job)[
            "datasetImportJob"
        ]
    )


def test_every_line_is_answered_in_its_place_and_a_bad_one_has_its_error(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    version = study.train()["solutionVersionArn"]
    out = infer(
        study,
        version,
        [
            "\ufeff" + '{"userId": "u1"}',
            {"userId": 2},
            "{no json",
            {"x": 1},
            {"userId": "new"},
            {"userId": True},
            {"userId": "u1", "itemList": ["i1", None]},
        ],
        numResults=5,
    )
    assert [one["error"] is None for one in out] == [True, True, False, False, True, False, False]
    assert out[0]["input"] == {"userId": "u1"}
    assert len(out[0]["output"]["recommendedItems"]) == len(out[0]["output"]["scores"]) == 5
    assert out[0]["output"] != out[4]["output"]
    assert "not a JSON line" in out[2]["error"] and out[2]["output"] is None
    assert "userId is missing" in out[3]["error"] and "userId is missing" in out[5]["error"]
    assert "no item id" in out[6]["error"]


def test_related_items_have_no_scores_and_rankings_keep_their_list(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    sims = study.train("aws-sims")["solutionVersionArn"]
    beside = infer(study, sims, [{"itemId": "i5"}])[0]["output"]
    assert set(beside) == {"recommendedItems"}
    assert "i5" not in beside["recommendedItems"] and beside["recommendedItems"]
    ranking = study.train("aws-personalized-ranking")["solutionVersionArn"]
    given = ["i1", "i9", "never", "i20"]
    ranked = infer(study, ranking, [{"userId": "u1", "itemList": given}])[0]["output"]
    assert sorted(ranked["recommendedItems"]) == sorted(given)
    assert ranked["recommendedItems"][-1] == "never"
    assert sum(ranked["scores"]) == pytest.approx(1, abs=1e-5)


def test_a_job_that_is_taken_over_keeps_the_pieces_it_has(study: Study):
    study.worker.stop()
    study.room.objects.put("s3://data/a.json", b'{"n":1}\n{"n":2}\n{"n":3}\n')
    seen: list[int] = []

    def answer(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        seen.extend(one["n"] for one in given)
        if len(seen) == 2:
            raise ConnectionError("killed here")
        return [{"input": one, "output": {}, "error": None} for one in given]

    def plan(*_: Any) -> AbstractContextManager[batch.Plan]:
        return nullcontext(batch.Plan(answer, lines=1))

    row_id = _waiting_job(study)
    for _ in range(2):
        job = study.room.jobs.claim(["learn"], "w")[0]
        assert isinstance(job, Job) and job.id == row_id
        try:
            batch.run(study.room, job, batch_inference.TABLE, plan)
        except ConnectionError as error:
            study.room.jobs.retry(job, str(error), 0.0)
    assert seen == [1, 2, 2, 3]
    lines = study.room.objects.get("s3://out/a.json.out").splitlines()
    assert [json.loads(one)["input"]["n"] for one in lines] == [1, 2, 3]
    assert not list(study.room.objects.list(f"s3://tailorbird-learn/batch/{row_id}/"))


def _waiting_job(study: Study, source: str = "s3://data/a.json") -> int:
    from tailorbird.learn.tables import learn_solution_versions

    with study.room.db.write() as conn:
        same = {"name": "x", "status": "ACTIVE", "failure": None}
        records.add(
            study.room,
            conn,
            learn_solution_versions,
            CALLER,
            "version",
            arn="v",
            definition={},
            solution_arn="s",
            group_arn="g",
            recipe_arn="r",
            **same,
        )
        definition = {
            "jobInput": {"s3DataSource": {"path": source}},
            "jobOutput": {"s3DataDestination": {"path": "s3://out/"}},
        }
        records.add(
            study.room,
            conn,
            batch_inference.TABLE,
            CALLER,
            "job",
            arn="j",
            definition=definition,
            version_arn="v",
            **same,
        )
        job_id = study.room.jobs.enqueue(conn, "x", {"arn": "j"}, queue="learn")
    assert job_id is not None
    return job_id


def test_a_filter_stays_while_a_batch_job_uses_it(study: Study):
    study.interactions()
    text = "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ('view')"
    given = {"name": "f", "datasetGroupArn": study.group, "filterExpression": text}
    arn = study(filters.create_filter, **given)["filterArn"]
    job = {"arn": "j", "name": "j", "failure": None, "version_arn": "v"}
    job |= {"status": "CREATE PENDING", "definition": {"filterArn": arn}}
    with study.room.db.write() as conn:
        records.add(study.room, conn, batch_inference.TABLE, CALLER, "job", **job)
    with pytest.raises(InUse, match="used by a batch job: j"):
        study(filters.delete_filter, filterArn=arn)
    with study.room.db.write() as conn:
        records.change(study.room, conn, batch_inference.TABLE, "j", status="ACTIVE")
    study(filters.delete_filter, filterArn=arn)
    assert study(filters.list_filters)["Filters"] == []


def test_files_of_one_name_in_two_folders_have_an_output_each(study: Study):
    study.worker.stop()
    for folder in ("a", "b"):
        study.room.objects.put(f"s3://data/in/{folder}/x.json", b'{"of":"%s"}\n' % folder.encode())

    def plan(*_: Any) -> AbstractContextManager[batch.Plan]:
        return nullcontext(
            batch.Plan(lambda given: [{"input": one, "output": {}, "error": None} for one in given])
        )

    _waiting_job(study, "s3://data/in")
    batch.run(study.room, study.room.jobs.claim(["learn"], "w")[0], batch_inference.TABLE, plan)
    for folder in ("a", "b"):
        out = study.room.objects.get(f"s3://out/{folder}/x.json.out")
        assert json.loads(out)["input"] == {"of": folder}


def test_item_affinity_finds_the_users_of_an_item(study: Study):
    study.interactions()
    rows = chains(users=60, rows=20, items=40)
    study.bring(as_csv(rows))
    trained = study.train("aws-item-affinity")
    shown = study(training.get_solution_metrics, solutionVersionArn=trained["solutionVersionArn"])
    assert set(shown["metrics"]) == {"coverage", "hits_at_1_percent", "recall_at_1_percent"}
    with pytest.raises(Invalid, match="aws-item-affinity has no campaigns"):
        study(campaigns.create_campaign, name="c", solutionVersionArn=trained["solutionVersionArn"])
    out = segment(
        study,
        trained["solutionVersionArn"],
        [{"itemId": "i5"}, {"itemId": "never"}, {}],
        numResults=10,
    )
    users = out[0]["output"]["usersList"]
    assert len(users) == len(set(users)) == 10
    last = {user: item for user, item, _, _ in rows}
    next_items = {f"i{(int(item[1:]) + 1) % 40}": user for user, item in last.items()}
    assert next_items.get("i5") in (None, *users)
    assert "was not known" in out[1]["error"] and "itemId is missing" in out[2]["error"]


def test_item_attribute_affinity_reads_attributes_joined_by_and(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    with_genres(study)
    version = study.train("aws-item-attribute-affinity")["solutionVersionArn"]
    lines = [
        {"itemAttributes": 'ITEMS.genres = "Comedy" AND ITEMS.genres = "Action"'},
        {"itemAttributes": 'Items.GENRES = "Comedy" OR x'},
        {"itemAttributes": 'ITEMS.genres = "Western"'},
        {"itemAttributes": 'ITEMS.size = "1"'},
        {"itemAttributes": "ITEMS.price = 0"},
        {"itemAttributes": 'ITEMS.genres = "Action" AND ITEMS.price = "0.00"'},
    ]
    out = segment(study, version, lines, numResults=7)
    assert len(out[0]["output"]["usersList"]) == 7
    assert [one["error"] is None for one in out] == [True, False, False, False, True, True]
    assert "joined by AND" in out[1]["error"]
    assert "Items has no column SIZE" in out[3]["error"]
    same = [one["output"]["usersList"] for one in (out[0], out[4], out[5])]
    assert same[0] == same[1] == same[2]


@pytest.mark.parametrize(
    "text, found",
    [
        (
            'ITEMS.genres = "Rock and Roll" AND items.x="b"',
            [("GENRES", "Rock and Roll"), ("X", "b")],
        ),
        ("ITEMS.a = 'it''s'", None),
        ("ITEMS.price = 3.50 and ITEMS.name = 'x y'", [("PRICE", "3.50"), ("NAME", "x y")]),
        ('ITEMS.a = "" ', [("A", "")]),
        ('ITEMS.a = "b" AND', None),
        ('ITEMS.a = "b" ITEMS.c = "d"', None),
        ("", None),
    ],
)
def test_attributes_are_read_as_they_are_quoted(text: str, found: list[tuple[str, str]] | None):
    if found is None:
        with pytest.raises(Invalid, match="joined by AND"):
            batch_segments.conditions(text)
    else:
        assert batch_segments.conditions(text) == found


REFUSED: dict[str, tuple[Callable[..., Any], dict[str, Any], type[Exception], str]] = {
    "themes": (
        batch_inference.create_batch_inference_job,
        {"batchInferenceJobMode": "THEME_GENERATION"},
        NotBuilt,
        "THEME_GENERATION",
    ),
    "same path": (
        batch_inference.create_batch_inference_job,
        {"jobOutput": {"s3DataDestination": {"path": "s3://data/in/lines.json"}}},
        Invalid,
        "Invalid S3 output path",
    ),
    "no path": (
        batch_inference.create_batch_inference_job,
        {"jobInput": {}},
        Invalid,
        "Invalid S3 input path",
    ),
    "too many": (batch_inference.create_batch_inference_job, {"numResults": 501}, Invalid, "501"),
    "segments of a user recipe": (
        batch_segments.create_batch_segment_job,
        {},
        Invalid,
        "no user segments",
    ),
}


def test_what_cannot_be_a_batch_job_is_refused_at_once(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    version = study.train("aws-sims")["solutionVersionArn"]
    for name, (create, more, kind, reason) in REFUSED.items():
        request = files([{"userId": "u1"}], study) | {
            "jobName": "refused",
            "solutionVersionArn": version,
        }
        with pytest.raises(kind, match=reason):
            study(create, **(request | more))
            pytest.fail(name)
