"""Exports and deletions of users: what is in the file, what is left afterwards."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import numpy as np
import pytest

from tailorbird.errors import AlreadyExists, Invalid, LimitExceeded, NotFound
from tailorbird.learn import (
    artifacts,
    campaigns,
    deletions,
    events,
    exports,
    forgetting,
    serving,
)
from tailorbird.learn.models.blend import Blend
from tailorbird.learn.models.interactions import interactions
from tailorbird.learn.models.neighbours import SessionNeighbours
from tailorbird.learn.models.popular import Popular
from tests.conftest import wait_for

from .conftest import Study, as_csv, chains


def export(study: Study, mode: str | None = None) -> list[list[str]]:
    """The rows of a finished export, its header first."""
    name = study.name("export")
    request: dict[str, Any] = {
        "jobName": name,
        "datasetArn": study.dataset,
        "roleArn": "arn:aws:iam::123456789012:role/r",
        "jobOutput": {"s3DataDestination": {"path": "s3://out/exports/"}},
    } | ({"ingestionMode": mode} if mode else {})
    arn = study(exports.create_dataset_export_job, **request)["datasetExportJobArn"]
    shown = study.settled(
        lambda: study(exports.describe_dataset_export_job, datasetExportJobArn=arn)[
            "datasetExportJob"
        ]
    )
    assert shown["status"] == "ACTIVE", shown
    assert shown["ingestionMode"] == (mode or "PUT")
    text = study.room.objects.get(f"s3://out/exports/{name}.csv").decode()
    return list(csv.reader(io.StringIO(text)))


def delete(study: Study, data: bytes) -> dict[str, Any]:
    study.room.objects.put("s3://data/gone.csv", data)
    arn = study(
        deletions.create_data_deletion_job,
        jobName=study.name("deletion"),
        datasetGroupArn=study.group,
        dataSource={"dataLocation": "s3://data/gone.csv"},
        roleArn="arn:aws:iam::123456789012:role/r",
    )["dataDeletionJobArn"]

    def shown() -> dict[str, Any]:
        return study(deletions.describe_data_deletion_job, dataDeletionJobArn=arn)[
            "dataDeletionJob"
        ]

    wait_for(lambda: shown()["status"] in ("COMPLETED", "FAILED"), 30)
    return shown()


def send(study: Study, tracker: str, user: str | None, item: str, **more: Any) -> None:
    event = {"eventType": "view", "sentAt": time.time(), "itemId": item} | more
    request = {"trackingId": tracker, "sessionId": f"s-{user}", "eventList": [event]}
    study(events.put_events, **request, **({"userId": user} if user else {}))


def test_an_export_has_what_was_imported_what_was_put_or_both_each_row_once(study: Study):
    study.interactions()
    rows = chains(users=30, rows=5)
    study.bring(as_csv([*rows, *rows]))
    tracker = study.tracker()
    send(study, tracker, "u1", "i1")
    send(study, tracker, None, "i2")
    bulk = export(study, "BULK")
    assert bulk[0] == ["USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP"]
    assert sorted(bulk[1:]) == sorted([user, item, kind, str(at)] for user, item, kind, at in rows)
    put = export(study)
    assert [row[:3] for row in put[1:]] == [["u1", "i1", "view"]]
    assert len(export(study, "ALL")) == len(rows) + 2


def test_an_export_that_cannot_be_is_refused_and_names_are_taken_once(study: Study):
    study.interactions()
    request = {"jobName": "e", "datasetArn": study.dataset, "roleArn": "r"}
    where = {"s3DataDestination": {"path": "s3://out/"}}
    with pytest.raises(Invalid, match="path is missing"):
        study(exports.create_dataset_export_job, **request, jobOutput={})
    with pytest.raises(NotFound):
        wrong = request | {"datasetArn": study.dataset + "x"}
        study(exports.create_dataset_export_job, **wrong, jobOutput=where)
    study(exports.create_dataset_export_job, **request, jobOutput=where)
    with pytest.raises(AlreadyExists):
        study(exports.create_dataset_export_job, **request, jobOutput=where)
    listed = study(exports.list_dataset_export_jobs, datasetArn=study.dataset)
    assert [one["jobName"] for one in listed["datasetExportJobs"]] == ["e"]


def test_pending_jobs_are_limited_where_the_setting_says_so(study: Study):
    study.worker.stop()
    study.interactions()
    study.room.settings = study.room.settings.replace(learn_max_busy_jobs=1)
    where = {"s3DataDestination": {"path": "s3://out/"}}
    request = {"datasetArn": study.dataset, "roleArn": "r", "jobOutput": where}
    study(exports.create_dataset_export_job, jobName="a", **request)
    with pytest.raises(LimitExceeded, match="More than 1 resources with PENDING"):
        study(exports.create_dataset_export_job, jobName="b", **request)


def test_a_deleted_user_is_out_of_data_events_and_models(study: Study):
    study.interactions()
    rows = chains()
    study.bring(as_csv(rows))
    version = study.train()["solutionVersionArn"]
    campaign = study.deploy(version)
    tracker = study.tracker()
    send(study, tracker, "u7", "i1")
    unknown = study(serving.get_recommendations, campaignArn=campaign, userId="nobody")
    before = study(serving.get_recommendations, campaignArn=campaign, userId="u7")
    assert before["itemList"] != unknown["itemList"]
    shown = delete(study, b"USER_ID\nu7\nnever-there\n")
    assert shown["status"] == "COMPLETED"
    assert shown["numDeleted"] == 31
    after = study(serving.get_recommendations, campaignArn=campaign, userId="u7")
    assert after["itemList"] == unknown["itemList"]
    left = export(study, "ALL")[1:]
    assert {row[0] for row in left} == {row[0] for row in rows} - {"u7"}
    other = study(serving.get_recommendations, campaignArn=campaign, userId="u8")
    assert other["itemList"] != unknown["itemList"]
    assert (
        study(campaigns.describe_campaign, campaignArn=campaign)["campaign"]["status"] == "ACTIVE"
    )


def test_users_go_one_after_the_other_from_the_sets_of_session_neighbours(study: Study):
    """Each user's set is found by the number the training gave, whoever went before."""
    steps = [(n, step) for n in range(30) for step in (1, 2)]
    rows = [(f"u{n}", f"i{n % 5 + step}", "view", 100 * step + n) for n, step in steps]
    users, items, _, times = zip(*rows, strict=True)
    data = interactions(users, items, times)
    sessions = SessionNeighbours.fit(data)
    folder = study.room.settings.data / "model"
    folder.mkdir(parents=True)
    blend = Blend({"sessions": sessions, "popular": Popular.fit(data)}, {"sessions": 1.0})
    artifacts.save(folder, data, blend, {"recipe": "r", "last_event": 0}, keep_rows=10)
    artifacts.store(study.room.objects, folder, "s3://models/0")
    for n, gone in enumerate(("u3", "u7", "u29")):
        new = f"s3://models/{n + 1}"
        assert forgetting.rewrite(study.room.objects, f"s3://models/{n}", {gone}, new)
    left = artifacts.load(study.room.objects, "s3://models/3")
    assert list(left.users) == [one for one in data.users if one not in ("u3", "u7", "u29")]
    held = np.diff(left.blend.scorers["sessions"].by_user.starts)
    empty = {data.users[n] for n in np.flatnonzero(held == 0)}
    assert empty == {"u3", "u7", "u29"}


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"ID\nu1\n", "USER_ID"),
        (b'USER_ID\n""\n', "line 2"),
        (b"USER_ID\nu\0\n", "line 2: USER_ID holds the character NUL"),
        (b"\x1f\x8b\x08\x00abc", "not whole gzip data"),
    ],
)
def test_a_list_of_users_that_cannot_be_read_deletes_nobody(study: Study, data: bytes, reason: str):
    study.interactions()
    study.bring(as_csv(chains()))
    shown = delete(study, data)
    assert shown["status"] == "FAILED"
    assert reason in shown["failureReason"]
    assert len(export(study, "BULK")) == len(chains()) + 1
