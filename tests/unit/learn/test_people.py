"""Users without a history: what others began with, what people of the same attributes take."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from tailorbird.errors import Invalid
from tailorbird.learn import datasets, deployed, explain, puts, schemas, serving
from tailorbird.learn import people as newcomers
from tailorbird.learn.asking import Asking
from tailorbird.learn.models import people
from tailorbird.learn.models.interactions import Interactions, interactions
from tailorbird.learn.models.popular import Popular

from .conftest import Study, as_csv, schema_text
from .test_batch import infer

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
USERS = [
    {"name": "USER_ID", "type": "string"},
    {"name": "TEAM", "type": "string", "categorical": True},
    {"name": "AGE", "type": "int"},
    {"name": "NOTE", "type": ["string", "null"]},
]


def two_teams(users: int = 160) -> list[tuple[str, str, str, int]]:
    """Red people take i0 to i19, blue ones i20 to i39, all begin with three of i40 to i47."""
    randomly, rows = random.Random(3), []
    for user in range(users):
        team = 20 * (user % 2)
        items = [40 + n for n in randomly.sample(range(8), 3)]
        items += [team + randomly.randrange(20) for _ in range(12)]
        for step, item in enumerate(items):
            rows.append((f"u{user:03}", f"i{item}", "view", 1_700_000_000 + user * 1000 + step))
    return rows


def data_of(rows: list[tuple[str, str, str, int]]) -> Interactions:
    user, item, _, at = zip(*rows, strict=True)
    return interactions(user, item, at)


def popular(rows: Interactions) -> np.ndarray:
    return Popular.fit(rows).scores


def test_what_helps_people_kept_out_is_chosen_and_counted():
    data = data_of(two_teams())
    cells = {"TEAM": [["red", "blue"][int(user[1:]) % 2] for user in data.users]}
    choice, told = people.choose(data, cells, popular, 0)
    assert choice.begins > 0 and choice.attributes > 0
    assert told["popularity"] < told["begins"] < told["attributes"]
    known = people.fit(data, cells, choice)
    assert known is not None
    red, blue = known.lift({"TEAM": "red"}), known.lift({"TEAM": "blue"})
    of = {name: data.items.find(name) for name in ("i3", "i23", "i40")}
    assert red[of["i3"]] > red[of["i23"]] and blue[of["i3"]] < blue[of["i23"]]
    assert known.lift({})[of["i40"]] > 0 > known.lift({})[of["i3"]]
    again = people.People.load(known.arrays())
    assert np.allclose(again.lift({"TEAM": "red"}), red)


def test_what_does_not_help_counts_nothing():
    randomly = random.Random(1)
    rows = [
        (f"u{user:03}", f"i{randomly.randrange(30)}", "view", 1_700_000_000 + user * 9 + step)
        for user in range(150)
        for step in range(8)
    ]
    data = data_of(rows)
    cells = {"TEAM": [randomly.choice("ab") for _ in data.users]}
    assert people.choose(data, cells, popular, 0)[0] == people.Choice()
    assert people.fit(data, cells, people.Choice()) is None


def test_numbers_count_by_bands_and_several_values_by_their_mean():
    data = data_of(two_teams())
    odd = [int(user[1:]) % 2 for user in data.users]
    cells: dict[str, Any] = {
        "AGE": [20.0 + n % 7 if n % 2 == 0 else 60.0 + n % 7 for n in range(len(odd))],
        "LIKES": ["red|fish" if not one else "blue|fish" for one in odd],
    }
    known = people.fit(data, cells, people.Choice(3, 0.0, 1.0))
    assert known is not None
    place = data.items.find("i3")
    assert known.lift({"AGE": 21})[place] > 0 > known.lift({"AGE": 66.5})[place]
    assert known.lift({"LIKES": "red"})[place] > known.lift({"LIKES": "red|blue"})[place]
    for odd_one in ({"AGE": "old"}, {"AGE": None}, {"LIKES": "never"}, {"OTHER": 1}):
        assert not known.lift(odd_one).any()


def with_users(study: Study) -> str:
    study.interactions()
    study.bring(as_csv(two_teams()))
    schema = study(schemas.create_schema, name="users", schema=schema_text(USERS, "Users"))
    arn = study(
        datasets.create_dataset,
        name="users",
        schemaArn=schema["schemaArn"],
        datasetGroupArn=study.group,
        datasetType="Users",
    )["datasetArn"]
    study.dataset = arn
    rows = [(f"u{n:03}", ["red", "blue"][n % 2], 20 + n % 40, "x") for n in range(160)]
    study.bring(as_csv(rows, "USER_ID,TEAM,AGE,NOTE"), key="users.csv")
    return str(arn)


def top(study: Study, campaign: str, user: str, count: int = 12) -> list[str]:
    given = {"campaignArn": campaign, "userId": user, "numResults": count}
    return [one["itemId"] for one in study(serving.get_recommendations, **given)["itemList"]]


def teams(items: list[str]) -> tuple[int, int]:
    """How many items of the reds and of the blues."""
    numbers = [int(one[1:]) for one in items]
    return sum(n < 20 for n in numbers), sum(20 <= n < 40 for n in numbers)


@ONE_DATABASE
def test_a_new_user_is_answered_by_attributes_as_soon_as_they_are_put(study: Study):
    users = with_users(study)
    version = study.train()["solutionVersionArn"]
    campaign = study.deploy(version)
    plain = top(study, campaign, "new")
    assert len({f"i{n}" for n in range(40, 48)} & set(plain)) > 4
    properties = json.dumps({"team": "blue", "age": 30})
    study(puts.put_users, datasetArn=users, users=[{"userId": "new", "properties": properties}])
    found = top(study, campaign, "new")
    assert teams(found)[1] > teams(plain)[1] and not teams(found)[0]
    blue = next(n for n, one in enumerate(found) if 20 <= int(one[1:]) < 40)
    told = explain.explain(study.room, campaign, "new", found[blue])
    added = {one["model"]: one["adds"] for one in told["models"]}
    assert added["TEAM blue"] > 0 and "what people begin with" in added
    assert told["rank"] == blue + 1 and not any(name.startswith("NOTE") for name in added)
    [line] = infer(study, version, [{"userId": "new"}], numResults=12)
    assert line["output"]["recommendedItems"] == found
    asking = Asking(study.room, deployed.find(study.room, campaign), "u000")
    assert newcomers.lift(asking) is None, "somebody with a history goes by it"


@ONE_DATABASE
def test_a_column_that_is_left_out_says_nothing_of_new_users(study: Study):
    users = with_users(study)
    left_out = {"excludedDatasetColumns": {"USERS": ["TEAM"]}}
    config = {"trainingDataConfig": left_out}
    campaign = study.deploy(study.train(solutionConfig=config)["solutionVersionArn"])
    plain = top(study, campaign, "new")
    properties = json.dumps({"team": "blue", "age": 30})
    study(puts.put_users, datasetArn=users, users=[{"userId": "new", "properties": properties}])
    assert top(study, campaign, "new") == plain
    with pytest.raises(Invalid, match="USERS has no column COLOUR"):
        study.train(
            solutionConfig={"trainingDataConfig": {"excludedDatasetColumns": {"USERS": ["COLOUR"]}}}
        )
