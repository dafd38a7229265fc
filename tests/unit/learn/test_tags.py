"""Tags, schema replacement, solution updates, stopping a training, the read-only catalogue."""

from __future__ import annotations

import json

import pytest

from tailorbird.errors import InUse, Invalid, LimitExceeded, NotFound
from tailorbird.learn import (
    catalogue,
    datasets,
    groups,
    schemas,
    solutions,
    tags,
    training,
    updates,
)
from tests.conftest import wait_for

from .conftest import FIELDS, Study, as_csv, chains, schema_text

RECIPE = "arn:aws:personalize:::recipe/"


def held(study: Study, arn: str) -> dict[str, str]:
    shown = study(tags.list_tags_for_resource, resourceArn=arn)["tags"]
    return {one["tagKey"]: one["tagValue"] for one in shown}


def tag(key: str, value: str = "v") -> dict[str, str]:
    return {"tagKey": key, "tagValue": value}


def test_tags_come_with_the_creation_or_later_and_go_with_the_resource(study: Study):
    group = study(groups.create_dataset_group, name="g", tags=[tag("team", "a")])["datasetGroupArn"]
    study(tags.tag_resource, resourceArn=group, tags=[tag("team", "b"), tag("cost")])
    assert held(study, group) == {"team": "b", "cost": "v"}
    study(tags.untag_resource, resourceArn=group, tagKeys=["cost", "never there"])
    assert held(study, group) == {"team": "b"}
    study(groups.delete_dataset_group, datasetGroupArn=group)
    study(groups.create_dataset_group, name="g")
    assert held(study, group) == {}


def test_tags_are_limited_and_only_for_what_exists(study: Study):
    group = study(groups.create_dataset_group, name="g")["datasetGroupArn"]
    with pytest.raises(LimitExceeded, match="50 is the limit") as refused:
        study(tags.tag_resource, resourceArn=group, tags=[tag(f"k{n}") for n in range(51)])
    assert refused.value.code == "TooManyTagsException"
    with pytest.raises(Invalid, match="aws:"):
        study(tags.tag_resource, resourceArn=group, tags=[tag("aws:x")])
    with pytest.raises(Invalid, match="given twice"):
        study(tags.tag_resource, resourceArn=group, tags=[tag("a"), tag("a", "w")])
    for arn in (group + "x", group.replace("dataset-group/", "filter/"), "arn:aws:personalize:x"):
        with pytest.raises(NotFound):
            study(tags.list_tags_for_resource, resourceArn=arn)


def test_a_dataset_gets_another_schema_and_keeps_its_rows(study: Study):
    dataset = study.interactions()
    study.bring(as_csv(chains()))
    wider = [*FIELDS, {"name": "DEVICE", "type": ["null", "string"], "categorical": True}]
    arn = study(schemas.create_schema, name="wide", schema=schema_text(wider))["schemaArn"]
    study(updates.update_dataset, datasetArn=dataset, schemaArn=arn)
    shown = study(datasets.describe_dataset, datasetArn=dataset)["dataset"]
    assert shown["schemaArn"] == shown["latestDatasetUpdate"]["schemaArn"] == arn
    assert shown["latestDatasetUpdate"]["status"] == "ACTIVE"
    assert study.train("aws-sims")["status"] == "ACTIVE"


