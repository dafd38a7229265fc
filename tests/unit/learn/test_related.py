"""Items like an item: by use, by what they say, by both; new ones at once; influence."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from tailorbird.errors import Invalid
from tailorbird.learn import (
    batch_inference,
    campaigns,
    datasets,
    puts,
    schemas,
    serving,
    solutions,
    training,
)
from tailorbird.learn.models import interactions as inter
from tailorbird.learn.models import similar, texts
from tailorbird.learn.models.texts import CATEGORICAL, NAME, TEXTUAL, Texts

from .conftest import Study, as_csv, schema_text

FIELDS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "TITLE", "type": "string", "itemName": True},
    {"name": "STORY", "type": ["null", "string"], "textual": True},
    {"name": "GENRE", "type": ["null", "string"], "categorical": True},
    {"name": "CREATION_TIMESTAMP", "type": "long"},
]
HEADER = "ITEM_ID,TITLE,STORY,GENRE,CREATION_TIMESTAMP"
TOPICS = {
    "sea": ["sailing", "ship", "ocean", "wave", "harbour", "captain", "storm", "anchor"],
    "kitchen": ["cooking", "oven", "bread", "butter", "recipe", "spoon", "flour", "dough"],
    "space": ["rocket", "planet", "orbit", "astronaut", "galaxy", "comet", "launch", "moon"],
}
START = 1_600_000_000


def catalogue(each: int = 20, seed: int = 5) -> list[tuple]:
    """Items of three topics; each text has some of its topic's words and filler."""
    randomly = random.Random(seed)
    found = []
    for topic, words in TOPICS.items():
        for n in range(each):
            story = " ".join([*randomly.sample(words, 4), "something", "nice", f"extra{n}"])
            title = f"The {randomly.choice(words)} {n}"
            found.append((f"{topic}-{n}", title, story, topic, START + n))
    return found


def rows(each: int = 20, users: int = 60, seed: int = 2) -> list[tuple]:
    """Users who stay within a topic; items 0 to 4 of each topic are never used."""
    randomly = random.Random(seed)
    found = []
    for user in range(users):
        topic = list(TOPICS)[user % 3]
        for step in range(25):
            item = f"{topic}-{randomly.randrange(5, each)}"
            found.append((f"u{user}", item, "view", START + step * 60 + user))
    return found


class Library:
    def __init__(self, study: Study, fields: list[dict[str, Any]] = FIELDS) -> None:
        self.study = study
        study.interactions()
        name = study.name("library")
        schema = study(schemas.create_schema, name=name, schema=schema_text(fields, "Items"))
        self.items = study(
            datasets.create_dataset,
            name=name,
            schemaArn=schema["schemaArn"],
            datasetGroupArn=study.group,
            datasetType="Items",
        )["datasetArn"]

    def fill(self) -> None:
        done = self.study.bring(as_csv(catalogue(), HEADER), key="items.csv", datasetArn=self.items)
        assert done["status"] == "ACTIVE", done

    def campaign(self, version: str, **config: Any) -> str:
        name = self.study.name("campaign")
        request = {"name": name, "solutionVersionArn": version, "campaignConfig": config}
        return self.study(campaigns.create_campaign, **request)["campaignArn"]

    def beside(self, campaign: str, item: str, count: int = 10, **more: Any) -> list[str]:
        request = {"campaignArn": campaign, "itemId": item, "numResults": count} | more
        answer = self.study(serving.get_recommendations, **request)
        return [one["itemId"] for one in answer["itemList"]]


def topics(names: list[str]) -> set[str]:
    return {name.partition("-")[0] for name in names}


def test_similar_items_know_cold_items_by_what_they_say(study: Study):
    library = Library(study)
    library.fill()
    assert study.bring(as_csv(rows()))["status"] == "ACTIVE"
    config = {"algorithmHyperParameters": {"item_metadata_hidden_dim": "40"}}
    version = study.train("aws-similar-items", solutionConfig=config)
    assert version["status"] == "ACTIVE", version
    metrics = study(
        training.get_solution_metrics, solutionVersionArn=version["solutionVersionArn"]
    )["metrics"]
    assert metrics["precision_at_5"] > 0
    campaign = library.campaign(version["solutionVersionArn"])
    cold = library.beside(campaign, "sea-0")
    assert len(cold) == 10
    assert topics(cold) == {"sea"}
    assert "sea-0" not in cold
    assert topics(library.beside(campaign, "space-9")) == {"space"}
    words = {"title": "Bread and butter", "story": "flour dough oven", "creationTimestamp": START}
    one = {"itemId": "new-1", "properties": json.dumps(words)}
    study(puts.put_items, datasetArn=library.items, items=[one])
    assert topics(library.beside(campaign, "new-1")) == {"kitchen"}
    assert library.beside(campaign, "nobody-knows-it")  # popular items


