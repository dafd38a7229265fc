"""Metric attribution: what counts, for whom, in which interval, and where it is written."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tailorbird.errors import AlreadyExists, Invalid, LimitExceeded, NotFound
from tailorbird.learn import (
    attribution_reports,
    attributions,
    datasets,
    events,
    puts,
    schemas,
    sources,
)
from tests.conftest import wait_for

from .conftest import CALLER, FIELDS, Study, as_csv, chains, schema_text

ROLE = "arn:aws:iam::123456789012:role/PersonalizeRole"
PRICES = [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "float"}]
COUNTED = {"eventType": "watch", "metricName": "WATCHES", "expression": "SAMPLECOUNT()"}
SUMMED = {"eventType": "Purchase", "metricName": "REVENUE", "expression": "SUM(Items.PRICE)"}
VALUED = {
    "eventType": "Purchase",
    "metricName": "VALUE",
    "expression": "sum( interactions.EVENT_VALUE )",
}
ODD = [*FIELDS, {"name": "EVENT_VALUE", "type": ["null", "float"]}]


@pytest.fixture
def shop(study: Study) -> Study:
    study.interactions(ODD)
    name = study.name("items")
    schema = study(schemas.create_schema, name=name, schema=schema_text(PRICES, "Items"))
    items = study(
        datasets.create_dataset,
        name=name,
        schemaArn=schema["schemaArn"],
        datasetGroupArn=study.group,
        datasetType="Items",
    )["datasetArn"]
    for item, price in (("i1", 2.5), ("i2", 10)):
        given = [{"itemId": item, "properties": json.dumps({"price": price})}]
        study(puts.put_items, datasetArn=items, items=given)
    return study


def create(shop: Study, *metrics: dict[str, str], path: str = "s3://reports/here/") -> str:
    return shop(
        attributions.create_metric_attribution,
        name=shop.name("impact"),
        datasetGroupArn=shop.group,
        metrics=list(metrics),
        metricsOutputConfig={"s3DataDestination": {"path": path}, "roleArn": ROLE},
    )["metricAttributionArn"]


def send(shop: Study, tracker: str, kind: str, item: str, source: str = "", **more: Any) -> None:
    event = {"eventType": kind, "itemId": item, "sentAt": 1_700_000_100.0, **more}
    if source:
        event["metricAttribution"] = {"eventAttributionSource": source}
    shop(events.put_events, trackingId=tracker, sessionId="s", userId="u", eventList=[event])


def figures(shop: Study, arn: str) -> list[tuple[Any, ...]]:
    return [
        (one["METRIC_NAME"], one["EVENT_ATTRIBUTION_SOURCE"], one["VALUE"], one["TIMESTAMP"])
        for one in attribution_reports.now(shop.room, arn)["rows"]
    ]


def test_events_count_by_source_and_quarter_of_an_hour(shop: Study):
    tracker = shop.tracker()
    send(shop, tracker, "watch", "i1", "before-it-was-made")
    arn = create(shop, COUNTED, SUMMED, VALUED)
    send(shop, tracker, "Watch", "i1", "newsletter")
    send(shop, tracker, "watch", "i2", "newsletter")
    send(shop, tracker, "watch", "i2", sentAt=1_700_000_100.0 + 900)
    send(shop, tracker, "purchase", "i1", "newsletter", eventValue=7)
    send(shop, tracker, "purchase", "i2", "newsletter")
    send(shop, tracker, "purchase", "unknown", "newsletter")
    start = 1_700_000_100 // 900 * 900
    assert figures(shop, arn) == [
        ("REVENUE", "newsletter", 12.5, start),
        ("VALUE", "newsletter", 7.0, start),
        ("WATCHES", "SOURCE_NAME_UNDEFINED", 1.0, start + 900),
        ("WATCHES", "newsletter", 2.0, start),
    ]


def test_live_events_are_reported_to_the_path_and_once_only(
    study: Study, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(attribution_reports, "SETTLED_SECONDS", 0.0)
    study.room.settings = study.room.settings.replace(learn_attribution_minutes=0.005)
    study.interactions()
    tracker = study.tracker()
    arn = create(study, COUNTED)
    send(study, tracker, "watch", "i1", "x")
    wait_for(lambda: bool(reports(study)), 20)
    send(study, tracker, "watch", "i1", "y")
    wait_for(lambda: sum(len(report) for report in reports(study)) >= 2, 20)
    rows = [row for report in reports(study) for row in report]
    assert sorted(row["EVENT_ATTRIBUTION_SOURCE"] for row in rows) == ["x", "y"]
    assert rows[0] | {"EVENT_ATTRIBUTION_SOURCE": "x"} == {
        "METRIC_NAME": "WATCHES",
        "EVENT_TYPE": "watch",
        "VALUE": "1.0",
        "MATH_FUNCTION": "samplecount",
        "EVENT_ATTRIBUTION_SOURCE": "x",
        "TIMESTAMP": str(1_700_000_100 // 900 * 900),
    }
    study(attributions.delete_metric_attribution, metricAttributionArn=arn)


def test_an_import_publishes_its_figures_when_asked_to(shop: Study):
    fields = [*FIELDS, {"name": "EVENT_ATTRIBUTION_SOURCE", "type": ["null", "string"]}]
    shop.interactions(fields)
    create(shop, {**COUNTED, "eventType": "view"})
    rows = [(*row, "mail" if n % 2 else "") for n, row in enumerate(chains(users=10, rows=20))]
    header = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP,EVENT_ATTRIBUTION_SOURCE"
    done = shop.bring(as_csv(rows, header), publishAttributionMetricsToS3=True)
    assert done["publishAttributionMetricsToS3"] is True
    (report,) = reports(shop)
    total: dict[str, float] = {}
    for row in report:
        source = row["EVENT_ATTRIBUTION_SOURCE"]
        total[source] = total.get(source, 0.0) + float(row["VALUE"])
    assert total == {"mail": 100.0, "SOURCE_NAME_UNDEFINED": 100.0}


def reports(study: Study) -> list[list[dict[str, str]]]:
    folder = "s3://reports/here/"
    objects = study.room.objects
    try:
        found = [info.uri for info in objects.list(folder)]
    except NotFound:
        return []
    assert all("AggregatedAttributionMetrics - " in uri for uri in found)
    return [list(csv.DictReader(io.StringIO(objects.get(uri).decode()))) for uri in sorted(found)]


def test_metrics_are_added_removed_listed_and_described_as_given(shop: Study):
    arn = create(shop, COUNTED, SUMMED)
    update = {"addMetrics": [VALUED], "removeMetrics": ["WATCHES"]}
    shop(attributions.update_metric_attribution, metricAttributionArn=arn, **update)
    listed = attributions.list_metric_attribution_metrics
    first = shop(listed, metricAttributionArn=arn, maxResults=1)
    assert first["metrics"] == [SUMMED]
    rest = shop(listed, metricAttributionArn=arn, nextToken=first["nextToken"])
    assert rest == {"metrics": [VALUED]}
    shown = shop(attributions.describe_metric_attribution, metricAttributionArn=arn)
    assert shown["metricAttribution"]["metricsOutputConfig"]["roleArn"] == ROLE
    assert shown["metricAttribution"]["status"] == "ACTIVE"
    every = shop(attributions.list_metric_attributions, datasetGroupArn=shop.group)
    assert [one["metricAttributionArn"] for one in every["metricAttributions"]] == [arn]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"expression": "AVG(Items.PRICE)"}, Invalid, r"metrics\[0\].expression"),
        ({"expression": "SUM(Items.COLOR)"}, Invalid, "ITEMS.COLOR, which is no column of numbers"),
        ({"expression": "SUM(Users.AGE)"}, Invalid, "SUM.Items.COLUMN"),
        ({"expression": "SUM(Interactions.EVENT_TYPE)"}, Invalid, "these are: TIMESTAMP"),
        ({"metricName": ""}, Invalid, "may not be empty"),
    ],
)
def test_a_metric_that_cannot_be_is_refused_by_name(
    shop: Study, change: dict[str, str], error: type[Exception], says: str
):
    with pytest.raises(error, match=says):
        create(shop, COUNTED | change)


def test_more_than_ten_metrics_two_of_one_name_and_wrong_paths_are_refused(shop: Study):
    many = [{**COUNTED, "metricName": f"M{n}"} for n in range(11)]
    with pytest.raises(LimitExceeded, match="10 at most"):
        create(shop, *many)
    with pytest.raises(AlreadyExists, match="two metrics called WATCHES"):
        create(shop, COUNTED, COUNTED)
    with pytest.raises(Invalid, match=r"metricsOutputConfig\.s3DataDestination\.path"):
        create(shop, COUNTED, path="/tmp/reports")
    arn = create(shop, COUNTED)
    with pytest.raises(NotFound, match="there is no metric 'NONE'"):
        given = {"metricAttributionArn": arn, "removeMetrics": ["NONE"]}
        shop(attributions.update_metric_attribution, **given)


def test_a_recommendation_id_names_its_campaign_within_forty_characters():
    arn = f"arn:aws:personalize:us-east-1:{CALLER.account}:campaign/shop"
    rid = sources.recommendation_id("2f9c1b7e-0f2a-4c55-9a3e-0123456789ab", arn)
    assert rid == "RID-2a-4c55-9a3e-0123456789ab-CID-" + sources.mark(rid)
    assert len(rid) <= 40
    assert sources.mark("RID-of-somebody-else") == ""


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "much"])
def test_a_value_that_is_no_number_is_not_summed(text: str):
    metric = attributions.metrics(
        [{"eventType": "buy", "metricName": "SUM", "expression": "SUM(Interactions.PRICE)"}]
    )[0]
    assert attribution_reports._value(metric, "i1", {"PRICE": text}, None) is None
    assert attribution_reports._value(metric, "i1", {"PRICE": "2.5"}, None) == 2.5
