"""Schemas are kept word for word and refused by name of the rule."""

from __future__ import annotations

from typing import Any

import pytest

from tailorbird.errors import AlreadyExists, InUse, Invalid, NotFound
from tailorbird.learn import datasets, groups, pace, schemas, trackers
from tests.conftest import wait_for

from .conftest import FIELDS, Study, schema_text


def field(name: str, kind: Any = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


ITEM = field("ITEM_ID")

REFUSED = {
    "not JSON": ("{", "not JSON"),
    "no record": ('{"type": "enum"}', "Avro record"),
    "unknown name": (schema_text(name="Orders"), "name is 'Orders'"),
    "no fields": (schema_text([]), "at least one field"),
    "missing column": (schema_text([field("USER_ID"), ITEM]), "TIMESTAMP"),
    "time as text": (schema_text([*FIELDS[:2], field("TIMESTAMP")]), "TIMESTAMP has type string"),
    "nullable id": (
        schema_text([field("USER_ID", ["null", "string"]), ITEM, field("TIMESTAMP", "long")]),
        "USER_ID may not be null",
    ),
    "array": (schema_text([*FIELDS, field("TAGS", {"type": "array"})]), "TAGS"),
    "two types": (schema_text([*FIELDS, field("X", ["int", "string"])]), "one type and null"),
    "same letters": (
        schema_text([*FIELDS, field("GENRES_1"), field("GENRES1")]),
        "GENRES_1 and GENRES1",
    ),
    "categorical event type": (
        schema_text([*FIELDS[:2], FIELDS[3], field("EVENT_TYPE", categorical=True)]),
        "EVENT_TYPE may not be categorical",
    ),
    "items of ids only": (schema_text([ITEM], "Items"), "at least one field beside its id"),
    "two texts": (
        schema_text([ITEM, field("A", textual=True), field("B", textual=True)], "Items"),
        "at most 1 field may be textual",
    ),
    "text of users": (schema_text([field("USER_ID"), field("A", textual=True)], "Users"), "Items"),
    "too much metadata": (
        schema_text([*FIELDS, *(field(f"M{n}A") for n in range(6))]),
        "may have 5",
    ),
    "a text for a flag": (
        schema_text([ITEM, field("A", categorical="true")], "Items"),
        "A: categorical is 'true'; true or false is right",
    ),
    "a blank in a name": (schema_text([ITEM, field("A B")], "Items"), "letters, digits and _"),
    "a line in a name": (schema_text([ITEM, field("A\n")], "Items"), "letters, digits and _"),
    "letters of no Avro name": (schema_text([ITEM, field("ÄÖ")], "Items"), "letters, digits"),
    "a digit first": (schema_text([ITEM, field("1A")], "Items"), "no digit at its begin"),
    "version": (schema_text().replace('"1.0"', '"2.0"'), "version"),
}


@pytest.mark.parametrize("text, reason", REFUSED.values(), ids=REFUSED)
def test_a_schema_that_breaks_a_rule_is_refused_by_name(text: str, reason: str):
    with pytest.raises(Invalid, match=reason.replace("(", r"\(")):
        schemas.parse(text)


def test_a_domain_asks_for_its_own_columns():
    with pytest.raises(Invalid, match="PRICE, CATEGORY_L1"):
        schemas.parse(schema_text([ITEM, field("COLOUR")], "Items"), "ECOMMERCE")


def test_a_domains_own_columns_have_its_types():
    needed = [ITEM, field("CREATION_TIMESTAMP", "long"), field("GENRES", categorical=True)]
    text = schema_text([*needed, field("DURATION")], "Items")
    with pytest.raises(Invalid, match="DURATION has type string; float is right"):
        schemas.parse(text, "VIDEO_ON_DEMAND")
    assert len(schemas.parse(text).columns) == 4


def test_types_and_null_may_stand_in_either_order():
    columns = schemas.parse(
        schema_text([ITEM, field("A", ["null", "string"]), field("B", ["float", "null"])], "Items")
    ).columns
    assert [(one.type, one.nullable) for one in columns[1:]] == [("string", True), ("float", True)]


def test_a_schema_is_described_word_for_word(study: Study):
    text = schema_text().replace(",", " ,\n")
    arn = study(schemas.create_schema, name="mine", schema=text)["schemaArn"]
    assert arn == "arn:aws:personalize:us-east-1:123456789012:schema/mine"
    assert study(schemas.describe_schema, schemaArn=arn)["schema"]["schema"] == text


def test_a_name_is_taken_once(study: Study):
    study(schemas.create_schema, name="mine", schema=schema_text())
    with pytest.raises(AlreadyExists, match="schema/mine"):
        study(schemas.create_schema, name="mine", schema=schema_text())


def test_a_schema_in_use_stays(study: Study):
    study.interactions()
    arn = study(schemas.list_schemas)["schemas"][0]["schemaArn"]
    with pytest.raises(InUse, match="delete it first"):
        study(schemas.delete_schema, schemaArn=arn)
    study(datasets.delete_dataset, datasetArn=study.dataset)
    study(schemas.delete_schema, schemaArn=arn)
    with pytest.raises(NotFound):
        study(schemas.describe_schema, schemaArn=arn)


def test_a_group_goes_when_it_is_empty(study: Study):
    study.interactions()
    with pytest.raises(InUse, match="dataset/shop-1/INTERACTIONS"):
        study(groups.delete_dataset_group, datasetGroupArn=study.group)
    study(datasets.delete_dataset, datasetArn=study.dataset)
    study(groups.delete_dataset_group, datasetGroupArn=study.group)
    assert study(groups.list_dataset_groups)["datasetGroups"] == []


def test_a_deleted_group_is_described_for_some_seconds_and_then_gone(
    study: Study, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pace, "DELETED_SHOWN_SECONDS", 0.3)
    arn = study(groups.create_dataset_group, name="g")["datasetGroupArn"]
    study(groups.delete_dataset_group, datasetGroupArn=arn)
    shown = study(groups.describe_dataset_group, datasetGroupArn=arn)["datasetGroup"]
    assert shown["status"] == "DELETE IN_PROGRESS"
    with pytest.raises(InUse, match="DELETE IN_PROGRESS"):
        study(trackers.create_event_tracker, name="t", datasetGroupArn=arn)
    wait_for(lambda: not _is_there(study, arn), 10)


def test_the_name_of_a_deleted_group_is_free_at_once(study: Study, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pace, "DELETED_SHOWN_SECONDS", 0.0)
    arn = study(groups.create_dataset_group, name="g")["datasetGroupArn"]
    study(groups.delete_dataset_group, datasetGroupArn=arn)
    assert study(groups.create_dataset_group, name="g")["datasetGroupArn"] == arn
    shown = study(groups.describe_dataset_group, datasetGroupArn=arn)["datasetGroup"]
    assert shown["status"] == "ACTIVE"


def _is_there(study: Study, arn: str) -> bool:
    try:
        study(groups.describe_dataset_group, datasetGroupArn=arn)
    except NotFound:
        return False
    return True


def test_a_dataset_group_has_one_dataset_of_a_type(study: Study):
    arn = study.interactions()
    assert arn.endswith(":dataset/shop-1/INTERACTIONS")
    shown = study(datasets.describe_dataset, datasetArn=arn)["dataset"]
    request = {"schemaArn": shown["schemaArn"], "datasetGroupArn": study.group}
    with pytest.raises(AlreadyExists, match="type INTERACTIONS"):
        study(datasets.create_dataset, name="x", datasetType="interactions", **request)
    with pytest.raises(Invalid, match="for INTERACTIONS, the dataset for ITEMS"):
        study(datasets.create_dataset, name="x", datasetType="Items", **request)
    with pytest.raises(Invalid, match="datasetType"):
        study(datasets.create_dataset, name="x", datasetType="Orders", **request)