NEW_SCHEMAS = {
    "not null": ([*FIELDS, {"name": "DEVICE", "type": "string"}], "Interactions", "allow null"),
    "another type": (
        [*FIELDS[:2], {"name": "EVENT_TYPE", "type": "string"}, FIELDS[3]],
        "Interactions",
        None,
    ),
    "another dataset": (
        [{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": "int"}],
        "Users",
        "is for USERS",
    ),
}


@pytest.mark.parametrize("fields, name, reason", NEW_SCHEMAS.values(), ids=NEW_SCHEMAS)
def test_a_schema_that_does_not_fit_the_rows_is_refused(
    study: Study, fields: list, name: str, reason: str | None
):
    dataset = study.interactions()
    study.bring(as_csv(chains()))
    arn = study(schemas.create_schema, name="new", schema=schema_text(fields, name))["schemaArn"]
    if reason is None:
        study(updates.update_dataset, datasetArn=dataset, schemaArn=arn)
        return
    with pytest.raises(Invalid, match=reason):
        study(updates.update_dataset, datasetArn=dataset, schemaArn=arn)


def test_a_solution_is_updated_in_place(study: Study):
    study.interactions()
    arn = study(
        solutions.create_solution,
        name="s",
        datasetGroupArn=study.group,
        recipeArn=RECIPE + "aws-user-personalization",
    )["solutionArn"]
    events = {"eventParametersList": [{"eventType": "view", "weight": 0.5}]}
    study(updates.update_solution, solutionArn=arn, solutionUpdateConfig={"eventsConfig": events})
    shown = study(solutions.describe_solution, solutionArn=arn)["solution"]
    assert shown["solutionConfig"]["eventsConfig"] == events
    assert shown["latestSolutionUpdate"]["status"] == "ACTIVE"
    with pytest.raises(Invalid, match="Nothing to update"):
        study(updates.update_solution, solutionArn=arn)


def test_a_training_is_stopped_and_stays_stopped(study: Study):
    study.interactions()
    study.bring(as_csv(chains(users=400, rows=80, items=300)))
    arn = study(
        solutions.create_solution,
        name="s",
        datasetGroupArn=study.group,
        recipeArn=RECIPE + "aws-user-personalization",
    )["solutionArn"]
    version = study(training.create_solution_version, solutionArn=arn)["solutionVersionArn"]

    def status() -> str:
        shown = study(training.describe_solution_version, solutionVersionArn=version)
        return shown["solutionVersion"]["status"]

    wait_for(lambda: status() == "CREATE IN_PROGRESS", 30)
    study(training.stop_solution_version_creation, solutionVersionArn=version)
    wait_for(lambda: status() == "CREATE STOPPED", 15)
    with pytest.raises(InUse, match="CREATE STOPPED"):
        study(training.stop_solution_version_creation, solutionVersionArn=version)
    study(solutions.delete_solution, solutionArn=arn)


def test_a_waiting_training_is_stopped_at_once(study: Study):
    study.worker.stop()
    study.interactions()
    arn = study(
        solutions.create_solution,
        name="s",
        datasetGroupArn=study.group,
        recipeArn=RECIPE + "aws-sims",
    )["solutionArn"]
    version = study(training.create_solution_version, solutionArn=arn)["solutionVersionArn"]
    study(training.stop_solution_version_creation, solutionVersionArn=version)
    shown = study(training.describe_solution_version, solutionVersionArn=version)
    assert shown["solutionVersion"]["status"] == "CREATE STOPPED"


def test_every_recipe_of_the_catalogue_is_described_with_its_algorithm(study: Study):
    listed = study(catalogue.list_recipes)["recipes"]
    names = {one["name"] for one in listed}
    assert {"aws-user-personalization-v2", "aws-sims", "aws-next-best-action"} <= names
    for one in listed:
        recipe = study(catalogue.describe_recipe, recipeArn=one["recipeArn"])["recipe"]
        algorithm = study(catalogue.describe_algorithm, algorithmArn=recipe["algorithmArn"])
        json.dumps(algorithm)
        transformed = study(
            catalogue.describe_feature_transformation,
            featureTransformationArn=recipe["featureTransformationArn"],
        )
        assert transformed["featureTransformation"]["status"] == "ACTIVE"


def test_an_algorithm_shows_its_hyperparameters(study: Study):
    arn = "arn:aws:personalize:::algorithm/aws-user-personalization"
    shown = study(catalogue.describe_algorithm, algorithmArn=arn)["algorithm"]
    assert shown["defaultHyperParameters"]["bptt"] == "32"
    ranges = shown["defaultHyperParameterRanges"]["integerHyperParameterRanges"]
    assert {"name": "bptt", "minValue": 2, "maxValue": 32, "isTunable": True} in ranges
    with pytest.raises(NotFound):
        study(catalogue.describe_algorithm, algorithmArn=arn + "-v9")
