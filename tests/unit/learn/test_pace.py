"""The service's own pace and its requests a second, both as switches."""

from __future__ import annotations

import pytest

from tailorbird.errors import InUse, Throttled
from tailorbird.learn import datasets, events, groups, schemas, throttle
from tailorbird.learn.buckets import Buckets
from tests.conftest import wait_for

from .conftest import Study, schema_text


def test_with_realistic_timing_things_are_pending_first(study: Study):
    study.room.settings = study.room.settings.replace(learn_realistic_timing=0.05)
    group = study(groups.create_dataset_group, name="slow")["datasetGroupArn"]

    def status() -> str:
        shown = study(groups.describe_dataset_group, datasetGroupArn=group)
        return shown["datasetGroup"]["status"]

    assert status() == "CREATE PENDING"
    schema = study(schemas.create_schema, name="slow", schema=schema_text())["schemaArn"]
    dataset = {"name": "slow", "schemaArn": schema, "datasetGroupArn": group}
    with pytest.raises(InUse, match="in state CREATE PENDING; it has to be ACTIVE"):
        study(datasets.create_dataset, datasetType="Interactions", **dataset)
    with pytest.raises(InUse, match="in state CREATE PENDING; what is made can be deleted"):
        study(groups.delete_dataset_group, datasetGroupArn=group)
    wait_for(lambda: status() == "CREATE IN_PROGRESS", 10)
    wait_for(lambda: status() == "ACTIVE", 10)
    study(datasets.create_dataset, datasetType="Interactions", **dataset)


def test_without_it_they_are_active_at_once(study: Study):
    group = study(groups.create_dataset_group, name="quick")["datasetGroupArn"]
    shown = study(groups.describe_dataset_group, datasetGroupArn=group)["datasetGroup"]
    assert shown["status"] == "ACTIVE"


def test_a_bucket_fills_as_time_goes_by():
    buckets = Buckets()
    assert [buckets.take("a", 2, 0.0) for _ in range(3)] == [True, True, False]
    assert buckets.take("b", 2, 0.0)  # every key has its own
    assert not buckets.take("a", 2, 0.1)
    assert buckets.take("a", 2, 0.6)
    assert [buckets.take("a", 2, 100.0) for _ in range(3)] == [True, True, False]


def test_too_many_events_and_items_a_second_are_throttled_where_a_setting_says_so(study: Study):
    study.interactions()
    tracker = study.tracker()
    event = [{"eventType": "view", "itemId": "i1", "sentAt": 1.0}]
    given = {"trackingId": tracker, "sessionId": "s", "eventList": event}
    for _ in range(20):
        study(events.put_events, **given)
    study.room.settings = study.room.settings.replace(
        learn_max_put_events_per_second=1.0, learn_max_puts_per_second=1.0
    )
    study(events.put_events, **given)
    with pytest.raises(Throttled, match="Rate exceeded: more than 1 requests a second"):
        for _ in range(5):
            study(events.put_events, **given)
    with pytest.raises(Throttled, match="learn_max_puts_per_second"):
        for _ in range(5):
            throttle.check(study.room, "learn_max_puts_per_second", "dataset")
