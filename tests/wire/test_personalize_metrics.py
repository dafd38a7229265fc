"""Figures of a metric attribution through CloudWatch's client, as AWS's notebook reads them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Server

from .test_personalize import Shop

ROLE = "arn:aws:iam::123456789012:role/PersonalizeRole"
NAMESPACE = "AWS/Personalize"


@pytest.fixture
def shop(any_server: Server) -> Shop:
    """A dataset group whose views count, with three of them from a newsletter."""
    shop = Shop(any_server, "figures")
    p, events = shop.personalize, any_server.client("personalize-events")
    shop.fill()
    tracker = p.create_event_tracker(name="figures", datasetGroupArn=shop.group)["trackingId"]
    p.create_metric_attribution(
        name="figures",
        datasetGroupArn=shop.group,
        metrics=[{"eventType": "view", "metricName": "views", "expression": "SAMPLECOUNT()"}],
        metricsOutputConfig={"roleArn": ROLE},
    )
    for item in ("i1", "i2", "i3"):
        event = {
            "eventType": "view",
            "itemId": item,
            "sentAt": time.time(),
            "metricAttribution": {"eventAttributionSource": "newsletter"},
        }
        events.put_events(trackingId=tracker, userId="u1", sessionId="s1", eventList=[event])
    return shop


def test_views_are_listed_and_summed_by_source(shop: Shop) -> None:
    watch = shop.server.client("cloudwatch")
    pages = watch.get_paginator("list_metrics").paginate(Namespace=NAMESPACE, MetricName="VIEWS")
    (metric,) = [one for page in pages for one in page["Metrics"]]
    assert {one["Name"]: one["Value"] for one in metric["Dimensions"]} == {
        "EventAttributionSource": "NEWSLETTER",
        "DatasetGroupArn": shop.group,
    }
    assert ask(shop, metric) == [3.0]
    assert ask(shop, {**metric, "MetricName": "CLICKS"}) == []
    assert ask(shop, {**metric, "Namespace": "AWS/EC2"}) == []
    assert watch.list_metrics(Namespace="AWS/EC2")["Metrics"] == []
    given = [{"Name": "DatasetGroupArn", "Value": "none"}]
    assert watch.list_metrics(Namespace=NAMESPACE, Dimensions=given)["Metrics"] == []
    with pytest.raises(ClientError) as refused:
        ask(shop, metric, start=time.time() + 3_600)
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError) as refused:
        ask(shop, metric, stat="p90")
    assert refused.value.response["Error"]["Code"] == "NotImplemented"
    with pytest.raises(ClientError) as refused:
        watch.list_dashboards()
    assert refused.value.response["Error"]["Code"] == "NotImplemented"


def ask(shop: Shop, metric: dict[str, Any], start: float = 0.0, stat: str = "Sum") -> list[float]:
    """The values of the last hour."""
    now = time.time()
    query = {"Id": "q1", "MetricStat": {"Metric": metric, "Period": 3_600, "Stat": stat}}
    (found,) = shop.server.client("cloudwatch").get_metric_data(
        StartTime=start or now - 3_600, EndTime=now + 1, MetricDataQueries=[query]
    )["MetricDataResults"]
    assert len(found["Timestamps"]) == len(found["Values"])
    return found["Values"]
