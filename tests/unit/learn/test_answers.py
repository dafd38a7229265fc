"""What shapes an answer: filters, promotions, metadata, context, young and cold items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tailorbird.errors import Invalid, NotFound
from tailorbird.learn import (
    campaigns,
    datasets,
    events,
    known,
    puts,
    quick,
    schemas,
    served,
    serving,
)
from tailorbird.learn.asking import LIVE_ROWS
from tailorbird.learn.filters import resources

from .conftest import FIELDS, Study, as_csv, chains, schema_text

NEW = 1_800_000_000.0
ITEM_FIELDS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "GENRE", "type": ["null", "string"], "categorical": True},
    {"name": "PRICE", "type": ["null", "float"]},
    {"name": "STOCK", "type": ["null", "int"]},
    {"name": "CREATION_TIMESTAMP", "type": ["null", "long"]},
]
USER_FIELDS = [{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": "int"}]
ODD = "INCLUDE ItemID WHERE Items.GENRE IN ('odd')"


@pytest.fixture
def shop(study: Study) -> Iterator[Study]:
    """Forty items, even and odd, a tracker, users with an age; views on phones are of odd items."""
    study.interactions([*FIELDS, {"name": "DEVICE", "type": ["null", "string"]}])
    header = "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP,DEVICE"
    rows = [(*row, "phone" if int(row[1][1:]) % 2 else "desk") for row in chains()]
    assert study.bring(as_csv(rows, header))["status"] == "ACTIVE"
    study.tracking = study.tracker()  # type: ignore[attr-defined]
    interactions = study.dataset
    study.items = other(study, "Items", ITEM_FIELDS)  # type: ignore[attr-defined]
    study.dataset = study.items  # type: ignore[attr-defined]
    things = [
        (f"i{n}", "odd|all" if n % 2 else "even|all", n + 0.5, n, 1_600_000_000) for n in range(40)
    ]
    header = "ITEM_ID,GENRE,PRICE,STOCK,CREATION_TIMESTAMP"
    study.room.settings = study.room.settings.replace(learn_min_interactions=10)
    assert study.bring(as_csv(things, header), "items.csv")["status"] == "ACTIVE"
    study.users = other(study, "Users", USER_FIELDS)  # type: ignore[attr-defined]
    study.dataset = interactions
    yield study


def other(study: Study, kind: str, fields: list[dict[str, Any]]) -> str:
    name = study.name(kind)
    schema = study(schemas.create_schema, name=name, schema=schema_text(fields, kind))
    return study(
        datasets.create_dataset,
        name=name,
        schemaArn=schema["schemaArn"],
        datasetGroupArn=study.group,
        datasetType=kind,
    )["datasetArn"]


def make(study: Study, text: str) -> str:
    given = {"name": study.name("filter"), "filterExpression": text}
    return study(resources.create_filter, datasetGroupArn=study.group, **given)["filterArn"]


def put(study: Study, item: str, user: str, **more: Any) -> None:
    event = {"eventType": "view", "itemId": item, "sentAt": NEW} | more
    given = {"trackingId": study.tracking, "userId": user, "sessionId": user}  # type: ignore[attr-defined]
    study(events.put_events, eventList=[event], **given)


def put_item(study: Study, item: str, **properties: Any) -> None:
    text = json.dumps(properties)
    given = {"datasetArn": study.items, "items": [{"itemId": item, "properties": text}]}  # type: ignore[attr-defined]
    study(puts.put_items, **given)


def items(answer: dict[str, Any]) -> list[str]:
    return [one["itemId"] for one in answer["itemList"]]


def odd(names: list[str]) -> list[bool]:
    return [bool(int(name[1:]) % 2) for name in names]


def test_answers_of_a_user_campaign(shop: Study, monkeypatch: pytest.MonkeyPatch):
    version = shop.train()
    arn = shop.deploy(version["solutionVersionArn"])

    def ask(user: str = "ana", **more: Any) -> dict[str, Any]:
        return shop(serving.get_recommendations, campaignArn=arn, userId=user, **more)

    put(shop, "i5", "ana")
    on_the_event_loop(shop, arn, ask, monkeypatch)
    filters(shop, ask)
    a_long_past(shop, ask)
    parameters(shop, ask)
    of_the_user(shop, ask)
    ranking(shop, arn)
    promotions(shop, ask)
    context(ask)
    metadata(shop, arn, ask)
    cold(shop, ask)
    exploration(shop, arn, version, ask)


def on_the_event_loop(shop: Study, arn: str, ask: Any, monkeypatch: Any) -> None:
    """Only once all that an answer needs is in memory, and never across a network."""
    seen = make(shop, "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ('VIEW')")
    asked = {"campaignArn": arn, "userId": "ana", "filterArn": seen}
    assert not quick.is_quick(shop.room, asked)
    monkeypatch.setattr(known, "KNOWN_SECONDS", 60.0)  # however slow this machine is
    ask(filterArn=seen)
    shop.room.costs[arn] = 0.001
    assert quick.is_quick(shop.room, asked) == (shop.room.db.dialect == "sqlite")
    assert not quick.is_quick(shop.room, asked | {"promotions": [{"name": "p"}]})
    shop.room.costs[arn] = quick.QUICK_SECONDS
    assert not quick.is_quick(shop.room, asked)
    monkeypatch.undo()


def a_long_past(shop: Study, ask: Any) -> None:
    """A filter knows what lies before the newest events that a history takes in."""
    gifts = make(shop, "INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ('gift')")
    put(shop, "i7", "noor", eventType="gift")
    views = [{"eventType": "view", "itemId": "i9", "sentAt": NEW}] * 10
    given = {"trackingId": shop.tracking, "userId": "noor", "sessionId": "at night"}  # type: ignore[attr-defined]
    for _ in range(LIVE_ROWS // len(views)):
        assert items(ask("noor", filterArn=gifts)) == ["i7"]
        shop(events.put_events, eventList=views, **given)
    assert items(ask("noor", filterArn=gifts)) == items(ask("at night", filterArn=gifts)) == ["i7"]
    put(shop, "i8", "noor", eventType="gift")
    assert sorted(items(ask("at night", filterArn=gifts))) == ["i7", "i8"]


def filters(shop: Study, ask: Any) -> None:
    """Before the best are taken: as many results as pass, in the order of the blend."""
    plain = items(ask(numResults=100))
    only = items(ask(numResults=15, filterArn=make(shop, ODD)))
    assert only == [name for name in plain if odd([name])[0]][:15]
    dear = make(
        shop, "INCLUDE ItemID WHERE Items.PRICE > 36.5 | EXCLUDE ItemID WHERE Items.STOCK = 38"
    )
    assert sorted(items(ask(filterArn=dear))) == ["i37", "i39"]
    put_item(shop, "i38", genre="odd", price=1.0, stock=1)
    put_item(shop, "i2", genre="even", price="99.5", stock=2)
    assert sorted(items(ask(filterArn=dear))) == ["i2", "i37", "i39"]
    none = make(shop, "INCLUDE ItemID WHERE Items.PRICE > 500")
    assert items(ask(filterArn=none)) == []

    seen = make(shop, "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ('VIEW')")
    bought = make(shop, "INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ('buy', 'gift')")
    assert "i5" not in items(ask(numResults=100, filterArn=seen))
    assert items(ask(filterArn=bought)) == []
    put(shop, "i6", "ana")
    put(shop, "i7", "ana", eventType="Buy")
    assert {"i5", "i6"}.isdisjoint(items(ask(numResults=100, filterArn=seen)))
    assert items(ask(filterArn=bought)) == ["i7"]
    everything = make(shop, "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ('*')")
    assert len(items(ask("u1", numResults=100, filterArn=everything))) == 40 - 30

    with pytest.raises(NotFound, match="filter does not exist"):
        ask(filterArn=seen + "x")
    people = make(shop, "INCLUDE UserID WHERE Users.AGE > 3")
    with pytest.raises(Invalid, match="chooses users; a filter of ItemID is right"):
        ask(filterArn=people)
    beside = make(shop, "INCLUDE ItemID WHERE Items.GENRE IN CurrentItem.GENRE")
    with pytest.raises(Invalid, match="only related-items recipes"):
        ask(filterArn=beside)


def parameters(shop: Study, ask: Any) -> None:
    genre = make(shop, "INCLUDE ItemID WHERE Items.GENRE IN ($G) AND Items.STOCK < $S")
    found = items(ask(filterArn=genre, filterValues={"G": '"odd","none"', "S": "8"}))
    assert sorted(found) == ["i1", "i3", "i38", "i5", "i7"]
    with pytest.raises(Invalid, match="parameter S is missing"):
        ask(filterArn=genre, filterValues={"G": '"odd"'})
    with pytest.raises(Invalid, match="cannot be read at position 1"):
        ask(filterArn=genre, filterValues={"G": "odd", "S": "8"})
    optional = make(shop, "EXCLUDE ItemID WHERE Items.GENRE IN ($G)")
    assert len(items(ask(numResults=100, filterArn=optional))) == 40


def of_the_user(shop: Study, ask: Any) -> None:
    grown = make(shop, ODD + " IF CurrentUser.AGE >= 18")
    assert len(items(ask(numResults=100, filterArn=grown))) == 40
    ana = {"userId": "ana", "properties": '{"age": 30}'}
    shop(puts.put_users, datasetArn=shop.users, users=[ana])  # type: ignore[attr-defined]
    assert len(items(ask(numResults=100, filterArn=grown))) == 21
    shop(puts.put_users, datasetArn=shop.users, users=[ana | {"properties": '{"age": 3}'}])  # type: ignore[attr-defined]
    assert len(items(ask(numResults=100, filterArn=grown))) == 40


def ranking(shop: Study, arn: str) -> None:
    given = {"campaignArn": arn, "userId": "ana", "inputList": ["i10", "i11", "who", "i12", "i13"]}
    found = shop(serving.get_personalized_ranking, filterArn=make(shop, ODD), **given)
    assert sorted(one["itemId"] for one in found["personalizedRanking"]) == ["i11", "i13"]
    assert sum(one["score"] for one in found["personalizedRanking"]) == pytest.approx(1, abs=1e-6)
    without = make(shop, "EXCLUDE ItemID WHERE Items.GENRE IN ('odd')")
    found = shop(serving.get_personalized_ranking, filterArn=without, **given)
    ranked = [one["itemId"] for one in found["personalizedRanking"]]
    assert (sorted(ranked[:2]), ranked[2]) == (["i10", "i12"], "who")


def promotions(shop: Study, ask: Any) -> None:
    """At random places, in their own order; the request's filter is for the others only."""
    even = make(shop, "INCLUDE ItemID WHERE Items.GENRE IN ('even')")
    one = {"name": "sale", "percentPromotedItems": 30, "filterArn": even}
    own = items(ask(numResults=100, filterArn=even))
    seen = set()
    for _ in range(8):
        answer = ask(numResults=10, filterArn=make(shop, ODD), promotions=[one])["itemList"]
        marked = [n for n, item in enumerate(answer) if item.get("promotionName") == "sale"]
        seen.add(tuple(marked))
        assert len(marked) == 3
        assert [answer[n]["itemId"] for n in marked] == own[:3]
        assert all(answer[n]["reason"] == ["Promoted item"] for n in marked)
        assert all(odd([item["itemId"]])[0] for item in answer if "promotionName" not in item)
        assert len({item["itemId"] for item in answer}) == 10
    assert len(seen) > 1
    few = make(shop, "INCLUDE ItemID WHERE Items.STOCK = $S")
    answer = ask(promotions=[one | {"filterArn": few, "filterValues": {"S": "4"}}], numResults=9)
    marked = [item["itemId"] for item in answer["itemList"] if "promotionName" in item]
    assert (marked, len(answer["itemList"])) == (["i4"], 9)
    for wrong, reason in (
        ([one, one], "2 entries; one is allowed"),
        ([one | {"percentPromotedItems": 101}], "1 to 100"),
        ([{"name": "x"}], "filterArn is missing"),
        ([{"filterArn": even}], "name is missing"),
    ):
        with pytest.raises(Invalid, match=reason):
            ask(promotions=wrong)


