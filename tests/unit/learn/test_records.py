"""Lists in pages, and accounts and regions that do not see each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import groups

from .conftest import CALLER, Study


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


@pytest.mark.parametrize("other", [{"region": "eu-west-1"}, {"account": "999999999999"}])
def test_accounts_and_regions_are_apart(study: Study, other: dict):
    stranger = replace(CALLER, **other)
    arn = study(groups.create_dataset_group, name="mine")["datasetGroupArn"]
    assert groups.list_dataset_groups(study.room, stranger, {})["datasetGroups"] == []
    with pytest.raises(NotFound):
        groups.describe_dataset_group(study.room, stranger, {"datasetGroupArn": arn})
    groups.create_dataset_group(study.room, stranger, {"name": "mine"})
