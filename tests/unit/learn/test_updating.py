"""trainingMode UPDATE, and count quotas that a setting switches on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tailorbird.errors import Invalid, LimitExceeded
from tailorbird.learn import groups, metrics, schemas, serving, solutions, training

from .conftest import Study, as_csv, chains, schema_text

SIMS = "arn:aws:personalize:::recipe/aws-sims"


def test_an_update_knows_the_rows_of_today_and_keeps_what_was_chosen(study: Study):
    study.interactions()
    study.bring(as_csv(chains()))
    full = study.train()
    study.bring(
        as_csv(chains(seed=2) + [(f"u{n}", "new", "view", 1_800_000_000) for n in range(60)])
    )
    arn = study(
        training.create_solution_version, solutionArn=full["solutionArn"], trainingMode="UPDATE"
    )["solutionVersionArn"]
    shown = study.settled(
        lambda: study(training.describe_solution_version, solutionVersionArn=arn)["solutionVersion"]
    )
    assert (shown["status"], shown["trainingMode"]) == ("ACTIVE", "UPDATE")
    before = metrics.report(study.room, full["solutionVersionArn"])
    assert metrics.report(study.room, arn)["weights"] == before["weights"]
    answer = study(
        serving.get_recommendations, campaignArn=study.deploy(arn), userId="x", numResults=50
    )
    assert "new" in {one["itemId"] for one in answer["itemList"]}
    assert study(training.get_solution_metrics, solutionVersionArn=arn)["metrics"] == {}


def test_an_update_needs_a_full_version_and_the_right_recipe(study: Study):
    study.interactions()
    request = {"datasetGroupArn": study.group}
    user = study(
        solutions.create_solution, name="a", recipeArn=SIMS[:-4] + "user-personalization", **request
    )
    sims = study(solutions.create_solution, name="b", recipeArn=SIMS, **request)
    for made, reason in ((user, "no ACTIVE version"), (sims, "is for aws-user-personalization")):
        arn = made["solutionArn"]
        with pytest.raises(Invalid, match=reason):
            study(training.create_solution_version, solutionArn=arn, trainingMode="UPDATE")


def one_more_group(study: Study) -> None:
    study(groups.create_dataset_group, name=study.name("more"))


def one_more_schema(study: Study) -> None:
    study(schemas.create_schema, name=study.name("more"), schema=schema_text())


def one_more_solution(study: Study) -> None:
    request = {"name": study.name("more"), "datasetGroupArn": study.group, "recipeArn": SIMS}
    study(solutions.create_solution, **request)


QUOTAS = {
    "learn_max_dataset_groups": one_more_group,
    "learn_max_schemas": one_more_schema,
    "learn_max_solutions": one_more_solution,
}


@pytest.mark.parametrize("setting, make", QUOTAS.items(), ids=QUOTAS)
def test_a_quota_holds_where_the_setting_switches_it_on(
    study: Study, setting: str, make: Callable[[Study], None]
):
    study.interactions()
    study(solutions.create_solution, name="first", datasetGroupArn=study.group, recipeArn=SIMS)
    study.room.settings = study.room.settings.replace(**{setting: 1})
    with pytest.raises(LimitExceeded, match=setting):
        make(study)
    study.room.settings = study.room.settings.replace(**{setting: 2})
    make(study)