def context(ask: Any) -> None:
    def share(device: str) -> float:
        answer = ask("nobody", numResults=10, context={"DEVICE": device})
        return sum(odd(items(answer))) / 10

    assert share("phone") > 0.8
    assert share("desk") < 0.2
    assert items(ask(context={"DEVICE": "fridge", "MOON": "full"})) == items(ask())


def metadata(shop: Study, arn: str, ask: Any) -> None:
    columns = {"ITEMS": ["genre", "PRICE", "Stock", "CREATION_TIMESTAMP"]}
    with pytest.raises(Invalid, match="enableMetadataWithRecommendations = true"):
        ask(metadataColumns=columns)
    config = {"enableMetadataWithRecommendations": True}
    shop(campaigns.update_campaign, campaignArn=arn, campaignConfig=config)
    assert (
        shop(campaigns.describe_campaign, campaignArn=arn)["campaign"]["campaignConfig"] == config
    )
    five = make(shop, "INCLUDE ItemID WHERE Items.STOCK = 5")
    (one,) = ask(metadataColumns=columns, filterArn=five)["itemList"]
    assert one["metadata"] == {
        "genre": "odd|all",
        "price": "5.5",
        "stock": "5",
        "creation_timestamp": "1600000000",
    }
    for wrong, reason in (
        ({"metadataColumns": {"ITEMS": ["COLOUR"]}}, "names COLOUR; the Items dataset has GENRE"),
        ({"metadataColumns": {"USERS": ["AGE"]}}, "ITEMS is right"),
        ({"metadataColumns": {"ITEMS": ["PRICE"] * 11}}, "10 are allowed"),
        ({"metadataColumns": columns, "numResults": 51}, "50 are allowed"),
    ):
        with pytest.raises(Invalid, match=reason):
            ask(**wrong)


