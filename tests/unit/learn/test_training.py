"""Trainings: what they refuse, what they measure, what they survive."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.errors import AlreadyExists, InUse, Invalid, NotFound
from tailorbird.learn import catalogue, datasets, metrics, solutions, training
from tailorbird.learn.recipes import RECIPES
from tailorbird.store import Worker

from .conftest import Study, as_csv, chains

UP = "arn:aws:personalize:::recipe/aws-user-personalization"
KEYS = {
    "coverage",
    "mean_reciprocal_rank_at_25",
    "normalized_discounted_cumulative_gain_at_5",
    "normalized_discounted_cumulative_gain_at_10",
    "normalized_discounted_cumulative_gain_at_25",
    "precision_at_5",
    "precision_at_10",
    "precision_at_25",
}


def solution(study: Study, **more: Any) -> str:
    request = {"name": "s", "datasetGroupArn": study.group, "recipeArn": UP} | more
    return study(solutions.create_solution, **request)["solutionArn"]


def test_a_version_has_personalizes_metrics_and_ours_beside_popularity(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    version = study.train(solutionConfig={"algorithmHyperParameters": {"bptt": "16"}})
    arn = version["solutionVersionArn"]
    assert version["trainingMode"] == "FULL"
    assert version["trainingHours"] >= 0
    assert version["name"] == "/".join(arn.split("/")[-2:])
    assert version["solutionConfig"] == {"algorithmHyperParameters": {"bptt": "16"}}
    shown = study(training.get_solution_metrics, solutionVersionArn=arn)["metrics"]
    assert set(shown) == KEYS
    report = metrics.report(study.room, arn)
    assert set(report["popularity"]) == KEYS
    assert report["honest"]["users"] == report["test_users"] == 6
    latest = study(solutions.describe_solution, solutionArn=version["solutionArn"])["solution"]
    assert latest["latestSolutionVersion"]["solutionVersionArn"] == arn


RANKING = "arn:aws:personalize:::recipe/aws-personalized-ranking"
TOO_LITTLE = {
    "few rows": (chains(users=30, rows=20), {}, {"learn_min_interactions": 601}, "fewer than 601"),
    "few users": (chains(users=24), {}, {}, "fewer than 25 users with at least 2"),
    "few of the type": (chains(), {"eventType": "buy"}, {}, "after filtering by event type: buy"),
    "few return": (
        chains(users=30) + [(f"once{n}", "i1", "view", 5) for n in range(4000)],
        {},
        {},
        "Less than 1% of the users",
    ),
}


@pytest.mark.parametrize("rows, more, changed, reason", TOO_LITTLE.values(), ids=TOO_LITTLE)
def test_too_little_to_learn_from_fails_with_the_reason(
    study: Study, rows: list, more: dict, changed: dict, reason: str
):
    study.interactions()
    assert study.bring(as_csv(rows))["status"] == "ACTIVE"
    study.room.settings = study.room.settings.replace(**changed)
    version = study.train(**more)
    assert version["status"] == "CREATE FAILED"
    assert reason in version["failureReason"]
    assert "setting learn_min" in version["failureReason"]
    with pytest.raises(Invalid, match="has no metrics"):
        study(training.get_solution_metrics, solutionVersionArn=version["solutionVersionArn"])


NOT_TRAINED = {
    "no recipe": ({"recipeArn": None}, Invalid, "recipeArn is missing"),
    "unknown recipe": ({"recipeArn": UP + "-v9"}, NotFound, "aws-sims"),
    "automl with a recipe": ({"performAutoML": True}, Invalid, "leave recipeArn out"),
    "automl without automl": (
        {"solutionConfig": {"autoMLConfig": {"metricName": "ndcg"}}},
        Invalid,
        "needs performAutoML",
    ),
    "automl of a ranking": (
        {
            "performAutoML": True,
            "recipeArn": None,
            "solutionConfig": {"autoMLConfig": {"recipeList": [RANKING]}},
        },
        Invalid,
        "recommends nothing for a user",
    ),
    "incremental": ({"performIncrementalUpdate": True}, Invalid, "trainingMode UPDATE"),
    "percentile": (
        {
            "solutionConfig": {
                "featureTransformationParameters": {"max_user_history_length_percentile": "2"}
            }
        },
        Invalid,
        "0 to 1",
    ),
    "unknown feature": (
        {"solutionConfig": {"featureTransformationParameters": {"trend_discovery_frequency": "1"}}},
        Invalid,
        "it has min_user_history_length_percentile",
    ),
    "schedule": (
        {"solutionConfig": {"autoTrainingConfig": {"schedulingExpression": "cron(1)"}}},
        Invalid,
        "rate",
    ),
    "trials": (
        {"solutionConfig": {"hpoConfig": {"hpoResourceConfig": {"maxNumberOfTrainingJobs": "41"}}}},
        Invalid,
        "1 to 40",
    ),
    "weight": (
        {
            "solutionConfig": {
                "eventsConfig": {"eventParametersList": [{"eventType": "a", "weight": 2}]}
            }
        },
        Invalid,
        "0 to 1",
    ),
    "columns": (
        {
            "solutionConfig": {
                "trainingDataConfig": {
                    "excludedDatasetColumns": {"ITEMS": ["GENRES"]},
                    "includedDatasetColumns": {"items": ["YEAR"]},
                }
            }
        },
        Invalid,
        "includes and excludes columns of ITEMS",
    ),
    "unknown hyperparameter": (
        {"solutionConfig": {"algorithmHyperParameters": {"depth": "3"}}},
        Invalid,
        "no hyperparameter 'depth'",
    ),
    "hyperparameter out of range": (
        {"solutionConfig": {"algorithmHyperParameters": {"bptt": "64"}}},
        Invalid,
        "bptt is 64; 2 to 32",
    ),
    "half a hyperparameter": (
        {"solutionConfig": {"algorithmHyperParameters": {"bptt": "8.5"}}},
        Invalid,
        "bptt is 8.5; a whole number is right",
    ),
    "hyperparameter in words": (
        {"solutionConfig": {"algorithmHyperParameters": {"bptt": "many"}}},
        Invalid,
        "a number",
    ),
    "objective": (
        {"solutionConfig": {"optimizationObjective": {"itemAttribute": "PRICE"}}},
        Invalid,
        "objectiveSensitivity",
    ),
    "threshold that is no number": (
        {"solutionConfig": {"eventValueThreshold": "nan"}},
        Invalid,
        "eventValueThreshold is 'nan'; a number is right",
    ),
    "threshold in words": (
        {"solutionConfig": {"eventValueThreshold": "high"}},
        Invalid,
        "eventValueThreshold",
    ),
}


@pytest.mark.parametrize("more, kind, reason", NOT_TRAINED.values(), ids=NOT_TRAINED)
def test_what_cannot_be_trained_is_refused_when_the_solution_is_made(
    more: dict, kind: type[Exception], reason: str
):
    with pytest.raises(kind, match=reason):
        solutions.check_definition({"recipeArn": UP, **more})


def test_every_recipe_of_the_list_can_be_described():
    listed = catalogue.list_recipes(None, None, {})["recipes"]
    assert {one["recipeArn"] for one in listed} == set(RECIPES)
    for one in listed:
        shown = catalogue.describe_recipe(None, None, {"recipeArn": one["recipeArn"]})["recipe"]
        assert shown["status"] == "ACTIVE"
    first = catalogue.list_recipes(None, None, {"maxResults": 2})
    second = catalogue.list_recipes(None, None, {"maxResults": 99, "nextToken": first["nextToken"]})
    assert first["recipes"] + second["recipes"] == listed
    with pytest.raises(Invalid, match="nextToken"):
        catalogue.list_recipes(None, None, {"nextToken": "x"})


def test_the_first_page_of_recipes_is_whole_and_names_an_empty_one():
    for domain in ({}, {"domain": "ECOMMERCE"}, {"domain": "VIDEO_ON_DEMAND"}):
        first = catalogue.list_recipes(None, None, domain)
        again = catalogue.list_recipes(None, None, domain | {"nextToken": first["nextToken"]})
        assert again == {"recipes": []}
        paged = catalogue.list_recipes(None, None, domain | {"maxResults": 100})
        assert paged == {"recipes": first["recipes"]}


def test_versions_keep_to_their_solution(study: Study):
    study.worker.stop()
    study.interactions()
    arn = solution(study)
    given = {"solutionArn": arn, "name": "first"}
    first = study(training.create_solution_version, **given)["solutionVersionArn"]
    assert first == f"{arn}/first"
    with pytest.raises(AlreadyExists):
        study(training.create_solution_version, **given)
    with pytest.raises(Invalid, match="trainingMode AUTOTRAIN"):
        study(training.create_solution_version, solutionArn=arn, trainingMode="AUTOTRAIN")
    with pytest.raises(InUse, match="being trained"):
        study(solutions.delete_solution, solutionArn=arn)
    with pytest.raises(InUse, match="being trained on"):
        study(datasets.delete_dataset, datasetArn=study.dataset)
    with pytest.raises(InUse, match="CREATE PENDING"):
        study(training.get_solution_metrics, solutionVersionArn=first)
    listed = study(training.list_solution_versions, solutionArn=arn)["solutionVersions"]
    assert [one["solutionVersionArn"] for one in listed] == [first]


def test_a_group_without_interactions_cannot_be_trained(study: Study):
    study.interactions()
    study(datasets.delete_dataset, datasetArn=study.dataset)
    with pytest.raises(Invalid, match="no Interactions dataset"):
        study(training.create_solution_version, solutionArn=solution(study))


def test_a_training_whose_worker_died_is_taken_over(study: Study):
    """The claim of a dead process is freed when a worker starts; the job begins anew."""
    study.interactions()
    study.bring(as_csv(chains()))
    study.worker.stop()
    arn = solution(study)
    version = study(training.create_solution_version, solutionArn=arn)["solutionVersionArn"]
    jobs = study.room.jobs
    (job,) = jobs.claim([training.QUEUE], "elsewhere|1|1:learn-0")
    training._begin(study.room, version)
    jobs.retry(job, "killed", 0.0)
    worker = Worker(jobs, study.worker.kinds, threads=1)
    worker.start()
    shown = study.settled(
        lambda: study(training.describe_solution_version, solutionVersionArn=version)[
            "solutionVersion"
        ]
    )
    worker.stop()
    assert shown["status"] == "ACTIVE"


def test_a_deleted_solution_leaves_no_model_behind(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    version = study.train("aws-popularity-count")
    models = f"s3://{study.room.settings.learn_bucket}/models/"
    assert list(study.room.objects.list(models))
    study(solutions.delete_solution, solutionArn=version["solutionArn"])
    assert not list(study.room.objects.list(models))
    with pytest.raises(NotFound):
        study(training.describe_solution_version, solutionVersionArn=version["solutionVersionArn"])
