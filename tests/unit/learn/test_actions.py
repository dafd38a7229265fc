"""Actions: kept, exported, forgotten; the next best one by what a user is like and did."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tailorbird.errors import Invalid
from tailorbird.learn import (
    action_serving,
    actions,
    datasets,
    exports,
    puts,
    schemas,
    training,
)
from tailorbird.learn.filters import resources as filters
from tailorbird.learn.models import propensity

from .conftest import Study, as_csv, chains, schema_text

DAY = 86_400
NOW = 1_700_500_000
FIELDS = {
    "Actions": [
        {"name": "ACTION_ID", "type": "string"},
        {"name": "VALUE", "type": ["null", "long"]},
        {"name": "EXPIRATION_TIMESTAMP", "type": ["null", "long"]},
        {"name": "REPEAT_FREQUENCY", "type": ["null", "long"]},
        {"name": "KIND", "type": ["null", "string"], "categorical": True},
    ],
    "Users": [
        {"name": "USER_ID", "type": "string"},
        {"name": "TIER", "type": "string", "categorical": True},
    ],
    "ActionInteractions": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ACTION_ID", "type": "string"},
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
    ],
}
KINDS = {"Actions": "Actions", "Users": "Users", "ActionInteractions": "Action_Interactions"}


class Desk:
    """A group with actions: gold users join, the others download."""

    def __init__(self, study: Study) -> None:
        self.study = study
        study.interactions()
        self.arns = {name: self.dataset(name) for name in FIELDS}
        described = study(datasets.describe_dataset, datasetArn=self.arns["ActionInteractions"])
        self.tracking = described["dataset"]["trackingId"]

    def dataset(self, name: str) -> str:
        made = self.study.name(name.lower())
        text = schema_text(FIELDS[name], name)
        schema = self.study(schemas.create_schema, name=made, schema=text)["schemaArn"]
        return self.study(
            datasets.create_dataset,
            name=made,
            schemaArn=schema,
            datasetGroupArn=self.study.group,
            datasetType=KINDS[name],
        )["datasetArn"]

    def action(self, name: str, **properties: Any) -> None:
        one = {"actionId": name, "properties": json.dumps(properties)}
        self.study(puts.put_actions, datasetArn=self.arns["Actions"], actions=[one])

    def did(self, user: str, action: str, kind: str, when: float = NOW, **more: Any) -> None:
        one = {
            "actionId": action,
            "userId": user,
            "sessionId": f"s-{user}",
            "timestamp": when,
            "eventType": kind,
        }
        self.study(
            actions.put_action_interactions,
            trackingId=self.tracking,
            actionInteractions=[one | more],
        )

    def ask(self, user: str, **more: Any) -> dict[str, float]:
        request = {"campaignArn": self.campaign, "userId": user} | more
        found = self.study(action_serving.get_action_recommendations, **request)["actionList"]
        return {one["actionId"]: one["score"] for one in found}

    def fill(self) -> None:
        study, randomly = self.study, random.Random(3)
        assert study.bring(as_csv(chains(users=80)))["status"] == "ACTIVE"
        users = [(f"u{n}", "gold" if n % 2 else "plain") for n in range(80)]
        self.bring("Users", as_csv(users, "USER_ID,TIER"))
        for name, value in (("join", 5), ("download", 3), ("new", 9), ("other", 1)):
            self.action(name, value=value, kind="app" if name == "download" else "club")
        rows = []
        for n in range(400):
            user, tier = users[n % 80]
            when = NOW - randomly.randrange(5 * DAY)
            for action, liked in (("join", "gold"), ("download", "plain")):
                taken = randomly.random() < (0.85 if tier == liked else 0.1)
                rows.append((user, action, "VIEWED", when))
                rows.append((user, action, "TAKEN" if taken else "NOT_TAKEN", when + 3600))
        header = "USER_ID,ACTION_ID,EVENT_TYPE,TIMESTAMP"
        self.bring("ActionInteractions", as_csv(rows, header))

    def bring(self, name: str, data: bytes) -> None:
        done = self.study.bring(data, key=f"{name}.csv", datasetArn=self.arns[name])
        assert done["status"] == "ACTIVE", done

    def train(self) -> dict[str, Any]:
        version = self.study.train("aws-next-best-action")
        assert version["status"] == "ACTIVE", version
        self.campaign = self.study.deploy(version["solutionVersionArn"])
        return version


@pytest.fixture
def desk(study: Study) -> Desk:
    return Desk(study)


def test_the_next_best_action_follows_the_user_the_filter_and_the_actions_own_rules(desk: Desk):
    desk.fill()
    version = desk.train()
    metrics = desk.study(
        training.get_solution_metrics, solutionVersionArn=version["solutionVersionArn"]
    )["metrics"]
    assert metrics["mean_auc"] > 0.75, metrics
    assert {"auc_join", "auc_download"} < metrics.keys()
    gold, plain = desk.ask("u1"), desk.ask("u2")
    assert list(gold)[:2] == ["join", "download"]
    assert list(plain)[:2] == ["download", "join"]
    assert gold["join"] > 0.6 > 0.4 > plain["join"]
    assert list(gold)[2:] == ["new", "other"]  # no data: 0.0, the more valuable first
    assert gold["new"] == gold["other"] == 0.0
    assert list(desk.ask("u1", numResults=1)) == ["join"]
    assert list(desk.ask("nobody-knows-me"))  # a user nobody knows is answered
    expression = "INCLUDE ActionID WHERE Actions.KIND IN ($kind)"
    only = desk.study(
        filters.create_filter,
        name="only",
        datasetGroupArn=desk.study.group,
        filterExpression=expression,
    )["filterArn"]
    chosen = desk.ask("u1", filterArn=only, filterValues={"kind": '"app"'})
    assert list(chosen) == ["download"]
    desk.action("join", value=5, repeatFrequency=30)
    desk.action("new", value=9, expirationTimestamp=NOW)
    desk.action("brand-new", value=99)
    later = desk.study.room.clock.now()
    desk.did("u1", "join", "Taken", when=later)
    shown = desk.ask("u1")
    assert "join" not in shown  # interacted with in the last 30 days
    assert "new" not in shown  # expired
    assert list(shown)[:2] == ["download", "brand-new"]
    taken = desk.study(
        filters.create_filter,
        name="taken",
        datasetGroupArn=desk.study.group,
        filterExpression='EXCLUDE ActionID WHERE Action_Interactions.EVENT_TYPE IN ("Taken")',
    )["filterArn"]
    desk.did("u1", "other", "taken", when=later)
    assert "other" not in desk.ask("u1", filterArn=taken)


def test_without_action_interactions_every_score_is_nought(desk: Desk):
    assert desk.study.bring(as_csv(chains()))["status"] == "ACTIVE"
    desk.action("a", value=1)
    desk.action("b", value=7)
    desk.train()
    assert desk.ask("u1") == {"b": 0.0, "a": 0.0}


def test_action_interactions_are_linked_deduplicated_and_exported(desk: Desk):
    desk.did("u1", "join", "Viewed", eventId="one")
    desk.did("u1", "join", "Viewed", eventId="one")
    anonymous = {
        "actionId": "join",
        "sessionId": "s-new",
        "timestamp": NOW,
        "eventType": "Not Taken",
    }
    desk.study(
        actions.put_action_interactions,
        trackingId=desk.tracking,
        actionInteractions=[anonymous],
    )
    desk.did("u7", "join", "taken", sessionId="s-new")
    job = desk.study(
        exports.create_dataset_export_job,
        jobName="actions",
        datasetArn=desk.arns["ActionInteractions"],
        roleArn="arn:aws:iam::123456789012:role/r",
        jobOutput={"s3DataDestination": {"path": "s3://out/"}},
    )["datasetExportJobArn"]
    desk.study.settled(
        lambda: desk.study(exports.describe_dataset_export_job, datasetExportJobArn=job)[
            "datasetExportJob"
        ]
    )
    lines = desk.study.room.objects.get("s3://out/actions.csv").decode().splitlines()
    assert lines[1:] == [
        f"u1,join,VIEWED,{NOW}",
        f"u7,join,NOT_TAKEN,{NOW}",
        f"u7,join,TAKEN,{NOW}",
    ]


def test_what_is_wrong_with_action_interactions_is_said_by_name(desk: Desk):
    with pytest.raises(Invalid, match=r"actionInteractions\[0\].eventType is 'click'; Taken"):
        desk.did("u1", "join", "click")
    desk.tracking = "nobody"
    with pytest.raises(Invalid, match="no action interaction event tracker with trackingId nobody"):
        desk.did("u1", "join", "Taken")
    desk.tracking = desk.study.tracker()
    desk.did("u1", "join", "Taken")  # the group's own tracker is known as well
    arn = desk.arns["Users"]
    one = {"actionId": "x", "properties": "{}"}
    with pytest.raises(Invalid, match="a dataset of ACTIONS is right"):
        desk.study(puts.put_actions, datasetArn=arn, actions=[one])


def test_next_best_action_needs_actions(study: Study):
    study.interactions()
    with pytest.raises(Invalid, match="aws-next-best-action needs a dataset of ACTIONS"):
        study.train("aws-next-best-action")


def test_the_logistic_model_finds_what_decides():
    import numpy as np

    random_rows = np.random.default_rng(1)
    features = random_rows.standard_normal((4000, 3))
    chance = 1 / (1 + np.exp(-(2 * features[:, 0] - features[:, 1])))
    label = (random_rows.random(4000) < chance).astype(float)
    weights, offset = propensity.logistic(features, label)
    assert weights == pytest.approx([2.0, -1.0, 0.0], abs=0.25)
    assert offset == pytest.approx(0.0, abs=0.25)
    assert propensity.area(features @ weights, label > 0) > 0.85