def cold(shop: Study, ask: Any) -> None:
    """An item put now is in the catalogue at once, beside those of its category."""
    assert len(items(ask(numResults=100))) == 40
    put_item(shop, "cold", genre="even", stock=7000)
    found = items(ask(numResults=100))
    assert len(found) == 41
    assert "cold" in found
    only = make(shop, "INCLUDE ItemID WHERE Items.STOCK = 7000")
    assert items(ask(filterArn=only)) == ["cold"]
    put_item(shop, "cold", genre="even", stock=1)
    assert items(ask(filterArn=only)) == []


def exploration(shop: Study, arn: str, version: dict[str, Any], ask: Any) -> None:
    """Young items come up; those that were shown and passed by come up less."""
    put_item(shop, "young", genre="rare")
    before = ask(numResults=40)

    def explore(weight: float) -> None:
        values = {"explorationWeight": str(weight), "explorationItemAgeCutOff": "30"}
        config = {"itemExplorationConfig": values}
        shop(campaigns.update_campaign, campaignArn=arn, campaignConfig=config)

    def often(count: int = 30) -> int:
        return sum("young" in items(ask("u1", numResults=3)) for _ in range(count))

    explore(0)
    assert ask(numResults=40)["itemList"] == before["itemList"]
    assert often() == 0
    explore(0.9)
    some = often()
    assert some > 3
    for _ in range(50):
        answer = ask("u1", numResults=3)
        if "young" in items(answer):
            (entry,) = (one for one in answer["itemList"] if one["itemId"] == "young")
            assert entry["reason"] == ["Exploration"]
            scores = [one["score"] for one in answer["itemList"]]
            assert scores == sorted(scores, reverse=True)
        put(shop, "i9", "u2", recommendationId=answer["recommendationId"])
        put(shop, "i9", "u2", recommendationId=answer["recommendationId"])  # counted once
    put(shop, "i9", "u2", impression=["young", "i9"], eventId="once")
    put(shop, "i9", "u2", impression=["young", "i9"], eventId="once")
    shown = served.impressions(shop.room, shop.group, ["young", "i9", "i1"])
    assert 1 < shown["young"][0] <= 51
    assert shown["young"][1] == 0
    assert shown["i9"][1] == 101
    for _ in range(20):
        put(shop, "i9", "u2", impression=["young"])
    assert often() < some


