"""Filters, single items and promotions as the real boto3 sees them, and why, over our own API."""

from __future__ import annotations

import json
import urllib.request
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Server
from tests.unit.learn.conftest import schema_text

from .test_personalize import Shop, settled

ITEM_FIELDS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "GENRE", "type": ["null", "string"], "categorical": True},
    {"name": "PRICE", "type": "float"},
]


def own(server: Server, path: str, **query: str) -> dict[str, Any]:
    request = urllib.request.Request(f"{server.url}{path}?{urlencode(query)}")
    request.add_header("authorization", f"Bearer {server.token}")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_filters_items_and_promotions_over_the_wire(server: Server):
    shop = Shop(server, "filtered")
    shop.fill()
    assert shop.imported()["status"] == "ACTIVE"
    shop.train()
    p, name = shop.personalize, shop.name
    version = p.create_solution_version(solutionArn=shop.solution)["solutionVersionArn"]
    schema = p.create_schema(name="things", schema=schema_text(ITEM_FIELDS, "Items"))["schemaArn"]
    things = p.create_dataset(
        name="things", schemaArn=schema, datasetGroupArn=shop.group, datasetType="Items"
    )["datasetArn"]
    for n in range(0, 40, 10):
        found = [
            {"itemId": f"i{i}", "properties": json.dumps({"genre": f"g{i % 2}", "price": i})}
            for i in range(n, n + 10)
        ]
        shop.events.put_items(datasetArn=things, items=found)
    with pytest.raises(ClientError) as refused:
        shop.events.put_items(
            datasetArn=things, items=[{"itemId": "x", "properties": '{"price": "dear"}'}]
        )
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"
    assert "items[0].properties.price" in refused.value.response["Error"]["Message"]

    def make(name: str, text: str) -> str:
        given = {"name": name, "datasetGroupArn": shop.group, "filterExpression": text}
        return p.create_filter(**given)["filterArn"]

    arn = make("genre", "INCLUDE ItemID WHERE Items.GENRE IN ($GENRE)")
    cheap = make("cheap", "INCLUDE ItemID WHERE Items.PRICE < 3")
    assert {one["name"] for one in p.list_filters(datasetGroupArn=shop.group)["Filters"]} == {
        "genre",
        "cheap",
    }
    assert p.describe_filter(filterArn=arn)["filter"]["status"] == "ACTIVE"
    with pytest.raises(ClientError, match=r"position 9: expected ITEMID or USERID"):
        make("wrong", "INCLUDE Items")

    assert settled(
        lambda: p.describe_solution_version(solutionVersionArn=version)["solutionVersion"], 200
    )["status"] == "ACTIVE"  # fmt: skip
    campaign = p.create_campaign(
        name=name,
        solutionVersionArn=version,
        campaignConfig={"enableMetadataWithRecommendations": True},
    )["campaignArn"]
    answer = shop.runtime.get_recommendations(
        campaignArn=campaign,
        userId="u1",
        numResults=10,
        filterArn=arn,
        filterValues={"GENRE": '"g1"'},
        metadataColumns={"ITEMS": ["GENRE"]},
        promotions=[{"name": "sale", "percentPromotedItems": 20, "filterArn": cheap}],
    )["itemList"]
    promoted = [one for one in answer if one.get("promotionName") == "sale"]
    assert (len(answer), len(promoted)) == (10, 2)
    assert {one["itemId"] for one in promoted} < {"i0", "i1", "i2"}
    assert promoted[0]["reason"] == ["Promoted item"]
    others = [one["metadata"] for one in answer if "promotionName" not in one]
    assert others == [{"genre": "g1"}] * 8

    best = shop.runtime.get_recommendations(campaignArn=campaign, userId="u1")["itemList"][0]
    why = own(server, "/_/explain", campaign=campaign, user="u1", item=best["itemId"])
    assert (why["rank"], why["items"]) == (1, 40)
    assert why["models"]
    tracker = p.create_event_tracker(name=name, datasetGroupArn=shop.group)["trackingId"]
    assert own(server, "/_/events", of=tracker)["received"] == 0
