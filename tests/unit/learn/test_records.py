"""Lists in pages, and accounts and regions that do not see each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import catalogue, datasets, groups, schemas

from .conftest import CALLER, Study, schema_text


def test_pages_follow_each_other_without_gap_or_repeat(study: Study):
    names = [f"g{n}" for n in range(5)]
    for name in names:
        study(groups.create_dataset_group, name=name)
    found, token = [], None
    while True:
        more = {"nextToken": token} if token else {}
        page = study(groups.list_dataset_groups, maxResults=2, **more)
        found += [one["name"] for one in page["datasetGroups"]]
        token = page.get("nextToken")
        if token is None:
            break
    assert found == names


@pytest.mark.parametrize("token", ["x", "AAAA", "WzFd"])
def test_a_token_nobody_gave_is_refused(study: Study, token: str):
    with pytest.raises(Invalid) as refused:
        study(groups.list_dataset_groups, nextToken=token)
    assert refused.value.code == "InvalidNextTokenException"


def test_a_token_is_good_for_the_same_question_alone(study: Study):
    for n in range(3):
        study(groups.create_dataset_group, name=f"g{n}")
        study(schemas.create_schema, name=f"s{n}", schema=schema_text())
    token = study(groups.list_dataset_groups, maxResults=1)["nextToken"]
    whole = study(groups.list_dataset_groups, nextToken=token)  # another size is no other question
    assert [one["name"] for one in whole["datasetGroups"]] == ["g1", "g2"]
    of_group = study(catalogue.list_recipes, domain="ECOMMERCE", maxResults=1)["nextToken"]
    abroad = replace(CALLER, region="eu-west-1")
    for ask in (
        lambda: study(schemas.list_schemas, nextToken=token),
        lambda: study(datasets.list_datasets, nextToken=token),
        lambda: study(catalogue.list_recipes, nextToken=of_group),
        lambda: study(catalogue.list_recipes, domain="VIDEO_ON_DEMAND", nextToken=of_group),
        lambda: groups.list_dataset_groups(study.room, abroad, {"nextToken": token}),
    ):
        with pytest.raises(Invalid, match="same request") as refused:
            ask()
        assert refused.value.code == "InvalidNextTokenException"


@pytest.mark.parametrize("other", [{"region": "eu-west-1"}, {"account": "999999999999"}])
def test_accounts_and_regions_are_apart(study: Study, other: dict):
    stranger = replace(CALLER, **other)
    arn = study(groups.create_dataset_group, name="mine")["datasetGroupArn"]
    assert groups.list_dataset_groups(study.room, stranger, {})["datasetGroups"] == []
    with pytest.raises(NotFound):
        groups.describe_dataset_group(study.room, stranger, {"datasetGroupArn": arn})
    groups.create_dataset_group(study.room, stranger, {"name": "mine"})