def test_related_items_fill_up_with_what_is_popular_and_passes(shop: Study):
    arn = shop.deploy(shop.train("aws-sims")["solutionVersionArn"])

    def ask(item: str, **more: Any) -> dict[str, Any]:
        return shop(serving.get_recommendations, campaignArn=arn, itemId=item, **more)

    same = make(shop, "INCLUDE ItemID WHERE Items.GENRE IN CurrentItem.GENRE AND Items.STOCK < 20")
    shop(
        puts.put_items,
        datasetArn=shop.items,
        items=[{"itemId": "new", "properties": '{"genre":"odd"}'}],
    )  # type: ignore[attr-defined]
    answer = ask("i5", numResults=40, filterArn=same)
    assert "i5" not in items(answer)
    assert len(items(answer)) == 19
    cheap = make(shop, "INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE")
    assert sorted(items(ask("i3", filterArn=cheap))) == ["i0", "i1", "i2"]
    alike = items(ask("new", numResults=20))
    assert odd(alike) == [True] * 20
    with pytest.raises(Invalid, match="userId is missing"):
        ask("i5", filterArn=make(shop, "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ('v')"))


REFUSED = {
    "not JSON": ("{", "items.1..properties is not JSON"),
    "a list": ("[]", "has to be a JSON object"),
    "an unknown property": ('{"colour": "red"}', "no column for 'colour'; it has GENRE, PRICE"),
    "a text for a number": ('{"price": "dear"}', "properties.price is 'dear'; a float is right"),
    "half an item": ('{"stock": 1.5}', "whole number"),
    "more than 32 bits": ('{"stock": 2147483648}', "properties.stock is 2147483648, .*fit int"),
    "more than 64 bits": ('{"creationTimestamp": 99999999999999999999}', "does not fit long"),
    "Python's own number": ('{"price": "1_000"}', "properties.price is '1_000'; a float is right"),
    "before 1970": ('{"creationTimestamp": -5}', "before 1970"),
    "milliseconds": ('{"creationTimestamp": 1600000000000}', "milliseconds"),
    "NUL": (json.dumps({"genre": "a\0"}), "properties.'genre' holds the character NUL"),
    "an object": ('{"genre": {}}', "a string is right"),
    "too long": (json.dumps({"genre": "x" * 1001}), "1001 characters; 1000"),
}


