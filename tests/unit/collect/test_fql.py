"""FQL conditions hold for the calls they describe, and say where they are wrong."""

from typing import Any

import pytest

from tailorbird.collect.fql import compiled
from tailorbird.errors import Invalid

CALL: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "userId": "ann",
    "properties": {
        "price": 19.5,
        "sku": "tea-1",
        "tags": ["new", "tea"],
        "gift": True,
        "one": 1,
        "none": None,
        "deep": {"er": "x"},
        "two words": 2,
    },
    "context": {"ip": "10.0.0.1"},
}

HOLDS = [
    'type = "track"',
    "type = 'track' and event = 'Order Completed'",
    'type = "page" or event = "Order Completed"',
    'type = "page" AND event = "x" OR userId = "ann"',
    '!(type = "identify")',
    "!properties.missing",
    "properties.price >= 19.5",
    "properties.price < 20 and properties.price > -1",
    'properties.sku != "tea-2"',
    "properties.missing = null",
    "properties.none = null",
    "properties.gift",
    "properties.gift = true",
    "properties.one != true",
    'properties.deep.er = "x"',
    r"properties.two\ words = 2",
    'contains(properties.tags, "tea")',
    'contains(event, "Completed")',
    'match(context.ip, "10.0.*")',
    'match(properties.sku, "tea-?")',
    'lowercase(event) = "order completed"',
    'typeof(properties.price) = "number"',
    'typeof(properties.deep) = "object"',
    "length(properties.tags) = 2",
    'event in ["Order Completed", "Order Refunded"]',
    'userId in ("bob", "ann")',
    "all",
]
DOES_NOT = [
    'type = "TRACK"',
    "properties.price",
    "properties.sku > 3",
    "properties.missing < 1",
    "properties.one = true",
    'match(event, "[O]*")',
    "contains(properties.price, 1)",
    "event in []",
    'properties.sku.deeper = "x"',
]
WRONG = [
    "",
    None,
    "type =",
    'type = "track" event',
    "(type = 'a'",
    "shout(event)",
    "contains(event)",
    "type ~ 3",
    "event in [type]",
    "(" * 60 + "a" + ")" * 60,
    "a" * 10_001,
]


@pytest.mark.parametrize("condition", HOLDS)
def test_a_condition_that_holds(condition: str) -> None:
    assert compiled(condition)(CALL)


@pytest.mark.parametrize("condition", DOES_NOT)
def test_a_condition_that_does_not_hold(condition: str) -> None:
    assert not compiled(condition)(CALL)


@pytest.mark.parametrize("condition", WRONG)
def test_what_is_not_fql_is_refused(condition: Any) -> None:
    with pytest.raises(Invalid):
        compiled(condition)