def test_semantic_similarity_needs_no_interactions_and_takes_new_items_at_once(study: Study):
    library = Library(study)
    library.fill()
    version = study.train("aws-semantic-similarity", performIncrementalUpdate=True)
    assert version["status"] == "ACTIVE", version
    arn = version["solutionVersionArn"]
    plain = library.campaign(arn)
    assert topics(library.beside(plain, "kitchen-3")) == {"kitchen"}
    words = {
        "title": "Moon launch",
        "story": "rocket orbit comet",
        "creationTimestamp": START * 1.5,
    }
    one = {"itemId": "new-moon", "properties": json.dumps(words)}
    study(puts.put_items, datasetArn=library.items, items=[one])
    assert "new-moon" in library.beside(plain, "space-3", 20)
    assert topics(library.beside(plain, "new-moon")) == {"space"}
    fresh = library.campaign(arn, rankingInfluence={"FRESHNESS": 1.0})
    assert library.beside(fresh, "space-3", 1) == ["new-moon"]
    shown = study(
        serving.get_recommendations,
        campaignArn=plain,
        itemId="space-3",
        numResults=2,
        metadataColumns={"ITEMS": ["TITLE"]},
    )["itemList"]
    assert all("title" in one["metadata"] for one in shown)  # without a switch in the campaign
    for wrong, says in (
        ({"POPULARITY": 2}, "0 to 1"),
        ({"LUCK": 0.5}, "POPULARITY and FRESHNESS"),
    ):
        with pytest.raises(Invalid, match=says):
            library.campaign(arn, rankingInfluence=wrong)
    study.room.objects.put("s3://data/in/lines.json", b'{"itemId": "space-3"}\n')
    job = study(
        batch_inference.create_batch_inference_job,
        jobName="alike",
        solutionVersionArn=arn,
        jobInput={"s3DataSource": {"path": "s3://data/in/lines.json"}},
        jobOutput={"s3DataDestination": {"path": "s3://data/out/"}},
        batchInferenceJobConfig={"rankingInfluence": {"FRESHNESS": 1.0}},
        numResults=3,
        roleArn="arn:aws:iam::123456789012:role/r",
    )["batchInferenceJobArn"]
    describe = batch_inference.describe_batch_inference_job
    study.settled(lambda: study(describe, batchInferenceJobArn=job)["batchInferenceJob"])
    (line,) = study.room.objects.get("s3://data/out/lines.json.out").splitlines()
    assert json.loads(line)["output"]["recommendedItems"][0] == "new-moon"


def test_semantic_similarity_says_which_field_is_missing(study: Study):
    library = Library(study, [FIELDS[0], FIELDS[2], FIELDS[4]])
    with pytest.raises(Invalid, match='"itemName": true'):
        study.train("aws-semantic-similarity")
    assert library.items
    with pytest.raises(Invalid, match="performIncrementalUpdate is for aws-semantic-similarity"):
        study(
            solutions.create_solution,
            name="incremental",
            datasetGroupArn=study.group,
            recipeArn="arn:aws:personalize:::recipe/aws-sims",
            performIncrementalUpdate=True,
        )


def test_words_and_stems_place_texts_of_one_topic_together():
    records = [{"T": row[1], "S": row[2], "G": row[3]} for row in catalogue()]
    roles = {"T": NAME, "S": TEXTUAL}
    model = Texts.fit(records, roles, 16)
    vectors = model.vectors(records)
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    groups = np.array([record["G"] for record in records])
    assert (groups[alike.argmax(axis=1)] == groups).mean() > 0.9
    again = Texts.load(model.arrays(), roles)
    assert again.vectors(records[:3]) == pytest.approx(vectors[:3], abs=1e-6)
    assert not model.vectors([{"T": "zzz"}]).any()


def test_categories_are_words_of_their_own_and_html_is_none():
    found = texts.tokens({"T": "<b>Sailing</b> x", "G": "Sea|Ship"}, {"T": NAME, "G": CATEGORICAL})
    assert found == {"sailing": 2.0, "saili~": 1.0, "G=sea": 1.0, "G=ship": 1.0}


def test_content_counts_only_where_it_helps():
    """With texts that say nothing of use, the search leaves them to cold items."""
    found = rows(users=90)
    data = inter.interactions(*[[row[n] for row in found] for n in (0, 1, 3)])
    random_vectors = texts.unit(np.random.default_rng(0).standard_normal((data.item_count, 8)))
    mix, alone = similar.choose(data, 8, random_vectors, 0)
    assert mix.content <= 0.3
    assert alone["mixed"] >= alone["neighbours"] > alone["content"]