@pytest.mark.parametrize("properties, reason", REFUSED.values(), ids=REFUSED)
def test_items_that_cannot_be_kept_are_refused_whole(study: Study, properties: str, reason: str):
    study.interactions()
    arn = other(study, "Items", ITEM_FIELDS)
    good = {"itemId": "a", "properties": '{"GENRE": ["x", "y"], "creationTimestamp": 1600000000}'}
    bad = {"itemId": "b", "properties": properties}
    with pytest.raises(Invalid, match=reason):
        study(puts.put_items, datasetArn=arn, items=[good, bad])
    assert kept(study) == []
    study(puts.put_items, datasetArn=arn, items=[good, good])
    assert kept(study) == [("a", {"GENRE": "x|y", "CREATION_TIMESTAMP": 1600000000.0})]


def test_items_go_to_items_and_users_to_users(study: Study):
    study.interactions()
    arn = other(study, "Users", USER_FIELDS)
    with pytest.raises(Invalid, match="holds USERS; a dataset of ITEMS is right"):
        study(puts.put_items, datasetArn=arn, items=[{"itemId": "a"}])
    with pytest.raises(Invalid, match="AGE is missing; the schema does not allow null"):
        study(puts.put_users, datasetArn=arn, users=[{"userId": "a"}])
    with pytest.raises(Invalid, match=r"users\[0\].userId is blank"):
        study(puts.put_users, datasetArn=arn, users=[{"userId": " "}])
    with pytest.raises(NotFound):
        study(puts.put_users, datasetArn=arn + "x", users=[{"userId": "a"}])
    study(puts.put_users, datasetArn=arn, users=[{"userId": "a", "properties": '{"age": "7"}'}])
    assert kept(study) == [("a", {"AGE": 7.0})]
    study(datasets.delete_dataset, datasetArn=arn)
    assert kept(study) == []


def kept(study: Study) -> list[tuple[str, dict[str, Any]]]:
    from tailorbird.learn.tables import learn_records

    with study.room.db.read() as conn:
        query = learn_records.select().order_by(learn_records.c.id)
        return [(row["record_id"], row["properties"]) for row in conn.execute(query).mappings()]
