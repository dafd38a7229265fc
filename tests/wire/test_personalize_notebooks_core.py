"""The calls of AWS's notebooks for the core use cases, in their order, to their last cell.

Retyped from aws-samples' amazon-personalize-samples: exploration, trending now, objective
optimization, contextual recommendations, and the POC in a box (chapters 2 to 6).
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, wait_for

from .notebook import INTERACTIONS, RECIPE, Notebook, visits

DAY = 86_400
USER, ITEM, EVENT, TIME = (INTERACTIONS[n] for n in (1, 0, 2, 3))
METRICS = {
    "coverage",
    "mean_reciprocal_rank_at_25",
    *(f"normalized_discounted_cumulative_gain_at_{k}" for k in (5, 10, 25)),
    *(f"precision_at_{k}" for k in (5, 10, 25)),
}


@pytest.fixture
def notebook(server: Server, tmp_path: Path) -> Notebook:
    return Notebook(server, tmp_path)


def rows(until: float) -> list[tuple[str, str, str, int, str]]:
    """The visits, moved so that the newest lies at `until`; items are numbers, as films are."""
    found = list(visits())
    delta = int(until) - max(row[3] for row in found)
    return [(item[5:], user, kind, at + delta, more) for item, user, kind, at, more in found]


def test_user_personalization_with_exploration(notebook: Notebook):
    n, p = notebook, notebook.personalize
    n.iam.attach_role_policy(
        RoleName=n.role_name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    )
    n.group(domain=None)
    impression = {"name": "IMPRESSION", "type": "string"}
    interactions = n.dataset("Interactions", [EVENT, impression, ITEM, TIME, USER])
    created = {"name": "CREATION_TIMESTAMP", "type": "long"}
    genres = {"name": "GENRES", "type": "string", "categorical": True}
    items = n.dataset("Items", [ITEM, genres, created])
    seen = rows(time.time() - 8 * DAY)
    lines = [
        f"{item},click,{at},{user},{item}|{(int(item) + 1) % 40}" for item, user, _, at, _ in seen
    ]
    n.imported(
        interactions,
        n.upload(
            "interaction.csv",
            "ITEM_ID,EVENT_TYPE,TIMESTAMP,USER_ID,IMPRESSION\n" + "\n".join(lines),
        ),
    )
    films = "".join(f"{i},Drama|War,{seen[0][3] - i}\n" for i in range(40))
    n.imported(items, n.upload("items.csv", "ITEM_ID,genres,creation_timestamp\n" + films))
    solution, version = n.trained("aws-user-personalization", "exploration")
    config = {
        "itemExplorationConfig": {"explorationWeight": "0.9", "explorationItemAgeCutOff": "7"}
    }
    campaign = n.campaign(version, "exploration", campaignConfig=config)
    assert p.describe_campaign(campaignArn=campaign)["campaign"]["campaignConfig"] == config
    answer = n.runtime.get_recommendations(campaignArn=campaign, userId="11")
    tracked = p.create_event_tracker(name=n.name("tracker"), datasetGroupArn=n.group_arn)
    told = {"trackingId": tracked["trackingId"], "userId": "11", "sessionId": "1"}
    shown = [one["itemId"] for one in answer["itemList"]]
    click = {"sentAt": time.time(), "eventType": "click"}
    n.events.put_events(
        eventList=[
            click
            | {"itemId": shown[0], "impression": shown}
            | {"recommendationId": answer["recommendationId"]}
        ],
        **told,
    )
    n.events.put_events(eventList=[click | {"itemId": str(i)} for i in range(240, 250)], **told)
    updated = n.version(solution, trainingMode="UPDATE")
    p.update_campaign(campaignArn=campaign, solutionVersionArn=updated)
    wait_for(
        lambda: (
            p.describe_campaign(campaignArn=campaign)["campaign"]["solutionVersionArn"] == updated
        ),
        10,
        0.1,
    )
    found = set(n.ask(campaignArn=campaign, userId="11", numResults=50))
    assert found & {str(i) for i in range(240, 250)}, "new items are explored"
    config["itemExplorationConfig"]["explorationWeight"] = "0.1"
    p.update_campaign(campaignArn=campaign, campaignConfig=config)
    wait_for(
        lambda: p.describe_campaign(campaignArn=campaign)["campaign"]["campaignConfig"] == config,
        10,
        0.1,
    )
    assert len(n.ask(campaignArn=campaign, userId="11")) == 25
    p.delete_campaign(campaignArn=campaign)
    assert p.list_campaigns(solutionArn=solution)["campaigns"] == []
    p.delete_solution(solutionArn=solution)
    assert p.list_solutions(datasetGroupArn=n.group_arn)["solutions"] == []
    for one in p.list_datasets(datasetGroupArn=n.group_arn)["datasets"]:
        p.delete_dataset(datasetArn=one["datasetArn"])
    assert p.list_datasets(datasetGroupArn=n.group_arn)["datasets"] == []
    p.delete_event_tracker(eventTrackerArn=tracked["eventTrackerArn"])
    p.delete_dataset_group(datasetGroupArn=n.group_arn)
    listed = p.list_dataset_groups(maxResults=100)["datasetGroups"]
    assert n.group_arn not in [one["datasetGroupArn"] for one in listed]


def test_trending_now(notebook: Notebook):
    n, p = notebook, notebook.personalize
    n.group(domain=None)
    dataset = n.dataset("Interactions", [USER, ITEM, TIME])
    lines = [f"{i},{row[1]},{row[0]},{row[3]}" for i, row in enumerate(rows(1_574_000_000))]
    text = ",USER_ID,ITEM_ID,TIMESTAMP\n" + "\n".join(lines)  # pandas writes its index, too
    n.imported(dataset, n.upload("curated_interactions_training_data.csv", text))
    parameters = {"trend_discovery_frequency": "30 minutes"}
    config = {"featureTransformationParameters": parameters}
    _, version = n.trained("aws-trending-now", "trending", solutionConfig=config)
    shown = p.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
    assert shown["solutionConfig"] == config
    campaign = n.campaign(version, "trending")
    found = n.ask(campaignArn=campaign, numResults=25)
    assert found and all(item.isdigit() for item in found)
    tracking = p.create_event_tracker(name=n.name("t"), datasetGroupArn=n.group_arn)["trackingId"]
    for user in range(10):
        n.events.put_events(
            trackingId=tracking,
            userId=str(user),
            sessionId=str(uuid.uuid4()),
            eventList=[{"itemId": "39", "eventType": "view", "sentAt": int(time.time())}],
        )
    assert n.ask(campaignArn=campaign, numResults=25)
    n.clean_up()


def test_objective_optimization(notebook: Notebook):
    n, p = notebook, notebook.personalize
    n.group(domain=None)
    royalty = {"name": "ROYALTY", "type": "float"}
    genre = {"name": "GENRE", "type": ["null", "string"], "categorical": True}
    items = n.dataset("Items", [ITEM, royalty, genre])
    interactions = n.dataset("Interactions", [USER, ITEM, TIME])
    lines = [f"{user},{item},{at}" for item, user, _, at, _ in rows(900_000_000)]
    text = "USER_ID,ITEM_ID,TIMESTAMP\n" + "\n".join(lines) + "\n"
    n.imported(interactions, n.upload("movie-lens-100k.csv", text))
    fees = [-(i % 8) / 10 or "-0.0" for i in range(40)]
    films = "".join(f"{i},{fees[i]},{'DRAMA|WAR' if i % 3 else ''}\n" for i in range(40))
    n.imported(items, n.upload("movie-lens-items.csv", "ITEM_ID,ROYALTY,GENRE\n" + films))
    made = {}
    for name, sensitivity in (("high", "HIGH"), ("low", "LOW"), ("max_relevance", "OFF")):
        objective = {"itemAttribute": "ROYALTY", "objectiveSensitivity": sensitivity}
        made[name] = n.trained(
            "aws-user-personalization", name, solutionConfig={"optimizationObjective": objective}
        )
    table: dict[str, list[float]] = {}
    for _, version in made.values():
        for key, value in p.get_solution_metrics(solutionVersionArn=version)["metrics"].items():
            table.setdefault(key, []).append(value)
    assert {len(column) for column in table.values()} == {3}, "pandas makes a frame of it"
    assert METRICS | {"average_rewards_at_k"} == set(table)
    config = {"itemExplorationConfig": {"explorationWeight": "0.5"}}
    plain = {"itemExplorationConfig": {"explorationWeight": "0"}}
    royalties = {}
    for name, (_, version) in made.items():
        campaign = n.campaign(version, f"personalize-demo-{name}", campaignConfig=config)
        assert len(n.ask(campaignArn=campaign, userId="7")) == 25
        p.update_campaign(campaignArn=campaign, campaignConfig=plain)  # nothing left to chance
        found = n.ask(campaignArn=campaign, userId="7", numResults=10)
        royalties[name] = sum(int(item) % 8 for item in found)
    assert royalties["high"] < royalties["max_relevance"]
    n.clean_up()


def test_contextual_recommendations(notebook: Notebook):
    n, p = notebook, notebook.personalize
    n.group(domain=None)
    cabin = {"name": "CABIN_TYPE", "type": "string", "categorical": True}
    value = {"name": "EVENT_VALUE", "type": "float"}
    interactions = n.dataset("Interactions", [ITEM, USER, TIME, cabin, EVENT, value])
    users = n.dataset(
        "Users", [USER, {"name": "NATIONALITY", "type": "string", "categorical": True}]
    )
    cabins = ("Economy", "Business Class", "Premium Economy", "First Class")
    lines = [
        f"airline-{item},Ann{user},{at},{cabins[int(item) // 10]},RATING,{int(item) % 10}.0"
        for item, user, _, at, _ in rows(1_430_000_000)
    ]
    head = "ITEM_ID,USER_ID,TIMESTAMP,CABIN_TYPE,EVENT_TYPE,EVENT_VALUE\n"
    n.imported(interactions, n.upload("interactions.csv", head + "\n".join(lines) + "\n"))
    people = "".join(f"Ann{i},{'Côte d’Ivoire' if i % 2 else 'United States'}\n" for i in range(50))
    n.imported(users, n.upload("users.csv", "USER_ID,NATIONALITY\n" + people))
    _, version = n.trained("aws-user-personalization", "airlines")
    campaign = n.campaign(version, "airlines")
    p.get_solution_metrics(solutionVersionArn=version)
    plain = n.ask(campaignArn=campaign, userId="Ann3")
    within = [
        n.ask(campaignArn=campaign, userId="Ann3", context={"CABIN_TYPE": one}) for one in cabins
    ]
    assert all(len(found) == 25 for found in (plain, *within))
    business = {f"airline-{i}" for i in range(10, 20)}
    cold = n.ask(campaignArn=campaign, userId="Zoe", context={"CABIN_TYPE": cabins[1]})
    assert within[1] != plain and business <= set(cold[:15])
    tracker = p.create_event_tracker(name="AirlineTracker", datasetGroupArn=n.group_arn)
    properties = {"itemId": "airline-12", "eventValue": 9, "CABIN_TYPE": "First Class"}
    n.events.put_events(
        trackingId=tracker["trackingId"],
        userId="Ann3",
        sessionId=str(uuid.uuid1()),
        eventList=[
            {
                "sentAt": int(time.time()),
                "eventType": "RATING",
                "properties": json.dumps(properties),
            }
        ],
    )
    after = n.ask(campaignArn=campaign, userId="Ann3", context={"CABIN_TYPE": "First Class"})
    assert after != within[3]
    n.clean_up()


def test_poc_in_a_box(notebook: Notebook):
    n, p = notebook, notebook.personalize
    n.group(domain=None)
    interactions = n.dataset("Interactions", [USER, ITEM, EVENT, TIME])
    fields = [
        {"name": "GENRE", "type": "string", "categorical": True},
        {"name": "YEAR", "type": "int"},
    ]
    items = n.dataset("Items", [ITEM, *fields])
    lines = []
    for item, user, kind, at, _ in rows(1_537_000_000):
        lines += [f"{user},{item},{at},click"]
        lines += [f"{user},{item},{at},watch"] if kind == "View" else []
    text = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n" + "\n".join(lines) + "\n"
    n.imported(interactions, n.upload("interactions.csv", text))
    genres = ("Film-Noir", "Sci-Fi", "IMAX", "Children")
    films = "".join(f"{i},{genres[i % 4]}|Drama,{1965 + i}\n" for i in range(40))
    n.imported(items, n.upload("item-meta.csv", "ITEM_ID,GENRE,YEAR\n" + films))
    named = (
        ("aws-user-personalization", "userpersonalization"),
        ("aws-sims", "sims"),
        ("aws-personalized-ranking", "rerank"),
    )
    solutions, versions = {}, {}
    for recipe, name in named:
        solutions[name] = p.create_solution(
            name=n.name(f"personalize-poc-{name}"),
            datasetGroupArn=n.group_arn,
            recipeArn=RECIPE + recipe,
        )["solutionArn"]
        made = p.create_solution_version(solutionArn=solutions[name])
        versions[name] = made["solutionVersionArn"]
    for version in versions.values():
        n.active("solutionVersion", version)
        assert set(p.get_solution_metrics(solutionVersionArn=version)["metrics"]) == METRICS
    campaigns = {name: n.campaign(version, f"poc-{name}") for name, version in versions.items()}
    for_user, rerank = campaigns["userpersonalization"], campaigns["rerank"]
    shelves = [n.filter(one, f'INCLUDE ItemID WHERE Items.GENRE IN ("{one}")') for one in genres]
    watched, unwatched = (
        n.filter(name, f'{kind} ItemID WHERE Interactions.event_type IN ("watch")')
        for name, kind in (("watched", "INCLUDE"), ("unwatched", "EXCLUDE"))
    )
    seventies = n.filter("1970s", "INCLUDE ItemID WHERE Items.YEAR >= 1970 AND Items.YEAR < 1980")
    assert 0 < len(n.ask(campaignArn=campaigns["sims"], itemId="8")) <= 25
    for place, shelf in enumerate(shelves):
        found = n.ask(campaignArn=for_user, userId="5", filterArn=shelf)
        assert {int(item) % 4 for item in found} == {place}
    found = n.ask(campaignArn=for_user, userId="5", filterArn=seventies)
    assert sorted(map(int, found)) == list(range(5, 15))
    tracker = p.create_event_tracker(name=n.name("MovieTracker"), datasetGroupArn=n.group_arn)

    def send(item: str, kind: str) -> None:
        event = {"sentAt": int(time.time()), "eventType": kind}
        n.events.put_events(
            trackingId=tracker["trackingId"],
            userId="5",
            sessionId="a-session",
            eventList=[event | {"properties": json.dumps({"itemId": item})}],
        )

    for item in ("1", "17", "33"):
        send(item, "click")
        assert len(n.ask(campaignArn=for_user, userId="5")) == 25
    before = n.ask(campaignArn=for_user, userId="5", filterArn=unwatched, numResults=4)
    for item in before:
        send(item, "watch")
    assert not set(before) & set(n.ask(campaignArn=for_user, userId="5", filterArn=unwatched))
    assert set(before) <= set(
        n.ask(campaignArn=for_user, userId="5", filterArn=watched, numResults=100)
    )
    some = [str(i) for i in range(25)]
    answer = n.runtime.get_personalized_ranking(campaignArn=rerank, userId="5", inputList=some)
    assert sorted(one["itemId"] for one in answer["personalizedRanking"]) == sorted(some)
    text = "".join(f'{{"userId": "{user}"}}\n' for user in (3, 4, 5))
    n.batch(versions["userpersonalization"], n.upload("json_input.json", text), "", None)
    out = n.download("json_input.json.out")
    assert [one["input"]["userId"] for one in out] == ["3", "4", "5"]
    assert {len(one["output"]["recommendedItems"]) for one in out} == {25}
    clean_up_in_consecutive_cells(n, campaigns, tracker, solutions)


def clean_up_in_consecutive_cells(
    n: Notebook, campaigns: dict[str, str], tracker: dict[str, Any], solutions: dict[str, str]
) -> None:
    """Chapter 6 deletes by the ARNs it kept and waits for nothing."""
    p, group = n.personalize, n.group_arn
    schemas = [
        p.describe_dataset(datasetArn=one["datasetArn"])["dataset"]["schemaArn"]
        for one in n.listed("datasets", datasetGroupArn=group)
    ]
    for arn in campaigns.values():
        p.delete_campaign(campaignArn=arn)
    p.delete_event_tracker(eventTrackerArn=tracker["eventTrackerArn"])
    for one in p.list_filters(datasetGroupArn=group)["Filters"]:
        p.delete_filter(filterArn=one["filterArn"])
    for arn in solutions.values():
        p.delete_solution(solutionArn=arn)
    for one in n.listed("datasets", datasetGroupArn=group):
        p.delete_dataset(datasetArn=one["datasetArn"])
    for arn in schemas:
        p.delete_schema(schemaArn=arn)
    p.delete_dataset_group(datasetGroupArn=group)
    shown = p.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]
    assert shown["status"].startswith("DELETE")
