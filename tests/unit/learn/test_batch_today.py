"""Batch jobs over all items of today answer as campaigns do, here and on Spark."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
import pytest

from tailorbird.learn import batch_lines, deployed, exploration, people, puts
from tailorbird.learn.asking import Asking
from tailorbird.learn.filters import resources

from .conftest import Study, as_csv
from .test_batch import infer
from .test_batch_spark import HERE, on_spark, where
from .test_related import START, Library, rows

EXPLORES = {"itemExplorationConfig": {"explorationWeight": "0.4"}}
ITEMS: list[Any] = [{"itemId": one} for one in ("kitchen-1", "space-9", "new-1", "never")]


def library(study: Study) -> Library:
    found = Library(study)
    found.fill()
    assert study.bring(as_csv(rows()))["status"] == "ACTIVE"
    return found


def put_something_new(study: Study, found: Library) -> None:
    words = {"title": "Bread and butter", "story": "flour dough oven", "creationTimestamp": START}
    words |= {"genre": "kitchen"}
    one = {"itemId": "new-1", "properties": json.dumps(words)}
    study(puts.put_items, datasetArn=found.items, items=[one])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_lines_beside_items_are_those_of_a_campaign(study: Study):
    found = library(study)
    version = study.train("aws-similar-items")["solutionVersionArn"]
    put_something_new(study, found)
    out = infer(study, version, ITEMS, numResults=25)
    campaign = found.campaign(version)
    shown = [one["output"]["recommendedItems"] for one in out]
    assert shown == [found.beside(campaign, one["itemId"], 25) for one in ITEMS]
    assert any("new-1" in one for one in shown)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_lines_that_explore_draw_as_a_campaign_does(study: Study):
    found = library(study)
    version = study.train("aws-user-personalization")["solutionVersionArn"]
    put_something_new(study, found)
    out = infer(study, version, [{"userId": "u1"}], numResults=12, batchInferenceJobConfig=EXPLORES)
    one = deployed.find(study.room, study.deploy(version))
    asking = Asking(study.room, one, "u1")
    scores = batch_lines.for_user(one.trained, "u1", people.record(one.trained, asking))
    random = np.random.default_rng(zlib.crc32(b"u1"))
    mixed = exploration.mixed(asking, asking.shelf.widened(scores), 0.4, 30.0, random)
    best = np.argsort(-mixed, kind="stable")[:12].tolist()
    assert out[0]["output"]["recommendedItems"] == asking.shelf.names(best)


@HERE
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_jobs_over_all_items_on_spark_write_what_jobs_here_write(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.learn.conftest.SETTLED_SECONDS", 240.0)  # Java starts slowly
    monkeypatch.setattr("tailorbird.learn.batch_spark.TASK_LINES", 3)
    found = library(study)
    recipes = ("aws-similar-items", "aws-semantic-similarity", "aws-user-personalization")
    alike, semantic, explores = (study.train(one)["solutionVersionArn"] for one in recipes)
    put_something_new(study, found)
    genre = study(
        resources.create_filter,
        name="genre",
        datasetGroupArn=study.group,
        filterExpression="INCLUDE ItemID WHERE Items.GENRE IN ($GENRE)",
    )["filterArn"]
    kitchen = {"filterValues": {"GENRE": '"kitchen"'}}
    items = [one | kitchen for one in ITEMS] + [{"itemId": "sea-1"}, {"x": 1}, "{no json"]
    users: list[Any] = [{"userId": f"u{n}"} for n in range(6)] + [{"userId": "new"}]
    users += [{"userId": "u1", "itemList": ["sea-7", "new-1", "space-6"]}, {"userId": ""}]
    influence = {"batchInferenceJobConfig": {"rankingInfluence": {"FRESHNESS": 0.7}}}

    def all_of_them() -> list[Any]:
        return [
            infer(study, alike, items, filterArn=genre, numResults=7),
            infer(study, semantic, ITEMS, numResults=7, **influence),
            infer(study, explores, users, numResults=30, batchInferenceJobConfig=EXPLORES),
        ]

    on_spark(study, lines=1_000)
    here = all_of_them()
    on_spark(study)
    assert all_of_them() == here
    assert where(study) == ["this process"] * 3 + ["local[2]"] * 3
